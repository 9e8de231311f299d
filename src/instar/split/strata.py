"""Shares met in every stratum: of rows, as near to the bands as that allows, or of whole groups."""

from __future__ import annotations

import numpy as np

from instar.errors import ColumnError
from instar.keys import run_starts
from instar.parts import TEST, TRAINING, VALIDATION

# Enough bins that the tails of a number are in every part, few enough that each holds rows.
BINS = 10


class Units:
    """Rows that must stay together (equal positions), with a stratum each.

    ``of_row`` (n,) is each row's unit, ``positions`` and ``weights`` the units' positions and numbers of rows,
    ``order`` the units by stratum and position. Strata are ordered by their lowest position and a unit of several
    strata belongs to the smallest of them, so nothing depends on the order of the rows.
    """

    def __init__(self, units: np.ndarray, strata: np.ndarray | None) -> None:
        self.positions, self.of_row, self.weights = np.unique(units, return_inverse=True, return_counts=True)
        self.codes = _codes(strata, len(units))
        stratum = np.full(len(self.positions), np.iinfo(np.int64).max)
        np.minimum.at(stratum, self.of_row, self.codes)
        lowest = np.full(int(self.codes.max(initial=0)) + 1, np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(lowest, stratum, self.positions)
        self.order = np.lexsort((self.positions, lowest[stratum]))
        self.stratum = stratum


def _codes(strata: np.ndarray | None, rows: int) -> np.ndarray:
    """int64 (n,) from 0: classes as they are, numbers by quantile; missing ones have a code of their own."""
    if strata is None:
        return np.zeros(rows, np.int64)
    strata = np.asarray(strata)
    if strata.dtype.kind == "f":
        finite = np.isfinite(strata)
        if not finite.any():
            return np.zeros(rows, np.int64)
        edges = np.unique(np.quantile(strata[finite], np.linspace(0, 1, BINS + 1)[1:-1]))
        return np.where(finite, np.searchsorted(edges, strata, side="right"), len(edges) + 1)
    return np.unique(strata, return_inverse=True)[1].astype(np.int64)


def stratified(units: np.ndarray, strata: np.ndarray | None, shares: tuple[float, float]) -> np.ndarray:
    """uint8 (n,) parts whose shares (of test, validation) are met in every stratum, as near to the bands as may be."""
    if not len(units):
        return np.zeros(0, np.uint8)
    together = Units(units, strata)
    part = np.zeros(len(together.positions), np.uint8)
    quota = [share * len(units) for share in shares]
    part[_lowest(together, shares[0], np.ones(len(part), bool))] = TEST
    left = part != TEST
    if shares[1] and left.any():
        share = min(1.0, quota[1] / together.weights[left].sum())
        part[_lowest(together, share, left, highest=True)] = VALIDATION
    return part[together.of_row]


def _lowest(together: Units, share: float, allowed: np.ndarray, *, highest: bool = False) -> np.ndarray:
    """The units with the lowest (or highest) positions of each stratum that make up ``share`` of its allowed rows.

    What a stratum's rounding leaves over is carried to the next, so that many small classes together meet the share.
    """
    order = together.order[allowed[together.order]]
    weights = together.weights[order].astype(np.float64)
    runs = np.flatnonzero(run_starts(together.stratum[order]))
    sizes = np.add.reduceat(weights, runs)
    taken, carry = [], 0.0
    for start, stop, size in zip(runs, np.append(runs[1:], len(order)), sizes, strict=True):
        run = order[start:stop][::-1] if highest else order[start:stop]
        wanted = share * size + carry
        # A unit is taken where at least half of it fits, which keeps the number of rows nearest to the quota.
        reached = np.cumsum(together.weights[run])
        number = int(np.searchsorted(reached - together.weights[run] / 2, wanted, side="left"))
        taken.append(run[:number])
        carry = wanted - (reached[number - 1] if number else 0)
    return np.concatenate(taken)


def whole_groups(units: np.ndarray, strata: np.ndarray | None, shares: tuple[float, float]) -> np.ndarray:
    """uint8 (n,) parts of whole groups (equal ``units``), as near to the shares (of test, validation) as groups allow.

    The largest group comes first, and each goes where most rows, overall and of its own strata, are lacking. Then no
    part that is wanted stays empty while another has a group to spare; with two groups there is no validation.
    Nothing depends on the order of the rows. Raises ColumnError for a single group, of which none can be the test.
    """
    if not len(units):
        return np.zeros(0, np.uint8)
    together = Units(units, strata)
    groups, rows = len(together.positions), len(units)
    if groups == 1 and shares[0]:
        raise ColumnError(
            "All rows are of one group, so none can be set apart as the exam",
            remedy="Name another column with --group, or leave it out",
        )
    wanted = np.zeros(3)
    wanted[[TRAINING, VALIDATION, TEST]] = 1 - sum(shares), shares[1], shares[0]
    totals = np.bincount(together.codes)
    cells, counts = np.unique(together.of_row * np.int64(len(totals)) + together.codes, return_counts=True)
    first = np.searchsorted(cells, np.arange(groups + 1) * np.int64(len(totals)))
    codes = cells % len(totals)
    lacking, lacking_of = wanted * rows, wanted[:, None] * totals
    part = np.empty(groups, np.uint8)
    for group in np.lexsort((together.positions, -together.weights)):
        mine, count = codes[first[group] : first[group + 1]], counts[first[group] : first[group + 1]]
        weight = together.weights[group]
        need = weight * lacking / rows + (lacking_of[:, mine] * count / totals[mine]).sum(axis=1) / len(totals)
        chosen = int(np.argmax(np.where(wanted > 0, need, -np.inf)))
        part[group] = chosen
        lacking[chosen] -= weight
        lacking_of[chosen, mine] -= count
    _fill(part, together.weights, wanted)
    return part[together.of_row]


def _fill(part: np.ndarray, weights: np.ndarray, wanted: np.ndarray) -> None:
    """Give every wanted part that is empty the best fitting group that another can spare, in place."""
    for empty in (TRAINING, TEST, VALIDATION):
        if not wanted[empty] or (part == empty).any():
            continue
        spare = np.bincount(part, minlength=3) > 1
        spare[VALIDATION] |= empty != VALIDATION  # it can be done without, the other two cannot
        able = np.flatnonzero(spare[part])
        if len(able):
            part[able[np.argmin(np.abs(weights[able] - wanted[empty] * weights.sum()))]] = empty
