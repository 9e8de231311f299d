"""Parts by a key's position alone, and what happens where equal inputs meet on two sides."""

from __future__ import annotations

import numpy as np

from instar.keys import outranked
from instar.parts import LEFT_OUT, TEST, VALIDATION


def bands(units: np.ndarray, shares: tuple[float, float]) -> np.ndarray:
    """Parts by position: the test lies at the bottom, validation at the top, so neither moves if the other grows."""
    test, validation = (np.uint64(min(int(share * 2.0**64), 2**64 - 1)) for share in shares)
    parts = np.zeros(len(units), np.uint8)
    parts[~units < validation] = VALIDATION
    parts[units < test] = TEST
    return parts


def give_way(parts: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Among rows of equal units, those on the exam's side stay (test before validation before training)."""
    if len(parts) == 0 or parts.min() == parts.max():
        return parts
    ranks = np.where(parts == LEFT_OUT, np.uint8(0), parts)
    return np.where(outranked(ranks, units), np.uint8(LEFT_OUT), parts)
