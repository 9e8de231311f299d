"""NIfTI files: sizes from the header, and never more content than it announces and a bound allows.

nibabel knows what the header means; the content is unpacked here, since nibabel would trust the header with memory.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END
from typing import Any, BinaryIO, cast

import numpy as np

from instar.fields._scan import ALIGNED, Layout, Scan, ScanError, laid_out, turned, turned_back
from instar.sources.slices import begins_like_slice

_GZIP = b"\x1f\x8b"
# gzip makes content at most so many times smaller.
_LARGEST_RATIO = 1_032
# Extensions of the header, such as DICOM's, lie before the content.
_LARGEST_OFFSET = 1 << 26
_BLOCK = 1 << 22
# How hard gzip works, of 9: more takes far longer and saves little.
_PACKING = 2
_UNITS = {"meter": 1_000.0, "micron": 1e-3}
# What NIfTI has numbers for that places are measured from, in either version.
_SPACES = range(1, 6)
# The longest side that the first version's header can say.
_LONGEST = 32_767


@dataclass(frozen=True)
class Header:
    """What a NIfTI file says of itself.

    shape: the channels and the file's axes, the first of them the fastest. offset: bytes before the content.
    """

    layout: Layout
    shape: tuple[int, int, int, int]
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float

    @property
    def bytes(self) -> int:
        return self.layout.voxels * self.dtype.itemsize


def header(stream: BinaryIO) -> Header:
    """What the file says of itself; nothing more of it is unpacked. Raises ScanError."""
    with _unpacked(stream) as content:
        return _header(content)


def load(stream: BinaryIO, maximum_voxels: int) -> Scan:
    """The voxels of a file, after its header was compared with the bound and with the file's size. Raises ScanError."""
    packed = stream.read(2) == _GZIP
    size = stream.seek(0, SEEK_END)
    stream.seek(0)
    with _unpacked(stream) as content:
        found = _header(content)
        if found.layout.voxels > maximum_voxels:
            raise ScanError(
                f"announces {found.layout.voxels:,} voxels, more than the {maximum_voxels:,} of maximum_voxels"
            )
        if found.offset + found.bytes > size * (_LARGEST_RATIO if packed else 1):
            raise ScanError(f"announces {found.bytes:,} bytes of content, which a file of {size:,} bytes cannot hold")
        content.seek(found.offset)
        whole = _read(content, found.bytes)
        if packed:
            content.read(1)  # at its end gzip compares the sum of what was unpacked
    channels, first, second, third = found.shape
    # The first axis of the file is the fastest.
    stored = np.frombuffer(whole, found.dtype).reshape(channels, third, second, first).transpose(0, 3, 2, 1)
    return Scan(found.layout, turned(stored, found.layout), found.slope, found.intercept)


def written(values: np.ndarray, layout: Layout) -> bytes:
    """A packed file of values (channels, depth, height, width) that lie as those of the file with this layout do."""
    from nibabel.nifti1 import Nifti1Image
    from nibabel.nifti2 import Nifti2Image

    voxels = np.moveaxis(turned_back(values, layout), 0, -1)
    voxels = voxels[..., 0] if len(values) == 1 else voxels
    image = (Nifti1Image if max(voxels.shape) <= _LONGEST else Nifti2Image)(voxels, layout.affine)
    # Viewers believe one or the other of these.
    image.set_sform(layout.affine, layout.space)
    image.set_qform(layout.affine, layout.space)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), _PACKING, mtime=0)


def _read(content: BinaryIO, size: int) -> bytearray:
    """So many bytes. Memory grows with what is there and not with what is announced."""
    whole = bytearray()
    while len(whole) < size and (block := content.read(min(_BLOCK, size - len(whole)))):
        whole += block
    if len(whole) < size:
        raise ScanError(f"ends after {len(whole):,} of the {size:,} bytes of content that its header announces")
    return whole


@contextmanager
def _unpacked(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The stream, unpacked where its content is packed, whatever its name says."""
    begin = stream.read(2)
    stream.seek(0)
    if not begin:
        raise ScanError("is an empty file")
    if begin != _GZIP:
        yield stream
        return
    try:
        with gzip.GzipFile(fileobj=stream) as content:
            yield cast(BinaryIO, content)
    except (gzip.BadGzipFile, zlib.error) as failure:
        raise ScanError(f"is a damaged gzip file ({failure})") from failure
    except EOFError as failure:
        raise ScanError("is cut short: its gzip stream has no end") from failure


def _header(content: BinaryIO) -> Header:
    from nibabel.spatialimages import HeaderDataError

    known = _known(content.read(540))
    try:
        dtype = known.get_data_dtype()
    except (HeaderDataError, KeyError) as failure:
        raise ScanError(f"has a wrong header: there is no type of voxels {int(known['datatype'])}") from failure
    try:
        affine = known.get_best_affine()
        slope, intercept = known.get_slope_inter()
        unit = _UNITS.get(known.get_xyzt_units()[0], 1.0)
        space = int(known["sform_code"]) or int(known["qform_code"])
    except (HeaderDataError, KeyError, ValueError) as failure:
        raise ScanError(f"has a wrong header ({failure})") from failure
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ScanError(f"holds voxels of type {dtype.name}, and only single real numbers can be read")
    offset = float(known["vox_offset"])
    if not len(known.binaryblock) <= offset <= _LARGEST_OFFSET:
        raise ScanError(f"has a wrong header: its content begins at byte {offset:g}")
    # Without a matrix of its own (sform) these sizes are what places are made of; nibabel would take them as positive.
    if not int(known["sform_code"]) and not (known["pixdim"][1:4] > 0).all():
        sizes = " x ".join(f"{each:g}" for each in known["pixdim"][1:4])
        raise ScanError(f"has voxels of {sizes} mm, which cannot be: its header is wrong")
    channels, *axes = _shape(known)
    first, second, third = axes
    layout = laid_out(channels, (first, second, third), affine, unit, space if space in _SPACES else ALIGNED)
    shape = (channels, first, second, third)
    return Header(layout, shape, dtype, int(offset), slope or 1.0, intercept or 0.0)


def _known(begin: bytes) -> Any:
    """The header in a file's first bytes, as nibabel has it. Raises ScanError where they are none."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    if begins_like_slice(begin):
        raise ScanError("is one DICOM file, and a scan is a folder that holds all of its slices, or a NIfTI file")
    for kind, size, place, name in ((Nifti1Header, 348, 344, b"n%c1"), (Nifti2Header, 540, 4, b"n%c2")):
        orders = [order for order in ("little", "big") if begin[:4] == size.to_bytes(4, order)]
        if not orders:
            continue
        magic = begin[place : place + 3]
        if magic == name % b"i":
            raise ScanError("is a header whose voxels lie in another file (.img): save both as one .nii file")
        if magic != name % b"+":
            raise ScanError(f"begins like a NIfTI file, but is marked {magic!r} and not {name % b'+'!r}")
        if len(begin) < size:
            raise ScanError("ends within its header")
        return kind(begin[:size], "<" if orders[0] == "little" else ">", check=False)
    raise ScanError("is no NIfTI file")


def _shape(known: Any) -> tuple[int, int, int, int]:
    """The channels and the three axes: a fourth axis, or a fifth after a fourth of 1, has the channels."""
    count = int(known["dim"][0])
    if not 1 <= count <= 7:
        raise ScanError(f"has a wrong header: it announces {count} axes")
    sizes = [int(each) for each in known["dim"][1 : 1 + count]]
    written = " x ".join(map(str, sizes))
    if min(sizes) < 1:
        raise ScanError(f"has a wrong header: it announces {written} voxels")
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) == 5 and sizes[3] == 1:
        del sizes[3]
    if len(sizes) not in (3, 4):
        raise ScanError(f"has {written} voxels, and a volume has 3 axes, or 4 with its channels")
    return (*([1] if len(sizes) == 3 else sizes[3:]), *sizes[:3])  # type: ignore[return-value]
