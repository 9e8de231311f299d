"""Divide n rows, once: by what the source says, by time, by bands of keys, or by a recorded, stratified split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from instar.fields.digest import mix
from instar.keys import exam_keys
from instar.parts import LEFT_OUT, NAMES, TEST, TRAINING, VALIDATION
from instar.split.bands import bands, give_way
from instar.split.moments import by_time
from instar.split.record import Record, checked_shares, freeze
from instar.split.settings import SplitSettings
from instar.split.strata import stratified, whole_groups
from instar.words import counted, percent

# From here on the bands alone decide: a test of 20 % misses its share by 0.4 % of the rows at most in 19 of 20
# tables, and classes of one per cent have 20 +- 4.5 test rows. Below, chance would be felt, so the split is stratified.
# Of grouped rows it is the groups that count: three patients may have a million rows.
FROZEN_EXAM_ROWS = 10_000
# A part that misses its share by more than this part of it is worth a sentence.
NOTED_DEVIATION = 0.25

REPEATS_NOTE = (
    "Most rows have the same inputs as another row, so rows are told apart by counting their occurrences, and equal"
    " inputs may be on both sides of the split."
)


@dataclass(frozen=True)
class Split:
    """``parts``: uint8 (n,) of TRAINING, VALIDATION, TEST, or LEFT_OUT; ``notes``: sentences for the report."""

    parts: np.ndarray
    record: Record
    notes: tuple[str, ...] = ()

    def rows(self, part: int) -> np.ndarray:
        """The row numbers of one part, int64, in order."""
        return np.flatnonzero(self.parts == part)


@dataclass(frozen=True)
class _Rows:
    """What decides where rows belong: units that stay together, (n,), and their strata."""

    units: np.ndarray
    strata: np.ndarray | None
    grouped: bool
    recorded: Record | None
    frozen_exam_rows: int

    def divide(self, rows: np.ndarray | slice, shares: tuple[float, float]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Parts of some of the rows, and what of them has to be frozen."""
        units = self.units[rows]
        if self.recorded is not None:
            return self.recorded.recall(bands(units, shares), units), dict(self.recorded.arrays)
        if (len(np.unique(units)) if self.grouped else len(units)) >= self.frozen_exam_rows:
            return bands(units, shares), {}
        strata = None if self.strata is None else self.strata[rows]
        parts = (whole_groups if self.grouped else stratified)(units, strata, shares)
        return parts, freeze(units, parts)


def split(
    keys: np.ndarray,
    *,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    order: np.ndarray | None = None,
    until: np.ndarray | None = None,
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
        ``frozen_exam_rows`` rows (or groups), where the split is stratified and must be frozen by its record.
    groups: uint64 (n,) digests; a row's part is then its group's.
    order: float or integer (n,), larger is later; rows without a time (NaN) count as the earliest.
    until: float (n,), with ``order``: up to when what a row tells of goes. A row that is learned from, or decides when
        to stop, and goes beyond the moment from which others examine it, is LEFT_OUT.
    given: uint8 (n,) parts as the source says them (see `given_parts`).
    recorded: the record of an earlier split. What it froze stays whatever changed; what is new falls by its band.

    Where groups, a time cut-off or a record put equal inputs (or, with a time cut-off, one group) on two sides, the
    rows on the exam's side stay and the others are LEFT_OUT: no row ever wanders between training and test. A given
    split is respected even then, and the notes count such rows. Raises ModelError where the record cannot be read,
    ColumnError where time or groups leave nothing to examine.
    """
    settings = settings or SplitSettings()
    shares = recorded.shares if recorded else (settings.test_share, settings.validation_share)
    content = dict(recorded.content) if recorded else {}
    raw = keys
    keys, occurrences = exam_keys(keys, content.get("occurrences"))
    content.update(occurrences=occurrences, test_share=shares[0], validation_share=shares[1])
    notes = [REPEATS_NOTE] if occurrences else []
    units = keys if groups is None else mix(np.asarray(groups, np.uint64))
    rows = _Rows(units, strata, groups is not None, recorded, frozen_exam_rows)
    if given is not None:
        parts, arrays = _complete(np.asarray(given, np.uint8), rows, shares, content)
        return Split(parts, Record(content, arrays), (*notes, *_straddling(parts, raw), *_misses(parts, shares, None)))
    arrays = {}
    if order is not None:
        parts = by_time(np.asarray(order), shares, content, notes, until)
    else:
        parts, arrays = rows.divide(slice(None), shares)
    if groups is not None and order is not None:
        parts = give_way(parts, units)
    straddling = int((parts == LEFT_OUT).sum())
    parts = give_way(parts, keys) if groups is not None or order is not None else parts
    left_out = int((parts == LEFT_OUT).sum()) - straddling
    if left_out:
        notes.append(f"Left out of training, for the same inputs as rows of the exam: {counted(left_out)}.")
    because = (
        "rows of one moment" if order is not None else "the rows of a group" if groups is not None else "equal inputs"
    )
    return Split(parts, Record(content, arrays), (*notes, *_misses(parts, shares, because)))


def _misses(parts: np.ndarray, shares: tuple[float, float], together: str | None) -> list[str]:
    """Which parts are empty, or far from the ``shares`` that were asked because some rows stay ``together``.

    Of a split that was given only what is empty is said.
    """
    found = []
    rows = int((parts != LEFT_OUT).sum())
    for part, share in ((TEST, shares[0]), (VALIDATION, shares[1])):
        count = int((parts == part).sum())
        if share and not count:
            found.append(f"No row is in the {NAMES[part]} part, for which {percent(share)} were asked.")
        elif together and abs(count - share * rows) > max(1.0, NOTED_DEVIATION * share * rows):
            what = f"The {NAMES[part]} part has {percent(count / rows)} of the rows where {percent(share)} were asked"
            found.append(f"{what}: {together} stay together.")
    return found


def _complete(
    parts: np.ndarray, divided: _Rows, shares: tuple[float, float], content: dict[str, Any]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A given split with what it lacks (a test, a validation) taken out of its training rows; and what to freeze.

    What it lacks is read from ``content``, or found out and entered there: a row of validation that comes later must
    not send rows back to the training.
    """
    if "completed" not in content:
        test, validation = ((parts == part).any() for part in (TEST, VALIDATION))
        content["completed"] = [0.0 if test else shares[0], 0.0 if validation else shares[1]]
    lacking = checked_shares(content["completed"])
    rows = np.flatnonzero(parts == TRAINING)
    if not any(lacking) or not len(rows):
        return parts, {}
    parts = parts.copy()
    parts[rows], arrays = divided.divide(rows, lacking)
    return parts, arrays


def _straddling(parts: np.ndarray, keys: np.ndarray) -> list[str]:
    count = int((give_way(parts, keys) == LEFT_OUT).sum())
    if not count:
        return []
    note = (
        f"The split was given, and in its training or validation {'has' if count == 1 else 'have'} {counted(count)} the"
        " same inputs as rows of the part that examines them: the score may be too good."
    )
    return [note]
