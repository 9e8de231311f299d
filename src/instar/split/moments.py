"""The split by time: the latest rows are the exam, and the moment from which on they are is frozen."""

from __future__ import annotations

from typing import Any

import numpy as np

from instar.errors import ColumnError
from instar.parts import TEST, VALIDATION
from instar.split.record import unreadable
from instar.words import counted


def by_time(order: np.ndarray, shares: tuple[float, float], content: dict[str, Any], notes: list[str]) -> np.ndarray:
    """uint8 (n,) parts by time; the cut-offs are read from ``content``, or chosen and entered there."""
    if order.dtype.kind not in "iuf":
        raise TypeError("the order must be numbers")
    missing = np.isnan(order) if order.dtype.kind == "f" else np.zeros(len(order), bool)
    if missing.any():
        notes.append(f"Without a time, and so counted as the earliest: {counted(int(missing.sum()))}.")
    if "test_from" not in content:
        known = order[~missing]
        test_from = _cut_off(known, shares[0], int(missing.sum()))
        earlier = known if test_from is None else known[known < test_from]
        share = min(1.0, shares[1] * len(order) / max(1, len(earlier)))
        content.update(test_from=test_from, validation_from=_cut_off(earlier, share, int(missing.sum())))
    parts = np.zeros(len(order), np.uint8)
    for part, name in ((VALIDATION, "validation_from"), (TEST, "test_from")):
        moment = content.get(name)
        if moment is not None and not isinstance(moment, int | float):
            raise unreadable()
        if moment is not None:
            parts[~missing & (order >= moment)] = part
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
