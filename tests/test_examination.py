"""What a run examines, and on which rows: set apart, by folds, or none; and what it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import instar
from instar.columns import Columns
from instar.errors import ContentError, InterruptionError
from instar.examination import Limits
from instar.fields import kinds
from instar.learn import learn
from instar.run import Run
from instar.store import ColumnPlan, Store, StorePlan
from standins import MemorySource

QUICK: Mapping[str, Any] = {"epochs": 2, "rivals": False, "network": "linear"}


def table(rows: int, seed: int = 0) -> pl.DataFrame:
    """Two numbers, and a class and an amount that follow from them."""
    first, second = np.random.default_rng(seed).normal(size=(2, rows))
    answer = np.where(first + second > 0, "up", "down")
    return pl.DataFrame({"first": first, "second": second, "answer": answer, "size": 3 * first - second + 100})


def stopping_after(steps: int) -> Any:
    asked = iter(range(10**9))
    return lambda: next(asked) >= steps


@pytest.mark.parametrize(("rows", "protocol", "examined"), [(1_050, "exam", 210), (120, "folds", 120), (19, "none", 0)])
def test_the_number_of_rows_decides_how_a_network_is_examined(
    rows: int, protocol: str, examined: int, tmp_path: Path
) -> None:
    source = table(rows)
    model, report = learn(source, {**QUICK, "target": ["answer", "size"], "out": str(tmp_path / "run")})
    assert report.protocol == protocol
    assert [each.examined for each in report.targets] == [examined, examined]
    assert all(bool(each.metrics) == (examined > 0) for each in report.targets)
    kept = model.residuals["size"]
    if protocol == "exam":
        # The rows by which it was decided when to stop were not learned from, and leave the test as it is.
        assert len(kept) == report.parts["validation"] == 105 and report.parts["test"] == 210
    elif protocol == "folds":
        assert len(kept) == rows and report.parts == {"in 5 folds": rows}
    else:
        assert set(report.parts) <= {"training", "validation"} and len(kept) == report.parts.get("validation", 0)
    assert set(model.predict(source).columns) == {
        "answer_prediction",
        "answer_confidence",
        "size_prediction",
        "size_low",
        "size_high",
    }


def test_rows_of_a_class_that_only_the_exam_has_count_as_wrong(tmp_path: Path) -> None:
    source = table(300).drop("size").with_columns(part=pl.Series(["train"] * 200 + ["validation"] * 40 + ["test"] * 60))
    late = np.array(source["answer"].to_list(), object)
    late[-15:] = "sideways"
    known, report = learn(
        source.with_columns(answer=pl.Series(late.tolist())),
        {**QUICK, "epochs": 30, "rivals": True, "rival_time": "60s", "target": "answer", "split": "part"}
        | {"out": str(tmp_path / "run")},
    )
    (result,) = report.targets
    assert known.classes == ("down", "up"), "what only the exam knows is learned by nobody"
    assert result.details.unknown == 15 and result.examined == 60
    assert np.array(result.details.confusion).shape == (3, 2) and sum(result.details.confusion[2]) == 15
    assert result.metrics["accuracy"].value <= 45 / 60
    assert {each.truth for each in result.details.mistakes} >= {"sideways"}
    scored = [each for each in result.rivals if each.metrics]
    assert len(scored) > 3
    assert all(each.metrics["accuracy"].value <= 45 / 60 for each in scored), "rivals are not let off either"
    sentence = "15 examined rows have a class of 'answer' that no training row has ('sideways'); they count as wrong."
    assert sentence in report.summary()

    again = known.evaluate(source.with_columns(answer=pl.Series(late.tolist())).drop("part"))
    assert again.metrics["accuracy"].rows == 300 and again.targets[0].details.unknown == 15


def test_amounts_are_examined_by_the_values_in_the_table(tmp_path: Path) -> None:
    """One amount is so far out that learning bounds it; the errors are those of the table all the same."""
    source = table(1_050).drop("answer")
    model = instar.train(source, "size", out=tmp_path / "run", **QUICK)
    size = source["size"].to_numpy().copy()
    size[7] = 1e12
    answered = model.predict(source)["prediction"].to_numpy()
    measured = model.evaluate(source.with_columns(size=size)).metrics
    assert measured["mae"].value == pytest.approx(np.abs(size - answered).mean(), rel=1e-12)


@pytest.mark.parametrize("common", [["1", "2"], ["1"]])
def test_every_fold_answers_all_classes_though_its_rows_lack_one(common: list[str], tmp_path: Path) -> None:
    """One group has a class for itself: whoever is examined on it has not learned that class, and perhaps one only."""
    group = np.arange(100) % 5
    first = np.random.default_rng(0).normal(size=100)
    answer = np.where(group == 2, "x", np.where(first > 0, common[0], common[-1]))
    source = pl.DataFrame({"first": first, "second": -first * group, "answer": answer, "who": group.astype(str)})
    model, report = learn(source, {**QUICK, "target": "answer", "group": "who", "out": str(tmp_path / "run")})
    (result,) = report.targets
    assert model.classes == (*common, "x"), "in the type of all labels, also where a fold sees whole numbers alone"
    assert result.examined == 100 and result.details.unknown == 0
    assert np.array(result.details.confusion).sum(axis=1)[-1] == 20 and result.details.confusion[-1][-1] == 0
    assert result.metrics["log_loss"].value < 36, "no class is held for impossible"


def test_classes_are_those_of_all_labelled_rows_and_counts_those_of_the_rows_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path))
    source = MemorySource({"x": pl.Series([1.0, 2.0, 3.0, 4.0]), "y": pl.Series(["b", "b", "a", "c"])})
    plans = {"x": ColumnPlan("number", {"width": None, "writing": {}}), "y": ColumnPlan("category", {})}
    settings = {kinds[name].settings: kinds[name].settings() for name in ("number", "category")}
    columns = Columns(Store.build(source, StorePlan(plans)), ("x",), ("y",), settings)
    inputs, targets = columns.fit(np.array([0, 1]), labelled=np.array([0, 1, 2]))
    assert targets[0].classes == ("a", "b") and targets[0].answer.counts == (0, 2)
    assert inputs[0].center.tolist() == [1.5], "inputs are fitted on the rows that are learned from alone"
    assert columns.fit(np.array([0, 2]))[1][0].classes == ("a", "b")


def log_of(run: Path, event: str) -> dict[str, dict[str, Any]]:
    """The last line of that event, by stage."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {line["stage"]: line for line in lines if line["event"] == event}


@pytest.mark.parametrize(("target", "schedule"), [("answer", "plateau"), ("answer", "cosine"), ("size", "cosine")])
def test_few_rows_say_for_how_long_to_learn_and_are_learned_from(target: str, schedule: str, tmp_path: Path) -> None:
    source = table(300).with_columns(part=pl.Series(["train"] * 200 + ["validation"] * 40 + ["test"] * 60))
    given = {**QUICK, "epochs": 12, "batch": 20, "schedule": schedule, "split": "part", "target": target}
    given["exclude"] = ["answer" if target == "size" else "size"]
    model, report = learn(source, {**given, "out": str(tmp_path / "run")})
    ends, starts = log_of(tmp_path / "run", "end"), log_of(tmp_path / "run", "start")
    assert list(ends) == ["trial", "train"]
    assert [start["steps"] for start in starts.values()] == [10, 12], "200 and 240 rows, twenty at a time"
    assert ends["train"]["epochs"] == (12 if schedule == "cosine" else ends["trial"]["best_epoch"])
    assert len(model.residuals.get("size", ())) == (40 if target == "size" else 0)
    assert report.targets[0].examined == 60
    assert any("learned from the validation rows too" in note for note in report.notes)

    for stop in (5, 60, 200):  # in the first training, in the first or the second, and later than some of them
        with suppress(InterruptionError):
            learn(source, {**given, "out": str(tmp_path / "stopped")}, should_stop=stopping_after(stop))
    learn(source, {**given, "out": str(tmp_path / "stopped")})
    whole, stopped = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "stopped"))
    assert whole == stopped


def test_a_schedule_is_not_followed_to_an_end_that_is_worse_than_a_constant_answer(tmp_path: Path) -> None:
    """The answers are noise, so the longer a network learns the worse it gets."""
    generator = np.random.default_rng(0)
    inputs = {f"x{number}": generator.normal(size=300) for number in range(20)}
    source = pl.DataFrame({**inputs, "answer": generator.choice(["up", "down"], 300)})
    source = source.with_columns(part=pl.Series(["train"] * 60 + ["validation"] * 180 + ["test"] * 60))
    settings = {"target": "answer", "split": "part", "rivals": False, "network": "mlp", "schedule": "cosine"}
    learn(source, {**settings, "epochs": 40, "out": str(tmp_path / "run")})
    ends = log_of(tmp_path / "run", "end")
    assert ends["trial"]["last_loss"] > 1.15, "a constant answer has a loss of 1"
    assert ends["train"]["epochs"] == ends["trial"]["best_epoch"] < 40
    rates = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    last = [line["rate"] for line in rates if line["stage"] == "train" and line["event"] == "epoch"][-1]
    first = [line["rate"] for line in rates if line["stage"] == "trial" and line["event"] == "epoch"]
    assert last == pytest.approx(first[ends["train"]["epochs"] - 1], rel=0.05), "as far as the first one's had fallen"


def test_time_that_finished_folds_took_is_not_there_for_the_rest(tmp_path: Path) -> None:
    given = {**QUICK, "target": "answer", "time": "1h", "out": str(tmp_path / "run")}
    source = table(200).drop("size")
    _, whole = learn(source, {**given, "out": str(tmp_path / "whole")})
    run = Run(tmp_path / "run")
    # A fold is two epochs of a few steps; the first is over then.
    steps = 0
    while run.kept("fold-1") is None:
        steps += 1
        with pytest.raises(InterruptionError):
            learn(source, given, should_stop=stopping_after(4 * steps))
    arrays, content = run.kept("fold-1")
    assert content["stopped_by"] == "epochs" and content["seconds"] < 3600
    run.keep("fold-1", arrays, {**content, "seconds": 3601.0})
    _, report = learn(source, given)
    cut = [note for note in report.notes if "--time" in note]
    assert [note.split(" was")[0] for note in cut] == ["Fold 2", "Fold 3", "Fold 4", "Fold 5", "The last training"]
    assert report.timings["training"] > 3600
    assert report.targets[0].examined == 200, "what was cut short is examined all the same"
    assert not any("--time" in note for note in whole.notes)


def test_what_is_left_of_the_time_is_shared_by_the_stages_that_are_left() -> None:
    assert Limits(10.0, bool).share() == 10
    assert Limits(10.0, bool).share(4.0, 3) == 2
    assert Limits(10.0, bool).share(11.0, 3) == 0
    assert Limits(None, bool).share(11.0, 3) is None


def test_learning_leaves_the_random_numbers_of_its_caller_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    instar.train(table(60).drop("size"), "answer", out=tmp_path / "run", **QUICK)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("without", ["share", "classes"])
def test_where_no_validation_row_tells_when_to_stop_all_epochs_are_trained(without: str, tmp_path: Path) -> None:
    """A loss over no rows is no loss of 0, with which the first epoch would have been the best."""
    source, settings = table(200), {**QUICK, "epochs": 7, "target": "answer", "out": str(tmp_path / "run")}
    if without == "share":
        model, _ = learn(source, {**settings, "validation_share": 0})
    else:
        source = source.with_columns(
            part=pl.Series(["train"] * 140 + ["validation"] * 30 + ["test"] * 30),
            answer=pl.Series([*source["answer"][:140], *["sideways"] * 30, *source["answer"][170:]]),
        )
        model, _ = learn(source, {**settings, "split": "part"})
    assert model.claims["training"]["epochs"] == 7
    log = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {line["best_epoch"] for line in log if line["event"] == "end"} == {7}


def test_rows_with_nothing_in_them_are_neither_learned_from_nor_examined(tmp_path: Path) -> None:
    source = table(150)
    model = instar.train(source.drop("size"), "answer", out=str(tmp_path / "run"), **QUICK)
    empty = source.with_columns(
        pl.when(pl.int_range(pl.len()) < 30).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("first", "second")
    )
    report = model.evaluate(empty)
    assert report.metrics["accuracy"].rows == 120
    assert any("nothing that can be read: 30 rows" in note for note in report.notes)
    with pytest.raises(ContentError, match="No row has an answer"):
        model.evaluate(source.with_columns(answer=pl.lit(None, pl.String)))


def test_a_finished_run_that_was_killed_while_it_tidied_up_is_tidied_by_the_next_start(tmp_path: Path) -> None:
    settings = {**QUICK, "target": "answer", "out": str(tmp_path / "run")}
    learn(table(60), settings)
    left = tmp_path / "run" / "checkpoint" / "fold-1.safetensors"
    left.parent.mkdir()
    left.write_bytes(b"left")
    learn(table(60), settings)
    assert not left.parent.exists()
