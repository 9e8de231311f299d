"""Columns of scans, as a plan says: files, folders of slices or arrays; what cannot be read is named by row."""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from instar.errors import ColumnError, SourceError
from instar.fields import _dicom, _nifti
from instar.fields._files import Unreadable, on_each, problems_of, spread
from instar.fields._scan import LARGEST_SPACING, MOST_CHANNELS, Layout, Scan, ScanError, plain
from instar.fields._state import expect
from instar.fields._voxels import OUTSIDE, Spacing, Triple, classes_of, fitting, most_around, resampled
from instar.fields.base import Frame, Problem
from instar.fields.digest import MISSING, digest, digest_file, in_threads
from instar.sources import Column, FileColumn, FileReference
from instar.sources.slices import SCANS
from instar.sources.slices import SUFFIXES as SLICES

# Headers looked at for size, spacing and channels.
HEADERS = 128
LARGEST_SIDE = 512
# Numbers of one prepared volume: a quarter of a gigabyte.
LARGEST_GRID = 1 << 26

Results = list[np.ndarray | Unreadable | None]


def looks_like_scan(file: FileReference) -> bool:
    name = PurePath(file.name).name.lower()
    if file.is_folder or name.endswith((*SCANS, *SLICES)):
        return True
    suffix = PurePath(name).suffix
    if suffix and not suffix[1:].isdigit():
        return False
    try:
        with file.open() as stream:
            _nifti.header(stream)
    except (ScanError, SourceError):
        return False
    return True


def volumes(column: Column) -> np.ndarray:
    """(n, channels, depth, height, width) of an array, with or without channels. Raises ColumnError for any other."""
    if not isinstance(column, np.ndarray) or column.ndim not in (4, 5):
        raise ColumnError(
            "Such a column cannot be read as volumes",
            remedy="Give NIfTI files, folders of DICOM slices, or arrays (rows, depth, height, width) or (rows, "
            "channels, depth, height, width)",
        )
    if column.ndim == 4:
        return column[:, None]
    last = column.shape[4] <= 4 < column.shape[1]
    return np.moveaxis(column, 4, 1) if last else column


def layouts(sample: Column) -> list[Layout]:
    """How the voxels of the scans in a column lie. Raises ColumnError."""
    if not isinstance(sample, FileColumn):
        channels, depth, height, width = volumes(sample).shape[1:]
        return [plain(channels, (depth, height, width))]
    _check_packages(sample)
    looks = on_each(spread(sample, HEADERS), lambda _, file: _layout(file), ScanError, "scan")
    found = [each for each in looks if isinstance(each, Layout)]
    if not found:
        raise ColumnError(
            "None of the scans can be read" + "".join(f": {each.reason}" for each in problems_of(looks)[:1]),
            remedy="Check that the files are NIfTI, or the folders hold DICOM slices, and not damaged",
        )
    return found


def channels_of(found: list[Layout]) -> int:
    """How many channels most scans have."""
    return Counter(each.channels for each in found).most_common(1)[0][0]


def surveyed(sample: Column, side: int | None, spacing: tuple[float, ...], maximum_voxels: int) -> dict[str, Any]:
    """The plan by which scans like these are read. Raises ColumnError."""
    found = layouts(sample)
    channels = channels_of(found)
    if channels > MOST_CHANNELS:
        raise ColumnError(
            f"Volumes have {channels:,} numbers in a voxel (a scan over time?), and {MOST_CHANNELS} are the most",
            remedy="Give the mean over time, or a few of its volumes",
        )
    measured = isinstance(sample, FileColumn)
    extent, steps = fitting(found, side, spacing, measured=measured)
    if max(extent) > LARGEST_SIDE or not _has_room(extent, channels):
        raise ColumnError(
            f"Volumes of {' x '.join(map(str, extent))} voxels are too large",
            remedy="Take a coarser spacing (--set volume_spacing=2), or say a size (--set volume_size=128)",
        )
    return {
        "channels": channels,
        "extent": list(extent),
        "spacing": list(steps),
        "measured": measured,
        "own_side": _own_side(found, measured=measured),
        "largest_side": _largest_side(found, channels, measured=measured),
        "maximum_voxels": maximum_voxels,
    }


def _has_room(extent: Triple, channels: int) -> bool:
    return channels * math.prod(extent) <= LARGEST_GRID


def _own_side(found: list[Layout], *, measured: bool) -> int:
    """How many voxels the longest side of most scans has."""
    return max(fitting(found, sys.maxsize, (), measured=measured)[0])


def _largest_side(found: list[Layout], channels: int, *, measured: bool) -> int:
    """The most voxels along their longest side with which such scans can be read, and that say more."""
    sides = range(1, 1 + min(LARGEST_SIDE, _own_side(found, measured=measured)))
    return bisect_left(
        sides, True, key=lambda side: not _has_room(fitting(found, side, (), measured=measured)[0], channels)
    )


def sight_of(plan: Mapping[str, Any]) -> tuple[Triple, Spacing]:
    """The extent and the spacing of a plan. Raises ValueError or KeyError where these are none."""
    sizes, steps = plan["extent"], plan["spacing"]
    expect(isinstance(sizes, list | tuple) and len(sizes) == 3, "extent")
    expect(all(type(each) is int and 1 <= each <= LARGEST_SIDE for each in sizes), "extent")
    expect(isinstance(steps, list | tuple) and len(steps) == 3, "spacing")
    expect(all(type(each) in (int, float) and 0 < each <= LARGEST_SPACING * LARGEST_SIDE for each in steps), "spacing")
    return (sizes[0], sizes[1], sizes[2]), (float(steps[0]), float(steps[1]), float(steps[2]))


def led_by(inputs: Mapping[str, tuple[str, Mapping[str, Any]]], *, measured: bool) -> str | None:
    """The largest of the inputs that holds volumes too, to which those of a target belong; in files or in arrays."""
    cells = {
        name: math.prod(plan["extent"])
        for name, (kind, plan) in inputs.items()
        if kind == "volume" and plan["measured"] is measured
    }
    return max(cells, key=lambda name: cells[name], default=None)


def within(plan: Mapping[str, Any], inputs: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The plan of a target's scans: read as those of the input are to which they belong."""
    name = led_by(inputs, measured=True) if plan["measured"] else None
    if name is None:
        return dict(plan)
    alike = {each: inputs[name][1][each] for each in ("extent", "spacing", "maximum_voxels")}
    return {**plan, **alike, "within": name}


def misplaced(column: Column, plan: Mapping[str, Any], beside: Mapping[str, Column]) -> list[Problem]:
    """The rows of which the scan does not fill the same space as that to which it belongs."""
    other = beside.get(plan.get("within", ""))
    if not isinstance(column, FileColumn) or not isinstance(other, FileColumn):
        return []
    problems = []
    for row, (own, its) in enumerate(zip(frames(column), frames(other), strict=True)):
        if own is not None and its is not None and not own.lies_in(its):
            names = column.files[row].name, other.files[row].name  # type: ignore[union-attr]
            problems.append(
                Problem(
                    row,
                    f"{names[0]} lies elsewhere than {names[1]}: {_space(own)}, and {_space(its)}; resample it "
                    "onto the scan, or copy the scan's affine into its header if it is wrong there",
                )
            )
    return problems


def _space(layout: Layout) -> str:
    low, high = layout.corners.min(axis=0), layout.corners.max(axis=0)
    return " x ".join(f"{first:.0f} to {last:.0f}" for first, last in zip(low, high, strict=True)) + " mm"


def frames(column: Column) -> Sequence[Layout | None]:
    """How the voxels of each row's scan lie in its file; None where that cannot be read. Arrays have no places."""
    if not isinstance(column, FileColumn):
        channels, depth, height, width = volumes(column).shape[1:]
        return [plain(channels, (depth, height, width))] * len(column)
    looks = on_each(column.files, lambda _, file: _layout(file), ScanError, "scan")
    return [each if isinstance(each, Layout) else None for each in looks]


def file_of(values: np.ndarray, frame: Frame | None, otherwise: Layout) -> tuple[str, bytes]:
    """A NIfTI file of values (channels, depth, height, width) that lie as the frame says, or ``otherwise``."""
    layout = frame if isinstance(frame, Layout) and frame.affine is not None else otherwise
    return ".nii.gz", _nifti.written(values, layout)


def grids(column: Column, plan: Mapping[str, Any]) -> tuple[Results, np.ndarray]:
    """Of each row float32 (channels, *extent), None or why it cannot be read; and the rows' digests."""
    _check_measured(column, plan)
    if isinstance(column, FileColumn):
        return _read_files(column, plan, lambda scan: _as_planned(scan, plan))
    return _read_arrays(column, plan)


def classes(column: Column, plan: Mapping[str, Any]) -> tuple[Results, np.ndarray]:
    """Of each row's file int32 (*extent), classes, None or why it cannot be read; and the rows' digests."""
    _check_measured(column, plan)
    assert isinstance(column, FileColumn)
    extent, spacing = sight_of(plan)

    def placed(scan: Scan) -> np.ndarray:
        return most_around(classes_of(scan), scan.layout.spacing, extent, spacing, OUTSIDE)

    return _read_files(column, plan, placed)


def values_in(file: FileReference, maximum_voxels: int) -> np.ndarray:
    """The different values of a scan, whose numbers are classes perhaps. Raises ScanError."""
    with file.open() as stream:
        scan = _nifti.load(stream, maximum_voxels)
    return np.asarray(np.unique(scan.stored) * scan.slope + scan.intercept)


def _check_measured(column: Column, plan: Mapping[str, Any]) -> None:
    """Raises ColumnError where files were learned from and there are arrays, or the other way round."""
    if isinstance(column, FileColumn) != plan["measured"]:
        raise ColumnError(
            "These are arrays, which do not say how large a voxel is, and the model was trained on files"
            if plan["measured"]
            else "These are files, and the model was trained on arrays",
            remedy="Give scans like those that were learned from",
        )


def _read_files(
    column: FileColumn, plan: Mapping[str, Any], made: Callable[[Scan], np.ndarray]
) -> tuple[Results, np.ndarray]:
    _check_packages(column)
    digests = np.full(len(column), MISSING, np.uint64)

    def read(row: int, file: FileReference) -> np.ndarray:
        digests[row] = digest_file(file)
        if file.is_folder:
            return made(_dicom.load(file, plan["maximum_voxels"]))
        with file.open() as stream:
            return made(_nifti.load(stream, plan["maximum_voxels"]))

    return on_each(column.files, read, ScanError, "scan"), digests


def _read_arrays(column: Column, plan: Mapping[str, Any]) -> tuple[Results, np.ndarray]:
    given = volumes(column)
    if given.shape[1] != plan["channels"]:
        raise ColumnError(
            f"Volumes have {given.shape[1]} channels where {plan['channels']} are expected",
            remedy="Give volumes like those that were learned from",
        )
    channels, depth, height, width = given.shape[1:]
    layout = plain(channels, (depth, height, width))

    def read(row: int) -> np.ndarray | Unreadable:
        try:
            return _as_planned(Scan(layout, given[row]), plan)
        except ScanError as failure:
            return Unreadable(f"the volume {failure}")

    return list(in_threads(read, range(len(given)))), digest(column)


def _as_planned(scan: Scan, plan: Mapping[str, Any]) -> np.ndarray:
    if scan.layout.channels != plan["channels"]:
        raise ScanError(f"has {scan.layout.channels} channels where {plan['channels']} are expected")
    return resampled(scan, *sight_of(plan))


def _layout(file: FileReference) -> Layout:
    if file.is_folder:
        return _dicom.header(file)
    with file.open() as stream:
        return _nifti.header(stream).layout


def _check_packages(column: FileColumn) -> None:
    if any(file is not None and file.is_folder for file in column.files):
        _dicom.require()
