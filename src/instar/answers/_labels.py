"""How good answers of any number of labels are: over all labels, and of each by itself.

Truth is (n, labels + 1), as `instar.shapes` says, and a prediction (n, labels) probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from instar.resampling import RANKED_CLASSES, Groups, Values, mean_areas, precision_area, rank
from instar.shapes import ANSWERED_FROM

# Labels that are counted at a time in all resamples, and numbers of rows and labels that are looked at together.
_BLOCK_LABELS, _BLOCK_NUMBERS = 512, 2**22


def measure_labels(truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> dict[str, Values]:
    """Every metric but intervals' bounds; labels that were never learned are together one more, never answered."""
    strange = truth[:, -1:]
    exact, resampled = np.zeros(5), np.zeros((groups.weights.shape[1], 5))
    for whole, drawn in chain(
        _label_sums(truth[:, :-1], prediction, groups), _label_sums(strange, np.zeros_like(strange), groups)
    ):
        exact += _sum_of_labels(whole)
        resampled += _sum_of_labels(drawn)
    wrong = np.zeros(len(truth))
    for block in _blocks(prediction):
        wrong += ((prediction[:, block] >= ANSWERED_FROM) != truth[:, block]).sum(axis=1)
    columns = np.stack(
        [(wrong == 0) & (truth[:, -1] == 0), 1 - wrong / prediction.shape[1], np.ones(len(truth))], axis=1
    )
    means, drawn = columns.mean(axis=0), groups.resample(columns)

    def shares(sums: np.ndarray) -> dict[str, np.ndarray]:
        hit, true, said, f1, defined = np.moveaxis(sums, -1, 0)
        return {
            "macro_f1": f1 / defined,
            "micro_f1": 2 * hit / (true + said),
            "label_recall": hit / true,
            "label_precision": hit / said,
        }

    once, often = shares(exact), shares(resampled)
    measured = {name: (float(value), often[name]) for name, value in once.items()}
    measured |= {
        name: (float(means[at]), drawn[:, at] / drawn[:, 2])
        for at, name in enumerate(("exact_match", "label_accuracy"))
    }
    areas = mean_areas(_rank_labels(truth, prediction, groups), ["average_precision"])
    if areas:
        measured["mean_average_precision"] = areas["average_precision"]
    return measured


def measure_one_by_one(truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> list[dict[str, Values]]:
    """``f1`` and, of few labels, ``average_precision`` of each."""
    measured: list[dict[str, Values]] = []
    for exact, drawn in _label_sums(truth[:, :-1], prediction, groups):
        measured += [{"f1": (float(one), many)} for one, many in zip(_f1(exact), _f1(drawn).T, strict=True)]
    for each, areas in zip(measured, _rank_labels(truth, prediction, groups), strict=False):
        each.update(areas)
    return measured


def _blocks(numbers: np.ndarray) -> Iterator[slice]:
    """Some columns (n, labels) at a time."""
    rows, labels = numbers.shape
    size = max(1, min(_BLOCK_LABELS, _BLOCK_NUMBERS // max(1, rows)))
    return (slice(start, min(start + size, labels)) for start in range(0, labels, size))


def _label_sums(truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of a block of labels at a time, how many rows are right, have it and are said to: (3, k), (resamples, 3, k)."""
    for block in _blocks(truth):
        said = (prediction[:, block] >= ANSWERED_FROM).astype(np.float64)
        true = truth[:, block]
        columns = np.hstack([said * true, true, said])
        shape = (3, true.shape[1])
        yield columns.sum(axis=0).reshape(shape), groups.resample(columns).reshape(-1, *shape)


def _f1(sums: np.ndarray) -> np.ndarray:
    """(..., 3, k) sums of labels to (..., k); NaN for one that no row has and none is said to have."""
    hit, true, said = np.moveaxis(sums, -2, 0)
    return np.asarray(2 * hit / (true + said))


def _sum_of_labels(sums: np.ndarray) -> np.ndarray:
    """(..., 3, k) to (..., 5): the sums over labels, that of their F1, and of how many labels it is."""
    f1 = _f1(sums)
    defined = np.isfinite(f1)
    each = [np.where(defined, f1, 0).sum(axis=-1), defined.sum(axis=-1)]
    return np.concatenate([sums.sum(axis=-1), np.stack(each, axis=-1)], axis=-1)


def _rank_labels(truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> Iterator[dict[str, Values]]:
    labels = prediction.shape[1]
    if labels <= RANKED_CLASSES:
        for label in range(labels):
            areas = {"average_precision": precision_area}
            yield rank(truth[:, label], prediction[:, label], groups, areas, among=labels)
