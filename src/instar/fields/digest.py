"""What a cell is, whatever its column's type: its canonical text or number, and the hash of that.

One example has one digest everywhere. ``3``, ``3.0``, ``"3"`` and ``" 3 "`` are the number 3; ``True``, ``"True"`` and
``"TRUE"`` are the word ``true``; a date, a datetime at midnight and their ISO texts are one text; a missing value is
missing in whatever way it is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import BinaryIO, TypeVar

import numpy as np
import polars as pl

from instar.errors import SourceError
from instar.fields._lists import numbers_in, typed_cells
from instar.sources import Column, FileColumn, FileReference
from instar.sources.columns import MISSING_TEXTS

# Tasks that a thread takes at a time: handing each one over costs as much as reading a small file.
TASKS_AT_A_TIME = 16
BYTES_AT_A_TIME = 1 << 20

MISSING = np.uint64(0x9B1D5C3A7F20E846)
_NUMBER = np.uint64(0x6A09E667F3BCC908)
_ISO_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|\+00:?00)?")

Task = TypeVar("Task")
Result = TypeVar("Result")


def digest(column: Column) -> np.ndarray:
    """uint64 (n,): a hash of each cell's canonical content.

    Text that is a finite number hashes as its float64 value, -0.0 as 0.0; other text without surrounding space;
    missing values (null, NaN, `MISSING_TEXTS`) as the constant `MISSING`; a row of an array, and a list of numbers
    however it is written, as its shape and values (`digest_numbers`); a struct as its fields; a file as its bytes. It
    depends on nothing else: no type, kind, setting, machine or version.
    """
    if isinstance(column, FileColumn):
        return np.array(list(in_threads(_file_digest, column.files)), np.uint64)
    if isinstance(column, np.ndarray):
        return _series_digest(pl.Series(column)) if column.ndim == 1 else _rows_digest(column)
    if isinstance(column.dtype, pl.List | pl.Array):
        return _lists_digest(column)
    if isinstance(column.dtype, pl.Struct):
        return _structs_digest(column)
    return _series_digest(column)


def digest_bytes(content: bytes) -> int:
    """The digest of a file's bytes: BLAKE2b of 64 bits."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def digest_stream(stream: BinaryIO) -> int:
    """`digest_bytes` of what a stream still has, however much that is."""
    hashed = blake2b(digest_size=8)
    while block := stream.read(BYTES_AT_A_TIME):
        hashed.update(block)
    return int.from_bytes(hashed.digest(), "little")


def mix(values: np.ndarray) -> np.ndarray:
    """A bijective scramble of uint64 values (the finalizer of SplitMix64; Steele, Lea & Flood 2014)."""
    mixed = values.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def words(series: pl.Series) -> pl.Series:
    """The cells as text without surrounding space, null where missing; numbers as Python writes them."""
    texts = _texts(series).str.strip_chars()
    return texts.set(texts.is_in(MISSING_TEXTS).fill_null(False), None)


def parse_numbers(series: pl.Series) -> pl.Series:
    """Float64: the cells that are numbers, NaN and infinities included, null where they are not."""
    kind = series.dtype
    if kind.is_numeric() and not kind.is_decimal():
        return series.cast(pl.Float64)
    if kind == pl.Duration:
        return series.dt.total_microseconds().cast(pl.Float64) / 1e6
    if kind == pl.Boolean or kind.is_temporal():
        return pl.Series(series.name, [None], dtype=pl.Float64).new_from_index(0, len(series))
    texts = _texts(series)
    numbers = texts.cast(pl.Float64, strict=False)
    # Most cells have no space around them: only what is not yet a number is stripped.
    rest = (numbers.is_null() & texts.is_not_null()).arg_true()
    if len(rest):
        numbers = numbers.scatter(rest, texts.gather(rest).str.strip_chars().cast(pl.Float64, strict=False))
    return numbers


def as_floats(numbers: pl.Series) -> np.ndarray:
    """float64 (n,), a copy of one's own; NaN where null."""
    return numbers.fill_null(np.nan).to_numpy(writable=True)


def in_threads(work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """``work`` done on each of ``tasks``, in their order, on all processors; for work that releases the interpreter."""
    tasks = list(tasks)
    if len(tasks) < 2:
        yield from map(work, tasks)
        return
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    size = max(1, min(TASKS_AT_A_TIME, len(tasks) // (4 * available)))
    parts = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    with ThreadPoolExecutor(min(available, len(parts))) as pool:
        for results in pool.map(lambda part: [work(task) for task in part], parts):
            yield from results


def _texts(series: pl.Series) -> pl.Series:
    """The cells as text; dates in ISO form, times of a zone in universal time."""
    kind = series.dtype
    if kind == pl.String:
        return series
    if isinstance(kind, pl.Datetime):
        zone = "" if kind.time_zone is None else "Z"
        universal = series if kind.time_zone is None else series.dt.convert_time_zone("UTC")
        return universal.dt.to_string(f"%Y-%m-%dT%H:%M:%S%.f{zone}")
    if kind == pl.Object or kind.is_nested():
        return pl.Series(series.name, [None if cell is None else str(cell) for cell in series.to_list()], pl.String)
    return series.cast(pl.String)


def _series_digest(series: pl.Series) -> np.ndarray:
    numbers = as_floats(parse_numbers(series))
    digests = mix((numbers + 0.0).view(np.uint64) ^ _NUMBER)
    rest = np.flatnonzero(~np.isfinite(numbers))
    if len(rest):
        digests[rest] = _words_digest(words(series.gather(rest)))
    return digests


def _words_digest(texts: pl.Series) -> np.ndarray:
    known = texts.unique().drop_nulls()
    hashed = pl.Series([_text_digest(text) for text in known], dtype=pl.UInt64)
    return texts.replace_strict(known, hashed, default=int(MISSING), return_dtype=pl.UInt64).to_numpy(writable=True)


def _text_digest(text: str) -> int:
    numbers = numbers_in(text)
    return digest_bytes(_canonical(text).encode()) if numbers is None else digest_numbers(numbers)


def _canonical(text: str) -> str:
    if len(text) <= 5 and text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower()
    match = _ISO_TIME.fullmatch(text) if text[:4].isdigit() else None
    if match is None:
        return text
    day, minute, second, fraction, zone = match.groups(default="")
    time = f"{minute}:{second or '00'}.{fraction}".rstrip("0").rstrip(".") if fraction else f"{minute}:{second or '00'}"
    zone = "Z" if zone else ""
    return day if time == "00:00:00" and not zone else f"{day}T{time}{zone}"


def digest_numbers(values: np.ndarray) -> int:
    """The digest of one row of numbers (...), whatever wrote it: an array, a list in a cell, or text.

    Axes of length 1 do not count, nor does what is missing at the end of an axis. Whole numbers from 0 to 255 hash as
    bytes, others as float64: their values decide, not their type.
    """
    known = ~np.isnan(values)
    if not known.all():
        if not known.any():
            return int(MISSING)
        values = values[tuple(slice(int(places.max()) + 1) for places in np.nonzero(known))]
        values = np.where(np.isnan(values), np.nan, values)  # one of the many bit patterns
    return _hashed(values.reshape(_axes(values.shape)).astype("<f8") + 0.0)


def _hashed(values: np.ndarray) -> int:
    with np.errstate(invalid="ignore"):
        small = values.astype(np.uint8)
    shape = repr(values.shape).encode()
    if (small == values).all():
        return digest_bytes(b"bytes" + shape + small.tobytes())
    return digest_bytes(b"float" + shape + values.tobytes())


def _axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size > 1) or (1,)


def _rows_digest(rows: np.ndarray) -> np.ndarray:
    """`digest_numbers` of every row."""
    rows = rows.reshape(len(rows), *_axes(rows.shape[1:]))
    if rows.dtype.kind in "bu" and rows.dtype.itemsize == 1:
        shape = repr(rows.shape[1:]).encode()
        return np.array([digest_bytes(b"bytes" + shape + row.tobytes()) for row in rows], np.uint64)
    return np.array([digest_numbers(row.astype(np.float64)) for row in rows], np.uint64)


def _lists_digest(series: pl.Series) -> np.ndarray:
    """Lists of numbers as rows of them, other lists as text."""
    cells = typed_cells(series)
    odd = [row for row, cell in enumerate(cells) if not isinstance(cell, np.ndarray)]
    digests = np.array([digest_numbers(cell) if isinstance(cell, np.ndarray) else 0 for cell in cells], np.uint64)
    if odd:
        digests[odd] = _words_digest(words(series.gather(odd)))
    return digests


def _structs_digest(series: pl.Series) -> np.ndarray:
    digests = np.zeros(len(series), np.uint64)
    for field in series.struct.fields:
        digests = mix(digests + digest(series.struct.field(field)))
    return np.where(series.is_null().to_numpy(), MISSING, digests)


def digest_file(file: FileReference) -> int:
    """The digest of a file's bytes; of a folder that is one example, of its files' digests, whatever their names.

    Raises SourceError where it cannot be read.
    """
    if file.is_folder:
        digests = sorted(digest_file(part) for part in file.parts())
        return digest_bytes(b"".join(each.to_bytes(8, "little") for each in digests))
    with file.open() as stream:
        return digest_stream(stream)


def _file_digest(file: FileReference | None) -> int:
    if file is None:
        return int(MISSING)
    try:
        return digest_file(file)
    except SourceError:
        return int(MISSING)
