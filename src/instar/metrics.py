"""How good answers are: each answer's metrics, every one with a 95 % interval.

Every metric here is a function of sums over rows, which is what makes its bootstrap cheap: rows are put at random
into at most 4,096 groups, and a resample of the groups is one row of weights times the groups' sums. Up to 4,096 rows
a group is a row and this is the ordinary bootstrap (Efron 1979); above, it is that of random groups (Wolter 1985),
which still uses every row, so that a million rows cost what a few thousand do. Areas under curves need the order of
the scores; their resamples see it through at most 256 bins of scores, their value does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from instar.shapes import NO_ANSWER, UNKNOWN_CLASS, Answer, Choice

LEAST_ROWS = 20
RANKED_CLASSES = 100
_GROUPS = 4096
_BINS = 256
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
        "The harmonic mean of precision and recall of each class, averaged over the classes.",
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
    return "accuracy" if isinstance(answer, Choice) else "r2"


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
        meet; for Amounts (n, width) in the target's unit, NaN where missing. Rows without a truth, or whose prediction
        is NaN, are left out.
    prediction: for a Choice (n, classes) probabilities, of which the largest is the answer; for Amounts (n, width).
        Probabilities stay as they are; beside them only a small part of their memory is used.
    probabilities: False where a Choice's prediction are only scores; then log loss and Brier score are left out.

    An empty dictionary for fewer than 20 rows, on which no score can be trusted. A metric that is not defined is left
    out: the area under a curve where all rows are of one class, R² where all truths are equal.
    """
    truth, prediction = _measured_rows(answer, truth, prediction)
    if len(truth) < LEAST_ROWS:
        return {}
    groups = _Groups(len(truth), seed, resamples)
    with np.errstate(all="ignore"):
        if isinstance(answer, Choice):
            measured = _measure_classes(answer.classes, truth, prediction.argmax(axis=1), groups)
            if probabilities:
                measured |= _measure_probabilities(truth, prediction, groups)
            if answer.classes <= RANKED_CLASSES:
                measured |= _measure_ranking(answer, truth, prediction, groups)
        else:
            measured = _measure_amounts(truth, prediction, groups)
        scores = {name: _score(METRICS[name], *values, groups.rows) for name, values in measured.items()}
    return {name: score for name in METRICS if (score := scores.get(name)) is not None}


def known_rows(answer: Answer, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Which rows (n,) bool have both a truth and a prediction, as `measure` takes them.

    A prediction of NaN stands for a row that could not be read and so has no answer.
    """
    if isinstance(answer, Choice):
        scores = np.asarray(prediction)
        return (np.asarray(truth).reshape(-1) != NO_ANSWER) & ~np.isnan(scores.reshape(-1, answer.classes)[:, 0])
    amounts, given = (np.asarray(part).reshape(-1, answer.width) for part in (truth, prediction))
    known: np.ndarray = np.isfinite(amounts).all(axis=1) & ~np.isnan(given).any(axis=1)
    return known


def _measured_rows(answer: Answer, truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of `known_rows`: codes (n,) and (n, classes), or (n, width) and (n, width) float64."""
    known = known_rows(answer, truth, prediction)
    if not isinstance(answer, Choice):
        amounts, given = (np.asarray(part, dtype=np.float64).reshape(-1, answer.width) for part in (truth, prediction))
        return amounts[known], given[known]
    codes = np.asarray(truth).reshape(-1).astype(np.int64)
    scores = np.asarray(prediction).reshape(len(codes), answer.classes)
    # Scores of many rows and classes are large; they are copied only where rows have to go.
    return (codes, scores) if known.all() else (codes[known], scores[known])


class _Groups:
    """Rows put at random into groups, and resamples of the groups as weights (groups, resamples)."""

    def __init__(self, rows: int, seed: int, resamples: int) -> None:
        generator = np.random.default_rng([seed, 0x5C0BE])
        self.rows, self.count = rows, min(rows, _GROUPS)
        self.of_row = np.arange(rows) if rows <= _GROUPS else generator.permutation(rows) % _GROUPS
        self.weights = np.empty((self.count, resamples))
        for resample in self.weights.T:
            resample[:] = np.bincount(generator.integers(0, self.count, self.count), minlength=self.count)

    def resample(self, columns: np.ndarray) -> np.ndarray:
        """Sums of per-row numbers (rows, k) in each resample: (resamples, k)."""
        sums = [np.bincount(self.of_row, column, minlength=self.count) for column in columns.T]
        return self.weights.T @ np.stack(sums, axis=1)

    def table(self, cells: np.ndarray, count: int) -> Any:
        """How many rows of each group fall in each of ``count`` cells; ``cells`` (rows,) says which.

        A scipy.sparse.csr_array (count, groups): most of many cells hold no row of a group.
        """
        from scipy.sparse import csr_array

        return csr_array((np.ones(self.rows), (cells, self.of_row)), shape=(count, self.count))

    def resample_table(self, table: Any) -> np.ndarray:
        """How many rows fall in each of a table's cells, in each resample: (resamples, cells)."""
        counts: np.ndarray = (table @ self.weights).T
        return counts


# A metric's exact value, and its values in the resamples.
_Values = tuple[float, np.ndarray]


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


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean along the last axis of what is finite there; NaN where nothing is."""
    defined = np.isfinite(values)
    return np.where(defined, values, 0).sum(axis=-1) / defined.sum(axis=-1)


def _measure_amounts(truth: np.ndarray, prediction: np.ndarray, groups: _Groups) -> dict[str, _Values]:
    width = truth.shape[1]
    error, centered = truth - prediction, truth - truth.mean(axis=0)
    columns = np.hstack([np.abs(error), error**2, centered, centered**2, np.ones((len(truth), 1))])
    # An output whose truths are all equal has no variance to explain, though rounding may leave a trace of one.
    varies = np.ptp(truth, axis=0) > 0

    def measure_sums(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        absolute, squares, total, total_squares, count = np.split(sums, [width * i for i in (1, 2, 3, 4)], axis=-1)
        r2 = np.where(varies, 1 - squares / (total_squares - total**2 / count), np.nan)
        return _mean_of_defined(r2), (absolute / count).mean(axis=-1), np.sqrt(squares / count).mean(axis=-1)

    exact, resampled = measure_sums(columns.sum(axis=0)), measure_sums(groups.resample(columns))
    names = ("r2", "mae", "rmse")
    return {name: (float(value), drawn) for name, value, drawn in zip(names, exact, resampled, strict=True)}


def _measure_classes(classes: int, truth: np.ndarray, answered: np.ndarray, groups: _Groups) -> dict[str, _Values]:
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


def _measure_probabilities(truth: np.ndarray, prediction: np.ndarray, groups: _Groups) -> dict[str, _Values]:
    stated = prediction[np.arange(len(truth)), np.maximum(truth, 0)].astype(np.float64)
    stated[truth == UNKNOWN_CLASS] = 0
    surprise = -np.log(np.clip(stated, np.finfo(np.float64).eps, 1))
    distance = np.einsum("ij,ij->i", prediction, prediction, dtype=np.float64) - 2 * stated + 1
    if prediction.shape[1] == 2:
        distance = distance / 2
    columns = np.stack([surprise, distance, np.ones(len(truth))], axis=1)
    exact, resampled = columns.mean(axis=0), groups.resample(columns)
    return {name: (exact[i], resampled[:, i] / resampled[:, 2]) for i, name in enumerate(("log_loss", "brier"))}


def _measure_ranking(answer: Choice, truth: np.ndarray, prediction: np.ndarray, groups: _Groups) -> dict[str, _Values]:
    """Areas of each class against the rest, averaged; of two classes the rarer one says all."""
    ranked = [int(answer.counts[1] <= answer.counts[0])] if answer.classes == 2 else range(answer.classes)
    areas = {"roc_auc": _roc_area, "average_precision": _precision_area}
    finest = min(_BINS, max(32, 2048 // len(ranked)))
    exact: dict[str, list[float]] = {name: [] for name in areas}
    resampled: dict[str, list[np.ndarray]] = {name: [] for name in areas}
    for code in ranked:
        positive, scores = (truth == code).astype(np.int64), prediction[:, code]
        if not 0 < positive.sum() < len(positive):
            continue
        _, place = np.unique(-scores, return_inverse=True)
        table = _histogram(place, positive)
        bins = _coarser(place, positive, finest)
        drawn = groups.resample_table(groups.table(bins * 2 + positive, 2 * (int(bins.max()) + 1)))
        drawn = drawn.reshape(len(drawn), -1, 2)
        for name, area in areas.items():
            exact[name].append(float(area(table)))
            # The bins' own area differs a little from the exact one; the resamples are moved by that much.
            resampled[name].append(area(drawn) + exact[name][-1] - area(_histogram(bins, positive)))
    if not exact["roc_auc"]:
        return {}
    return {name: (float(np.mean(exact[name])), _mean_of_defined(np.stack(resampled[name], axis=1))) for name in areas}


def _histogram(place: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Counts (places, 2) of negative and positive rows at each place of the ranking, the highest score first."""
    return np.bincount(place * 2 + positive, minlength=2 * (int(place.max()) + 1)).reshape(-1, 2).astype(np.float64)


def _coarser(place: np.ndarray, positive: np.ndarray, finest: int) -> np.ndarray:
    """At most ``finest`` bins of consecutive places, fine where the positives lie and fine where the negatives lie."""
    if place.max() < finest:
        return place
    levels = np.linspace(0, 1, finest // 2, endpoint=False)[1:]
    edges = [np.quantile(place[positive == side], levels, method="inverted_cdf") for side in (0, 1)]
    return np.searchsorted(np.unique(np.concatenate(edges)), place, side="left")


def _roc_area(table: np.ndarray) -> np.ndarray:
    """The area under the receiver operating characteristic of counts (..., places, 2); ties count half."""
    negative, positive = table[..., 0], table[..., 1]
    above = np.cumsum(positive, axis=-1) - positive / 2
    return (negative * above).sum(axis=-1) / (negative.sum(axis=-1) * positive.sum(axis=-1))


def _precision_area(table: np.ndarray) -> np.ndarray:
    """The average precision of counts (..., places, 2)."""
    positive = table[..., 1]
    precision = np.cumsum(positive, axis=-1) / np.cumsum(table.sum(axis=-1), axis=-1)
    return np.where(positive > 0, positive * precision, 0).sum(axis=-1) / positive.sum(axis=-1)
