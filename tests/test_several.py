"""A target of several labels through its whole life: recognized, learned, examined, stopped, saved, and used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import instar
from instar.cli import main
from instar.errors import UsageError
from instar.shapes import Several
from interruption import learned_twice

ROWS = 1_200
LABELS = ("cold", "heavy", "odd")
SETTINGS = {"epochs": 40, "rivals": False, "network": "mlp", "width": 64, "batch": 64}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Labels that follow from two numbers: two from one each, and one from their product."""
    numbers = np.random.default_rng(0).normal(size=(ROWS, 2))
    has = np.stack([numbers[:, 0] < -0.3, numbers[:, 1] > 0.5, numbers.prod(axis=1) > 0.5], axis=1)
    cells = [";".join(np.array(LABELS)[row]) or "[]" for row in has]
    cells[5], cells[77] = "", None
    path = tmp_path_factory.mktemp("table") / "things.csv"
    frame = pl.DataFrame({"width": numbers[:, 0], "height": numbers[:, 1], "tags": cells}, strict=False)
    frame.with_columns(pl.col("tags").cast(pl.String)).write_csv(path)
    return path


@pytest.fixture(scope="module")
def model(table, tmp_path_factory):
    return instar.train(table, "tags", out=tmp_path_factory.mktemp("run") / "model", **SETTINGS)


def test_labels_that_follow_from_two_numbers_are_learned(model):
    assert model.targets[0].kind == "labels" and isinstance(model.targets[0].answer, Several)
    assert model.classes == LABELS
    report = model.report
    assert report.metrics["macro_f1"].value > 0.9 and report.metrics["micro_f1"].low > 0.85
    assert report.verdict(report.targets[0])[0].startswith("The network finds 9")
    assert "Left out, for want of an answer: 2 rows." in report.notes
    assert (model.folder / "report.html").read_text(encoding="utf-8").count("Label by label") == 1


def test_a_loaded_model_answers_the_same_cells(model, table):
    loaded = instar.load(model.folder)
    frame, shares = loaded.predict(table), loaded.predict_proba(table)
    assert shares.shape == (ROWS, 3) and np.array_equal(shares, model.predict_proba(table))
    expected = [";".join(np.array(LABELS)[row >= 0.5]) or "[]" for row in shares]
    assert frame["prediction"].to_list() == expected and "[]" in expected
    assert frame["confidence"].to_numpy() == pytest.approx(np.maximum(shares, 1 - shares).min(axis=1))
    assert loaded.evaluate(table).metrics["macro_f1"].rows == ROWS - 2


def test_predictions_can_be_read_again_as_answers(model, table):
    answered = pl.read_csv(table).with_columns(tags=pl.Series(model.predict(table)["prediction"]))
    metrics = model.evaluate(answered).metrics
    assert metrics["exact_match"].value == metrics["macro_f1"].value == 1


def test_the_command_line_writes_labels_and_their_probabilities(model, tmp_path, capsys):
    few = pl.DataFrame({"width": ["1.5", "many", None], "height": [-2.0, None, 1.0]})
    few.write_csv(tmp_path / "few.csv")
    assert main(["predict", str(model.folder), str(tmp_path / "few.csv"), "--csv", "--probabilities"]) == 0
    header, first, second, _ = capsys.readouterr().out.splitlines()
    assert header == "prediction,confidence,probability_cold,probability_heavy,probability_odd"
    assert first.startswith("[],0.")
    assert second == ",NaN,NaN,NaN,NaN", "a row of which nothing could be read has no answer"


def test_a_stopped_run_ends_with_the_same_bits(table, tmp_path):
    given = {"target": "tags", **SETTINGS, "epochs": 3}
    learned_twice(str(table), given, tmp_path, stop_at=21)


def test_lists_in_a_frame_and_in_records_are_labels_and_folds_examine_them(tmp_path):
    generator = np.random.default_rng(1)
    numbers = generator.normal(size=200)
    tags = [[name for name, has in (("low", x < 0), ("far", abs(x) > 1)) if has] for x in numbers]
    tags[0] = ["low", "once"]
    given = {"epochs": 4, "rivals": False, "network": "linear", "seed": 3}
    model = instar.train({"x": numbers, "tags": tags}, "tags", out=tmp_path / "model", **given)
    assert model.classes == ("far", "low", "once") and model.report.protocol == "folds"
    assert any("one label with fewer than 10 training rows ('once')" in each for each in model.report.findings)
    assert set(model.predict(pl.DataFrame({"x": [-3.0, 0.1]}))["prediction"]) <= {
        "[]",
        '["far"]',
        '["low"]',
        '["far", "low"]',
    }
    records = [{"x": float(x), "tags": row} for x, row in zip(numbers, tags, strict=True)]
    assert model.evaluate(records).metrics == model.evaluate(pl.DataFrame({"x": numbers, "tags": tags})).metrics


def test_labels_as_inputs_say_what_they_know(tmp_path):
    generator = np.random.default_rng(2)
    has = generator.random((ROWS, 3)) < 0.4
    cells = ["|".join(np.array(["a", "b", "c"])[row]) or "[]" for row in has]
    answer = np.where(has[:, 0] ^ has[:, 1], "one", "both or none")
    source = {"tags": cells, "noise": generator.normal(size=ROWS), "answer": answer}
    model = instar.train(source, "answer", out=tmp_path / "model", **SETTINGS)
    assert model.inputs[0].kind == "labels" and model.report.metrics["accuracy"].value > 0.95


def test_a_perceptron_says_why_it_cannot(table, tmp_path):
    with pytest.raises(UsageError, match="several labels"):
        instar.train(table, "tags", out=tmp_path / "model", network="perceptron")
    assert not (tmp_path / "model").exists()
