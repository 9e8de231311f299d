"""What is read is bounded, is of the form that was learned, and says where it fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

import instar
from instar import store
from instar.errors import ColumnError, ContentError, SourceError
from instar.fields import kinds
from instar.model import Model
from instar.sources import FileReference
from instar.sources.locate import locate
from instar.store import ColumnPlan, Store, StorePlan
from standins import STANDINS, MemorySource

ROWS = 48


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSTAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def write_pictures(folder: Path) -> list[str]:
    """Dark and bright squares in turn; their paths in the folder."""
    generator = np.random.default_rng(0)
    for row in range(ROWS):
        pixels = generator.integers(0, 100, (8, 8), dtype=np.uint8) + np.uint8(150 * (row % 2))
        Pillow.fromarray(pixels).save(folder / f"{row}.png")
    return [f"{row}.png" for row in range(ROWS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    """Learned from a table that names pictures and has a number beside them."""
    size = [row % 5 for row in range(ROWS)]
    frame = pl.DataFrame({"photo": write_pictures(folder), "size": size, "shade": ["dark", "bright"] * (ROWS // 2)})
    frame.write_csv(folder / "photos.csv")
    options = {"kind": ("size=number",), "rivals": False, "epochs": 1}
    return instar.train(folder / "photos.csv", "shade", out=folder / "model", **options)


def rewrite(folder: Path, name: str, **columns: Any) -> Path:
    pl.DataFrame(columns).write_csv(folder / name)
    return folder / name


def test_a_column_of_files_is_one_however_few_of_its_cells_name_files(model: Model, folder: Path) -> None:
    missing = model.predict(rewrite(folder, "missing.csv", photo=[None, None], size=[1, 2]))
    assert missing["prediction"].is_not_null().all()
    odd = model.answer(model.open(rewrite(folder, "odd.csv", photo=["gone.png", "0.png"], size=[1, 2])))
    assert odd.problem_count == 1
    assert "odd.csv, line 2, column 'photo'" in odd.problems[0] and "gone.png" in odd.problems[0]


def test_a_column_that_was_not_of_files_is_none_though_it_names_them(model: Model, folder: Path) -> None:
    given = rewrite(folder, "names.csv", photo=["0.png", "1.png"], size=["0.png", "1.png"])
    with pytest.raises(ContentError, match=r"column 'size' can be read as number.*line 2, column 'size'"):
        model.predict(given)


def test_a_frame_without_one_picture_is_answered_by_the_rest(model: Model) -> None:
    answer = model.predict(pl.DataFrame({"photo": [None, None], "size": [1, 2]}))
    assert answer["prediction"].is_not_null().all()


def test_a_column_in_a_form_that_cannot_be_read_is_named_with_its_place(model: Model) -> None:
    with pytest.raises(ColumnError, match="the frame, row 1, column 'photo': A column of cells"):
        model.predict(pl.DataFrame({"photo": [7], "size": [1]}))


def test_frames_name_files_as_tables_do(model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"photo": ["1.png", "0.png", None], "size": [1, 2, 3]}
    monkeypatch.chdir(folder)
    assert model.predict(pl.DataFrame(columns)).equals(model.predict(rewrite(folder, "some.csv", **columns)))
    with pytest.raises(ContentError, match=r"the frame, row 1, column 'photo'.*gone\.png"):
        model.predict(pl.DataFrame({"photo": ["gone.png"], "size": [1]}))


def test_of_many_problems_the_first_are_kept_and_all_are_counted(model: Model, folder: Path) -> None:
    given = rewrite(folder, "many.csv", photo=["gone.png"] * 300 + ["0.png"], size=[1] * 301)
    predictions = model.answer(model.open(given))
    assert predictions.problem_count == 300 and len(predictions.problems) == store.KEPT_PROBLEMS
    assert len(predictions.answers["shade"]) == 301


@pytest.fixture
def standins(monkeypatch: pytest.MonkeyPatch) -> None:
    list(kinds)
    for name, kind in STANDINS.items():
        monkeypatch.setitem(kinds._entries, name, kind)


def number_plan(name: str = "size") -> StorePlan:
    return StorePlan({name: ColumnPlan("standin_number")})


class Broken(type(STANDINS["standin_number"])):  # type: ignore[misc]
    def read(self, column: Any, plan: Any) -> Any:
        raise ZeroDivisionError("division by zero")


def test_a_kind_that_breaks_is_an_error_with_the_place(standins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds._entries, "standin_number", Broken())
    with pytest.raises(ContentError, match=r"memory, row 1, column 'size'.*ZeroDivisionError.*--exclude size"):
        Store.build(MemorySource({"size": pl.Series([1.0, 2.0])}), number_plan())


def test_too_many_unreadable_values_are_noticed_before_the_end_of_a_source_of_unknown_length(standins: None) -> None:
    cells = pl.Series("size", ["1", "word"] * 60_000)
    source = MemorySource({"size": cells}, size=1000, know_rows=False)
    told = []
    with pytest.raises(ContentError, match="5,000 of 10,000 values"):
        Store.build(source, number_plan(), lambda rows, total: told.append(rows))
    assert max(told) < store.JUDGED_FROM


def test_a_few_unreadable_values_at_the_beginning_end_nothing(standins: None) -> None:
    cells = pl.Series("size", ["word"] * 900 + ["1"] * 19_100)
    built = Store.build(MemorySource({"size": cells}, size=1000, know_rows=False), number_plan())
    assert built.column("size").problem_count == 900


def test_large_pictures_are_read_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    image = {"maximum_pixels": 10**8, "levels": None, "fractions": False, "channels": 3}
    large = ColumnPlan("image", {**image, "height": 2048, "width": 2048})
    small = ColumnPlan("image", {**image, "height": 32, "width": 32})
    assert store.rows_at_a_time([large]) * 2048 * 2048 * 3 <= store.READ_BYTES
    assert store.rows_at_a_time([large, large]) < store.rows_at_a_time([large])
    assert store.rows_at_a_time([small]) > 10_000
    assert store.rows_at_a_time([ColumnPlan("number", {})]) is None


def test_reading_keeps_to_the_rows_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = BytesIO()
    Pillow.new("L", (64, 64)).save(stream, "PNG")
    monkeypatch.setattr(store, "READ_BYTES", 3 * 64 * 64)
    told: list[int] = []
    plan = {"height": 64, "width": 64, "channels": 1, "maximum_pixels": 10**6, "levels": None, "fractions": False}
    source = locate({"photo": pl.Series([stream.getvalue()] * 10)})
    Store.build(source, StorePlan({"photo": ColumnPlan("image", plan)}), lambda rows, total: told.append(rows))
    assert told == [3, 6, 9, 10]


def test_what_lies_in_memory_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = locate({"size": np.arange(6.0)})
    before = source.fingerprint()
    source.chunks = None  # type: ignore[assignment,method-assign]
    source._columns.clear()  # type: ignore[attr-defined]
    assert source.fingerprint() == before


def test_a_known_fingerprint_is_not_taken_again_to_find_a_store(standins: None) -> None:
    class Counted(MemorySource):
        taken = 0

        def fingerprint(self) -> str:
            self.taken += 1
            return super().fingerprint()

    source = Counted({"size": pl.Series([1.0, 2.0, 3.0])})
    known = source.fingerprint()
    assert Store.find(source, number_plan(), known) is None
    Store.build(source, number_plan(), fingerprint=known).close()
    assert source.taken == 2  # once more after reading, to see whether it changed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_place_of_a_picture_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(SourceError, match="no regular file"):
        FileReference("pipe.png", path=tmp_path / "pipe.png").read()
