"""Folds: every row is examined once, by a network that never saw it."""

from __future__ import annotations

import numpy as np

from instar.errors import UsageError
from instar.fields.digest import mix
from instar.keys import exam_keys
from instar.parts import TEST, TRAINING
from instar.split.bands import give_way
from instar.split.strata import Units, stratified, whole_groups

# Mixed in ahead of a fold's position, so that folds do not follow the bands.
FOLD_SALT = np.uint64(0x5F3759DF9E3779B9)


def folds(
    keys: np.ndarray, count: int, *, strata: np.ndarray | None = None, groups: np.ndarray | None = None
) -> np.ndarray:
    """uint8 (n,) fold numbers below ``count``: stratified, equal inputs (and groups) together, the same in any order.

    Raises UsageError where there are fewer different rows (or groups) than folds.
    """
    keys, _ = exam_keys(keys)
    unit = mix((keys if groups is None else np.asarray(groups, np.uint64)) ^ FOLD_SALT)
    units = Units(unit, strata)
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
    assign = stratified if groups is None else whole_groups
    parts[rest] = assign(units[rest], None if strata is None else strata[rest], (0.0, validation_share))
    return give_way(parts, keys)
