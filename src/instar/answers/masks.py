"""Masks: truths and predictions are codes (n, *extent), counted class by class over all cells of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from instar.answers._galleries import galleries
from instar.answers.base import AnswerType, Details, Exhibit, LabelResult
from instar.fields import Field
from instar.metrics import LEAST_ROWS, Score, scored
from instar.resampling import Groups, Values, mean_of_defined
from instar.shapes import NO_CLASS, STRANGE_CLASS, Mask


class MaskType(AnswerType[Mask]):
    task = "segmentation"
    claim = "Each cell of a mask has its likeliest class; nothing says how sure that is."
    nothing = NO_CLASS

    def unlearned(self, name: str, details: Details) -> str:
        return f"cells of classes of {name!r} that no training row has; these cells count as wrong"

    def main_metric(self, answer: Mask) -> str:
        return "mean_iou"

    def width(self, answer: Mask) -> int:
        return answer.size

    def shape(self, answer: Mask) -> tuple[int, ...]:
        return answer.extent

    def dtype(self) -> type:
        return np.uint8

    def known(self, answer: Mask, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        axes = tuple(range(1, truth.ndim))
        return np.asarray((truth != NO_CLASS).any(axis=axes) & (prediction != NO_CLASS).any(axis=axes))

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return np.asarray((truth < STRANGE_CLASS).any(axis=tuple(range(1, truth.ndim))))

    def to_learn(self, answer: Mask, truth: np.ndarray) -> np.ndarray:
        return truth

    def measure(
        self, answer: Mask, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        counts = _counts(answer.classes, truth, prediction)
        columns = counts.reshape(len(counts), -1)
        exact = _shares(counts.sum(axis=0))
        drawn = _shares(groups.resample(columns).reshape(-1, *counts.shape[1:]))
        return {
            "mean_iou": (float(mean_of_defined(exact[0])), mean_of_defined(drawn[0])),
            "mean_dice": (float(mean_of_defined(exact[1])), mean_of_defined(drawn[1])),
            "cell_accuracy": (float(exact[2]), drawn[2]),
        }

    def details(self, exhibit: Exhibit[Mask]) -> Details:
        truth, prediction, usable = exhibit.truth[exhibit.usable], exhibit.prediction[exhibit.usable], exhibit.usable
        if not len(usable):
            return Details()
        counts = _counts(exhibit.answer.classes, truth, prediction)
        overlaps, dice, _ = _shares(counts)
        alike, near = mean_of_defined(overlaps), mean_of_defined(dice)
        places = dict(zip(usable.tolist(), range(len(usable)), strict=True))

        def said(row: int) -> str:
            return f"mean IoU {alike[places[row]]:.2f}, mean Dice {near[places[row]]:.2f}"

        shown = galleries(exhibit, 1 - np.nan_to_num(alike), said)
        return Details(
            shown.mistakes,
            typical=shown.typical,
            unknown=int((truth == STRANGE_CLASS).reshape(len(truth), -1).any(axis=1).sum()),
            labels=[
                LabelResult(name, int((counts[:, 1, code] > 0).sum()), scores)
                for code, (name, scores) in enumerate(
                    zip(exhibit.classes, _class_by_class(counts, exhibit.seed), strict=True)
                )
            ],
        )

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        there = (given != NO_CLASS).any(axis=tuple(range(1, given.ndim)))
        rows = [row if known else None for row, known in zip(given, there, strict=True)]
        return {"prediction": pl.Series(rows, dtype=pl.Array(pl.UInt8, given.shape[1:]))}


def _counts(classes: int, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Cells of each row (n, 3, classes + 1) that are a class and answered so, are it, and are answered so.

    Cells of classes that were never learned come last; those that say nothing are not counted.
    """
    counts = np.zeros((len(truth), 3, classes + 1))
    for row, (true, said) in enumerate(zip(truth, prediction, strict=True)):
        known = true != NO_CLASS
        codes, answers = np.minimum(true[known], classes), said[known]
        for place, cells in enumerate((codes[codes == answers], codes, answers)):
            counts[row, place] = np.bincount(cells, minlength=classes + 1)[: classes + 1]
    return counts


def _shares(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intersection over union (Jaccard 1901) and Dice (1945) of each class, and the share of right cells.

    Of counts (..., 3, classes + 1): (..., classes), NaN where a class neither is nor is answered, and (...).
    """
    hit, true, said = np.moveaxis(counts, -2, 0)
    with np.errstate(all="ignore"):
        overlap, dice = hit / (true + said - hit), 2 * hit / (true + said)
        right = hit[..., :-1].sum(axis=-1) / true.sum(axis=-1)
    return overlap[..., :-1], dice[..., :-1], np.asarray(right)


def _class_by_class(counts: np.ndarray, seed: int, *, resamples: int = 1000) -> list[dict[str, Score]]:
    """``iou`` and ``dice`` of each class, as far as they are defined; nothing for fewer than 20 rows."""
    classes = counts.shape[-1] - 1
    if len(counts) < LEAST_ROWS:
        return [{} for _ in range(classes)]
    groups = Groups(len(counts), seed, resamples)
    exact = _shares(counts.sum(axis=0))
    drawn = _shares(groups.resample(counts.reshape(len(counts), -1)).reshape(-1, *counts.shape[1:]))
    found = []
    for code in range(classes):
        scores = {
            name: scored("mean_iou", float(exact[at][code]), drawn[at][:, code], groups.rows)
            for at, name in enumerate(("iou", "dice"))
        }
        found.append({name: score for name, score in scores.items() if score is not None})
    return found
