"""What every registered source promises, whatever it reads."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from instar.sources import Chunk, FileColumn, Source, sources
from instar.sources.base import join
from instar.sources.locate import locate
from instar.sources.matching import match

ROWS = 2_500


def table(folder: Path, shift: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"position": range(shift, ROWS + shift), "word": [f'w{row}, "é"\nx' for row in range(ROWS)]})


def pictures(folder: Path, shift: int = 0) -> Path:
    for number in range(40):
        path = folder / ("cat" if number < 20 else "dog") / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number, shift]) * (shift + 1))
    return folder


def folders(folder: Path, shift: int) -> Path:
    for part in ("photos", "masks"):
        for number in range(40):
            path = folder / "pairs" / part / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes([number, shift]) * (shift + 1))
    return folder / "pairs"


def delimited(folder: Path, shift: int) -> Path:
    table(folder, shift).write_csv(folder / "table.csv")
    return folder / "table.csv"


def json_lines(folder: Path, shift: int) -> Path:
    table(folder, shift).write_ndjson(folder / "table.jsonl")
    return folder / "table.jsonl"


def lines(folder: Path, shift: int) -> Path:
    (folder / "texts.txt").write_text("".join(f"text {row + shift}\n\n" for row in range(ROWS)))
    return folder / "texts.txt"


def corpus(folder: Path, shift: int) -> str:
    (folder / "novel.txt").write_text("".join(f"In the year {row + shift} nothing happened.\n" for row in range(ROWS)))
    return f"corpus:{folder / 'novel.txt'}"


def pairs(folder: Path, shift: int) -> Path:
    (folder / "pairs.txt").write_text("".join(f"text {row + shift}\tTexte {row}\n\n" for row in range(ROWS)))
    return folder / "pairs.txt"


def fasta(folder: Path, shift: int) -> Path:
    (folder / "genes.fasta").write_text("".join(f">{row + shift} of={row}\nAC\nGT\n\n" for row in range(ROWS)))
    return folder / "genes.fasta"


def fasta_folder(folder: Path, shift: int) -> Path:
    for name, rows in (("cat/a.fa", 30), ("cat/b.fa", 40), ("dog/c.fa", 50)):
        path = folder / "genes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f">{row} of={row + shift}\nAC\n" for row in range(rows)))
    return folder / "genes"


def parquet(folder: Path, shift: int) -> Path:
    table(folder, shift).write_parquet(folder / "table.parquet")
    return folder / "table.parquet"


def metadata_folder(folder: Path, shift: int) -> Path:
    for part in ("train", "test"):
        pictures(folder / part, shift)
        names = sorted(str(path.relative_to(folder / part)) for path in (folder / part).rglob("*.jpg"))
        frame = pl.DataFrame({"file_name": names, "position": range(shift, len(names) + shift)})
        frame.write_csv(folder / part / "metadata.csv")
    return folder


def idx(folder: Path, shift: int) -> Path:
    numbers = (np.arange(ROWS * 6) + shift).astype(">i4")
    (folder / "images-idx3-int").write_bytes(bytes([0, 0, 12, 3]) + struct.pack(">3I", ROWS, 2, 3) + numbers.tobytes())
    return folder / "images-idx3-int"


def numpy_file(folder: Path, shift: int) -> Path:
    np.savez_compressed(folder / "arrays.npz", x=np.arange(ROWS * 6).reshape(ROWS, 2, 3) + shift, y=np.arange(ROWS))
    return folder / "arrays.npz"


def series(folder: Path, shift: int) -> Path:
    for part, rows in (("TRAIN", 200), ("TEST", 100)):
        lines = [f"{row + shift},{row},2,3:up" for row in range(len(part) * 1000, len(part) * 1000 + rows)]
        header = ["@univariate true", "@classLabel true up down", "@data"]
        (folder / f"waves_{part}.ts").write_text("\n".join([*header, *lines]))
    return folder / "waves_TRAIN.ts"


GIVEN = {
    "delimited": delimited,
    "json-lines": json_lines,
    "lines": lines,
    "corpus": corpus,
    "fasta": fasta,
    "fasta-folder": fasta_folder,
    "pairs": pairs,
    "parquet": parquet,
    "folder": pictures,
    "folders": folders,
    "metadata-folder": metadata_folder,
    "files": lambda folder, shift: sorted(map(str, pictures(folder, shift).rglob("*.jpg"))),
    "idx": idx,
    "numpy": numpy_file,
    "series": series,
    "memory": lambda folder, shift: (table(folder, shift), np.arange(ROWS)),
    "example": lambda folder, shift: "example:xor" if shift else "example:iris",
}


def test_every_source_is_examined_here():
    assert {*GIVEN, "environment"} == set(sources), "an environment is played and has no rows: see test_games.py"


@pytest.fixture(params=sorted(GIVEN))
def given(request, tmp_path):
    return request.param, GIVEN[request.param](tmp_path, 0)


def values(chunk: Chunk, name: str) -> list:
    column = chunk.columns[name]
    if isinstance(column, FileColumn):
        return [None if file is None else file.read() for file in column.files]
    return column.tolist() if isinstance(column, np.ndarray) else column.to_list()


def everything(source: Source, columns=None) -> dict[str, list]:
    chunks = list(source.chunks(columns))
    names = source.schema().columns if columns is None else columns
    return {name: [value for chunk in chunks for value in values(chunk, name)] for name in names}


def test_what_was_given_finds_its_source(given):
    name, what = given
    assert type(locate(what)) is sources[name]


def test_chunks_are_contiguous_equal_long_and_repeatable(given):
    source = locate(given[1])
    start = 0
    for chunk in source.chunks():
        assert chunk.start == start
        assert tuple(chunk.columns) == source.schema().columns
        assert {len(column) for column in chunk.columns.values()} == {len(chunk)}
        assert 0 < len(chunk) <= 65_536
        start += len(chunk)
    assert source.schema().rows in (None, start)
    assert start >= 40
    assert everything(source) == everything(source)


def test_columns_can_be_asked_for_one_by_one_and_in_any_order(given):
    source = locate(given[1])
    whole = everything(source)
    backwards = source.schema().columns[::-1]
    assert all(tuple(chunk.columns) == backwards for chunk in source.chunks(backwards))
    assert everything(source, backwards) == whole
    for name in backwards:
        assert everything(source, [name]) == {name: whole[name]}


def test_a_sample_spans_the_whole_and_is_always_the_same(given):
    source = locate(given[1])
    whole, sample = everything(source), source.sample(30)
    assert 15 <= len(sample) <= 30
    for name in source.schema().columns:
        assert values(sample, name) == values(source.sample(30), name)
        # Ten equal stretches of the source: the sample has something of each, in the source's own order.
        places = [whole[name].index(value) for value in values(sample, name)]
        if len({str(value) for value in whole[name]}) == len(whole[name]):
            assert places == sorted(places)
            assert {10 * place // len(whole[name]) for place in places} == set(range(10))
    assert len(source.sample(10**6)) == len(whole[source.schema().columns[0]])


def test_the_fingerprint_is_stable_and_changes_with_the_content(given, tmp_path):
    name, what = given
    first = locate(what).fingerprint()
    assert first == locate(what).fingerprint()
    int(first, 16)
    changed = locate(GIVEN[name](tmp_path, 1)).fingerprint()
    assert changed != first


def test_every_row_can_be_found(given):
    source = locate(given[1])
    places = [locate(given[1]).locate_row(row) for row in (0, 1, 39)]
    assert len(set(places)) == 3
    list(source.chunks())
    assert places == [source.locate_row(row) for row in (0, 1, 39)]


def test_types_stay_the_same_from_chunk_to_chunk_and_in_the_sample(given):
    source = locate(given[1])
    for name in source.schema().columns:
        kinds = {
            column.dtype if isinstance(column, pl.Series | np.ndarray) else FileColumn
            for column in [chunk.columns[name] for chunk in (*source.chunks(), source.sample(7))]
        }
        assert len(kinds) == 1


def test_a_nameless_column_takes_the_name_that_a_model_expects(tmp_path):
    source = match(locate(pictures(tmp_path)), ["image"])
    assert source.schema().columns == ("image", "class")
    assert everything(source, ["class", "image"])["image"][3] == bytes([3, 0])
    assert values(source.sample(3), "image")[0] == bytes([0, 0])
    frame = locate(pl.DataFrame({"a": [1]}))
    assert match(frame, ["b"]) is frame
    both = locate(np.zeros((3, 2)))
    assert match(both, ["a", "b"]) is both


def test_joined_parts_are_the_whole():
    source = locate("example:digits")
    parts = list(source.chunks())
    assert len(join([part.columns["image"] for part in parts])) == 1797


def test_a_table_is_the_same_plain_and_gzipped(tmp_path):
    for make in (delimited, json_lines, lines, pairs, fasta):
        path = make(tmp_path, 0)
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        assert everything(locate(packed)) == everything(locate(path))
        assert locate(packed).locate_row(77).split("line")[1] == locate(path).locate_row(77).split("line")[1]
        os.utime(packed, ns=(1, 1))
        assert locate(packed).fingerprint() != locate(path).fingerprint()
