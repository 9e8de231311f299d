"""Grids of one extent seen at another: every cell as the one that is nearest to its middle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def nearest_cells(size: int, wanted: int) -> np.ndarray:
    """int64 (wanted,): which of ``size`` cells that fill an axis lies at the middle of each of the wanted ones."""
    return np.minimum(((np.arange(wanted) + 0.5) * size / wanted).astype(np.int64), size - 1)


def at_extent(cells: np.ndarray, extent: Sequence[int]) -> np.ndarray:
    """Cells (..., *any extent) at another extent, which is that of the last axes; none of them is blended."""
    for axis, wanted in enumerate(extent, start=cells.ndim - len(extent)):
        if cells.shape[axis] != wanted:
            cells = cells.take(nearest_cells(cells.shape[axis], wanted), axis)
    return cells
