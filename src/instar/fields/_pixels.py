"""Arrays of pictures: their size, their layout, and any numbers as bytes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

# Where no size is set. Small enough that a network learns on two cores, large enough for what a photo shows.
LARGEST_SIDE = 96
# Pictures whose proportions differ by less than this factor keep them; else all become squares.
SAME_PROPORTIONS = 1.15
# How far values may lie beyond their scale, in its own lengths, and still be of it: resizing overshoots, and where the
# scale was taken from a sample, other pictures may be far brighter.
ROOM_OF_A_KNOWN_SCALE, ROOM_OF_A_SAMPLE = 0.5, 4.0


def fitting_extent(sizes: list[tuple[int, int]], longest: int | None) -> tuple[int, int]:
    """Height and width that suit pictures of these (width, height).

    Equal and small ones stay as they are. Others get the median of the longer sides, `LARGEST_SIDE` at most, or the
    side that is set; where their proportions differ they become squares.
    """
    widths, heights = np.array(sizes, np.float64).T
    longer = np.maximum(widths, heights)
    equal = len(set(sizes)) == 1
    if longest is None and equal and longer[0] <= LARGEST_SIDE:
        return int(heights[0]), int(widths[0])
    ratios = np.log(widths / heights)
    low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
    ratio = float(np.exp(middle)) if high - low <= np.log(SAME_PROPORTIONS) else 1.0
    side = longest or min(LARGEST_SIDE, _rounded(float(np.median(longer))))
    shorter = side if ratio == 1 else min(side, _rounded(side * min(ratio, 1 / ratio)))
    return (shorter, side) if ratio >= 1 else (side, shorter)


def _rounded(side: float) -> int:
    """To a multiple of 8, which networks halve three times without a rest; small sides to a whole number."""
    return max(1, round(side)) if side < 32 else 8 * round(side / 8)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A uint8 picture (any height, any width, channels) at another size."""
    if picture.shape[:2] == (height, width):
        return picture
    planes = [Image.fromarray(plane) for plane in np.moveaxis(picture, -1, 0)]
    return np.stack([np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR)) for plane in planes], axis=-1)


def as_png(picture: np.ndarray) -> bytes:
    """A PNG file of a uint8 picture (height, width, channels)."""
    shown = picture if picture.shape[-1] in (3, 4) else picture[:, :, 0]
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(shown)).save(stream, "PNG")
    return stream.getvalue()


def channels_last(pictures: np.ndarray) -> np.ndarray:
    """(n, height, width, channels) of these, of (n, height, width), or of (n, channels, height, width)."""
    if pictures.ndim == 3:
        return pictures[:, :, :, None]
    if pictures.ndim == 4 and pictures.shape[3] > 4 and pictures.shape[1] <= 4:
        return np.moveaxis(pictures, 1, 3)
    return pictures


def levels_of(pictures: np.ndarray) -> tuple[list[float] | None, bool]:
    """The values that become 0 and 255, or None where bytes stay as they are; and whether they are fractions of white,
    so that bytes mean the same."""
    if pictures.dtype in (np.uint8, bool):
        return None, False
    known = pictures[np.isfinite(pictures)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    # Fractions mean 1 as white even where nothing is; bytes in another type mean 255.
    low = min(low, 0.0)
    fractions = low == 0.0 and high <= 1.0 and pictures.dtype.kind == "f"
    if low == 0.0:
        high = 1.0 if fractions else 255.0 if 128 <= high <= 255 else high
    return [low, high if high > low else low + 1.0], fractions


def expected_levels(dtype: np.dtype, levels: list[float] | None, fractions: bool) -> tuple[float, float] | None:
    """The values that become 0 and 255 where pictures come as ``dtype``, or None where all that it holds is right.

    Bytes and fractions have ranges of their own, so one is read where the other was learned from. What else differs
    from the ``levels`` is not guessed at: `astray` finds it.
    """
    if dtype.kind == "b" or (dtype == np.uint8 and (levels is None or fractions)):
        return None
    if levels is None:
        return 0.0, 1.0 if dtype.kind == "f" else 255.0
    return levels[0], levels[1]


def astray(pictures: np.ndarray, levels: list[float] | None, fractions: bool) -> dict[int, str]:
    """The rows whose values cannot be in the unit that is expected, each with the reason.

    Nothing learned from fractions can be said of values from 0 to 255: clipped to white, they would get an answer.
    """
    expected = expected_levels(pictures.dtype, levels, fractions)
    if expected is None or not len(pictures):
        return {}
    low, high = expected
    scale_is_known = low == 0.0 and high in (1.0, 255.0)
    room = (ROOM_OF_A_KNOWN_SCALE if scale_is_known else ROOM_OF_A_SAMPLE) * (high - low)
    least, most = pictures.min(axis=(1, 2, 3)), pictures.max(axis=(1, 2, 3))
    # Not the negation: what is no number at all is another problem.
    rows = np.flatnonzero((least < low - room) | (most > high + room))
    return {
        int(row): f"the picture has values from {least[row]:g} to {most[row]:g}, and {low:g} to {high:g} are expected"
        for row in rows
    }


def as_bytes(pictures: np.ndarray, levels: list[float] | None, fractions: bool) -> np.ndarray:
    """uint8 of the same shape, what lies beyond the levels clipped."""
    if pictures.dtype == bool:
        return pictures.astype(np.uint8) * np.uint8(255)
    expected = expected_levels(pictures.dtype, levels, fractions)
    if expected is None:
        return pictures
    low, high = expected
    scaled = (pictures.astype(np.float32) - low) * (255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
