"""IDX, the format of MNIST (LeCun, Cortes and Burges, 1998): a header of big-endian sizes, then the numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from instar.errors import SourceError
from instar.sources.arrays import INPUT, TARGET
from instar.sources.base import Schema, Source, sources
from instar.sources.paths import as_path, existing_file, plain_name, reading
from instar.sources.streams import StoredArray, StoredArrays, check_array
from instar.sources.text import is_gzipped, unpacked

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"(.*[.-]idx(\d-u?(byte|short|int|float|double))?|.*[.-]idx\d)(\.gz)?", re.IGNORECASE)
_DEFLATE_RATIO = 1032  # no deflate stream unpacks to more than this many times its size (zlib's technical notes)


@sources.register("idx")
class IdxSource(StoredArrays):
    """An IDX file as the column ``input``, and the one that ``--target`` names as the column ``target``."""

    suffixes = (".idx", "-ubyte", "-ubyte.gz")

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        path = as_path(given)
        return path is not None and _NAME.fullmatch(path.name) is not None and not path.is_dir()

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        path = existing_file(given)
        files = {INPUT: path}
        targets = options.get("target", ())
        if len(targets) > 1:
            raise SourceError("One file of labels is enough", where=str(given), remedy="Give --target once")
        if targets and targets[0] != TARGET:
            files[TARGET] = existing_file(targets[0])
        arrays = {name: open_idx(file) for name, file in files.items()}
        return cls(plain_name(path), str(given), list(files.values()), arrays)

    def schema(self) -> Schema:
        return Schema(
            tuple(self.arrays),
            rows=self.arrays[INPUT].shape[0],
            target=TARGET if TARGET in self.arrays else None,
            nameless=(INPUT,),
        )

    def targets(self, given: Sequence[str] = ()) -> tuple[str, ...]:
        """The column ``target``, whatever the file is called that it comes from."""
        return super().targets(() if TARGET in self.arrays else given)


def open_idx(path: Path) -> StoredArray:
    """The array in an IDX file, gzipped if its name ends in ``.gz``. Raises SourceError; allocates nothing."""
    place = str(path)

    @contextmanager
    def stream() -> Iterator[BinaryIO]:
        with unpacked(path) as opened:
            opened.seek(begin)
            yield opened

    with unpacked(path) as opened:
        magic = opened.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
            raise SourceError("It does not begin like an IDX file", where=place, remedy="Check what it really is")
        sizes = opened.read(4 * magic[3])
    begin, dtype = 4 + 4 * magic[3], np.dtype(_TYPES[magic[2]])
    if len(sizes) < 4 * magic[3]:
        raise SourceError("The file ends within its header", where=place, remedy="Download it again")
    shape = tuple(np.frombuffer(sizes, ">u4").astype(int).tolist())
    with reading(path):
        stored = path.stat().st_size
    if is_gzipped(path):
        check_array(place, shape, dtype, stored * _DEFLATE_RATIO, exactly=False)
        return StoredArray(place, dtype, shape, stream=stream)
    check_array(place, shape, dtype, stored - begin, exactly=True)
    with reading(path):
        return StoredArray(place, dtype, shape, mapped=np.memmap(path, dtype, "r", begin, shape))
