"""The middle slices of a volume in one picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

from instar.fields._voxels import Spacing

# Pixels of the longest side of a slice that is shown, and between slices.
_SHOWN_SIDE, _GAP = 128, 4


def middle_slices(
    volume: np.ndarray, spacing: Spacing, *, low: float | None = None, high: float | None = None
) -> np.ndarray:
    """uint8 (height, width, 1): the middle slices of (depth, height, width) in one picture, in true proportions.

    Seen from the front and from the right above, the head at the top, and from above below, the front at the top; left
    is left. ``low`` is black and ``high`` white, by default the volume's lowest and highest value.
    """
    low = float(volume.min()) if low is None else low
    high = float(volume.max()) if high is None else high
    gray = (np.clip((volume - low) / max(high - low, 1e-30), 0, 1) * 255).astype(np.uint8)
    return arranged(gray[..., None], spacing, Image.Resampling.BILINEAR)


def arranged(
    cells: np.ndarray, spacing: Spacing, resampling: Image.Resampling = Image.Resampling.NEAREST
) -> np.ndarray:
    """uint8 (height, width, channels): as `middle_slices`, of shades (depth, height, width, channels)."""
    depth, height, width = (size // 2 for size in cells.shape[:3])
    tall, long, wide = (size * step for size, step in zip(cells.shape[:3], spacing, strict=True))
    scale = _SHOWN_SIDE / max(tall, long, wide)
    rows, columns, turned = (max(1, round(scale * size)) for size in (tall, wide, long))

    def shown(plane: np.ndarray, height: int, width: int) -> np.ndarray:
        channels = [Image.fromarray(np.ascontiguousarray(each)) for each in np.moveaxis(plane, -1, 0)]
        return np.stack([np.asarray(each.resize((width, height), resampling)) for each in channels], axis=-1)

    picture = np.zeros((rows + _GAP + turned, columns + _GAP + turned, cells.shape[3]), np.uint8)
    picture[:rows, :columns] = shown(cells[::-1, height], rows, columns)
    picture[:rows, columns + _GAP :] = shown(cells[::-1, :, width], rows, turned)
    picture[rows + _GAP :, :columns] = shown(cells[depth, ::-1], turned, columns)
    return picture
