"""Texts from texts: a small network that learns to write, from the source to the report."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import instar
from instar.errors import SettingError, UsageError
from interruption import learned_twice

COLORS, THINGS = ["red", "green", "blue", "gray"], ["Cat", "dog", "House", "tree", "boat"]
QUICK = {"target": "said", "rivals": False, "epochs": 30, "batch": 64, "width": 32, "depth": 1, "dropout": 0.0}


def pairs() -> pl.DataFrame:
    """A color and a thing change places and are joined; each pair is there with many numbers."""
    rows = [
        {"given": f"a {color} {thing} number {number}", "said": f"{thing}, {color}: {number}!"}
        for color in COLORS
        for thing in THINGS
        for number in range(60)
    ]
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> instar.Model:
    settings = {**QUICK, "rivals": True, "symbols": "bpe"}
    return instar.train(pairs(), out=tmp_path_factory.mktemp("writing") / "run", kind=["said=text"], **settings)


def test_a_network_learns_to_write_what_it_has_not_seen(model: instar.Model) -> None:
    (result,) = model.report.targets
    assert result.main == "exact_match" and result.score.value > 0.9
    assert {each.name for each in result.rivals} == {"frequent_text", "nearest_text", "dictionary"}
    assert all(each.note is None for each in result.rivals)
    assert result.ranked()[0].metrics["exact_match"].value < result.score.low
    written = model.predict(pl.DataFrame({"given": ["a blue House number 7", None]}))
    assert written["prediction"].to_list()[0] == "House, blue: 7!"
    assert model.classes is None
    with pytest.raises(UsageError):
        model.predict_proba(pairs().head(3))


def test_it_is_the_same_after_loading_and_on_other_examples(model: instar.Model, tmp_path: Path) -> None:
    again = instar.load(model.save(tmp_path / "copy"))
    asked = pairs().sample(50, seed=1)
    assert again.predict(asked)["prediction"].to_list() == model.predict(asked)["prediction"].to_list()
    assert again.evaluate(asked).metrics["exact_match"].rows == 50
    report = json.loads((model.folder / "report.json").read_text())
    assert report["targets"][0]["answer"]["type"] == "symbols"
    assert str(model.report) == "\n".join(model.report.summary())
    assert "pipeline_tag" not in (model.folder / "README.md").read_text().split("---")[1]


def test_a_stopped_training_ends_with_the_same_bits(tmp_path: Path) -> None:
    given = {**QUICK, "epochs": 2, "kind": ["said=text"], "dropout": 0.1}
    learned_twice(pairs(), given, tmp_path, stop_at=7)


def test_few_rows_are_examined_by_folds(tmp_path: Path) -> None:
    settings = {**QUICK, "epochs": 2, "kind": ["said=text"]}
    model = instar.train(pairs().sample(300, seed=0), out=tmp_path / "run", **settings)
    assert model.report.protocol == "folds" and model.report.targets[0].examined == 300


def test_parts_that_no_text_can_be_written_from_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="bpe or characters"):
        instar.train(pairs(), out=tmp_path / "run", kind=["said=text"], **{**QUICK, "symbols": "words"})
