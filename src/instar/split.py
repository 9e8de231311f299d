"""Which row is which: test, validation, training, or a fold. Numpy alone; ``--seed`` has no part in it.

A row's key hashes its inputs' content. The lowest band of the keys is the test, the highest the validation, all
between is training, so a row's part depends on nothing but itself, and equal inputs are never on two sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from instar.errors import ColumnError, ModelError, SettingError, UsageError
from instar.fields.digest import mix
from instar.keys import exam_keys, outranked, row_keys, run_starts
from instar.settings import Settings, setting

TRAINING, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, 3

# From here on the bands alone decide: a test of 20 % misses its share by 0.4 % of the rows at most in 19 of 20
# tables, and classes of one per cent have 20 +- 4.5 test rows. Below, chance would be felt, so the split is stratified.
FROZEN_EXAM_ROWS = 10_000
# A separate test of fewer than 200 rows has an interval wider than +- 5 points: folds examine every row instead.
SEPARATE_EXAM_ROWS = 1_000
# Five folds of fewer than four rows: whatever was printed would be chance.
SCORED_ROWS = 20
# Enough bins that the tails of a number are in every part, few enough that each holds rows.
BINS = 10
# Mixed in ahead of a fold's position, so that folds do not follow the bands.
FOLD_SALT = np.uint64(0x5F3759DF9E3779B9)

__all__ = [
    "LEFT_OUT",
    "TEST",
    "TRAINING",
    "VALIDATION",
    "Exam",
    "Record",
    "Split",
    "SplitSettings",
    "exam_for",
    "fold_parts",
    "folds",
    "given_parts",
    "row_keys",
    "split",
]

_WORDS = {
    "train": TRAINING,
    "training": TRAINING,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "": TRAINING,
}


@dataclass(frozen=True)
class SplitSettings(Settings):
    """How examples are divided."""

    test_share: float = setting(0.2, "share of the rows that are the exam, never trained on", minimum=0, maximum=0.9)
    validation_share: float = setting(0.1, "share of the rows that decide when to stop", minimum=0, maximum=0.9)
    group: str | None = setting(
        None, "column whose equal values stay on one side of the split (a patient, a house)", common=True
    )
    time_order: str | None = setting(None, "column by which the latest rows become the exam", common=True)
    folds: int = setting(5, "folds that examine tables of fewer than 1,000 rows", minimum=2, maximum=50)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.test_share + self.validation_share > 0.95:
            raise SettingError(
                f"Test and validation take {self.test_share + self.validation_share:.0%} of the rows",
                remedy="Make test_share and validation_share at most 0.95 together",
            )


class Exam(Enum):
    """How a trained network is examined."""

    SEPARATE = "separate"
    FOLDS = "folds"
    NONE = "none"


def exam_for(rows: int, *, given: bool = False, ordered: bool = False) -> Exam:
    """How ``rows`` examples are examined. A given split, or one by time, is separate however small the table."""
    if rows < SCORED_ROWS and not given:
        return Exam.NONE
    return Exam.SEPARATE if given or ordered or rows >= SEPARATE_EXAM_ROWS else Exam.FOLDS


@dataclass(frozen=True)
class Record:
    """What freezes a split: ``content`` is JSON, ``arrays`` hold sorted uint64 ``units`` and their uint8 ``parts``."""

    content: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """``parts``: uint8 (n,) of TRAINING, VALIDATION, TEST, or LEFT_OUT; ``notes``: sentences for the report."""

    parts: np.ndarray
    record: Record
    notes: tuple[str, ...] = ()

    def rows(self, part: int) -> np.ndarray:
        """The row numbers of one part, int64, in order."""
        return np.flatnonzero(self.parts == part)


def split(
    keys: np.ndarray,
    *,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    order: np.ndarray | None = None,
    given: np.ndarray | None = None,
    recorded: Record | None = None,
    settings: SplitSettings | None = None,
    frozen_exam_rows: int = FROZEN_EXAM_ROWS,
) -> Split:
    """Divide n rows.

    Parameters
    ----------
    keys: uint64 (n,) of `row_keys`.
    strata: (n,) classes as integers, or a numeric target as floats (cut into quantiles); used below
        ``frozen_exam_rows`` rows, where the split is stratified and must be frozen by its record.
    groups: uint64 (n,) digests; a row's band then comes from its group.
    order: float or integer (n,), larger is later; rows without a time (NaN) count as the earliest.
    given: uint8 (n,) parts as the source says them (see `given_parts`).
    recorded: the record of an earlier split. What it froze stays whatever changed; what is new falls by its band.

    Where groups, a time cut-off or a record put equal inputs (or, with a time cut-off, one group) on two sides, the
    rows on the exam's side stay and the others are LEFT_OUT: no row ever wanders between training and test. A given
    split is respected even then, and the notes count such rows.
    """
    settings = settings or SplitSettings()
    shares = (settings.test_share, settings.validation_share)
    content = dict(recorded.content) if recorded else {}
    if recorded:
        shares = _recorded_shares(content)
    raw = keys
    keys, occurrences = exam_keys(keys, content.get("occurrences"))
    content.update(occurrences=occurrences, test_share=shares[0], validation_share=shares[1])
    notes = [REPEATS_NOTE] if occurrences else []
    units = keys if groups is None else mix(np.asarray(groups, np.uint64))
    arrays: dict[str, np.ndarray] = recorded.arrays if recorded else {}
    if given is not None:
        parts, arrays = _complete(np.asarray(given, np.uint8), units, strata, shares, recorded, frozen_exam_rows)
        return Split(parts, Record(content, arrays), (*notes, *_straddling(parts, raw)))
    if order is not None:
        parts = _by_time(np.asarray(order), shares, content, notes)
    elif recorded or len(keys) >= frozen_exam_rows:
        parts = _bands(units, shares)
        if recorded:
            parts = _recall(parts, units, recorded)
    else:
        parts = _stratified(units, strata, shares)
        arrays = _freeze(units, parts)
    if groups is not None and order is not None:
        parts = _give_way(parts, units)
    parts = _give_way(parts, keys) if groups is not None or order is not None else parts
    left_out = int((parts == LEFT_OUT).sum())
    if left_out:
        notes.append(f"{left_out:,} rows with inputs equal to rows of the exam are left out of training.")
    return Split(parts, Record(content, arrays), tuple(notes))


REPEATS_NOTE = (
    "Most rows have the same inputs as another row, so rows are told apart by counting their occurrences, and equal"
    " inputs may be on both sides of the split."
)


def given_parts(words: Iterable[Any]) -> np.ndarray:
    """uint8 (n,) parts from a source's own words: train, validation (val, dev), test; a blank is training.

    Raises ColumnError, which names the row, for any other word.
    """
    parts = []
    for row, word in enumerate(words):
        part = _WORDS.get("" if word is None else str(word).strip().lower())
        if part is None:
            raise ColumnError(
                f"The split of a row is {word!r}", where=f"row {row + 1}", remedy="Say train, validation or test"
            )
        parts.append(part)
    return np.array(parts, np.uint8)


def folds(
    keys: np.ndarray, count: int, *, strata: np.ndarray | None = None, groups: np.ndarray | None = None
) -> np.ndarray:
    """uint8 (n,) fold numbers below ``count``: stratified, equal inputs (and groups) together, the same in any order.

    Raises UsageError where there are fewer different rows (or groups) than folds.
    """
    keys, _ = exam_keys(keys)
    unit = mix((keys if groups is None else np.asarray(groups, np.uint64)) ^ FOLD_SALT)
    units = _Units(unit, strata)
    if len(units.positions) < count:
        raise UsageError(
            f"{len(units.positions)} different {'rows' if groups is None else 'groups'} cannot make {count} folds",
            remedy="Use fewer folds, more examples, or another group column",
        )
    dealt = np.empty(len(units.order), np.uint8)
    dealt[units.order] = np.arange(len(units.order)) % count
    return dealt[units.of_row]


def fold_parts(
    keys: np.ndarray,
    fold: np.ndarray,
    number: int,
    *,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    validation_share: float = 0.1,
) -> np.ndarray:
    """uint8 (n,) parts where fold ``number`` is the test, and a share of the other rows decides when to stop."""
    keys, _ = exam_keys(keys)
    units = keys if groups is None else mix(np.asarray(groups, np.uint64))
    parts = np.where(fold == number, np.uint8(TEST), np.uint8(TRAINING))
    rest = parts == TRAINING
    parts[rest] = _stratified(units[rest], None if strata is None else strata[rest], (0.0, validation_share))
    return _give_way(parts, keys)


def _bands(units: np.ndarray, shares: tuple[float, float]) -> np.ndarray:
    """Parts by position: the test lies at the bottom, validation at the top, so neither moves if the other grows."""
    test, validation = (np.uint64(min(int(share * 2.0**64), 2**64 - 1)) for share in shares)
    parts = np.zeros(len(units), np.uint8)
    parts[~units < validation] = VALIDATION
    parts[units < test] = TEST
    return parts


class _Units:
    """Rows that must stay together (equal positions), with a stratum each.

    ``of_row`` (n,) is each row's unit, ``positions`` and ``weights`` the units' positions and numbers of rows,
    ``order`` the units by stratum and position. Strata are ordered by their lowest position and a unit of several
    strata belongs to the smallest of them, so nothing depends on the order of the rows.
    """

    def __init__(self, units: np.ndarray, strata: np.ndarray | None) -> None:
        self.positions, self.of_row, self.weights = np.unique(units, return_inverse=True, return_counts=True)
        codes = _codes(strata, len(units))
        stratum = np.full(len(self.positions), np.iinfo(np.int64).max)
        np.minimum.at(stratum, self.of_row, codes)
        lowest = np.full(int(codes.max(initial=0)) + 1, np.iinfo(np.uint64).max, np.uint64)
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


def _stratified(units: np.ndarray, strata: np.ndarray | None, shares: tuple[float, float]) -> np.ndarray:
    """Parts whose shares are met in every stratum, as near to the bands as that allows."""
    if not len(units):
        return np.zeros(0, np.uint8)
    together = _Units(units, strata)
    part = np.zeros(len(together.positions), np.uint8)
    quota = [share * len(units) for share in shares]
    part[_lowest(together, shares[0], np.ones(len(part), bool))] = TEST
    left = part != TEST
    if shares[1] and left.any():
        share = min(1.0, quota[1] / together.weights[left].sum())
        part[_lowest(together, share, left, highest=True)] = VALIDATION
    return part[together.of_row]


def _lowest(together: _Units, share: float, allowed: np.ndarray, *, highest: bool = False) -> np.ndarray:
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


def _freeze(units: np.ndarray, parts: np.ndarray) -> dict[str, np.ndarray]:
    known, first = np.unique(units, return_index=True)
    return {"units": known, "parts": parts[first]}


def _recall(parts: np.ndarray, units: np.ndarray, recorded: Record) -> np.ndarray:
    """``parts``, but what the record knows keeps its part."""
    known, frozen = recorded.arrays.get("units"), recorded.arrays.get("parts")
    if known is None or frozen is None or not len(known):
        return parts
    place = np.minimum(np.searchsorted(known, units), len(known) - 1)
    return np.where(known[place] == units, frozen[place], parts).astype(np.uint8)


def _recorded_shares(content: Mapping[str, Any]) -> tuple[float, float]:
    try:
        return float(content["test_share"]), float(content["validation_share"])
    except (KeyError, TypeError, ValueError):
        raise ModelError("The record of the split cannot be read", remedy="Train again") from None


def _complete(
    parts: np.ndarray,
    units: np.ndarray,
    strata: np.ndarray | None,
    shares: tuple[float, float],
    recorded: Record | None,
    frozen_exam_rows: int,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A given split with what it lacks (a test, a validation) taken out of its training rows; and what to freeze."""
    test, validation = ((parts == part).any() for part in (TEST, VALIDATION))
    lacking = (0.0 if test else shares[0], 0.0 if validation else shares[1])
    rows = np.flatnonzero(parts == TRAINING)
    if not any(lacking) or not len(rows):
        return parts, {}
    mine = units[rows]
    parts = parts.copy()
    if recorded or len(rows) >= frozen_exam_rows:
        banded = _bands(mine, lacking)
        parts[rows] = _recall(banded, mine, recorded) if recorded else banded
        return parts, recorded.arrays if recorded else {}
    parts[rows] = _stratified(mine, None if strata is None else strata[rows], lacking)
    return parts, _freeze(mine, parts[rows])


def _give_way(parts: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Among rows of equal units, those on the exam's side stay (test before validation before training)."""
    if len(parts) == 0 or parts.min() == parts.max():
        return parts
    ranks = np.where(parts == LEFT_OUT, np.uint8(0), parts)
    return np.where(outranked(ranks, units), np.uint8(LEFT_OUT), parts)


def _straddling(parts: np.ndarray, keys: np.ndarray) -> list[str]:
    count = int((_give_way(parts, keys) == LEFT_OUT).sum())
    if not count:
        return []
    note = (
        f"The split was given, and {count:,} rows of its training or validation have the same inputs as rows of the"
        " part that examines them: the score may be too good."
    )
    return [note]


def _by_time(order: np.ndarray, shares: tuple[float, float], content: dict[str, Any], notes: list[str]) -> np.ndarray:
    """Parts by time; the cut-offs are read from ``content``, or chosen and entered there."""
    if order.dtype.kind not in "iuf":
        raise TypeError("the order must be numbers")
    missing = np.isnan(order) if order.dtype.kind == "f" else np.zeros(len(order), bool)
    if missing.any():
        notes.append(f"{int(missing.sum()):,} rows have no time and count as the earliest.")
    if "test_from" not in content:
        known = order[~missing]
        test_from = _cut_off(known, shares[0], int(missing.sum()))
        earlier = known if test_from is None else known[known < test_from]
        share = min(1.0, shares[1] * len(order) / max(1, len(earlier)))
        content.update(test_from=test_from, validation_from=_cut_off(earlier, share, int(missing.sum())))
    parts = np.zeros(len(order), np.uint8)
    for part, name in ((VALIDATION, "validation_from"), (TEST, "test_from")):
        if content.get(name) is not None:
            parts[~missing & (order >= content[name])] = part
    notes.append("The exam is the latest rows; its cut-off is frozen, and rows of one moment are on one side.")
    return parts


def _cut_off(order: np.ndarray, share: float, earliest: int) -> int | float | None:
    """The moment from which on the rows are nearest to ``share``; ``earliest`` more rows lie before all others."""
    if share <= 0 or not len(order):
        return None
    moments, counts = np.unique(order, return_counts=True)
    later = counts[::-1].cumsum()[::-1]
    candidates = later if earliest else later[1:]
    if not len(candidates):
        raise ColumnError(
            "All rows have the same time, so there is no latest part to examine",
            remedy="Name another column with --time-order, or leave it out",
        )
    place = int(np.argmin(np.abs(candidates - share * (len(order) + earliest))))
    return moments[place if earliest else place + 1].item()
