"""How good answers are: what metrics there are, and scores with their 95 % intervals.

Every metric here is a function of sums over rows, or of the order of their scores, which is what makes its bootstrap
cheap (`instar.resampling`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

# On fewer rows no score can be trusted.
LEAST_ROWS = 20
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
    of: what is examined, one of them.
    """

    title: str
    meaning: str
    higher_is_better: bool = True
    rate: bool = False
    minimum: float = -math.inf
    maximum: float = math.inf
    of: str = "row"


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
        "exact match",
        "The share of rows of which every label, or every letter, is right.",
        rate=True,
        minimum=0,
        maximum=1,
    ),
    "chrf": Metric(
        "chrF",
        "How far groups of up to six letters agree with the true text's, recall counting twice (Popovic 2015, 2017).",
        minimum=0,
        maximum=1,
    ),
    "bleu": Metric(
        "BLEU",
        "How far groups of up to four words agree with the true text's, less where it is too short (Papineni 2002).",
        minimum=0,
        maximum=1,
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
    "psnr": Metric(
        "PSNR",
        "The peak signal-to-noise ratio in decibels, the mean over pictures: 6 more is half the error, 100 the most.",
        maximum=100,
    ),
    "ssim": Metric(
        "SSIM",
        "How alike the structure of pictures is, in windows of 11 cells (Wang et al. 2004), the mean over pictures.",
        minimum=-1,
        maximum=1,
    ),
    "mean_iou": Metric(
        "mean IoU",
        "The cells that are a class and are answered so, over those that are either, averaged over the classes.",
        minimum=0,
        maximum=1,
    ),
    "mean_dice": Metric(
        "mean Dice",
        "Twice the cells that are a class and are answered so, over the sum of both, averaged over the classes.",
        minimum=0,
        maximum=1,
    ),
    "cell_accuracy": Metric(
        "right cells", "The share of cells of all rows whose class is right.", rate=True, minimum=0, maximum=1
    ),
    "mase": Metric(
        "MASE",
        "The mean absolute error of a forecast, over that of repeating what was a season ago, in the history that it "
        "is made from (Hyndman & Koehler 2006); the mean over forecasts whose history has such an error.",
        False,
        minimum=0,
        of="forecast",
    ),
    "smape": Metric(
        "sMAPE",
        "The absolute error over the mean of the sizes of truth and forecast, the mean over steps (Makridakis 1993).",
        False,
        rate=True,
        minimum=0,
        maximum=2,
        of="forecast",
    ),
    "r2": Metric(
        "R²",
        "The share of the variance that is explained; 0 is what always answering the mean reaches.",
        maximum=1,
    ),
    "explained": Metric(
        "explained share",
        "How much less wrong than the constant answer it is about the rows themselves: about columns, each told from "
        "others, and about pictures, recordings and texts, rebuilt from few numbers.",
        maximum=1,
    ),
    "mae": Metric(
        "mean absolute error", "How far off an answer is on average, in the target's unit.", False, minimum=0
    ),
    "rmse": Metric(
        "root mean squared error", "Like the mean absolute error, but large errors count for more.", False, minimum=0
    ),
    "bits_per_character": Metric(
        "bits per character",
        "How surprised it was by each character, given those before it; one bit less is half as many guesses.",
        False,
        minimum=0,
    ),
    "perplexity": Metric(
        "perplexity",
        "Among how many equally likely symbols it was in doubt on average.",
        False,
        minimum=1,
    ),
    "mean_return": Metric("mean return", "The sum of the rewards of an episode, averaged over episodes.", of="episode"),
    "episode_length": Metric("mean length", "How many steps an episode has on average.", minimum=0, of="episode"),
}


def better(name: str, one: float, other: float) -> bool:
    """Whether ``one`` is a better value of the metric than ``other``."""
    return one > other if METRICS[name].higher_is_better else one < other


def scored(name: str, value: float, resampled: np.ndarray, rows: int) -> Score | None:
    """A metric's value on so many rows, its interval from its values in resamples; None where it is not defined."""
    metric = METRICS[name]
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
