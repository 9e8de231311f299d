"""Scans of any size and spacing as grids of one; and what was made of such grids as large as the scans again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from instar.fields._scan import LARGEST_VALUE, Layout, Scan, ScanError
from instar.shapes import MOST_MASK_CLASSES

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
# What stands for the class of a voxel that lies outside of a mask.
OUTSIDE = np.iinfo(np.int32).min

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]


def fitting(
    layouts: list[Layout], side: int | None, spacing: tuple[float, ...], *, measured: bool
) -> tuple[Triple, Spacing]:
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


def resampled(scan: Scan, extent: Triple, spacing: Spacing) -> np.ndarray:
    """float32 (channels, *extent): the scan at another spacing, its middle in the middle. Raises ScanError.

    Along each axis voxels are weighted by a triangle as wide as the coarser of both spacings: that is trilinear
    interpolation where voxels get smaller, and leaves no aliases where they get larger. What lies outside of the scan,
    and voxels without a number, get the median of what lies at its surface. The same, with the scan's own extent and
    spacing, brings back what was made of the result.
    """
    layout = scan.layout
    axes = list(zip(layout.extent, layout.spacing, extent, spacing, strict=True))
    weights = [_weights(*each) for each in axes]
    if all(_is_same(step, other) for _, step, _, other in axes):
        return _placed(scan, weights, extent)
    deep, high, wide = (each.max(axis=1) > 0 for each in weights)
    inside = deep[:, None, None] & high[:, None] & wide
    result = np.empty((layout.channels, *extent), np.float32)
    for channel in range(layout.channels):
        surface = _surface(scan, channel)

        planes = partial(_completed, scan, channel, surface)
        grid = np.matmul(weights[1], _along_depth(planes, layout.extent, weights[0]))
        result[channel] = np.where(inside, np.matmul(grid, weights[2].T), surface)
    return result


def _placed(scan: Scan, weights: list[np.ndarray], extent: Triple) -> np.ndarray:
    """As `resampled`, many times as fast, where every voxel is one that there was."""
    own, its = zip(*map(_matching, weights), strict=True)
    result = np.empty((scan.layout.channels, *extent), np.float32)
    step = max(1, _BLOCK // (scan.layout.extent[1] * scan.layout.extent[2]))
    for channel, grid in enumerate(result):
        grid[...] = surface = _surface(scan, channel)
        for start in range(0, len(own[0]), step):
            first, last = its[0][start], its[0][start : start + step][-1]
            planes = _completed(scan, channel, surface, slice(first, last + 1))
            grid[np.ix_(own[0][start : start + step], *own[1:])] = planes[:, its[1][:, None], its[2]]
    return result


def classes_of(scan: Scan) -> np.ndarray:
    """int32 (depth, height, width): the classes that a mask's voxels are of. Raises ScanError for what holds none."""
    layout, stored = scan.layout, scan.stored[0]
    if layout.channels != 1:
        raise ScanError(f"has {layout.channels} numbers in a voxel, and a mask has one: its class")
    known = np.unique(stored) * scan.slope + scan.intercept
    odd = known[~np.isfinite(known) | (known != np.rint(known))]
    if len(odd):
        raise ScanError(f"has voxels such as {odd[0]:g}, and classes are whole numbers")
    if known[0] <= OUTSIDE or known[-1] > np.iinfo(np.int32).max:
        raise ScanError("has whole numbers beyond what 32 bits hold: number the classes from 0 on")
    if len(known) > MOST_MASK_CLASSES:
        raise ScanError(f"has {len(known):,} different values, more than the {MOST_MASK_CLASSES} classes of a mask")
    if (scan.slope, scan.intercept) == (1.0, 0.0):
        return stored.astype(np.int32)
    return np.rint(stored * scan.slope + scan.intercept).astype(np.int32)


def most_around(
    classes: np.ndarray, spacing: Spacing, extent: Triple, target: Spacing, outside: int | None
) -> np.ndarray:
    """Classes (depth, height, width) placed as `resampled` would, at each voxel the one that most around it is.

    ``outside`` is what there is beyond them; None: what most of their surface is. They keep their type.
    """
    axes = list(zip(classes.shape, spacing, extent, target, strict=True))
    weights = [_weights(*each) for each in axes]
    found, counts = np.unique(np.concatenate([face.ravel() for face in _faces(classes)]), return_counts=True)
    answer = np.full(extent, found[counts.argmax()] if outside is None else outside, classes.dtype)
    if all(_is_same(step, other) for _, step, _, other in axes):  # then every voxel is one that there was
        own, its = (np.ix_(*places) for places in zip(*map(_matching, weights), strict=True))
        answer[own] = classes[its]
        return answer
    step = max(1, _BLOCK // (extent[1] * extent[2]))
    for start in range(0, extent[0], step):
        planes = slice(start, start + step)
        most = np.zeros(answer[planes].shape, np.float32)
        for each in np.unique(classes):
            here = _along_depth(partial(_is_of, classes, each), classes.shape, weights[0][planes])
            share = np.matmul(np.matmul(weights[1], here), weights[2].T)
            better = share > most
            answer[planes][better], most[better] = each, share[better]
    return answer


def _is_of(classes: np.ndarray, each: int, planes: slice) -> np.ndarray:
    return np.asarray(classes[planes] == each)


def _faces(cells: np.ndarray) -> list[np.ndarray]:
    """The six faces of what has three axes."""
    return [cells.take(place, axis) for axis in range(3) for place in (0, -1)]


def _matching(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which wanted voxels are one of the scan's, and which of them each is."""
    own = np.flatnonzero(weights.any(axis=1))
    return own, weights[own].argmax(axis=1)


def _is_same(spacing: float, target: float) -> bool:
    return abs(target / spacing - 1) < SAME_SPACING


def _weights(size: int, spacing: float, wanted: int, target: float) -> np.ndarray:
    """float32 (wanted, size): what each voxel takes from those of the scan along an axis; outside of it nothing."""
    if _is_same(spacing, target):  # by whole voxels, so that nothing is blurred
        return np.eye(wanted, size, int((size - wanted) / 2), dtype=np.float32)
    ratio = target / spacing
    places = (np.arange(wanted) - (wanted - 1) / 2) * ratio + (size - 1) / 2
    weights = np.clip(1 - np.abs(places[:, None] - np.arange(size)) / max(1.0, ratio), 0, None)
    inside = (places >= -0.5) & (places <= size - 0.5)
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1) * inside[:, None]).astype(np.float32)


def _along_depth(planes_of: Callable[[slice], np.ndarray], extent: tuple[int, ...], weights: np.ndarray) -> np.ndarray:
    """float32 (wanted, height, width), of planes (depth, height, width); for memory a block of them at a time."""
    depth, height, width = extent
    grid = np.zeros((len(weights), height * width), np.float32)
    step = max(1, _BLOCK // (height * width))
    for start in range(0, depth, step):
        values = planes_of(slice(start, start + step)).astype(np.float32, copy=False)
        grid += weights[:, start : start + step] @ values.reshape(len(values), -1)
    return grid.reshape(len(weights), height, width)


def _completed(scan: Scan, channel: int, surface: np.float32, planes: slice) -> np.ndarray:
    """Voxels without a number become what lies outside. Raises ScanError for numbers that are none to use."""
    values = scan.channel(channel, planes)
    largest = max(float(np.nanmax(values, initial=0.0)), -float(np.nanmin(values, initial=0.0)))
    if not largest <= LARGEST_VALUE:
        raise ScanError("has voxels that are infinite, or beyond all bounds")
    return np.nan_to_num(values, copy=False, nan=float(surface))


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
