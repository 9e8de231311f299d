"""``.ts`` files: what stands in them comes out, two files are one divided source, and what is wrong has its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

import instar
from instar.errors import SourceError
from instar.fields import kinds
from instar.fields.series import SeriesSettings
from instar.sources import Source, text
from instar.sources.locate import locate

HEADER = """# A comment: with a colon
@problemName Waves
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true up down
@data
"""
SERIES = kinds["series"]


def write(path: Path, *lines: str, header: str = HEADER) -> Path:
    path.write_text(header + "".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def everything(source: Source) -> dict[str, list]:
    chunks = list(source.chunks())
    return {name: [cell for chunk in chunks for cell in chunk.columns[name]] for name in source.schema().columns}


def test_series_and_classes_come_out_as_they_stand(tmp_path):
    path = write(tmp_path / "waves.ts", "1.5,2:3,?:up", "", "# between", "-1e-3,+2,.5 : 4,5,NaN : down", "1:2:?")
    source = locate(path)
    schema = source.schema()
    assert (schema.columns, schema.target, schema.given_split, schema.nameless) == (
        ("series", "class"),
        "class",
        None,
        ("series",),
    )
    found = everything(source)
    assert found["class"] == ["up", "down", None]
    column = pl.Series(found["series"])
    arrays = SERIES.read(column, SERIES.survey(column, SeriesSettings()))
    expected = [[1.5, 3], [2, np.nan], [-1e-3, 4], [2, 5], [0.5, np.nan], [1, 2]]
    assert np.array_equal(arrays.values, np.float32(expected), equal_nan=True)
    assert arrays.lengths.tolist() == [2, 3, 1] and not arrays.problems
    assert [source.locate_row(row) for row in range(3)] == [f"{path}, line {line}" for line in (10, 13, 14)]
    assert source.name == "waves"


def test_a_class_stays_a_class_where_it_is_written_as_a_number(tmp_path):
    header = HEADER.replace("up down", " ".join(map(str, range(30))))
    source = locate(write(tmp_path / "a.ts", *[f"1,2:3,4:{row}" for row in range(30)], header=header))
    column = source.sample(30).columns["class"]
    sure = {name: kind.sniff(column, target=True) for name, kind in kinds.items()}
    assert max(sure, key=sure.__getitem__) == "category"


def test_the_test_file_beside_the_training_file_is_the_test(tmp_path):
    train = write(tmp_path / "Waves_TRAIN.ts", "1,2:3,4:up", "1,3:3,4:down")
    assert locate(train).schema().given_split is None
    test = write(tmp_path / "Waves_TEST.ts", "1,4:3,4:up")
    source = locate(train)
    schema = source.schema()
    assert (schema.columns, schema.given_split, source.name) == (("series", "class", "split"), "split", "Waves")
    found = everything(source)
    assert found["split"] == ["train", "train", "test"] and found["class"] == ["up", "down", "up"]
    assert [source.locate_row(row) for row in range(3)] == [
        f"{train}, line 10",
        f"{train}, line 11",
        f"{test}, line 10",
    ]
    assert everything(locate(test)) == {"series": ["1;4:3;4"], "class": ["up"]}
    assert everything(locate(train, alone=True)) == {"series": ["1;2:3;4", "1;3:3;4"], "class": ["up", "down"]}
    before = source.fingerprint()
    write(test, "1,4:3,5:up", "2,2:1,1:up")
    assert locate(train).fingerprint() != before


def test_a_gzipped_file_is_the_same(tmp_path):
    plain = write(tmp_path / "a.ts", "1,2:3,4:up", "5,6:7,8:down")
    packed = tmp_path / "b.ts.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert everything(locate(packed)) == everything(locate(plain))


def test_windows_line_ends_and_a_missing_last_one_change_nothing(tmp_path):
    lines = HEADER + "1,2:3,4:up\n5,6:7,8:down"
    for name, content in {"a": lines, "b": lines.replace("\n", "\r\n"), "c": "\ufeff" + lines}.items():
        (tmp_path / f"{name}.ts").write_text(content, encoding="utf-8", newline="")
        source = locate(tmp_path / f"{name}.ts")
        assert everything(source) == {"series": ["1;2:3;4", "5;6:7;8"], "class": ["up", "down"]}
        assert source.locate_row(1).endswith("line 11")


def test_answers_may_be_numbers_or_be_lacking(tmp_path):
    amounts = HEADER.replace("@classLabel true up down", "@targetLabel true")
    source = locate(write(tmp_path / "a.ts", "1,2:3,4:0.75", "1,2:3,4:?", header=amounts))
    assert source.schema().target == "target"
    assert everything(source)["target"] == ["0.75", None]
    bare = HEADER.replace("true up down", "false")
    source = locate(write(tmp_path / "b.ts", "1,2:3,4", header=bare))
    assert (source.schema().columns, source.schema().target) == (("series",), None)
    assert everything(source) == {"series": ["1;2:3;4"]}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["1,2:3,4:up", "1,2:3,4:left"], "line 11: .*'left' is none of those"),
        (["1,2:3,4"], "line 10: .*does not end with a colon"),
        (["1,2"], "line 10: .*does not end"),
        (["1,2:3,4:"], "line 10: .*does not end"),
        (["(0,1),(1,2):(0,3):up"], "line 10: .*timestamps"),
        ([], "no rows"),
    ],
)
def test_what_is_wrong_in_the_data_has_its_line(tmp_path, lines, words):
    with pytest.raises(SourceError, match=f"(?s){words}"):
        everything(locate(write(tmp_path / "a.ts", *lines)))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (HEADER.replace("@data\n", ""), "line 9: .*before @data|neither a comment"),
        ("hello\nworld\n", "line 1: .*neither a comment"),
        (HEADER.replace("@timeStamps false", "@timestamps true"), "line 3: .*timestamps"),
        (HEADER.replace("true up down", "perhaps"), "line 8: .*neither true nor false"),
        (HEADER.replace("true up down", ""), "line 8: .*neither true nor false"),
        ("export const a: number = 1\n", "line 1: .*neither a comment"),
    ],
)
def test_what_is_wrong_in_the_header_has_its_line(tmp_path, header, words):
    with pytest.raises(SourceError, match=f"(?s){words}"):
        everything(locate(write(tmp_path / "a.ts", "1,2:3,4:up", header=header)))


def test_a_header_alone_is_no_file_of_series(tmp_path):
    with pytest.raises(SourceError, match="no line @data"):
        locate(write(tmp_path / "a.ts", header="@problemName a\n@\n"))


def test_two_files_with_other_answers_are_refused(tmp_path):
    train = write(tmp_path / "a_TRAIN.ts", "1,2:3,4:up")
    write(tmp_path / "a_TEST.ts", "1,2:3,4", header=HEADER.replace("true up down", "false"))
    with pytest.raises(SourceError, match="Its answers are called None"):
        locate(train)


def test_a_row_with_other_channels_is_named_and_costs_no_other(tmp_path):
    lines = ["1,2,3:3,4,5:up", "1,2,5:up", "1,x,3:3,4,5:down", "2,2,3:3,4,5:down"]
    column = locate(write(tmp_path / "a.ts", *lines)).sample(9).columns["series"]
    arrays = SERIES.read(column, SERIES.survey(column[:1], SeriesSettings()))
    reasons = {problem.row: problem.reason for problem in arrays.problems}
    assert reasons == {1: "it has 1 channel where 2 are expected", 2: "'x' is no number"}
    assert arrays.lengths.tolist() == [3, 0, 0, 3]


steps = some.one_of(some.none(), some.floats(-(2.0**99), 2.0**99, width=32))


@some.composite
def records(draw) -> tuple[list[list[list[float | None]]], list[str]]:
    channels = draw(some.integers(1, 3))
    count = draw(some.integers(1, 8))
    series = []
    for _ in range(count):
        length = draw(some.integers(1, 5))
        series.append([draw(some.lists(steps, min_size=length, max_size=length)) for _ in range(channels)])
    return series, draw(some.lists(some.sampled_from(["up", "down"]), min_size=count, max_size=count))


@given(records(), some.sampled_from(["", "\n", "# a comment\n"]))
def test_what_is_written_is_read(tmp_path_factory, record, between):
    series, labels = record
    lines = [
        ":".join(",".join("?" if value is None else repr(value) for value in channel) for channel in each) + ":" + label
        for each, label in zip(series, labels, strict=True)
    ]
    path = tmp_path_factory.mktemp("ts") / "a.ts"
    path.write_text(HEADER + between.join(line + "\n" for line in lines))
    found = everything(locate(path))
    assert found["class"] == labels
    column = pl.Series(found["series"], dtype=pl.String)
    arrays = SERIES.read(column, {"channels": len(series[0]), "maximum_steps": 10, "steps_first": False, "steps": 5})
    assert not arrays.problems
    for row, each in enumerate(series):
        steps_of_row = np.array(each, np.float64).T.astype(np.float32)
        known = np.flatnonzero(~np.isnan(steps_of_row).all(axis=1))
        assert np.array_equal(arrays.of_row(row), steps_of_row[: known[-1] + 1 if len(known) else 0], equal_nan=True)


@given(some.text(max_size=200))
def test_no_text_breaks_the_reader(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("ts") / "a.ts"
    for header in ("", HEADER):
        path.write_text(header + content, encoding="utf-8", newline="", errors="replace")
        try:
            everything(locate(path))
        except SourceError as failure:
            assert str(path) in str(failure)


def test_a_file_of_many_blocks_is_read_a_block_at_a_time(tmp_path, monkeypatch):
    lines = [f"{row},2:3,{row}:{'up' if row % 3 else 'down'}" for row in range(500)]
    path = write(tmp_path / "a.ts", *lines)
    whole = everything(locate(path))
    places = [locate(path).locate_row(row) for row in (0, 250, 499)]
    monkeypatch.setattr(text, "BLOCK", 400)
    source = locate(path)
    assert len(list(source.chunks())) > 10
    assert everything(source) == whole
    assert [source.locate_row(row) for row in (0, 250, 499)] == places


def test_the_given_test_is_respected_from_the_file_to_the_report(tmp_path):
    generator = np.random.default_rng(0)
    for part, rows in (("TRAIN", 60), ("TEST", 25)):
        ramps = [[row % 2 * step + generator.normal() for step in range(10)] for row in range(rows)]
        lines = [f"{','.join(map(str, ramp))}:{'up' if row % 2 else 'down'}" for row, ramp in enumerate(ramps)]
        header = HEADER.replace("@univariate false\n@dimensions 2", "@univariate true")
        write(tmp_path / f"ramps_{part}.ts", *lines, header=header)
    model = instar.train(
        tmp_path / "ramps_TRAIN.ts", out=tmp_path / "run", network="mlp", epochs=3, rivals=False, kind=["series=series"]
    )
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["targets"][0]["examined"] == 25
    assert len(model.predict(tmp_path / "ramps_TEST.ts")) == 25
    assert len(model.predict(tmp_path / "ramps_TRAIN.ts")) == 60 == model.evaluate(tmp_path / "ramps_TRAIN.ts").rows
