import csv
import gzip
import io
import os
import tracemalloc

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instar.errors import ColumnError, SourceError
from instar.sources import FileColumn
from instar.sources import text as text_module
from instar.sources.locate import locate


def write(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path, **options):
    source = locate(path, **options)
    names = source.schema().columns
    return [row for chunk in source.chunks() for row in zip(*(chunk.columns[name] for name in names), strict=True)]


def refusal(path, **options):
    with pytest.raises(SourceError) as caught:
        rows(path, **options)
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\n3,4\n", [("1", "2"), ("3", "4")]),
        ("a,b\r\n1,2\r\n3,4", [("1", "2"), ("3", "4")]),
        ("\ufeffa,b\n1,2\n", [("1", "2")]),
        ("a;b\n1,5;2,5\n", [("1,5", "2,5")]),
        ("a\tb\n1 x\t2\n", [("1 x", "2")]),
        ("a|b\n1|2\n", [("1", "2")]),
        ("a,b\n1,\n,2\n,\n", [("1", None), (None, "2"), (None, None)]),
        ('a,b\n"",2\n', [(None, "2")]),
        ("a,b\n\n1,2\n\n\n3,4\n\n", [("1", "2"), ("3", "4")]),
        ("\n\na,b\n1,2\n", [("1", "2")]),
        ("a\n1\n\n2\n", [("1",), (None,), ("2",)]),
        ("a\n1", [("1",)]),
        ('a,b\n"x, ""y""","1\n2"\n', [('x, "y"', "1\n2")]),
        ('a,b\n5" pipe,6" pipe\n7,8\n', [('5" pipe', '6" pipe'), ("7", "8")]),
        ('a,b\n5" pipe,6\n7,"8,\n9"\n', [('5" pipe', "6"), ("7", "8,\n9")]),
        ("a,b\n#1,NA\n", [("#1", "NA")]),
        ("a,b\né,日本\n", [("é", "日本")]),
        ('"a\nb",c\n1,2\n', [("1", "2")]),
    ],
)
def test_delimited_text_is_read_right(tmp_path, content, expected):
    assert rows(write(tmp_path, content)) == expected


def test_the_suffix_decides_where_nothing_else_does(tmp_path):
    assert rows(write(tmp_path, "a,b\tc\n1,2\t3\n", "table.tsv")) == [("1,2", "3")]
    assert locate(write(tmp_path, "a,b\tc\n1,2\t3\n")).schema().columns == ("a", "b\tc")


def test_columns_without_a_name_get_one(tmp_path):
    assert locate(write(tmp_path, ", a ,\n1,2,3\n")).schema().columns == ("unnamed_1", "a", "unnamed_3")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b,c\n1,2,3\n4,5\n", ["line 3", "2 cells", "header has 3"]),
        ("a,b\n1,2\n\n4,5,6\n", ["line 4", "3 cells", "header has 2", "double quotes"]),
        ('a,b\n"1\n2",3\n4\n', ["line 4", "1 cell,"]),
        ("a\nhello, world\nyes\n", ["line 2", "2 cells"]),
        ("a,b,c\n1,2\n3,4,5,6\n", ["line 2", "2 cells"]),
        ('a,b\n1,"2\n3,4\n', ["line 2", "cannot be understood"]),
        ('a,b\n1,2\n"x"y,4\n', ["line 3", "cannot be understood"]),
        ("", ["empty"]),
        ("\ufeff", ["empty"]),
        ("a,b\n", ["no rows"]),
        ("a,b", ["no rows"]),
        ("\n\n\n", ["names no column"]),
        ("a,b,a\n1,2,3\n", ["line 1", "called 'a'"]),
        (b"a,b\n1,2\n3,\x00\n", ["line 3", "NUL"]),
        (b"a,b\nx,2\ncaf\xe9,3\n", ["line 3", "0xE9", "Windows-1252", "iconv"]),
        ("a,b\n1,2\n".encode("utf-16"), ["UTF-16", "iconv -f UTF-16 -t UTF-8"]),
        ("a,b\n1,2\n".encode("utf-16-le"), ["NUL", "UTF-16"]),
        (b"a,b\r1,2\r3,4\r", ["carriage return"]),
        (bytes(range(256)) * 20, ["NUL"]),
    ],
)
def test_bad_tables_are_named(tmp_path, content, words):
    message = refusal(write(tmp_path, content))
    for word in (*words, "table.csv"):
        assert word in message


def test_a_fault_far_down_is_named_by_its_line(tmp_path):
    good = "".join(f'{number},"x{number}"\n' for number in range(500_000))
    assert "line 500002" in refusal(write(tmp_path, "a,b\n" + good + "1\n"))
    assert "line 500002" in refusal(write(tmp_path, ("a,b\n" + good).encode() + b"1,\xff\n"))


@pytest.mark.parametrize("what", ["cut", "foreign"])
def test_a_damaged_gzip_file_is_named(tmp_path, what):
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * 7919 % 1000) for n in range(20_000)))
    path = write(tmp_path, packed[:-2000] if what == "cut" else b"a,b\n1,2\n", "table.csv.gz")
    assert "gzip" in refusal(path)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8) | st.sampled_from(
    ['"', '""', ",", "\n", ';"\t', 'a"b', '",\n"', "1,5", ""]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1)),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(20, 200),
)
def test_any_cells_come_back_however_they_are_quoted_and_cut(tmp_path, table, delimiter, end, quoting, block):
    # A table of one column has no delimiter to find: cells with commas must be quoted in it.
    delimiter = delimiter if len(table[0]) > 1 else ","
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting)
    names = [f"column {number}" for number in range(len(table[0]))]
    writer.writerow(names)
    writer.writerows(table)
    path = write(tmp_path, stream.getvalue())
    before = text_module.BLOCK
    text_module.BLOCK = block
    try:
        assert locate(path).schema().columns == tuple(names)
        found = rows(path)
        assert found == [tuple(cell or None for cell in row) for row in table]
        fresh = locate(path)
        lines = [int(fresh.locate_row(row).rsplit(" ", 1)[1]) for row in range(len(table))]
        starts = 2 + np.cumsum([0] + [1 + sum(cell.count("\n") for cell in row) for row in table])[:-1]
        assert lines == starts.tolist()
    finally:
        text_module.BLOCK = before


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([b"a", b",", b"\n", b'"', b";", b"\r", b"1", b"\xc3\xa9", b"\xff", b"\0"]), max_size=40)
)
def test_any_bytes_are_read_or_refused_in_words(tmp_path, parts):
    path = write(tmp_path, b"".join(parts))
    try:
        found = rows(path)
    except SourceError as failure:
        assert "table.csv" in str(failure)
    else:
        assert found


def test_memory_stays_flat_and_large_samples_span_the_file(tmp_path):
    path = tmp_path / "table.csv"
    with path.open("w") as stream:
        stream.write("number,quoted,word\n")
        for start in range(0, 1_500_000, 100_000):
            stream.write("".join(f'{n},"a ""b"", {n}\nline",word{n % 9}\n' for n in range(start, start + 100_000)))
    assert path.stat().st_size > 2 * text_module.PIECES * text_module.PIECE
    source = locate(path)
    numbers = source.sample(1000).columns["number"].cast(pl.Int64)
    assert 900 <= len(numbers) <= 1000
    assert numbers.is_sorted()
    assert np.histogram(numbers.to_numpy(), bins=20, range=(0, 1_500_000))[0].min() >= 20
    tracemalloc.start()
    total = 0
    for chunk in source.chunks(["number"]):
        assert chunk.columns["number"].cast(pl.Int64)[0] == chunk.start
        total += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 1_500_000
    assert peak < 12 * text_module.BLOCK
    assert source.locate_row(1_400_000) == f"{path}, line {2 + 2 * 1_400_000}"


def test_json_lines_give_text_whatever_the_values_are(tmp_path):
    path = write(
        tmp_path,
        '{"a": 1, "b": "x"}\n\n{"a": 1.5, "c": true}\n{"a": "z", "b": null, "c": [1, 2]}\n',
        "table.jsonl",
    )
    assert locate(path).schema().columns == ("a", "b", "c")
    assert rows(path) == [("1", "x", None), ("1.5", None, "true"), ("z", None, "[1, 2]")]
    assert locate(path).locate_row(1).endswith("line 3")
    odd = write(tmp_path, '{"a": NaN, "b": 123456789012345678901234567890}\n', "odd.ndjson")
    assert rows(odd) == [("NaN", "123456789012345678901234567890")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1}\n{"a": \n', ["line 2", "not valid JSON"]),
        ('{"a": 1}\n[1, 2]\n', ["line 2", "not an object"]),
        ("{}\n", ["No line has a value"]),
        ("[" * 100_000 + "\n", ["line 1", "JSON"]),
        (b'{"a": "\xe9"}\n', ["line 1", "UTF-8"]),
        ("\n", ["No line has a value"]),
    ],
)
def test_bad_json_lines_are_named(tmp_path, content, words):
    message = refusal(write(tmp_path, content, "table.jsonl"))
    for word in words:
        assert word in message


def test_parquet_keeps_its_types(tmp_path):
    frame = pl.DataFrame(
        {
            "number": [1.5, None],
            "date": pl.Series(["2020-01-01", "2021-01-01"]).str.to_date(),
            "category": pl.Series(["x", "y"], dtype=pl.Categorical),
            "list": [[1], [2, 3]],
            "bytes": [b"picture", None],
            "grid": pl.Series([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], dtype=pl.Array(pl.Int32, (2, 2))),
            "image": [{"bytes": b"p", "path": "p.png"}, {"bytes": b"q", "path": None}],
        }
    )
    frame.write_parquet(tmp_path / "table.parquet")
    source = locate(tmp_path / "table.parquet")
    assert source.schema().rows == 2
    columns = next(source.chunks()).columns
    assert columns["number"].to_list() == [1.5, None]
    assert columns["date"].dtype == pl.Date
    assert columns["category"].dtype == pl.String
    assert columns["list"].to_list() == ["[1]", "[2, 3]"]
    assert columns["bytes"].files[0].read() == b"picture"
    assert columns["bytes"].files[1] is None
    assert columns["grid"].shape == (2, 2, 2)
    assert [file.read() for file in columns["image"].files] == [b"p", b"q"]


def test_bad_parquet_is_named(tmp_path):
    assert "Parquet" in refusal(write(tmp_path, b"PAR1 no parquet at all", "table.parquet"))
    pl.DataFrame({"a": range(1000)}).write_parquet(tmp_path / "good.parquet")
    content = (tmp_path / "good.parquet").read_bytes()
    assert "Parquet" in refusal(write(tmp_path, content[:-20], "cut.parquet"))
    pl.DataFrame({"a": []}).write_parquet(tmp_path / "none.parquet")
    assert "no rows" in refusal(tmp_path / "none.parquet")


def test_cells_that_name_files_become_files(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        write(tmp_path, bytes([number]), f"photos/{number}.jpg")
    path = write(tmp_path, "photo,price\nphotos/0.jpg,1\n,2\nphotos/lost.jpg,3\nphotos/2.jpg,4\n")
    column = next(locate(path).chunks(["photo"])).columns["photo"]
    assert isinstance(column, FileColumn)
    assert [None if file is None else file.name for file in column.files] == [
        "photos/0.jpg",
        None,
        "photos/lost.jpg",
        "photos/2.jpg",
    ]
    assert column.files[3].read() == bytes([2])
    with pytest.raises(SourceError, match=r"lost\.jpg"):
        column.files[2].read()
    before = locate(path).fingerprint()
    write(tmp_path, b"other", "photos/2.jpg")
    assert locate(path).fingerprint() != before


@pytest.mark.parametrize("how", ["above", "absolute", "link", "linked folder", "missing"])
def test_no_cell_leads_out_of_the_folder_of_its_table(tmp_path, how):
    home = tmp_path / "home"
    home.mkdir()
    write(home, b"inside", "a.jpg")
    write(tmp_path, b"secret", "secret.jpg")
    (home / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (home / "up").symlink_to(tmp_path)
    cell = {
        "above": "../secret.jpg",
        "absolute": str(tmp_path / "secret.jpg"),
        "link": "link.jpg",
        "linked folder": "up/secret.jpg",
        "missing": "../nothing.jpg",
    }[how]
    path = write(home, f"photo,b\na.jpg,1\n{cell},2\n")
    message = refusal(path)
    assert "line 3" in message
    assert "outside" in message
    column = next(locate(path, allow_outside=True).chunks()).columns["photo"]
    if how != "missing":
        assert column.files[1].read() == b"secret"


def test_links_within_the_folder_are_fine(tmp_path):
    write(tmp_path, b"inside", "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    path = write(tmp_path, "photo,b\na.jpg,1\nb.jpg,2\n")
    assert [file.read() for file in next(locate(path).chunks()).columns["photo"].files] == [b"inside"] * 2


def test_the_target_is_checked_by_name(tmp_path):
    source = locate(write(tmp_path, "area,price\n1,2\n"))
    assert source.targets(["price"]) == ("price",)
    assert source.targets() == ()
    with pytest.raises(ColumnError, match="price"):
        source.targets(["prise"])


def test_what_cannot_be_found_or_read_is_named(tmp_path):
    write(tmp_path, "a,b\n1,2\n", "houses.csv")
    with pytest.raises(SourceError, match=r"Did you mean 'houses\.csv'"):
        locate(tmp_path / "house.csv")
    with pytest.raises(SourceError, match=r"Did you mean 'houses\.csv'"):
        locate(str(tmp_path / "houses.cvs"))
    with pytest.raises(SourceError, match="folder does not exist"):
        locate(tmp_path / "nowhere" / "houses.csv")
    with pytest.raises(SourceError, match=r"\.parquet"):
        locate(write(tmp_path, b"PK", "houses.xlsx"))
    with pytest.raises(SourceError, match="type int"):
        locate(5)
    with pytest.raises(SourceError):
        locate("")
    with pytest.raises(SourceError):
        locate("a\0b.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(SourceError, match="no regular file"):
        locate(tmp_path / "pipe.csv")
    source = locate(tmp_path / "houses.csv")
    assert locate(source) is source
    assert source.name == "houses"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_an_unreadable_file_is_named(tmp_path):
    path = write(tmp_path, "a,b\n1,2\n")
    path.chmod(0)
    assert "permissions" in refusal(path)


def test_a_long_cell_is_read_and_found(tmp_path):
    """Beyond what the csv module takes by itself, with and without what makes it read the table."""
    long = "word, " * 100_000
    for odd in ("plain", 'a 5" pipe'):
        path = tmp_path / "long.csv"
        path.write_text(f'text,other\n"{long}",x\n{odd},y\n')
        source = locate(path)
        (chunk,) = source.chunks()
        assert chunk.columns["text"].to_list() == [long, odd]
        assert source.locate_row(1) == f"{path}, line 3"
