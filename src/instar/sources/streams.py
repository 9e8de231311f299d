"""Arrays in files, a few rows at a time: mapped where the file is plain, streamed where it is compressed."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from instar.errors import SourceError
from instar.sources.arrays import array_column
from instar.sources.base import Chunk, Schema, Source
from instar.sources.columns import BYTES_OF_A_CHUNK, check_columns, rows_of_a_chunk
from instar.sources.paths import stamp


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, its size checked against the file's before it was made.

    mapped: the array where the file can be mapped, else None.
    stream: opens a stream that stands at the first row, where it cannot.
    """

    place: str
    dtype: np.dtype
    shape: tuple[int, ...]
    mapped: np.ndarray | None = None
    stream: Callable[[], AbstractContextManager[BinaryIO]] | None = None

    @property
    def bytes_of_a_row(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])

    def parts(self, rows: int, opened: ExitStack) -> Iterator[np.ndarray]:
        """The array, ``rows`` rows at a time, in the machine's byte order; ``opened`` holds the stream."""
        native = self.dtype.newbyteorder("=")
        stream = None if self.stream is None else opened.enter_context(self.stream())
        for start in range(0, self.shape[0], rows):
            count = min(rows, self.shape[0] - start)
            if stream is None:
                assert self.mapped is not None
                yield np.array(self.mapped[start : start + count], dtype=native)
                continue
            content = _read(stream, count * self.bytes_of_a_row)
            if len(content) < count * self.bytes_of_a_row:
                raise SourceError(
                    f"The file ends before row {start + 1 + len(content) // max(self.bytes_of_a_row, 1)} "
                    f"of {self.shape[0]} that its header announces",
                    where=self.place,
                    remedy="Download it again",
                )
            part = np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
            yield part.astype(native, copy=False)
        if stream is not None and stream.read(1):  # reading to the end also checks the sum of what was unpacked
            raise SourceError(
                f"The file goes on after the {self.shape[0]} rows that its header announces",
                where=self.place,
                remedy="Download it again",
            )


def check_array(place: str, shape: Sequence[int], dtype: np.dtype, available: int, *, exactly: bool) -> None:
    """Raise SourceError for an array that holds nothing, more than the file's ``available`` bytes, or huge rows."""
    if not shape or 0 in shape:
        raise SourceError(f"The array has the shape {tuple(shape)}, and so no content", where=place)
    size = dtype.itemsize * math.prod(shape)
    if size > available or (exactly and size != available):
        raise SourceError(
            f"The header announces {size:,} bytes of content (shape {tuple(shape)}), and the file holds "
            f"{'' if exactly else 'at most '}{available:,}",
            where=place,
            remedy="The file is damaged or incomplete: download it again",
        )
    if size // shape[0] > 8 * BYTES_OF_A_CHUNK:
        raise SourceError(
            f"One row takes {size // shape[0]:,} bytes", where=place, remedy="The first axis must count the examples"
        )


def _read(stream: BinaryIO, size: int) -> bytes:
    parts = []
    while size and (part := stream.read(min(size, BYTES_OF_A_CHUNK))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class StoredArrays(Source):
    """Columns that are arrays in files, of equally many rows."""

    def __init__(self, name: str, place: str, files: Sequence[Path], arrays: Mapping[str, StoredArray]) -> None:
        self.name, self.place = name, place
        self.files, self.arrays = tuple(files), dict(arrays)
        if len({array.shape[0] for array in self.arrays.values()}) > 1:
            counts = ", ".join(f"{each.shape[0]:,} in {name!r}" for name, each in self.arrays.items())
            raise SourceError(
                f"The arrays differ in their numbers of examples: {counts}",
                where=place,
                remedy="Arrays that belong together must have first axes of the same length",
            )

    @abstractmethod
    def schema(self) -> Schema: ...

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self.schema())
        size = rows_of_a_chunk(sum(self.arrays[name].bytes_of_a_row for name in names))
        with ExitStack() as opened:
            parts = [self.arrays[name].parts(size, opened) for name in names]
            for number, together in enumerate(zip(*parts, strict=True)):
                columns_now = {
                    name: array_column(name, part, self.place) for name, part in zip(names, together, strict=True)
                }
                yield Chunk(number * size, columns_now)

    def sample(self, rows: int) -> Chunk:
        count = self.schema().rows or 0
        mapped = {name: array.mapped for name, array in self.arrays.items() if array.mapped is not None}
        if len(mapped) < len(self.arrays):
            return super().sample(rows)
        chosen = np.linspace(0, count - 1, min(rows, count)).round().astype(np.int64)
        return Chunk(
            0,
            {
                name: array_column(name, np.array(array[chosen], array.dtype.newbyteorder("=")), self.place)
                for name, array in mapped.items()
            },
        )

    def fingerprint(self) -> str:
        return hashlib.blake2b("".join(map(stamp, self.files)).encode(), digest_size=16).hexdigest()
