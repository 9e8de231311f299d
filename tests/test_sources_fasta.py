"""FASTA files: every record a row, headers taken apart, and what is wrong named with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from instar.errors import SourceError
from instar.sources import Source
from instar.sources.locate import locate
from instar.sources.matching import match


def written(folder: Path, content: bytes | str, name: str = "a.fasta") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def everything(source: Source) -> dict[str, list[str | None]]:
    names = source.schema().columns
    return {name: [cell for chunk in source.chunks() for cell in chunk.columns[name].to_list()] for name in names}


def rows(path: Path) -> list[tuple[str | None, ...]]:
    return list(zip(*everything(locate(path)).values(), strict=True))


RECORDS = """; an old comment

>sp|P1 A great protein
ACG T\tT
acg*
;a remark

-NN
>two
>three  of  them \n
A
>
GG"""
FOUND = [
    ("sp|P1", "A great protein", "ACGTTacg*-NN"),
    ("two", None, None),
    ("three", "of them", "A"),
    (None, None, "GG"),
]


def test_every_record_is_a_row_that_knows_its_line(tmp_path):
    path = written(tmp_path, RECORDS)
    source = locate(path)
    assert source.schema().columns == ("name", "description", "sequence")
    assert rows(path) == FOUND
    assert [source.locate_row(row) for row in range(4)] == [f"{path}, line {line}" for line in (3, 9, 10, 13)]


@pytest.mark.parametrize("suffix", [".fa", ".fna", ".faa", ".FASTA", ".fa.gz"])
def test_suffixes_line_ends_and_marks_change_nothing(tmp_path, suffix):
    content = ("\ufeff" + RECORDS.replace("\n", "\r\n")).encode()
    path = written(tmp_path, gzip.compress(content) if suffix.endswith("gz") else content, "a" + suffix)
    assert rows(path) == FOUND
    assert locate(path).locate_row(2).endswith("line 10")


LINES = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0=;>"), max_size=30)


@given(some.lists(some.tuples(LINES, some.lists(LINES, max_size=4)), min_size=1, max_size=12))
def test_any_records_come_back(tmp_path_factory, records):
    records = [(header.replace("\n", " "), "\n".join(lines)) for header, lines in records]
    text = "".join(f">{header}\n{body}\n" for header, body in records)
    path = written(tmp_path_factory.mktemp("fasta"), text)
    expected = []
    for header, body in records:
        name, *words = header.split() or [None]
        expected.append((name, " ".join(words) or None, "".join(body.split()) or None))
    assert rows(path) == expected
    source, lines = locate(path), text.split("\n")
    places = [int(source.locate_row(row).rpartition(" ")[2]) for row in range(len(records))]
    assert places == [place for place, line in enumerate(lines, 1) if line.startswith(">")]


@given(some.binary(max_size=120))
def test_any_bytes_are_records_or_refused(tmp_path_factory, content):
    path = written(tmp_path_factory.mktemp("bytes"), b">a\nACGT\n" + content)
    try:
        found = rows(path)
    except SourceError as refusal:
        assert "a.fasta" in str(refusal)
    else:
        assert found[0][0] == "a" and len(found) == 1 + content.count(b"\n>") + content.startswith(b">")


# Headers


@pytest.mark.parametrize(
    ("headers", "columns"),
    [
        (
            ["a class=x len=5", "b class=y  len=6 and more"],
            {"name": ["a", "b"], "description": [None, "and more"], "class": ["x", "y"], "len": ["5", "6"]},
        ),
        (
            ['a|class="x y"|n=1', "b|class=|n=2|rest"],
            {"name": ["a", "b"], "description": [None, "rest"], "class": ["x y", None], "n": ["1", "2"]},
        ),
        (
            ["g1 [gene=a b] [protein=c-1] [Mus musculus]", "g2 [gene=d] [protein=e;f] [Rattus]"],
            {
                "name": ["g1", "g2"],
                "description": ["[Mus musculus]", "[Rattus]"],
                "gene": ["a b", "d"],
                "protein": ["c-1", "e;f"],
            },
        ),
        (
            ["sp|P1|A Some = protein OS=Homo sapiens (Man) OX=9606 SV=2", "sp|P2|B Other OS=Mus musculus OX=1 SV=1"],
            {
                "name": ["sp|P1|A", "sp|P2|B"],
                "description": ["Some = protein", "Other"],
                "OS": ["Homo sapiens (Man)", "Mus musculus"],
                "OX": ["9606", "1"],
                "SV": ["2", "1"],
            },
        ),
        (
            ["a name=x a=1 promoter", "b name=y other"],
            {"name": ["a", "b"], "description": ["name=x a=1 promoter", "name=y other"]},
        ),
    ],
)
def test_what_nearly_all_headers_say_is_a_column(tmp_path, headers, columns):
    found = everything(locate(written(tmp_path, "".join(f">{header}\nACGT\n" for header in headers))))
    assert {name: cells for name, cells in found.items() if name != "sequence"} == columns


def test_a_key_that_few_records_lack_is_a_column_all_the_same(tmp_path):
    records = [f">r{row} class={row % 3}\nACGT\n" if row % 50 else ">r\nACGT\n" for row in range(200)]
    source = locate(written(tmp_path, "".join(records)))
    found = everything(source)["class"]
    assert found[:3] == [None, "1", "2"] and found.count(None) == 4
    assert source.targets(("class",)) == ("class",)


def test_a_model_s_column_is_found_in_it(tmp_path):
    source = match(locate(written(tmp_path, ">a\nACGT\n")), ["promoter"])
    assert source.schema().columns == ("name", "description", "promoter")


# Large, and broken


def test_a_large_file_is_sampled_and_found_again(tmp_path):
    """Larger than what is read at a time."""
    lines = ("ACGTACGTAC" * 7 + "\n") * 5
    path = written(tmp_path, "".join(f">r{row} class={row % 2}\n{lines}" for row in range(100_000)))
    source = locate(path)
    sample = source.sample(50)
    numbers = [int(name[1:]) for name in sample.columns["name"]]
    assert len(numbers) == 50 and numbers == sorted(numbers) and numbers[-1] > 90_000
    assert set(sample.columns["sequence"]) == {"ACGTACGTAC" * 35}
    assert [int(name) for name in sample.columns["class"]] == [number % 2 for number in numbers]
    assert sum(len(chunk) for chunk in source.chunks(["name"])) == 100_000
    assert source.locate_row(99_999) == f"{path}, line {99_999 * 6 + 1}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ACGT\n>a\nACGT\n", "line 1: 'ACGT' stands before any header"),
        ("\n\nname,sequence\na,ACGT\n", "line 3: 'name,sequence' stands before"),
        ("", "empty"),
        ("\n  \n;\n", "no record"),
        (b">a\nAC\0GT\n", "line 2.*NUL|NUL.*line 2"),
        (b">a\nACGT\n>sch\xf6n\nAC\n", "line 3: Byte 0xF6"),
        (b">a\n" + b"\x89PNG\r\n\x1a\n", "line 2: Byte 0x89"),
        (">a\nACGT\n".encode("utf-16"), "UTF-16"),
        (b">long\n" + b"A" * (65 << 20), "line 1: A record is longer than 64 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "content",
)
def test_what_is_no_fasta_is_named(tmp_path, content, words):
    with pytest.raises(SourceError, match=words) as caught:
        rows(written(tmp_path, content))
    assert "a.fasta" in str(caught.value)


def test_a_damaged_gzip_file_is_named(tmp_path):
    packed = gzip.compress("".join(f">r{row}\n{'ACGT' * (row % 97)}\n" for row in range(5_000)).encode())
    for content in (packed[: len(packed) // 2], b">a\nACGT\n"):
        with pytest.raises(SourceError, match="gzip") as caught:
            rows(written(tmp_path, content, "a.fa.gz"))
        assert "a.fa.gz" in str(caught.value)


def test_a_sequence_that_is_called_like_a_file_is_none(tmp_path):
    for name in ("ACGT", "GGTT"):
        written(tmp_path, "content", name)
    assert rows(written(tmp_path, ">a\nACGT\n>b\nGGTT\n")) == [("a", None, "ACGT"), ("b", None, "GGTT")]


def fasta(path, *names: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"> {name} organism=x\nAC GT\nTT\n" for name in names).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def whole(source) -> dict[str, list]:
    chunks = list(source.chunks())
    return {name: [cell for chunk in chunks for cell in chunk.columns[name]] for name in source.schema().columns}


def test_each_record_in_a_folder_of_a_class_is_an_example_of_it(tmp_path):
    fasta(tmp_path / "cat/a.fa", "a1", "a2")
    fasta(tmp_path / "cat/more/b.fasta.gz", "b1")
    fasta(tmp_path / "dog/c.fna", "c1")
    (tmp_path / "dog/.hidden").write_text("")
    source = locate(tmp_path)
    found = whole(source)
    assert found["name"] == ["a1", "a2", "b1", "c1"] and found["class"] == ["cat", "cat", "cat", "dog"]
    assert found["sequence"] == ["ACGTTT"] * 4 and found["organism"] == ["x"] * 4
    assert (source.schema().target, source.schema().nameless) == ("class", ("sequence",))
    assert source.locate_row(1) == f"{tmp_path / 'cat/a.fa'}, line 4"
    assert source.locate_row(3) == f"{tmp_path / 'dog/c.fna'}, line 1"


def test_files_are_classes_where_there_are_no_folders_of_them(tmp_path):
    fasta(tmp_path / "train/cat.fa.gz", "a1", "a2")
    fasta(tmp_path / "train/dog.fa", "b1")
    fasta(tmp_path / "test/dog.fa", "c1")
    source = locate(tmp_path)
    found = whole(source)
    assert dict(zip(found["name"], zip(found["class"], found["split"], strict=True), strict=True)) == {
        "a1": ("cat", "train"),
        "a2": ("cat", "train"),
        "b1": ("dog", "train"),
        "c1": ("dog", "test"),
    }
    assert source.schema().given_split == "split"
    assert "class" not in locate(tmp_path / "test").schema().columns


def test_an_empty_file_in_a_folder_is_named(tmp_path):
    fasta(tmp_path / "cat/a.fa", "a1")
    (tmp_path / "cat/b.fa").touch()
    with pytest.raises(SourceError, match=r"b\.fa: The file is empty"):
        locate(tmp_path)


def test_a_file_for_each_part_says_the_part_and_no_class(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / f"{part}_sequences.fa").write_text(">1 label=a\nACGT\n>2 label=b\nCCGT\n")
    schema = locate(tmp_path).schema()
    assert schema.target is None and schema.given_split == "split" and "class" not in schema.columns
