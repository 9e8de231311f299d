"""What a window's own history says of its size, by which it is scaled: each row by itself, with nothing fitted.

Series of a thousand shops differ more in size than in course, and one that grows leaves whatever it was learned in
(reversible instance normalization: Kim, Kim, Tae, Park, Choi & Choo 2022).
"""

from __future__ import annotations

import numpy as np

from instar.fields._steps import interpolated

# Of the largest number of a history: what varies less is constant but for rounding.
LEAST_SPREAD = 1e-9


def filled(history: np.ndarray) -> np.ndarray:
    """(n, channels, steps) without gaps: on the line between their neighbors; NaN where a channel has no number."""
    rows, channels, steps = history.shape
    if not np.isnan(history).any():
        return history
    flat = np.ascontiguousarray(history.transpose(0, 2, 1)).reshape(rows * steps, channels)
    whole = interpolated(flat, np.full(rows, steps, np.int64))
    return whole.reshape(rows, steps, channels).transpose(0, 2, 1)


def scale_of(history: np.ndarray, season: int) -> np.ndarray:
    """Level, spread and seasonal error, (n, channels, 3) float64, of histories (n, channels, steps) with gaps as NaN.

    level: the mean of the last season. spread: the standard deviation, or, where nothing varies, the size of the
    numbers, or 1. seasonal error: the mean absolute error of repeating what was a season ago, by which errors are
    measured (Hyndman & Koehler 2006); 0 where it is not known. A channel without a number has level 0 and spread 1.
    """
    whole = filled(history)
    known = ~np.isnan(whole).any(axis=2)
    whole = np.where(known[:, :, None], whole, 0.0)
    level = whole[:, :, -min(season, whole.shape[2]) :].mean(axis=2)
    size = np.abs(whole).max(axis=2)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = whole.std(axis=2)
    constant = ~(spread > LEAST_SPREAD * size) | ~np.isfinite(spread)
    spread = np.where(constant, np.where(size > 0, size, 1.0), spread)
    change = np.abs(history[:, :, season:] - history[:, :, :-season])
    counted = ~np.isnan(change)
    error = np.where(counted, change, 0.0).sum(axis=2) / np.maximum(counted.sum(axis=2), 1)
    return np.stack([level, spread, error], axis=2)
