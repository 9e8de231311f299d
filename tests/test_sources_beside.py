"""Folders side by side: files of one name are a row, whatever their suffix and the folder's layout."""

import numpy as np
import pytest
from PIL import Image

from instar.errors import SourceError
from instar.sources.locate import locate


def write(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)


def folder(place, *names, suffix=".png"):
    for name in names:
        write(place / f"{name}{suffix}")


def rows(source):
    (chunk,) = source.chunks()
    columns = [getattr(each, "files", None) or each.to_list() for each in chunk.columns.values()]
    return [tuple(getattr(each, "name", each) for each in row) for row in zip(*columns, strict=True)]


def test_files_of_one_name_are_a_row_and_the_masks_the_answer(tmp_path):
    folder(tmp_path / "images", "a", "b", "deep/c", suffix=".jpg")
    folder(tmp_path / "masks", "b", "deep/c", "d")
    source = locate(tmp_path)
    schema = source.schema()
    assert schema.columns == ("images", "masks") and schema.target == "masks" and schema.rows == 4
    assert rows(source) == [
        ("images/a.jpg", None),
        ("images/b.jpg", "masks/b.png"),
        (None, "masks/d.png"),
        ("images/deep/c.jpg", "masks/deep/c.png"),
    ]
    assert source.locate_row(1).endswith("images/b.jpg")


def test_any_folder_can_be_named_as_the_answer(tmp_path):
    for name in ("before", "after", "depth"):
        folder(tmp_path / name, "1", "2")
    assert locate(tmp_path).schema().columns == ("file", "class"), "else they are classes"
    source = locate(tmp_path, target=["after"])
    assert source.schema().columns == ("after", "before", "depth") and source.targets(["after"]) == ("after",)
    assert locate(tmp_path, files=["before", "after"]).schema().columns == ("after", "before", "depth")


def test_parts_may_each_hold_such_folders(tmp_path):
    for part in ("train", "test"):
        folder(tmp_path / part / "photos", "1")
        folder(tmp_path / part / "Masks", "1")
    source = locate(tmp_path)
    assert source.schema().given_split == "split" and source.schema().target == "Masks"
    assert [row[-1] for row in rows(source)] == ["train", "test"]


def test_names_that_do_not_match_and_names_twice_are_refused(tmp_path):
    folder(tmp_path / "images", "a")
    folder(tmp_path / "masks", "b")
    with pytest.raises(SourceError, match="No file of one of the folders images, masks"):
        locate(tmp_path)
    folder(tmp_path / "masks", "a")
    folder(tmp_path / "images", "a", suffix=".jpg")
    with pytest.raises(SourceError, match="Two files of 'images' have one name"):
        locate(tmp_path)


def test_a_change_changes_the_fingerprint(tmp_path):
    folder(tmp_path / "images", "a")
    folder(tmp_path / "masks", "a")
    before = locate(tmp_path).fingerprint()
    assert locate(tmp_path).fingerprint() == before
    folder(tmp_path / "masks", "b")
    assert locate(tmp_path).fingerprint() != before
