from pathlib import Path

import pytest

from instar.errors import SourceError
from instar.sources.locate import locate


def plant(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def records(given):
    source = locate(given)
    names = source.schema().columns
    found = []
    for chunk in source.chunks():
        columns = [
            [file.name for file in chunk.columns[name].files] if name == "file" else chunk.columns[name].to_list()
            for name in names
        ]
        found += zip(*columns, strict=True)
    return found


def test_a_folder_per_class(tmp_path):
    plant(tmp_path, "dog/b.jpg", "cat/a.png", "cat/more/z.jpg", "dog/a.txt", "README.md", "cat/.hidden", "Thumbs.db")
    plant(tmp_path, "dog/.DS_Store", "__MACOSX/dog/b.jpg", ".git/config", "dog/thumbs.db")
    source = locate(tmp_path)
    assert source.schema().columns == ("file", "class")
    assert source.schema().target == "class"
    assert source.targets() == ("class",)
    assert source.schema().rows == 4
    assert records(tmp_path) == [
        ("cat/a.png", "cat"),
        ("cat/more/z.jpg", "cat"),
        ("dog/a.txt", "dog"),
        ("dog/b.jpg", "dog"),
    ]
    assert source.locate_row(1) == str(tmp_path / "cat/more/z.jpg")
    assert next(source.chunks()).columns["file"].files[1].read() == b"cat/more/z.jpg"


@pytest.mark.parametrize("validation", ["validation", "valid", "Val", "dev"])
def test_given_splits_are_respected(tmp_path, validation):
    plant(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", f"{validation}/cat/3.jpg", "test/dog/4.jpg", "notes.txt")
    assert locate(tmp_path).schema().given_split == "split"
    assert set(records(tmp_path)) == {
        ("test/dog/4.jpg", "dog", "test"),
        ("train/cat/1.jpg", "cat", "train"),
        ("train/dog/2.jpg", "dog", "train"),
        (f"{validation}/cat/3.jpg", "cat", "validation"),
    }


def test_a_class_may_be_called_train(tmp_path):
    plant(tmp_path, "train/1.jpg", "bus/2.jpg")
    assert records(tmp_path) == [("bus/2.jpg", "bus"), ("train/1.jpg", "train")]


def test_two_folders_for_one_split_are_refused(tmp_path):
    plant(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg")
    with pytest.raises(SourceError, match="validation"):
        locate(tmp_path)


def test_a_plain_folder_has_files_only(tmp_path):
    plant(tmp_path, "b.jpg", "a.jpg")
    assert records(tmp_path) == [("a.jpg",), ("b.jpg",)]
    assert locate(tmp_path).schema().target is None


def test_folders_without_examples_are_refused(tmp_path):
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    with pytest.raises(SourceError, match="no file"):
        locate(tmp_path / "empty")
    plant(tmp_path / "tables", "a.csv", "b.csv")
    with pytest.raises(SourceError, match=r"a\.csv"):
        locate(tmp_path / "tables")


def test_links_in_circles_end(tmp_path):
    plant(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    (tmp_path / "cat" / "self").symlink_to(tmp_path / "cat")
    (tmp_path / "bird").symlink_to(tmp_path / "dog")
    assert records(tmp_path) == [("bird/2.jpg", "bird"), ("cat/1.jpg", "cat"), ("dog/2.jpg", "dog")]


def test_a_metadata_table_beside_its_files(tmp_path):
    plant(tmp_path, "1.jpg", "sub/2.jpg")
    (tmp_path / "metadata.csv").write_text("label,file_name,price\ncat,1.jpg,3\ndog,sub/2.jpg,4\nowl,lost.jpg,5\n")
    assert records(tmp_path) == [("cat", "1.jpg", "3"), ("dog", "sub/2.jpg", "4"), ("owl", "lost.jpg", "5")]
    assert locate(tmp_path).locate_row(2) == f"{tmp_path / 'metadata.csv'}, line 4"
    assert locate(tmp_path).schema().columns == ("label", "file", "price")


def test_metadata_tables_for_each_split(tmp_path):
    for split in ("train", "test"):
        plant(tmp_path / split, "1.jpg")
        (tmp_path / split / "metadata.csv").write_text("file_name,label\n1.jpg,cat\n")
    source = locate(tmp_path)
    assert records(tmp_path) == [("1.jpg", "cat", "train"), ("1.jpg", "cat", "test")]
    files = [file for chunk in source.chunks() for file in chunk.columns["file"].files]
    assert [file.path for file in files] == [tmp_path / "train/1.jpg", tmp_path / "test/1.jpg"]
    assert [chunk.columns["split"].to_list() for chunk in source.chunks(["split"])] == [["train"], ["test"]]
    assert locate(tmp_path).locate_row(1) == f"{tmp_path / 'test/metadata.csv'}, line 2"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,label\n1.jpg,cat\n", "file_name"),
        ("file_name,file\n1.jpg,cat\n", "'file'"),
        ("file_name,label\n", "no rows"),
        ("file_name,label\n1.jpg,cat\n../x.jpg,dog\n", "line 3.*outside"),
    ],
)
def test_bad_metadata_is_named(tmp_path, content, words):
    plant(tmp_path, "1.jpg")
    (tmp_path / "metadata.csv").write_text(content)
    with pytest.raises(SourceError, match=words):
        records(tmp_path)


def test_splits_with_other_columns_are_refused(tmp_path):
    for split, header in (("train", "file_name,label"), ("test", "file_name,price")):
        plant(tmp_path / split, "1.jpg")
        (tmp_path / split / "metadata.csv").write_text(f"{header}\n1.jpg,1\n")
    with pytest.raises(SourceError, match="price"):
        locate(tmp_path)


def test_lists_of_files(tmp_path):
    plant(tmp_path, "b.jpg", "a.jpg", "c.xyz")
    files = [str(tmp_path / "b.jpg"), tmp_path / "a.jpg", tmp_path / "c.xyz"]
    source = locate(files)
    assert source.schema().columns == source.schema().nameless == ("file",)
    assert [source.locate_row(row) for row in range(3)] == list(map(str, files))
    assert locate(tmp_path / "b.jpg").schema().rows == 1
    with pytest.raises(SourceError, match="Did you mean"):
        locate([*files, tmp_path / "bb.jpg"])
    with pytest.raises(SourceError, match="no file"):
        locate([*files, tmp_path])
