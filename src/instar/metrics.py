"""How good answers are: each answer's metrics, every one with a 95 % interval.

Every metric here is a function of sums over rows, or of the order of their scores, which is what makes its bootstrap
cheap (`instar.resampling`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from instar.label_metrics import measure_labels, measure_one_by_one
from instar.resampling import (
    RANKED_CLASSES,
    Groups,
    Values,
    mean_areas,
    mean_of_defined,
    precision_area,
    rank,
    roc_area,
)
from instar.shapes import NO_ANSWER, UNKNOWN_CLASS, Answer, Choice, Several

LEAST_ROWS = 20
# Classes that are counted at a time in all resamples, which are a number each for every class.
_BLOCK_CLASSES = 512
_Z = 1.959963984540054


@dataclass(frozen=True)
class Score:
    """A metric's value on ``rows`` examined rows, and its 95 % interval. It also reads as its JSON: score["low"]."""

    value: float
    low: float
    high: float
    rows: int

    def to_json(self) -> dict[str, float | int]:
        return asdict(self)

    def keys(self) -> Iterator[str]:
        return iter(("value", "low", "high", "rows"))

    def __getitem__(self, name: str) -> float | int:
        return self.to_json()[name]


@dataclass(frozen=True)
class Metric:
    """What a metric is called, what it means in one sentence, and which values it can take.

    rate: whether the value is a share of something, from 0 to 1, and reads as a percentage.
    """

    title: str
    meaning: str
    higher_is_better: bool = True
    rate: bool = False
    minimum: float = -math.inf
    maximum: float = math.inf


METRICS: dict[str, Metric] = {
    "accuracy": Metric("accuracy", "The share of rows whose class is right.", rate=True, minimum=0, maximum=1),
    "balanced_accuracy": Metric(
        "balanced accuracy",
        "The share of right answers in each true class, averaged over the classes, so that rare ones count as much.",
        rate=True,
        minimum=0,
        maximum=1,
    ),
    "macro_f1": Metric(
        "macro F1",
        "The harmonic mean of precision and recall of each class or label, averaged over them.",
        minimum=0,
        maximum=1,
    ),
    "micro_f1": Metric(
        "micro F1",
        "The harmonic mean of precision and recall of all labels of all rows together.",
        minimum=0,
        maximum=1,
    ),
    "label_recall": Metric(
        "labels found", "The share of all labels of all rows that are answered.", rate=True, minimum=0, maximum=1
    ),
    "label_precision": Metric(
        "answered labels that are right",
        "The share of all labels that are answered whose rows have them.",
        rate=True,
        minimum=0,
        maximum=1,
    ),
    "exact_match": Metric(
        "exact match", "The share of rows of which every label is right.", rate=True, minimum=0, maximum=1
    ),
    "label_accuracy": Metric(
        "label accuracy",
        "The share of right answers to whether a row has a label, over all rows and labels: one less the Hamming loss.",
        rate=True,
        minimum=0,
        maximum=1,
    ),
    "mean_average_precision": Metric(
        "mean average precision",
        "The precision averaged over all thresholds of each label, averaged over the labels; chance is the label's "
        "share.",
        minimum=0,
        maximum=1,
    ),
    "roc_auc": Metric(
        "ROC AUC",
        "How often a row of a class is ranked above a row of another; 0.5 is chance (several classes: each against "
        "the rest, averaged).",
        minimum=0,
        maximum=1,
    ),
    "average_precision": Metric(
        "average precision",
        "The precision averaged over all thresholds, of the rarer of two classes or averaged over several; chance is "
        "the class's share.",
        minimum=0,
        maximum=1,
    ),
    "log_loss": Metric(
        "log loss", "How surprised the stated probabilities were by the truth, in nats.", False, minimum=0
    ),
    "brier": Metric(
        "Brier score",
        "The mean squared distance of the stated probabilities from the truth (two classes: of one class).",
        False,
        minimum=0,
        maximum=2,
    ),
    "r2": Metric(
        "R²",
        "The share of the variance that is explained; 0 is what always answering the mean reaches.",
        maximum=1,
    ),
    "mae": Metric(
        "mean absolute error", "How far off an answer is on average, in the target's unit.", False, minimum=0
    ),
    "rmse": Metric(
        "root mean squared error", "Like the mean absolute error, but large errors count for more.", False, minimum=0
    ),
}


def main_metric(answer: Answer) -> str:
    """The metric that a report leads with."""
    return "accuracy" if isinstance(answer, Choice) else "macro_f1" if isinstance(answer, Several) else "r2"


def better(name: str, one: float, other: float) -> bool:
    """Whether ``one`` is a better value of the metric than ``other``."""
    return one > other if METRICS[name].higher_is_better else one < other


def measure(
    answer: Answer,
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    seed: int = 0,
    resamples: int = 1000,
    probabilities: bool = True,
) -> dict[str, Score]:
    """Every metric of the answer that has a meaning for these rows, by name, the main one first.

    Parameters
    ----------
    truth: for a Choice (n,) class codes, -1 where missing and -2 where it is none of the classes, which no answer can
        meet; for Several (n, labels + 1), 0 or 1 for each label and then how many others the row has, which no answer
        can meet either, NaN where missing; for Amounts (n, width) in the target's unit, NaN where missing. Rows without
        a truth, or whose prediction is NaN, are left out.
    prediction: for a Choice (n, classes) probabilities, of which the largest is the answer; for Several (n, labels)
        probabilities, of which those of at least a half are answers; for Amounts (n, width). Probabilities stay as
        they are; beside them only a small part of their memory is used.
    probabilities: False where a Choice's prediction are only scores; then log loss and Brier score are left out.

    An empty dictionary for fewer than 20 rows, on which no score can be trusted. A metric that is not defined is left
    out: the area under a curve where all rows are of one class, R² where all truths are equal.
    """
    truth, prediction = _measured_rows(answer, truth, prediction)
    if len(truth) < LEAST_ROWS:
        return {}
    groups = Groups(len(truth), seed, resamples)
    with np.errstate(all="ignore"):
        if isinstance(answer, Several):
            measured = measure_labels(truth, prediction, groups)
        elif isinstance(answer, Choice):
            measured = _measure_classes(answer.classes, truth, prediction.argmax(axis=1), groups)
            if probabilities:
                measured |= _measure_probabilities(truth, prediction, groups)
            if answer.classes <= RANKED_CLASSES:
                measured |= _measure_ranking(answer, truth, prediction, groups)
        else:
            measured = _measure_amounts(truth, prediction, groups)
        scores = {name: _score(METRICS[name], *values, groups.rows) for name, values in measured.items()}
    return {name: score for name in METRICS if (score := scores.get(name)) is not None}


def measure_each_label(
    answer: Several, truth: np.ndarray, prediction: np.ndarray, *, seed: int = 0, resamples: int = 1000
) -> list[dict[str, Score]]:
    """``f1`` and ``average_precision`` of each label by itself, as far as they are defined; arguments as of `measure`.

    Empty dictionaries for fewer than 20 rows.
    """
    truth, prediction = _measured_rows(answer, truth, prediction)
    if len(truth) < LEAST_ROWS:
        return [{} for _ in answer.counts]
    groups = Groups(len(truth), seed, resamples)
    with np.errstate(all="ignore"):
        scored = [
            {name: _score(METRICS["macro_f1"], *values, groups.rows) for name, values in each.items()}
            for each in measure_one_by_one(truth, prediction, groups)
        ]
    return [{name: score for name, score in each.items() if score is not None} for each in scored]


def confidence(answer: Choice | Several, prediction: np.ndarray) -> np.ndarray:
    """How probable it is that the answer is right, (n,); for several labels, that the one most in doubt is."""
    if isinstance(answer, Choice):
        return np.asarray(prediction.max(axis=1))
    return np.asarray(np.maximum(prediction, 1 - prediction).min(axis=1))


def known_rows(answer: Answer, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Which rows (n,) bool have both a truth and a prediction, as `measure` takes them.

    A prediction of NaN stands for a row that could not be read and so has no answer.
    """
    scores = np.asarray(prediction)
    if isinstance(answer, Choice):
        return (np.asarray(truth).reshape(-1) != NO_ANSWER) & ~np.isnan(scores.reshape(-1, answer.classes)[:, 0])
    if isinstance(answer, Several):
        return np.asarray(~np.isnan(truth[:, 0]) & ~np.isnan(scores[:, 0]))
    amounts, given = (np.asarray(part).reshape(-1, answer.width) for part in (truth, scores))
    known: np.ndarray = np.isfinite(amounts).all(axis=1) & ~np.isnan(given).any(axis=1)
    return known


def _measured_rows(answer: Answer, truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of `known_rows`, of the shapes that `measure` names; amounts are float64."""
    known = known_rows(answer, truth, prediction)
    if isinstance(answer, Choice):
        truth = np.asarray(truth).reshape(-1).astype(np.int64)
        prediction = np.asarray(prediction).reshape(len(truth), answer.classes)
    elif not isinstance(answer, Several):
        amounts, given = (np.asarray(part, dtype=np.float64).reshape(-1, answer.width) for part in (truth, prediction))
        return amounts[known], given[known]
    # Scores of many rows and classes are large; they are copied only where rows have to go.
    return (truth, prediction) if known.all() else (truth[known], prediction[known])


def _score(metric: Metric, value: float, resampled: np.ndarray, rows: int) -> Score | None:
    resampled = resampled[np.isfinite(resampled)]
    if not math.isfinite(value) or not len(resampled):
        return None
    value = float(value)
    low, high = (float(bound) for bound in np.quantile(resampled, (0.025, 0.975)))
    if low == high and (metric.minimum, metric.maximum) == (0, 1):
        # Where every row is right no resample differs and the bootstrap knows nothing: Wilson's bounds stand in.
        low, high = wilson(value, rows)
    low, high = max(low, metric.minimum), min(high, metric.maximum)
    return Score(value, min(low, value), max(high, value), rows)


def wilson(share: float, rows: int) -> tuple[float, float]:
    """The 95 % score interval of a share of ``rows`` rows (Wilson 1927)."""
    scale = 1 + _Z**2 / rows
    center = (share + _Z**2 / (2 * rows)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    return center - half, center + half


def _measure_amounts(truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> dict[str, Values]:
    width = truth.shape[1]
    error, centered = truth - prediction, truth - truth.mean(axis=0)
    columns = np.hstack([np.abs(error), error**2, centered, centered**2, np.ones((len(truth), 1))])
    # An output whose truths are all equal has no variance to explain, though rounding may leave a trace of one.
    varies = np.ptp(truth, axis=0) > 0

    def measure_sums(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        absolute, squares, total, total_squares, count = np.split(sums, [width * i for i in (1, 2, 3, 4)], axis=-1)
        r2 = np.where(varies, 1 - squares / (total_squares - total**2 / count), np.nan)
        return mean_of_defined(r2), (absolute / count).mean(axis=-1), np.sqrt(squares / count).mean(axis=-1)

    exact, resampled = measure_sums(columns.sum(axis=0)), measure_sums(groups.resample(columns))
    names = ("r2", "mae", "rmse")
    return {name: (float(value), drawn) for name, value, drawn in zip(names, exact, resampled, strict=True)}


def _measure_classes(classes: int, truth: np.ndarray, answered: np.ndarray, groups: Groups) -> dict[str, Values]:
    # After the classes comes the one of rows that are of none of them, and then one into which misses fall.
    other, missed = classes, classes + 1
    true = np.where(truth == UNKNOWN_CLASS, other, truth)
    tables = [groups.table(cells, classes + 2) for cells in (np.where(answered == true, true, missed), true, answered)]
    # Right answers, rows, and then for recall and F1 the sum over classes and of how many classes it is.
    exact, resampled = np.zeros(6), np.zeros((groups.weights.shape[1], 6))
    for start in range(0, missed, _BLOCK_CLASSES):
        parts = [table[start : min(start + _BLOCK_CLASSES, missed)] for table in tables]
        exact += _class_sums(*(np.asarray(part.sum(axis=1)) for part in parts))
        resampled += _class_sums(*(groups.resample_table(part) for part in parts))
    places = {"accuracy": 0, "balanced_accuracy": 2, "macro_f1": 4}
    return {
        name: (float(exact[place] / exact[place + 1]), resampled[:, place] / resampled[:, place + 1])
        for name, place in places.items()
    }


def _class_sums(hit: np.ndarray, true: np.ndarray, said: np.ndarray) -> np.ndarray:
    """What class metrics are made of, from counts (..., classes) of some of the classes: (..., 6)."""
    sums = [hit.sum(axis=-1), true.sum(axis=-1)]
    for shares in (hit / true, 2 * hit / (true + said)):
        defined = np.isfinite(shares)
        sums += [np.where(defined, shares, 0).sum(axis=-1), defined.sum(axis=-1)]
    return np.stack(sums, axis=-1)


def _measure_probabilities(truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> dict[str, Values]:
    stated = prediction[np.arange(len(truth)), np.maximum(truth, 0)].astype(np.float64)
    stated[truth == UNKNOWN_CLASS] = 0
    surprise = -np.log(np.clip(stated, np.finfo(np.float64).eps, 1))
    distance = np.einsum("ij,ij->i", prediction, prediction, dtype=np.float64) - 2 * stated + 1
    if prediction.shape[1] == 2:
        distance = distance / 2
    columns = np.stack([surprise, distance, np.ones(len(truth))], axis=1)
    exact, resampled = columns.mean(axis=0), groups.resample(columns)
    return {name: (exact[i], resampled[:, i] / resampled[:, 2]) for i, name in enumerate(("log_loss", "brier"))}


def _measure_ranking(answer: Choice, truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> dict[str, Values]:
    """Areas of each class against the rest, averaged; of two classes the rarer one says all."""
    ranked = [int(answer.counts[1] <= answer.counts[0])] if answer.classes == 2 else range(answer.classes)
    areas = {"roc_auc": roc_area, "average_precision": precision_area}
    found = [rank(truth == code, prediction[:, code], groups, areas, among=len(ranked)) for code in ranked]
    return mean_areas(found, areas)
