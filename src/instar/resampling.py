"""Intervals by the bootstrap, cheap however many rows there are.

Rows are put at random into at most 4,096 groups, and a resample of the groups is one row of weights times the groups'
sums. Up to 4,096 rows a group is a row and this is the ordinary bootstrap (Efron 1979); above, it is that of random
groups (Wolter 1985), which still uses every row, so that a million rows cost what a few thousand do. Areas under curves
need the order of the scores; their resamples see it through at most 256 bins of scores, their value does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any

import numpy as np

# Of more classes or labels than these no ranking is made.
RANKED_CLASSES = 100
_GROUPS = 4096
_BINS = 256


class Groups:
    """Rows put at random into groups, and resamples of the groups as weights (groups, resamples)."""

    def __init__(self, rows: int, seed: int, resamples: int) -> None:
        generator = np.random.default_rng([seed, 0x5C0BE])
        self.rows, self.count = rows, min(rows, _GROUPS)
        self.of_row = np.arange(rows) if rows <= _GROUPS else generator.permutation(rows) % _GROUPS
        self.weights = np.empty((self.count, resamples))
        for resample in self.weights.T:
            resample[:] = np.bincount(generator.integers(0, self.count, self.count), minlength=self.count)

    def of(self, rows: np.ndarray) -> Groups:
        """The same groups and resamples of some of the rows (n,) bool."""
        some = copy(self)
        some.rows, some.of_row = int(rows.sum()), self.of_row[rows]
        return some

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
Values = tuple[float, np.ndarray]


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean along the last axis of what is finite there; NaN where nothing is."""
    defined = np.isfinite(values)
    return np.where(defined, values, 0).sum(axis=-1) / defined.sum(axis=-1)


def rank(
    positive: np.ndarray,
    scores: np.ndarray,
    groups: Groups,
    areas: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    *,
    among: int,
) -> dict[str, Values]:
    """Areas under curves, of ``positive`` rows (n,) 0 or 1 ranked by ``scores`` (n,), by name.

    ``among``: how many such rankings are made; of many, resamples see each more coarsely. Empty where all rows are on
    one side.
    """
    positive = positive.astype(np.int64)
    if not 0 < positive.sum() < len(positive):
        return {}
    _, place = np.unique(-scores, return_inverse=True)
    table = _histogram(place, positive)
    bins = _coarser(place, positive, min(_BINS, max(32, 2048 // among)))
    drawn = groups.resample_table(groups.table(bins * 2 + positive, 2 * (int(bins.max()) + 1)))
    drawn = drawn.reshape(len(drawn), -1, 2)
    measured = {}
    for name, area in areas.items():
        exact = float(area(table))
        # The bins' own area differs a little from the exact one; the resamples are moved by that much.
        measured[name] = exact, area(drawn) + exact - area(_histogram(bins, positive))
    return measured


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


def roc_area(table: np.ndarray) -> np.ndarray:
    """The area under the receiver operating characteristic of counts (..., places, 2); ties count half."""
    negative, positive = table[..., 0], table[..., 1]
    above = np.cumsum(positive, axis=-1) - positive / 2
    return (negative * above).sum(axis=-1) / (negative.sum(axis=-1) * positive.sum(axis=-1))


def precision_area(table: np.ndarray) -> np.ndarray:
    """The average precision of counts (..., places, 2)."""
    positive = table[..., 1]
    precision = np.cumsum(positive, axis=-1) / np.cumsum(table.sum(axis=-1), axis=-1)
    return np.where(positive > 0, positive * precision, 0).sum(axis=-1) / positive.sum(axis=-1)


def mean_areas(found: Iterable[Mapping[str, Values]], names: Iterable[str]) -> dict[str, Values]:
    """Areas of several rankings, averaged over those that are defined."""
    defined = [each for each in found if each]
    if not defined:
        return {}
    return {
        name: (
            float(np.mean([each[name][0] for each in defined])),
            mean_of_defined(np.stack([each[name][1] for each in defined], axis=1)),
        )
        for name in names
    }
