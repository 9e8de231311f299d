"""Columns of scans, as a plan says: files, folders of slices or arrays; what cannot be read is named by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from instar.errors import ColumnError, SourceError
from instar.fields import _dicom, _nifti
from instar.fields._files import Unreadable, on_each, problems_of, spread
from instar.fields._scan import Layout, Scan, ScanError, plain
from instar.fields._voxels import resampled
from instar.fields.digest import MISSING, digest, digest_file, in_threads
from instar.sources import Column, FileColumn, FileReference
from instar.sources.slices import SUFFIXES as SLICES

# Headers looked at for size, spacing and channels.
HEADERS = 128

Results = list[np.ndarray | Unreadable | None]


def looks_like_scan(file: FileReference) -> bool:
    name = PurePath(file.name).name.lower()
    if file.is_folder or name.endswith((*_nifti.SUFFIXES, *SLICES)):
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


def grids(column: Column, plan: Mapping[str, Any]) -> tuple[Results, np.ndarray]:
    """Of each row float32 (channels, *extent), None or why it cannot be read; and the rows' digests."""
    files = isinstance(column, FileColumn)
    if files != plan["measured"]:
        raise ColumnError(
            "These are arrays, which do not say how large a voxel is, and the model was trained on files"
            if plan["measured"]
            else "These are files, and the model was trained on arrays",
            remedy="Give scans like those that were learned from",
        )
    return _read_files(column, plan) if isinstance(column, FileColumn) else _read_arrays(column, plan)


def _read_files(column: FileColumn, plan: Mapping[str, Any]) -> tuple[Results, np.ndarray]:
    _check_packages(column)
    digests = np.full(len(column), MISSING, np.uint64)

    def read(row: int, file: FileReference) -> np.ndarray:
        digests[row] = digest_file(file)
        if file.is_folder:
            return _as_planned(_dicom.load(file, plan["maximum_voxels"]), plan)
        with file.open() as stream:
            return _as_planned(_nifti.load(stream, plan["maximum_voxels"]), plan)

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
    depth, height, width = plan["extent"]
    along, across, over = plan["spacing"]
    return resampled(scan, (depth, height, width), (along, across, over))


def _layout(file: FileReference) -> Layout:
    if file.is_folder:
        return _dicom.header(file)
    with file.open() as stream:
        return _nifti.header(stream).layout


def _check_packages(column: FileColumn) -> None:
    if any(file is not None and file.is_folder for file in column.files):
        _dicom.require()
