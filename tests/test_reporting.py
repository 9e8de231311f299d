"""What stands in the report of a run: rivals on the same rows, notes, and that it comes back from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import instar
from instar.errors import InterruptionError, ModelError
from instar.evaluation.report import FACTS, Report
from instar.learn import learn
from instar.model import read_report
from instar.reporting import CARD, PAGE

QUICK: Mapping[str, Any] = {"epochs": 2, "network": "linear", "target": "answer", "rivals": False}


def table(rows: int) -> pl.DataFrame:
    first, second = np.random.default_rng(0).normal(size=(2, rows))
    return pl.DataFrame({"first": first, "second": second, "answer": np.where(first + second > 0, "up", "down")})


def report_of(source: pl.DataFrame, folder: Path, **settings: Any) -> Report:
    return learn(source, {**QUICK, "out": str(folder), **settings})[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a finished run whose rows were set apart."""
    place = tmp_path_factory.mktemp("reporting") / "exam"
    report_of(table(1_050), place, rivals=True)
    return place


def test_rivals_are_examined_on_the_rows_that_examine_the_network(folder: Path, tmp_path: Path) -> None:
    folds = report_of(table(100), tmp_path / "folds", rivals=True)
    for report, examined, learned in ((read_report(folder), 210, 840), (folds, 100, 80)):
        (result,) = report.targets
        scored = [each for each in result.rivals if each.metrics]
        assert len(scored) > 3 and any(each.baseline for each in scored)
        assert {each.examined for each in scored} == {result.examined} == {examined}
        assert {each.rows for each in scored} == {learned}, "training and validation rows, in folds those of a fold"
        assert report.timings["rivals"] > 0


def test_where_nothing_is_examined_or_nobody_asks_no_rival_competes(tmp_path: Path) -> None:
    none = report_of(table(19), tmp_path / "none", rivals=True)
    assert none.protocol == "none" and not none.targets[0].rivals and not none.metrics
    assert none.summary()[0].startswith("No score is given: no row could be examined")
    assert not report_of(table(100), tmp_path / "without").targets[0].rivals


def test_a_finished_run_has_its_report_in_three_forms(folder: Path) -> None:
    report = read_report(folder)
    assert report.title.endswith(": answer")
    assert report.rows == 1_050 and report.parts == {"training": 735, "validation": 105, "test": 210}
    assert report.protocol == "exam" and [each.name for each in report.inputs] == ["first", "second"]
    assert {line["event"] for line in report.history} >= {"start", "epoch", "end"}
    assert report.settings["epochs"] == 2 and "torch" in report.versions
    assert report.network == "linear" and report.parameters == 6
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    assert facts["metrics"]["accuracy"] == report.metrics["accuracy"].to_json()
    first = report.verdict(report.targets[0])[0]
    assert first in report.summary() and facts["verdict"]["answer"][0] == first
    for name in (PAGE, CARD):
        assert "answer" in (folder / name).read_text(encoding="utf-8")
    assert instar.load(folder).claims["metrics"]["answer"] == facts["metrics"]


def test_a_network_that_cannot_learn_the_rows_says_so(tmp_path: Path) -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 1_050))
    source = pl.DataFrame({"first": first, "second": second, "answer": np.where(first * second > 0, "same", "other")})
    (note,) = [each for each in report_of(source, tmp_path / "linear").notes if "training rows" in each]
    assert "of 735 training rows are answered wrongly" in note and "exclusive or" in note
    able = report_of(source, tmp_path / "mlp", network="mlp")
    assert not [each for each in able.notes if "training rows are" in each]


def test_too_few_rows_for_the_range_of_an_amount_are_said(tmp_path: Path) -> None:
    source = table(60).with_columns(answer=pl.col("first") * 2)
    part = ["train"] * 40 + ["validation"] * 5 + ["test"] * 15
    report = report_of(source.with_columns(part=pl.Series(part)), tmp_path / "run", split="part")
    assert [each for each in report.notes if "5 examined rows are too few for intervals of 90 % coverage" in each]


def test_how_often_ranges_held_the_truth_is_said_where_other_rows_gave_them(tmp_path: Path) -> None:
    source = table(1_200).with_columns(answer=pl.col("first") * 2)
    (note,) = [each for each in report_of(source, tmp_path / "exam").notes if "Ranges" in each]
    assert "90 % of cases" in note and "of 240 rows of the exam" in note
    folds = report_of(source.head(100), tmp_path / "folds")
    assert not [each for each in folds.notes if "Ranges" in each], "the examined rows themselves gave the ranges"


def test_a_run_that_is_stopped_while_rivals_learn_keeps_what_was_trained(tmp_path: Path) -> None:
    source, place = table(100), tmp_path / "run"
    asked: list[bool] = []

    def stop_when_rivals_learn() -> bool:
        asked.append(any(place.glob("checkpoint/.rivals-*")) or any(asked[-1:]))
        return asked[-1]

    with pytest.raises(InterruptionError, match="the trained network is saved"):
        learn(source, {**QUICK, "rivals": True, "out": str(place)}, should_stop=stop_when_rivals_learn)
    assert not (place / FACTS).exists() and not list(place.glob("checkpoint/.rivals-*"))
    trained = (place / "metrics.jsonl").read_bytes()
    report = report_of(source, place, rivals=True)
    assert (place / "metrics.jsonl").read_bytes() == trained, "nothing was trained again"
    assert len([each for each in report.targets[0].rivals if each.metrics]) > 3


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"title": 3}', '{"targets": [{}]}'])
def test_a_report_that_cannot_be_read_is_damaged(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / FACTS).write_text(content)
    with pytest.raises(ModelError, match=r"report\.json"):
        read_report(tmp_path)
