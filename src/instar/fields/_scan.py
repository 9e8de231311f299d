"""What a scan is, whatever its file format: voxels whose axes are known, turned one way round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_CHANNELS = 16
# Millimeters from one voxel to the next: from single cells to a whole body in one voxel.
LEAST_SPACING, LARGEST_SPACING = 1e-5, 1e4
# Beyond this a voxel is no measurement, and its square no number.
LARGEST_VALUE = 1e15


class ScanError(Exception):
    """A scan that cannot be read; the message is a phrase that goes on from its name."""


@dataclass(frozen=True)
class Layout:
    """How the voxels of a scan lie, its axes turned as closely as they can be without resampling.

    channels: numbers in a voxel.
    extent: voxels along depth (from feet to head), height (from back to front) and width (from left to right).
    spacing: millimeters from one to the next, along the same axes.
    order, flipped: which of the file's axes each of these is, and whether it runs the other way there.
    """

    channels: int
    extent: tuple[int, int, int]
    spacing: tuple[float, float, float]
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @property
    def voxels(self) -> int:
        return self.channels * int(np.prod(self.extent, dtype=np.int64))


@dataclass(frozen=True)
class Scan:
    """A scan's voxels (channels, depth, height, width) as they are stored; ``slope * stored + intercept`` was meant."""

    layout: Layout
    stored: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0

    def channel(self, number: int, planes: slice) -> np.ndarray:
        """float32 (planes, height, width), a copy."""
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is found when it is looked at
            values = self.stored[number, planes].astype(np.float32)
            if (self.slope, self.intercept) != (1.0, 0.0):
                values *= np.float32(self.slope)
                values += np.float32(self.intercept)
        return values


def laid_out(channels: int, shape: tuple[int, int, int], affine: np.ndarray, unit: float = 1.0) -> Layout:
    """The layout of voxels with these axes in a file, ``affine`` (4, 4) giving their places to the right, to the front
    and to the top (RAS) in ``unit`` millimeters. Raises ScanError.
    """
    from nibabel.orientations import io_orientation

    steps = np.asarray(affine, np.float64)[:3, :3] * unit
    spacing = np.sqrt((steps**2).sum(axis=0))
    if not (np.isfinite(spacing).all() and (spacing >= LEAST_SPACING).all() and (spacing <= LARGEST_SPACING).all()):
        sizes = " x ".join(f"{each:g}" for each in spacing)
        raise ScanError(f"has voxels of {sizes} mm, which cannot be: its header is wrong")
    turn = io_orientation(np.asarray(affine, np.float64))
    if not np.isfinite(turn).all():
        raise ScanError("has axes that do not span a space: its header is wrong")
    order = [int(np.flatnonzero(turn[:, 0] == axis)[0]) for axis in (2, 1, 0)]
    first, second, third = order
    return Layout(
        channels,
        (shape[first], shape[second], shape[third]),
        (float(spacing[first]), float(spacing[second]), float(spacing[third])),
        (first, second, third),
        (bool(turn[first, 1] < 0), bool(turn[second, 1] < 0), bool(turn[third, 1] < 0)),
    )


def plain(channels: int, extent: tuple[int, int, int]) -> Layout:
    """The layout of an array, of whose axes and voxels nothing is known."""
    return Layout(channels, extent, (1.0, 1.0, 1.0), (0, 1, 2), (False, False, False))


def turned(stored: np.ndarray, layout: Layout) -> np.ndarray:
    """A view of voxels (channels, *axes of the file) as (channels, depth, height, width)."""
    view = stored.transpose(0, *(1 + axis for axis in layout.order))
    return view[(slice(None), *(slice(None, None, -1 if flip else 1) for flip in layout.flipped))]
