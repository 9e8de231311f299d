"""Scans of any size and spacing as grids of one: what size suits them, resampling, and slices as pictures."""

from __future__ import annotations

import numpy as np

from instar.fields._pixels import resize
from instar.fields._scan import LARGEST_VALUE, Layout, Scan, ScanError

# Where no size is set. Small enough that a network learns from hundreds of scans on two cores within minutes.
LONGEST_SIDE = 48
# Networks halve each side three times: thin scans get a margin, where they are not all this small.
LEAST_SIDE = 8
# A few scans that are far larger than the others do not decide the size of all.
LARGE_QUANTILE, FAR_LARGER = 0.95, 1.5
# Spacings that differ by less are equal: headers round them.
SAME_SPACING = 1e-3
# Stored values that are taken as floating numbers at a time.
_BLOCK = 1 << 22
# Pixels of the longest side of a slice that is shown, and between slices.
_SHOWN_SIDE, _GAP = 128, 4

Triple = tuple[int, int, int]


def fitting(
    layouts: list[Layout], side: int | None, spacing: tuple[float, ...], *, measured: bool
) -> tuple[Triple, tuple[float, float, float]]:
    """The extent and the spacing in millimeters, along (depth, height, width), that suit scans with these layouts.

    It holds nearly all scans as they are large in space. The spacing is the scans' own median along each axis, and so
    much coarser where the longest side would have more than ``side`` voxels, that coarse axes keep theirs; or the
    ``spacing`` that is named. What is not ``measured`` in space is stretched to the extent, edge to edge, as pictures
    are.
    """
    own = np.array([each.spacing for each in layouts])
    sizes = own * np.array([each.extent for each in layouts])
    large, largest = np.quantile(sizes, LARGE_QUANTILE, axis=0, method="higher"), sizes.max(axis=0)
    wanted = np.where(largest <= FAR_LARGER * large, largest, large)
    if spacing:
        target = np.broadcast_to(np.array(spacing, np.float64), 3)
    else:
        target = np.median(own, axis=0)
        coarser = wanted / (side or LONGEST_SIDE)
        target = np.maximum(target, np.where(coarser > target, coarser, 0).max())
    extent = np.maximum(1, np.ceil(wanted / target - SAME_SPACING))
    if side is not None:
        extent = np.minimum(extent, side)
    if extent.max() >= LEAST_SIDE:
        extent = np.maximum(extent, LEAST_SIDE)
    if not measured and not spacing:
        target = wanted / extent
    depth, height, width = (int(each) for each in extent)
    first, second, third = (float(each) for each in target)
    return (depth, height, width), (first, second, third)


def resampled(scan: Scan, extent: Triple, spacing: tuple[float, float, float]) -> np.ndarray:
    """float32 (channels, *extent): the scan at another spacing, its middle in the middle. Raises ScanError.

    Along each axis voxels are weighted by a triangle as wide as the coarser of both spacings: that is trilinear
    interpolation where voxels get smaller, and leaves no aliases where they get larger. What lies outside of the scan,
    and voxels without a number, get the median of what lies at its surface.
    """
    layout = scan.layout
    weights = [_weights(*each) for each in zip(layout.extent, layout.spacing, extent, spacing, strict=True)]
    deep, high, wide = (each.max(axis=1) > 0 for each in weights)
    inside = deep[:, None, None] & high[:, None] & wide
    result = np.empty((layout.channels, *extent), np.float32)
    for channel in range(layout.channels):
        surface = _surface(scan, channel)
        grid = np.matmul(weights[1], _along_depth(scan, channel, weights[0], surface))
        result[channel] = np.where(inside, np.matmul(grid, weights[2].T), surface)
    return result


def _weights(size: int, spacing: float, wanted: int, target: float) -> np.ndarray:
    """float32 (wanted, size): what each voxel takes from those of the scan along an axis; outside of it nothing."""
    ratio = target / spacing
    if abs(ratio - 1) < SAME_SPACING:  # by whole voxels, so that nothing is blurred
        return np.eye(wanted, size, int((size - wanted) / 2), dtype=np.float32)
    places = (np.arange(wanted) - (wanted - 1) / 2) * ratio + (size - 1) / 2
    weights = np.clip(1 - np.abs(places[:, None] - np.arange(size)) / max(1.0, ratio), 0, None)
    inside = (places >= -0.5) & (places <= size - 0.5)
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1) * inside[:, None]).astype(np.float32)


def _along_depth(scan: Scan, channel: int, weights: np.ndarray, surface: np.float32) -> np.ndarray:
    """float32 (wanted, height, width), ``surface`` where there is no number; for memory a block of planes at a time."""
    depth, height, width = scan.layout.extent
    grid = np.zeros((len(weights), height * width), np.float32)
    step = max(1, _BLOCK // (height * width))
    for start in range(0, depth, step):
        values = scan.channel(channel, slice(start, start + step))
        _complete(values, surface)
        grid += weights[:, start : start + step] @ values.reshape(len(values), -1)
    return grid.reshape(len(weights), height, width)


def _complete(values: np.ndarray, surface: np.float32) -> None:
    """Voxels without a number become what lies outside. Raises ScanError for numbers that are none to use."""
    largest = max(float(np.nanmax(values, initial=0.0)), -float(np.nanmin(values, initial=0.0)))
    if not largest <= LARGEST_VALUE:
        raise ScanError("has voxels that are infinite, or beyond all bounds")
    np.nan_to_num(values, copy=False, nan=float(surface))


def _surface(scan: Scan, channel: int) -> np.float32:
    """The median of the voxels at the scan's six faces that have a number; where none has, of all."""
    depth = scan.layout.extent[0]
    faces = [scan.channel(channel, slice(place, place + 1)).ravel() for place in (0, depth - 1)]
    for view in (
        scan.stored[:, :, :: max(1, scan.layout.extent[1] - 1)],
        scan.stored[..., :: max(1, scan.layout.extent[2] - 1)],
    ):
        faces.append(Scan(scan.layout, view, scan.slope, scan.intercept).channel(channel, slice(None)).ravel())
    known = np.concatenate(faces)
    known = known[np.isfinite(known)]
    if not len(known):
        whole = scan.channel(channel, slice(None))
        known = whole[np.isfinite(whole)]
    if not len(known):
        raise ScanError("has no voxel with a number")
    return np.float32(np.median(known))


def middle_slices(volume: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """uint8 (height, width, 1): the middle slices of (depth, height, width) in one picture, in true proportions.

    Seen from the front and from the right above, the head at the top, and from above below, the front at the top; left
    is left.
    """
    depth, height, width = (size // 2 for size in volume.shape)
    low, high = float(volume.min()), float(volume.max())
    gray = ((volume - low) * (255 / max(high - low, 1e-30))).astype(np.uint8)
    tall, long, wide = (size * step for size, step in zip(volume.shape, spacing, strict=True))
    scale = _SHOWN_SIDE / max(tall, long, wide)
    rows, columns, turned = (max(1, round(scale * size)) for size in (tall, wide, long))
    front, side, above = (
        resize(np.ascontiguousarray(plane)[..., None], *size)
        for plane, size in (
            (gray[::-1, height], (rows, columns)),
            (gray[::-1, :, width], (rows, turned)),
            (gray[depth, ::-1], (turned, columns)),
        )
    )
    picture = np.zeros((rows + _GAP + turned, columns + _GAP + turned, 1), np.uint8)
    picture[:rows, :columns], picture[:rows, columns + _GAP :], picture[rows + _GAP :, :columns] = front, side, above
    return picture
