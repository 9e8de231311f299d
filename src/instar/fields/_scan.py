"""What a scan is, whatever its file format: voxels whose axes are known, turned one way round."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from instar.fields.base import Frame

MOST_CHANNELS = 16
# Millimeters from one voxel to the next: from single cells to a whole body in one voxel.
LEAST_SPACING, LARGEST_SPACING = 1e-5, 1e4
# Beyond this a voxel is no measurement, and its square no number.
LARGEST_VALUE = 1e15
# Places are compared to this part of a voxel.
SAME_PLACE = 0.5
# NIfTI's numbers for places that the scanner, or whoever wrote a file, decided.
SCANNER, ALIGNED = 1, 2


class ScanError(Exception):
    """A scan that cannot be read; the message is a phrase that goes on from its name."""


@dataclass(frozen=True)
class Layout(Frame):
    """How the voxels of a scan lie, its axes turned as closely as they can be without resampling.

    extent: voxels along depth (from feet to head), height (from back to front) and width (from left to right).
    channels: numbers in a voxel.
    spacing: millimeters from one to the next, along the same axes.
    order, flipped: which of the file's axes each of these is, and whether it runs the other way there.
    affine: (4, 4) from the file's voxels to millimeters to the right, to the front and to the top (RAS), measured from
        what ``space`` says as NIfTI does; None for an array, of which nothing such is known.
    """

    extent: tuple[int, int, int]
    channels: int
    spacing: tuple[float, float, float]
    order: tuple[int, int, int] = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)
    affine: np.ndarray | None = field(default=None, compare=False, repr=False)
    space: int = ALIGNED

    @property
    def voxels(self) -> int:
        return self.channels * int(np.prod(self.extent, dtype=np.int64))

    @property
    def corners(self) -> np.ndarray:
        """float64 (8, 3): where the corners of the space that the scan fills lie, whichever way its axes run."""
        assert self.affine is not None
        ends = np.empty((2, 3))
        for axis, size, flip in zip(self.order, self.extent, self.flipped, strict=True):
            ends[:, axis] = (size - 0.5, -0.5) if flip else (-0.5, size - 0.5)
        places = np.array(
            [[ends[at, axis] for at, axis in zip(which, self.order, strict=True)] for which in np.ndindex(2, 2, 2)]
        )
        of_file = np.empty_like(places)
        of_file[:, list(self.order)] = places
        return np.asarray(of_file @ self.affine[:3, :3].T + self.affine[:3, 3])

    def lies_in(self, other: Layout) -> bool:
        """Whether it fills the same space as another, to half a voxel; how many voxels either has does not matter."""
        if self.affine is None or other.affine is None:
            return True
        return bool((np.abs(self.corners - other.corners) <= SAME_PLACE * max(other.spacing)).all())


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


def laid_out(
    channels: int, shape: tuple[int, int, int], affine: np.ndarray, unit: float = 1.0, space: int = SCANNER
) -> Layout:
    """The layout of voxels with these axes in a file, ``affine`` (4, 4) giving their places to the right, to the front
    and to the top (RAS) in ``unit`` millimeters. Raises ScanError.
    """
    from nibabel.orientations import io_orientation

    places = np.asarray(affine, np.float64) * np.array([[unit], [unit], [unit], [1.0]])
    steps = places[:3, :3]
    spacing = np.sqrt((steps**2).sum(axis=0))
    if not (np.isfinite(spacing).all() and (spacing >= LEAST_SPACING).all() and (spacing <= LARGEST_SPACING).all()):
        sizes = " x ".join(f"{each:g}" for each in spacing)
        raise ScanError(f"has voxels of {sizes} mm, which cannot be: its header is wrong")
    turn = io_orientation(places)
    if not (np.isfinite(turn).all() and np.isfinite(places).all()):
        raise ScanError("has axes that do not span a space: its header is wrong")
    order = [int(np.flatnonzero(turn[:, 0] == axis)[0]) for axis in (2, 1, 0)]
    first, second, third = order
    return Layout(
        (shape[first], shape[second], shape[third]),
        channels,
        (float(spacing[first]), float(spacing[second]), float(spacing[third])),
        (first, second, third),
        (bool(turn[first, 1] < 0), bool(turn[second, 1] < 0), bool(turn[third, 1] < 0)),
        places,
        space,
    )


def plain(channels: int, extent: tuple[int, int, int]) -> Layout:
    """The layout of an array, of whose axes and voxels nothing is known."""
    return Layout(extent, channels, (1.0, 1.0, 1.0))


def upright(channels: int, extent: tuple[int, int, int], spacing: tuple[float, float, float]) -> Layout:
    """The layout of a grid that nobody's scan is: as networks see it, its middle at the origin."""
    steps = np.diag([*spacing[::-1], 1.0])
    steps[:3, 3] = [-step * (size - 1) / 2 for step, size in zip(spacing[::-1], extent[::-1], strict=True)]
    return Layout(extent, channels, spacing, (2, 1, 0), affine=steps)


def turned(stored: np.ndarray, layout: Layout) -> np.ndarray:
    """A view of voxels (channels, *axes of the file) as (channels, depth, height, width)."""
    view = stored.transpose(0, *(1 + axis for axis in layout.order))
    return view[(slice(None), *(slice(None, None, -1 if flip else 1) for flip in layout.flipped))]


def turned_back(values: np.ndarray, layout: Layout) -> np.ndarray:
    """A view of (channels, depth, height, width) as voxels (channels, *axes of the file): what `turned` undoes."""
    view = values[(slice(None), *(slice(None, None, -1 if flip else 1) for flip in layout.flipped))]
    return view.transpose(0, *(1 + layout.order.index(axis) for axis in range(3)))
