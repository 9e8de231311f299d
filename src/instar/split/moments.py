"""The split by time: the latest rows are the exam, and the moment from which on they are is frozen."""

from __future__ import annotations

from typing import Any

import numpy as np

from instar.errors import ColumnError
from instar.parts import LEFT_OUT, TEST, TRAINING, VALIDATION
from instar.split.record import unreadable
from instar.split.settings import SCORED_ROWS
from instar.words import counted

# So much of few rows may become the exam, so that it has enough of them for a score.
_MOST_FOR_A_SCORE = 0.3


def by_time(
    order: np.ndarray,
    shares: tuple[float, float],
    content: dict[str, Any],
    notes: list[str],
    until: np.ndarray | None = None,
) -> np.ndarray:
    """uint8 (n,) parts by time; the cut-offs are read from ``content``, or chosen and entered there.

    until: up to when each row goes, (n,), where it tells of more than a moment: of two parts the earlier one keeps no
        row that reaches into the later one.
    """
    if order.dtype.kind not in "iuf":
        raise TypeError("the order must be numbers")
    missing = np.isnan(order) if order.dtype.kind == "f" else np.zeros(len(order), bool)
    if missing.any():
        notes.append(f"Without a time, and so counted as the earliest: {counted(int(missing.sum()))}.")
    if "test_from" not in content:
        known = order[~missing]
        # A fifth of few rows would prove nothing.
        least = min(SCORED_ROWS / max(1, len(order)), _MOST_FOR_A_SCORE) if shares[0] else 0.0
        test_from = _cut_off(known, max(shares[0], least), int(missing.sum()))
        ends = known if until is None else until[~missing]
        # What reaches into the exam decides nothing, so it is no part of the share that does.
        earlier = known if test_from is None else known[(known < test_from) & (ends < test_from)]
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
    if until is not None:
        _purge(parts, until, content, notes)
    return parts


def _purge(parts: np.ndarray, until: np.ndarray, content: dict[str, Any], notes: list[str]) -> None:
    """Leave rows out that reach over a cut-off (Lopez de Prado 2018): they tell of moments that examine them."""
    test, validation = content["test_from"], content.get("validation_from")
    kept = int((parts != LEFT_OUT).sum())
    for part, moments in ((TRAINING, (test, validation)), (VALIDATION, (test,))):
        first = min((moment for moment in moments if moment is not None), default=np.inf)
        parts[(parts == part) & (until >= first)] = LEFT_OUT
    over = kept - int((parts != LEFT_OUT).sum())
    if over:
        notes.append(f"Left out of learning, for reaching over a cut-off in time: {counted(over)}.")


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
