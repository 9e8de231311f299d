"""Which rows of a store are learned from and which examine: the split, put to a store's columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from instar.errors import ColumnError, DataError, UsageError
from instar.recognition import Roles
from instar.sources import Source
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
from instar.split.record import unreadable
from instar.store import Store, StoredColumn
from instar.words import counted


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
    source: Source,
    recorded: Record | None = None,
) -> Division:
    """Leave out what cannot be used, and split the rest, as it was ``recorded`` where it was split before.

    ``source`` is what the store was read from; ``roles`` are as `as_recorded` gives them.
    Raises DataError where nothing is left, ColumnError where a column cannot serve its role.
    """
    rows, notes = usable_rows(store, inputs, roles.targets)
    place = source.place
    if not len(rows):
        raise DataError(
            f"No row has both an answer ({', '.join(roles.targets)}) and something to learn from",
            where=place,
            remedy="Look at the columns with an editor, or name another --target",
        )
    told_apart_by = roles.keys or inputs
    keys = row_keys({name: store.column(name).digests[rows] for name in told_apart_by})
    strata = _strata(store.column(roles.targets[0]), rows)
    groups = None if roles.group is None else store.column(roles.group).digests[rows]
    order = None if roles.time_order is None else _order(store.column(roles.time_order), rows, place)
    until = None if roles.until is None else _order(store.column(roles.until), rows, place)
    given = None if roles.given_split is None else _given(store.column(roles.given_split), rows, source)
    if recorded is not None:
        exam = Exam.SEPARATE if examines(recorded) else Exam.NONE
    elif settings.test_share == 0 and given is None:
        exam = Exam.NONE
    else:
        exam = exam_for(len(rows), given=given is not None, ordered=order is not None)
    parts, record = np.full(len(rows), TRAINING, np.uint8), None
    if exam is not Exam.FOLDS:
        if exam is Exam.NONE:
            settings = replace(settings, test_share=0.0)
        divided = split(
            keys,
            strata=strata,
            groups=groups,
            order=order,
            until=until,
            given=given,
            recorded=recorded,
            settings=settings,
        )
        if settings.exam_of is not None:
            notes = (*notes, f"The rows are divided as they were for the model in {settings.exam_of}.")
        parts, notes = divided.parts, (*notes, *divided.notes)
        by = {role: getattr(roles, role) for role in _ROLES}
        record = divided.record.with_content(keys=list(told_apart_by), by=by)
    return Division(rows, keys, strata, groups, exam, parts, record, notes, settings)


# What rows may be divided by, beside their content.
_ROLES = {"group": "--group", "time_order": "--time-order", "given_split": "--split", "until": "--forecast"}


def examines(record: Record) -> bool:
    """Whether the split of ``record`` sets rows apart as an exam."""
    _, by = _columns_of(record)
    return record.shares[0] > 0 or by["given_split"] is not None


def as_recorded(roles: Roles, record: Record, settings: SplitSettings) -> Roles:
    """``roles``, with rows told apart and divided by the columns of an earlier split.

    Raises UsageError where a person asks for something else, ModelError where the record cannot be read.
    """
    keys, by = _columns_of(record)
    for role, flag in _ROLES.items():
        asked, was = getattr(roles, role), by[role]
        if asked is not None and asked != was:
            raise UsageError(
                f"The exam of {settings.exam_of} was {f'divided by {was!r}' if was else f'made without {flag}'},"
                f" and now {asked!r} is to divide the rows",
                remedy=f"Leave out {flag}, or the setting exam_of",
            )
    if settings.exam_of is not None:
        asked_shares = {name: share for name, share in settings.changed().items() if name.endswith("_share")}
        for name, share in asked_shares.items():
            if share != record.content[name]:
                raise UsageError(
                    f"The exam of {settings.exam_of} was made with {name}={record.content[name]}, and not {share}",
                    remedy=f"Leave out {name}, or the setting exam_of",
                )
    return replace(
        roles,
        keys=keys,
        group=by["group"],
        time_order=by["time_order"],
        given_split=by["given_split"],
        until=by["until"],
    )


def _columns_of(record: Record) -> tuple[tuple[str, ...], dict[str, str | None]]:
    """The columns by which a record tells rows apart, and those by role. Raises ModelError."""
    keys, by = record.content.get("keys"), record.content.get("by")
    if not isinstance(keys, list) or not keys or not isinstance(by, dict):
        raise unreadable()
    roles = {role: by.get(role) for role in _ROLES}
    if not all(isinstance(name, str) for name in (*keys, *filter(None, roles.values()))):
        raise unreadable()
    return tuple(keys), roles


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
        notes.append(f"Left out, for want of an answer: {counted(int((~answered).sum()))}.")
    if not known[answered].all():
        notes.append(f"Left out, with nothing that can be read: {counted(int((answered & ~known).sum()))}.")
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


def _given(column: StoredColumn, rows: np.ndarray, source: Source) -> np.ndarray:
    """What the column says of each row. Raises ColumnError, which names the first row where it says another word."""
    present = rows[column.present[rows]]
    values, first, places = np.unique(column.values[present], return_index=True, return_inverse=True)
    earliest = np.argsort(first)
    # A column of numbers has no texts, and its numbers are no words for a part.
    words = [column.texts.get(value, f"{value:g}") for value in values[earliest].tolist()]
    said = np.empty(len(values), np.uint8)
    said[earliest] = given_parts(words, lambda number: source.locate_row(int(present[first[earliest[number]]])))
    parts = np.full(len(column.present), TRAINING, np.uint8)
    parts[present] = said[places]
    return parts[rows]


__all__ = ["TEST", "TRAINING", "VALIDATION", "Division", "Exam", "as_recorded", "divide", "examines"]
