"""Intervals for predicted amounts by split-conformal prediction (Vovk et al. 2005; Lei et al. 2018).

The absolute residuals of rows that the network did not learn from say how far off it is. An interval of half the
width of their ceil((n + 1) * coverage)-th smallest holds the truth with at least that probability, whatever the
network and the distribution, as long as new rows come from where those rows came from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# How often the interval holds the truth where nobody asks for another share.
COVERAGE = 0.9
# Order statistics that are kept of any number of rows, so that every coverage up to 99.9 % may be asked later.
KEPT = 1000


def sorted_residuals(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Absolute residuals of n rows, ascending along axis 0: (k,) of truths (n,), (k, width) of (n, width).

    Rows that are not finite are left out. Of more than 1,000 rows, 1,000 evenly spaced order statistics are kept.
    """
    error = np.abs(np.asarray(truth, dtype=np.float64) - np.asarray(prediction, dtype=np.float64))
    error = np.sort(error[np.isfinite(error).reshape(len(error), math.prod(error.shape[1:])).all(axis=1)], axis=0)
    kept = min(len(error), KEPT)
    # Ranks are rounded up: what `half_width` takes from them is never narrower than all rows would give.
    ranks = -(-np.arange(1, kept + 1) * len(error) // max(kept, 1))
    return error[ranks - 1]


def half_width(residuals: np.ndarray, coverage: float) -> Any:
    """Half the width of the interval around a prediction, a number or (width,), from `sorted_residuals`.

    Where there are too few for the coverage the theory asks for an endless interval; this gives the widest residual
    seen, and `shortfall` says so. Without any residual it is NaN.
    """
    if not len(residuals):
        return np.full(residuals.shape[1:], np.nan)[()]
    # Unrounded, (9 + 1) * 0.9 could come out a hair above 9 and ask for one rank too many.
    rank = math.ceil(round((len(residuals) + 1) * coverage, 9))
    return residuals[min(max(rank, 1), len(residuals)) - 1]


def held(truth: np.ndarray, prediction: np.ndarray, residuals: np.ndarray, coverage: float) -> tuple[int, int]:
    """In how many rows with a known truth, (n,) or (n, width), the interval holds it, and how many there are."""
    error = np.abs(np.asarray(truth, dtype=np.float64) - np.asarray(prediction, dtype=np.float64))
    error = error[np.isfinite(error).reshape(len(error), math.prod(error.shape[1:])).all(axis=1)]
    within = (error <= half_width(residuals, coverage)).reshape(len(error), math.prod(error.shape[1:]))
    return int(within.all(axis=1).sum()), len(error)


def shortfall(residuals: np.ndarray, coverage: float) -> str | None:
    """A sentence where the residuals are too few to vouch for the coverage, else None."""
    attainable = len(residuals) / (len(residuals) + 1)
    if coverage <= attainable + 1e-12:
        return None
    return (
        f"{len(residuals):,} examined rows are too few for intervals of {100 * coverage:.0f} % coverage; "
        f"low and high are the widest error seen and cover about {100 * attainable:.0f} %."
    )
