"""A text file, a line each: every line that is not blank is a row, and says where it stands."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from instar.errors import SourceError
from instar.sources import FileColumn
from instar.sources.locate import locate
from instar.sources.matching import match


def written(folder: Path, content: bytes | str, name: str = "reviews.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(given: object) -> list[str]:
    source = locate(given)
    (name,) = source.schema().columns
    return [text for chunk in source.chunks() for text in chunk.columns[name].to_list()]


def test_every_line_is_a_row_and_blank_ones_are_none(tmp_path):
    path = written(tmp_path, '\ufeffgood\n\n  \t\r\n bad, very; "bad" \r\nと猫\n\nlast')
    assert rows(path) == ["good", 'bad, very; "bad"', "と猫", "last"]
    assert [locate(path).locate_row(row) for row in range(4)] == [f"{path}, line {line}" for line in (1, 4, 5, 7)]
    packed = written(tmp_path, gzip.compress(path.read_bytes()), "more.txt.gz")
    assert rows(packed) == rows(path)
    assert locate(packed).locate_row(3) == f"{packed}, line 7"


@given(some.lists(some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\n\0"), max_size=20)))
def test_any_lines_come_back(tmp_path_factory, lines):
    path = written(tmp_path_factory.mktemp("lines"), "x\n" + "\n".join(lines))
    found, left = rows(path), iter(["x", *lines])
    assert all(any(text == line.strip() or text in line for line in left) for text in found), "in their order"
    assert len(found) >= 1 + sum(bool(line.strip()) for line in lines) - 1


def test_a_model_s_column_is_found_in_it(tmp_path):
    source = match(locate(written(tmp_path, "one\ntwo\n")), ["stars", "review"][1:])
    assert source.schema().columns == ("review",)
    assert next(source.chunks()).columns["review"].to_list() == ["one", "two"]


def test_a_large_file_is_sampled_and_found_again(tmp_path):
    """Larger than what is read at a time."""
    path = written(tmp_path, "".join(f"text number {row} {'and more ' * 40}\n\n" for row in range(100_000)))
    source = locate(path)
    sample = source.sample(50).columns["text"].to_list()
    numbers = [int(text.split()[2]) for text in sample]
    assert len(numbers) == 50 and numbers == sorted(numbers) and numbers[-1] > 90_000
    assert sum(len(chunk) for chunk in source.chunks()) == 100_000
    assert source.locate_row(99_999) == f"{path}, line 199999"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"good\nsch\xf6n\n", r"0xF6.*UTF-8"),
        (b"good\nba\0d\n", "NUL"),
        ("good\n".encode("utf-16"), "UTF-16"),
        (b"", "empty"),
        (b"\n  \n\t\n", "blank lines"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, words):
    path = written(tmp_path, content)
    with pytest.raises(SourceError, match=words) as caught:
        rows(path)
    assert "reviews.txt" in str(caught.value)
    if content.startswith(b"good"):
        assert "line 2" in str(caught.value)


def test_a_line_of_a_hundred_megabytes_is_refused_by_its_number(tmp_path):
    path = written(tmp_path, b"short\n" + b"word " * 20_000_000 + b"\nshort\n")
    with pytest.raises(SourceError, match="longer than 64 MiB") as caught:
        rows(path)
    assert "line 2" in str(caught.value)


def test_where_examples_are_files_a_text_file_is_one(tmp_path):
    path = written(tmp_path, "one\ntwo\n")
    source = locate(path, files=["file"])
    (column,) = next(source.chunks()).columns.values()
    assert isinstance(column, FileColumn) and column.files[0].read() == b"one\ntwo\n"
    assert rows(path) == ["one", "two"]


def test_lines_that_name_files_are_files(tmp_path):
    for name in ("a", "b"):
        written(tmp_path, "content", f"{name}.jpg")
    (column,) = next(locate(written(tmp_path, "a.jpg\nb.jpg\n", "list.txt")).chunks()).columns.values()
    assert [file.name for file in column.files] == ["a.jpg", "b.jpg"]


def test_a_folder_of_texts_is_one_of_files(tmp_path):
    for name in ("b.txt", "a.txt"):
        written(tmp_path, name, name)
    (column,) = next(locate(tmp_path).chunks()).columns.values()
    assert [file.read() for file in column.files] == [b"a.txt", b"b.txt"]
