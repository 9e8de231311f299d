"""``.npz`` and ``.npy``, numpy's own files; nothing in them that would need unpickling is read."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from instar.errors import SourceError
from instar.sources.arrays import INPUT, TARGET
from instar.sources.base import Schema, Source, sources
from instar.sources.paths import existing_file, has_suffix, plain_name, reading
from instar.sources.streams import StoredArray, StoredArrays, check_array

TARGET_NAMES = frozenset({"y", "label", "labels", TARGET, "targets"})


@sources.register("numpy")
class NumpyFile(StoredArrays):
    """The arrays of an ``.npz`` as columns by their names, or that of an ``.npy`` as the column ``input``.

    Where one name alone is that of an answer (``y``, ``label``, ``labels``, ``target``, ``targets``), it is the target.
    """

    suffixes = (".npz", ".npy")

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return has_suffix(given, cls.suffixes)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        path = existing_file(given)
        arrays = {INPUT: _open_npy(path)} if has_suffix(path, (".npy",)) else _open_npz(path)
        return cls(plain_name(path), str(given), [path], arrays)

    def schema(self) -> Schema:
        answers = [name for name in self.arrays if name.lower() in TARGET_NAMES]
        return Schema(
            tuple(self.arrays),
            rows=next(iter(self.arrays.values())).shape[0],
            target=answers[0] if len(answers) == 1 and len(self.arrays) > 1 else None,
            nameless=(INPUT,) if list(self.arrays) == [INPUT] else (),
        )


def _open_npy(path: Path) -> StoredArray:
    place = str(path)
    with reading(path), path.open("rb") as stream:
        shape, dtype, fortran, begin = _header(stream, place)
        check_array(place, shape, dtype, path.stat().st_size - begin, exactly=True)
        mapped = np.memmap(path, dtype, "r", begin, shape, "F" if fortran else "C")
    return StoredArray(place, dtype, shape, mapped=mapped)


def _open_npz(path: Path) -> dict[str, StoredArray]:
    found = {}
    with _archive(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                raise SourceError(
                    f"It holds {member.filename!r}, which is no array",
                    where=str(path),
                    remedy="Write it with numpy.savez",
                )
            name = member.filename.removesuffix(".npy")
            found[name] = _open_member(path, archive, member, f"{path}, array {name!r}")
    if not found:
        raise SourceError("There is no array in the file", where=str(path))
    return found


def _open_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str) -> StoredArray:
    with archive.open(member) as opened:
        shape, dtype, fortran, begin = _header(cast(BinaryIO, opened), place)
    check_array(place, shape, dtype, member.file_size - begin, exactly=True)
    if fortran and len(shape) > 1:
        raise SourceError(
            "The array is stored by columns (Fortran order)",
            where=place,
            remedy="Save numpy.ascontiguousarray(array) instead",
        )

    @contextmanager
    def stream() -> Iterator[BinaryIO]:
        with _archive(path) as again, again.open(member) as rows:
            rows.read(begin)
            yield cast(BinaryIO, rows)

    return StoredArray(place, dtype, shape, stream=stream)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with reading(path):
        try:
            with zipfile.ZipFile(path) as archive:
                yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as failure:
            raise SourceError(
                f"The .npz file is damaged or not one at all ({failure})", where=str(path), remedy="Write it again"
            ) from failure


def _header(stream: BinaryIO, place: str) -> tuple[tuple[int, ...], np.dtype, bool, int]:
    """An array's shape, type, whether it is in Fortran order, and where its content begins. Raises SourceError."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        begin = stream.tell()
    except Exception as failure:  # numpy parses the header as Python, which fails in many ways
        raise SourceError(
            f"It does not begin like a numpy array ({type(failure).__name__})",
            where=place,
            remedy="Write it again with numpy.save or numpy.savez",
        ) from failure
    if dtype.hasobject or dtype.kind not in "biufUSmM":
        raise SourceError(
            f"The array holds {dtype}, and only numbers, text and dates can be read safely",
            where=place,
            remedy="Convert it to numbers or text, and save it again",
        )
    if any(size < 0 for size in shape) or not dtype.itemsize:
        raise SourceError(f"The array has the impossible shape {shape} of {dtype}", where=place)
    return shape, dtype, fortran, begin
