"""Scans as DICOM writes them: a folder of slices, put in order by their places, complete and of one series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from instar.errors import ColumnError
from instar.fields._scan import Layout, Scan, ScanError, laid_out, turned
from instar.sources import FileReference
from instar.sources.slices import SUFFIXES

# Slices at no more than this share of their usual distance are at one place; at more than the second, one is missing.
_SAME_PLACE, _FAR = 0.1, 1.5
# Content that is packed as a whole, and could unpack to anything.
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_SEARCHED = 4_096
# Cosines that differ by less point the same way.
_SAME_WAY = 1e-3


def require() -> None:
    """Raises ColumnError where the package that reads DICOM is not installed."""
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise ColumnError(
            "Folders of DICOM slices are read by pydicom, which is not installed",
            remedy="Install it: pip install 'instar[dicom]'",
        ) from None


def header(folder: FileReference) -> Layout:
    """How the voxels of a folder's slices lie; nothing of them is decoded. Raises ScanError."""
    return _ordered(folder)[1]


def load(folder: FileReference, maximum_voxels: int) -> Scan:
    """The voxels of a folder's slices, compared with the bound before one is decoded. Raises ScanError."""
    files, layout = _ordered(folder)
    if layout.voxels > maximum_voxels:
        raise ScanError(f"announces {layout.voxels:,} voxels, more than the {maximum_voxels:,} of maximum_voxels")
    sizes = dict(zip(layout.order, layout.extent, strict=True))
    stored = np.empty((sizes[2], sizes[1], sizes[0]), np.float32)  # slices, rows, columns
    for number, file in enumerate(files):
        found = _read(file, whole=True)
        try:
            pixels = found.pixel_array
        except Exception as failure:  # pydicom's decoders fail in as many ways as there are damaged files
            first = next(iter(str(failure).strip().splitlines()), type(failure).__name__)
            raise ScanError(f"has a slice that cannot be decoded, {file.name} ({first})") from failure
        if pixels.shape != stored.shape[1:]:
            raise ScanError(f"has a slice that does not hold what its header announces, {file.name}")
        slope, intercept = (float(found.get(name, usual)) for name, usual in _RESCALING)
        stored[number] = pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return Scan(layout, turned(stored.transpose(2, 1, 0)[None], layout))


_RESCALING = (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))


def _ordered(folder: FileReference) -> tuple[list[FileReference], Layout]:
    """The slices, each above the one before, and how their voxels lie."""
    found = [(file, part) for file in folder.parts() if (part := _slice(file)) is not None]
    if not found:
        raise ScanError("holds no DICOM slices")
    parts = [part for _, part in found]
    if len(parts) == 1:
        raise ScanError("holds a single slice, and a scan has several")
    series = {str(part.get("SeriesInstanceUID", "")) for part in parts}
    if len(series) > 1:
        raise ScanError(f"mixes {len(series)} series: put the slices of each into a folder of its own")
    rows, columns = _same(parts, "size", lambda part: (int(part.Rows), int(part.Columns)))
    down, across = _same(parts, "pixel size", lambda part: tuple(float(each) for each in part.PixelSpacing))
    way = _same(parts, "orientation", lambda part: tuple(float(each) for each in part.ImageOrientationPatient))
    along_row, along_column = np.array(way[:3]), np.array(way[3:])
    normal = np.cross(along_row, along_column)
    if not abs(float(normal @ normal) - 1) < _SAME_WAY:
        raise ScanError("has slices whose axes are not at right angles: their headers are wrong")
    places = np.array([_numbers(part, "ImagePositionPatient", 3) for part in parts]) @ normal
    order = np.argsort(places, kind="stable")
    step = _distance(places[order])
    # DICOM's axes lead to the left and to the back, where those of a layout lead to the right and to the front.
    first = np.array(_numbers(parts[order[0]], "ImagePositionPatient", 3))
    steps = np.stack([across * along_row, down * along_column, step * normal, first], axis=1) * [[-1], [-1], [1]]
    affine = np.vstack([steps, [0, 0, 0, 1]])
    return [found[place][0] for place in order], laid_out(1, (columns, rows, len(parts)), affine)


def _distance(places: np.ndarray) -> float:
    """Millimeters between neighbors of slices at these places, in order. Raises ScanError where there is a gap."""
    gaps = np.diff(places)
    usual = float(np.median(gaps))
    if not (np.isfinite(gaps).all() and gaps.min() > _SAME_PLACE * usual):
        raise ScanError("has several slices at one place: put each scan into a folder of its own")
    missing = np.round(gaps[gaps > _FAR * usual] / usual) - 1
    if len(missing):
        raise ScanError(
            f"misses {missing.sum():.0f} of its slices: they are {usual:.3g} mm apart, and once {gaps.max():.3g} mm"
        )
    return float(gaps.mean())


def _same(parts: list[Any], what: str, of: Callable[[Any], tuple[Any, ...]]) -> tuple[Any, ...]:
    """What all slices have in common. Raises ScanError where they differ, or one lacks it."""
    try:
        found = [of(part) for part in parts]
    except (AttributeError, TypeError, ValueError) as failure:
        raise ScanError(f"has slices that do not tell their {what}") from failure
    if any(len(each) != len(found[0]) or not np.allclose(each, found[0], atol=_SAME_WAY) for each in found):
        raise ScanError(f"has slices that differ in their {what}: put each scan into a folder of its own")
    expected = 6 if what == "orientation" else 2
    if len(found[0]) != expected or not np.isfinite(found[0]).all():
        raise ScanError(f"has slices that do not tell their {what}")
    return found[0]


def _numbers(part: Any, name: str, count: int) -> list[float]:
    try:
        found = [float(each) for each in part[name].value]
    except (KeyError, TypeError, ValueError) as failure:
        raise ScanError("has slices that do not tell their place") from failure
    if len(found) != count:
        raise ScanError("has slices that do not tell their place")
    return found


def _slice(file: FileReference) -> Any | None:
    """The header of a slice; None for a file of another kind that lies beside the slices."""
    import pydicom

    try:
        found = _read(file, whole=False)
    except pydicom.errors.InvalidDicomError as failure:
        if file.name.lower().endswith(SUFFIXES):
            raise ScanError(f"holds a file that is not in DICOM's format, {file.name}") from failure
        return None
    if "Rows" not in found:
        return None  # a directory of the files, a report
    if int(found.get("NumberOfFrames", 1) or 1) > 1:
        raise ScanError(f"holds several slices in one file, {file.name}: convert the scan to NIfTI")
    if int(found.get("SamplesPerPixel", 1)) != 1:
        raise ScanError(f"holds a picture in colors, {file.name}")
    return found


def _read(file: FileReference, *, whole: bool) -> Any:
    import pydicom

    with file.open() as stream:
        _refuse_deflated(file, stream)
        return pydicom.dcmread(stream, stop_before_pixels=not whole)


def _refuse_deflated(file: FileReference, stream: BinaryIO) -> None:
    begin = stream.read(_SEARCHED)
    stream.seek(0)
    if not begin:
        raise ScanError(f"holds an empty file, {file.name}")
    if _DEFLATED in begin:
        raise ScanError(f"holds a slice that is packed as a whole (deflated), {file.name}")
