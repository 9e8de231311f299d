"""Metrics agree with scikit-learn's, and their intervals with what resampling rows would give."""

import json
import tracemalloc

import numpy as np
import polars as pl
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from instar.answers import Exhibit, measure, type_of
from instar.answers.several import measure_each_label
from instar.evaluation.results import examine
from instar.fields import kinds
from instar.metrics import METRICS, better, wilson
from instar.shapes import Amounts, Choice, Several


def choice(generator, rows, classes, digits=None):
    truth = generator.integers(0, classes, rows)
    scores = generator.normal(size=(rows, classes))
    scores[np.arange(rows), truth] += 1
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    if digits is not None:  # many ties
        probabilities = np.round(probabilities, digits) + 1e-9
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    counts = np.bincount(truth, minlength=classes)
    return Choice(tuple(int(count) for count in counts)), truth, probabilities


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), rows=st.integers(60, 400), classes=st.integers(2, 6), digits=st.sampled_from([None, 1])
)
def test_a_choice_is_measured_as_scikit_learn_does(seed, rows, classes, digits):
    answer, truth, p = choice(np.random.default_rng(seed), rows, classes, digits)
    scores = {name: score.value for name, score in measure(answer, truth, p, resamples=20).items()}
    said, every = p.argmax(axis=1), list(range(classes))
    expected = {
        "accuracy": reference.accuracy_score(truth, said),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, said),
        "macro_f1": reference.f1_score(truth, said, average="macro"),
        "log_loss": reference.log_loss(truth, p, labels=every),
        "brier": reference.brier_score_loss(truth, p, labels=every),
    }
    if classes == 2:
        rarer = int(answer.counts[1] <= answer.counts[0])
        expected["roc_auc"] = reference.roc_auc_score(truth == rarer, p[:, rarer])
        expected["average_precision"] = reference.average_precision_score(truth == rarer, p[:, rarer])
    else:
        expected["roc_auc"] = reference.roc_auc_score(truth, p, multi_class="ovr", labels=every)
        expected["average_precision"] = reference.average_precision_score(np.eye(classes)[truth], p)
    assert scores == pytest.approx(expected, rel=1e-9)


def several(generator, rows, labels, digits=None):
    """An answer, its truth with no label that was never learned, and probabilities that know something of it."""
    has = (generator.random((rows, labels)) < generator.uniform(0.05, 0.7, labels)).astype(float)
    p = np.clip(0.4 * has + 0.6 * generator.random((rows, labels)), 0, 1)
    answer = Several(tuple(has.sum(axis=0).astype(int).tolist()), rows)
    return answer, np.hstack([has, np.zeros((rows, 1))]), p if digits is None else np.round(p, digits)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000), rows=st.integers(20, 300), labels=st.integers(1, 6), digits=st.sampled_from([None, 1])
)
def test_labels_are_measured_as_scikit_learn_does(seed, rows, labels, digits):
    answer, truth, p = several(np.random.default_rng(seed), rows, labels, digits)
    scores = {name: score.value for name, score in measure(answer, truth, p, resamples=20).items()}
    has, said = truth[:, :-1], p >= 0.5
    mixed = [label for label in range(labels) if 0 < has[:, label].sum() < rows]
    expected = {
        "exact_match": (has == said).all(axis=1).mean(),
        "label_accuracy": 1 - reference.hamming_loss(has.ravel(), said.ravel()),
    }
    if has.any() or said.any():
        each = [reference.f1_score(has[:, label], said[:, label], zero_division=np.nan) for label in range(labels)]
        expected["macro_f1"] = np.nanmean(each)
        expected["micro_f1"] = reference.f1_score(has.ravel(), said.ravel())
    if has.any():
        expected["label_recall"] = reference.recall_score(has.ravel(), said.ravel())
    if said.any():
        expected["label_precision"] = reference.precision_score(has.ravel(), said.ravel())
    if mixed:
        areas = [reference.average_precision_score(has[:, label], p[:, label]) for label in mixed]
        expected["mean_average_precision"] = np.mean(areas)
    assert scores == pytest.approx(expected, rel=1e-9)
    for label, alone in enumerate(measure_each_label(Exhibit(answer, truth, p, np.arange(len(p))), resamples=20)):
        assert ("average_precision" in alone) == (label in mixed)
        if label in mixed:
            area = reference.average_precision_score(has[:, label], p[:, label])
            assert alone["average_precision"].value == pytest.approx(area)
            assert alone["f1"].value == pytest.approx(reference.f1_score(has[:, label], said[:, label]))


def test_the_interval_of_labels_is_that_of_resampled_rows():
    generator = np.random.default_rng(0)
    answer, truth, p = several(generator, 300, 4)
    scores, has, said = measure(answer, truth, p), truth[:, :-1], p >= 0.5
    draws = [generator.integers(0, 300, 300) for _ in range(600)]
    ordinary = {
        "macro_f1": [reference.f1_score(has[d], said[d], average="macro") for d in draws],
        "micro_f1": [reference.f1_score(has[d], said[d], average="micro") for d in draws],
        "mean_average_precision": [reference.average_precision_score(has[d], p[d]) for d in draws],
        "exact_match": [(has[d] == said[d]).all(axis=1).mean() for d in draws],
    }
    for name, values in ordinary.items():
        low, high = np.quantile(values, (0.025, 0.975))
        assert scores[name].low == pytest.approx(low, abs=0.15 * (high - low))
        assert scores[name].high == pytest.approx(high, abs=0.15 * (high - low))
    assert all(score.low <= score.value <= score.high for score in scores.values())
    assert next(iter(scores)) == type_of(answer).main_metric(answer) == "macro_f1"


def test_labels_that_were_never_learned_count_as_missed():
    answer, truth, p = several(np.random.default_rng(1), 200, 3)
    truth[:30, -1] = 2
    scores = {name: score.value for name, score in measure(answer, truth, p, resamples=20).items()}
    # As if there were two labels more, which are never answered; on average together they are one.
    more = np.hstack([truth[:, :-1], truth[:, -1:] > 0, truth[:, -1:] > 0]).astype(int)
    said = np.hstack([p >= 0.5, np.zeros((200, 2), bool)]).astype(int)
    expected = {
        "macro_f1": reference.f1_score(more[:, :4], said[:, :4], average="macro", zero_division=0),
        "micro_f1": reference.f1_score(more, said, average="micro"),
        "label_recall": reference.recall_score(more, said, average="micro"),
        "label_precision": reference.precision_score(more, said, average="micro"),
        "exact_match": (more == said).all(axis=1).mean(),
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_rows_without_known_labels_or_an_answer_are_left_out():
    answer, truth, p = several(np.random.default_rng(2), 100, 3)
    holed, unread = truth.copy(), p.copy()
    holed[:30], unread[30:40] = np.nan, np.nan
    assert measure(answer, holed, unread) == measure(answer, truth[40:], p[40:])
    assert measure(answer, truth[:19], p[:19]) == {}
    assert measure_each_label(Exhibit(answer, truth, p, np.arange(19))) == [{}] * 3


def test_many_labels_are_measured_in_blocks(monkeypatch):
    answer, truth, p = several(np.random.default_rng(3), 60, 150)
    whole = measure(answer, truth, p, resamples=50)
    assert "mean_average_precision" not in whole
    monkeypatch.setattr("instar.answers._labels._BLOCK_LABELS", 7)
    assert {name: score.to_json() for name, score in measure(answer, truth, p, resamples=50).items()} == {
        name: pytest.approx(score.to_json()) for name, score in whole.items()
    }


@pytest.mark.parametrize(
    ("kind", "cells", "given", "confidence"),
    [
        ("category", ["no", "yes"], [[0.3, 0.7]], [0.7]),
        ("labels", ["red;round", "red", "round"], [[0.9, 0.4], [1.0, 0.05]], [0.6, 0.95]),
    ],
)
def test_a_confidence_is_that_of_the_answer_or_of_the_label_most_in_doubt(kind, cells, given, confidence):
    kind, cells = kinds[kind], pl.Series(cells)
    plan = kind.survey(cells, kind.settings())
    field = kind.fit("answer", [kind.read(cells, plan)], plan, kind.settings(), target=True)
    columns = type_of(field.answer).columns(
        field, np.array(given), residuals=np.empty(0), coverage=0.9, probabilities=False
    )
    assert columns["confidence"] == pytest.approx(confidence)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000), rows=st.integers(20, 300), width=st.integers(1, 3), offset=st.sampled_from([0, 1e6])
)
def test_amounts_are_measured_as_scikit_learn_does(seed, rows, width, offset):
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=(rows, width)) + offset
    prediction = truth + generator.normal(size=(rows, width))
    scores = {name: score.value for name, score in measure(Amounts(width), truth, prediction, resamples=20).items()}
    assert scores == pytest.approx(
        {
            "r2": reference.r2_score(truth, prediction),
            "mae": reference.mean_absolute_error(truth, prediction),
            "rmse": reference.root_mean_squared_error(truth, prediction),
        },
        rel=1e-6,
    )


def test_the_interval_is_that_of_resampled_rows():
    generator = np.random.default_rng(0)
    answer, truth, p = choice(generator, 300, 3)
    scores = measure(answer, truth, p)
    draws = [generator.integers(0, 300, 300) for _ in range(600)]
    ordinary = {
        "accuracy": [reference.accuracy_score(truth[d], p[d].argmax(1)) for d in draws],
        "macro_f1": [reference.f1_score(truth[d], p[d].argmax(1), average="macro") for d in draws],
        "roc_auc": [reference.roc_auc_score(truth[d], p[d], multi_class="ovr") for d in draws],
    }
    for name, values in ordinary.items():
        low, high = np.quantile(values, (0.025, 0.975))
        assert scores[name].low == pytest.approx(low, abs=0.15 * (high - low))
        assert scores[name].high == pytest.approx(high, abs=0.15 * (high - low))


def test_many_rows_have_the_width_that_theory_says():
    generator = np.random.default_rng(1)
    answer, truth, p = choice(generator, 400_000, 2)
    scores = measure(answer, truth, p)
    accuracy = scores["accuracy"]
    standard_error = np.sqrt(accuracy.value * (1 - accuracy.value) / 400_000)
    assert accuracy.high - accuracy.low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)
    small = measure(answer, truth[:4000], p[:4000])
    for name in METRICS:
        if name in scores:
            ratio = (scores[name].high - scores[name].low) / (small[name].high - small[name].low)
            assert ratio == pytest.approx(0.1, rel=0.25), name


@pytest.mark.parametrize("answer", [Choice((10, 10)), Amounts(1)])
def test_no_score_below_twenty_rows(answer):
    truth = np.zeros((19, 1)) if isinstance(answer, Amounts) else np.arange(19) % 2
    assert measure(answer, truth, np.full((19, 2 if isinstance(answer, Choice) else 1), 0.5)) == {}
    assert measure(answer, truth[:0], np.empty((0, 2 if isinstance(answer, Choice) else 1))) == {}


def test_what_is_not_defined_is_left_out():
    one_class = measure(Choice((5, 5)), np.zeros(30, int), np.tile([0.7, 0.3], (30, 1)))
    assert "roc_auc" not in one_class and "average_precision" not in one_class
    assert one_class["accuracy"].value == 1 and one_class["accuracy"].low < 0.9
    constant = measure(Amounts(1), np.full((30, 1), 0.1), np.ones((30, 1)))
    assert set(constant) == {"mae", "rmse"}
    assert measure(Amounts(1), np.arange(30.0), np.full(30, np.nan)) == {}


def test_missing_truth_is_left_out():
    answer, truth, p = choice(np.random.default_rng(2), 100, 2)
    holed = np.where(np.arange(100) < 40, -1, truth)
    assert measure(answer, holed, p) == measure(answer, truth[40:], p[40:])
    amounts = np.arange(100.0)
    amounts[:10] = np.nan
    assert measure(Amounts(1), amounts, amounts * 0.9)["mae"].rows == 90


def test_every_interval_holds_its_value_and_repeats():
    answer, truth, p = choice(np.random.default_rng(3), 50, 4)
    scores = measure(answer, truth, p, seed=5)
    assert scores == measure(answer, truth, p, seed=5) != measure(answer, truth, p, seed=6)
    assert all(score.low <= score.value <= score.high for score in scores.values())
    assert next(iter(scores)) == type_of(answer).main_metric(answer)
    json.dumps({name: score.to_json() for name, score in scores.items()}, allow_nan=False)
    assert dict(scores["accuracy"]) == scores["accuracy"].to_json()


def test_scores_that_are_no_probabilities_have_no_log_loss():
    answer, truth, p = choice(np.random.default_rng(4), 80, 3)
    scores = measure(answer, truth, np.log(p), probabilities=False)
    assert "log_loss" not in scores and "brier" not in scores and "roc_auc" in scores


def test_direction_and_wilson():
    assert better("accuracy", 0.9, 0.8) and better("mae", 1, 2) and not better("r2", 0.1, 0.1)
    assert wilson(1.0, 20)[0] == pytest.approx(0.8389, abs=1e-3)


@pytest.mark.parametrize("classes", [2, 4])
def test_rows_of_a_class_that_was_never_learned_count_as_wrong(classes):
    answer, truth, p = choice(np.random.default_rng(7), 300, classes)
    said, other = p.argmax(axis=1), classes
    truth[:40] = -2
    shown = np.where(truth == -2, other, truth)
    scores = {name: score.value for name, score in measure(answer, truth, p, resamples=50).items()}
    wide = np.hstack([np.clip(p, 0, 1), np.zeros((300, 1))])
    one_hot = np.eye(classes + 1)[shown]
    with np.errstate(divide="ignore"):
        surprise = -np.log(np.clip(wide[np.arange(300), shown], np.finfo(float).eps, 1))
    squares = ((one_hot[:, :classes] - p) ** 2).sum(axis=1)
    expected = {
        "accuracy": reference.accuracy_score(shown, said),
        "balanced_accuracy": np.mean([(said[shown == code] == code).mean() for code in range(classes + 1)]),
        "macro_f1": reference.f1_score(shown, said, average="macro", labels=range(classes + 1), zero_division=0),
        "log_loss": surprise.mean(),
        # A row that is of no class is one off in a class that has no probability.
        "brier": (squares + (shown == other)).mean() / (2 if classes == 2 else 1),
    }
    ranked = [int(answer.counts[1] <= answer.counts[0])] if classes == 2 else range(classes)
    expected["roc_auc"] = np.mean([reference.roc_auc_score(shown == code, p[:, code]) for code in ranked])
    expected["average_precision"] = np.mean(
        [reference.average_precision_score(shown == code, p[:, code]) for code in ranked]
    )
    assert scores == pytest.approx(expected, rel=1e-9)
    assert measure(answer, truth, p)["accuracy"].rows == 300


def test_nothing_but_rows_of_a_class_that_was_never_learned_is_all_wrong():
    scores = measure(Choice((5, 5)), np.full(30, -2), np.tile([0.7, 0.3], (30, 1)))
    assert scores["accuracy"].value == scores["balanced_accuracy"].value == scores["macro_f1"].value == 0
    assert "roc_auc" not in scores and scores["accuracy"].high > 0.05


def test_thousands_of_classes_need_little_memory_beside_their_probabilities():
    rows, classes = 20_000, 2_000
    generator = np.random.default_rng(0)
    p = generator.random((rows, classes), dtype=np.float32)
    truth = generator.integers(-1, classes, rows)
    tracemalloc.start()
    try:
        scores = measure(Choice((10,) * classes), truth, p)
        measured = tracemalloc.get_traced_memory()[1]
        examine("y", Choice((10,) * classes), truth, p, classes=[str(code) for code in range(classes)])
        examined = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(measured, examined) < 2 * p.nbytes, "with the probabilities themselves that is three times as much"
    assert scores["accuracy"].value < 0.01 and scores["balanced_accuracy"].low < scores["balanced_accuracy"].high
