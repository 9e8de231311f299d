"""Which rows of a store are learned from and which examine: the split, put to a store's columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from instar.errors import ColumnError, DataError
from instar.recognition import Roles
from instar.split import (
    TEST,
    TRAINING,
    VALIDATION,
    Exam,
    Record,
    SplitSettings,
    exam_for,
    fold_parts,
    folds,
    given_parts,
    row_keys,
    split,
)
from instar.store import Store, StoredColumn


@dataclass(frozen=True)
class Division:
    """The rows that can be used (int64, sorted), how they are examined, and, for a separate exam, their parts.

    ``parts`` is uint8 (rows,); ``keys`` uint64 (rows,); ``strata`` and ``groups`` as `instar.split` takes them;
    ``notes`` are sentences for the report.
    """

    rows: np.ndarray
    keys: np.ndarray
    strata: np.ndarray
    groups: np.ndarray | None
    exam: Exam
    parts: np.ndarray
    record: Record | None
    notes: tuple[str, ...]
    settings: SplitSettings

    @property
    def order_digest(self) -> str:
        """Changes with the rows that are used and the order in which they stand."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.rows, self.keys, self.strata):
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()

    def part(self, part: int) -> np.ndarray:
        """Row numbers of the store, int64, in order."""
        return self.rows[self.parts == part]

    def folds(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Training, validation and examined rows of each fold."""
        fold = folds(self.keys, self.settings.folds, strata=self.strata, groups=self.groups)
        for number in range(self.settings.folds):
            parts = fold_parts(
                self.keys,
                fold,
                number,
                strata=self.strata,
                groups=self.groups,
                validation_share=self.settings.validation_share / (1 - 1 / self.settings.folds),
            )
            yield tuple(self.rows[parts == part] for part in (TRAINING, VALIDATION, TEST))


def divide(
    store: Store,
    inputs: tuple[str, ...],
    roles: Roles,
    settings: SplitSettings,
    *,
    place: str,
    recorded: Record | None = None,
) -> Division:
    """Leave out what cannot be used, and split the rest, as it was ``recorded`` where it was split before.

    Raises DataError where nothing is left, ColumnError where a column cannot serve its role.
    """
    rows, notes = usable_rows(store, inputs, roles.targets)
    if not len(rows):
        raise DataError(
            f"No row has both an answer ({', '.join(roles.targets)}) and something to learn from",
            where=place,
            remedy="Look at the columns with an editor, or name another --target",
        )
    keys = row_keys({name: store.column(name).digests[rows] for name in inputs})
    strata = _strata(store.column(roles.targets[0]), rows)
    groups = None if roles.group is None else store.column(roles.group).digests[rows]
    order = None if roles.time_order is None else _order(store.column(roles.time_order), rows, place)
    given = None if roles.given_split is None else _given(store.column(roles.given_split), rows)
    exam = exam_for(len(rows), given=given is not None, ordered=order is not None)
    if settings.test_share == 0 and given is None:
        exam = Exam.NONE
    parts, record = np.full(len(rows), TRAINING, np.uint8), None
    if exam is not Exam.FOLDS:
        if exam is Exam.NONE:
            settings = replace(settings, test_share=0.0)
        divided = split(
            keys, strata=strata, groups=groups, order=order, given=given, recorded=recorded, settings=settings
        )
        parts, record, notes = divided.parts, divided.record, (*notes, *divided.notes)
    return Division(rows, keys, strata, groups, exam, parts, record, notes, settings)


def usable_rows(store: Store, inputs: tuple[str, ...], targets: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The rows with at least one answer and one input, and sentences about the others."""
    answered = np.zeros(len(store), bool)
    for name in targets:
        answered |= store.column(name).present
    known = np.zeros(len(store), bool)
    for name in inputs:
        known |= store.column(name).present
    notes = []
    if not answered.all():
        notes.append(f"{int((~answered).sum()):,} rows have no answer and are left out.")
    if not known[answered].all():
        notes.append(f"{int((answered & ~known).sum()):,} rows have nothing that can be read and are left out.")
    return np.flatnonzero(answered & known), tuple(notes)


def _strata(target: StoredColumn, rows: np.ndarray) -> np.ndarray:
    """What the split is stratified by: a target's numbers, or the digests of its words."""
    if target.values.dtype.kind != "f":
        return target.digests[rows]
    values = target.values[rows].reshape(len(rows), -1)[:, 0].astype(np.float64)
    return np.where(target.present[rows], values, np.nan)


def _order(column: StoredColumn, rows: np.ndarray, place: str) -> np.ndarray:
    if column.values.dtype.kind != "f" or column.values.ndim != 1:
        raise ColumnError(
            f"The column {column.name!r} was read as {column.kind}, which has no order in time",
            where=place,
            remedy="Name a column of dates or numbers with --time-order, or say its kind with --kind",
        )
    return np.where(column.present[rows], column.values[rows], np.nan)


def _given(column: StoredColumn, rows: np.ndarray) -> np.ndarray:
    values, places = np.unique(column.values[rows], return_inverse=True)
    parts = given_parts(column.texts.get(int(value), "") for value in values)
    return np.where(column.present[rows], parts[places], TRAINING).astype(np.uint8)


__all__ = ["TEST", "TRAINING", "VALIDATION", "Division", "Exam", "divide"]
