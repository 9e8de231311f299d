"""Cells of typed frames as columns that kinds read, sizes of chunks, and the digest of what lies in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from instar.errors import SourceError
from instar.sources.base import Chunk, Column, FileColumn, FileReference, Schema, Source
from instar.sources.paths import stamp

# Texts that stand for a missing value, once surrounding space is removed. Only the customary ways to write them:
# "Na" may be sodium, "NONE" or "Null" a name.
MISSING_TEXTS = (
    "", "?", "-", "NA", "na", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "NaT", "null", "NULL", "None", "none",
)  # fmt: skip

ROWS_OF_A_CHUNK = 65_536
BYTES_OF_A_CHUNK = 32 << 20


def rows_of_a_chunk(bytes_of_a_row: float) -> int:
    """How many rows are given at a time, so that a chunk stays small however wide it is."""
    return int(max(1, min(ROWS_OF_A_CHUNK, BYTES_OF_A_CHUNK // max(bytes_of_a_row, 1))))


def check_columns(columns: Sequence[str] | None, schema: Schema) -> Sequence[str]:
    """The ``columns`` asked for, or all. Raises KeyError for one that is not there: its caller has not checked it."""
    if columns is None:
        return schema.columns
    missing = set(columns) - set(schema.columns)
    if missing:
        raise KeyError(f"no columns {sorted(missing)}")
    return columns


def frame_columns(frame: pl.DataFrame, place: str) -> dict[str, Column]:
    """The columns of a typed frame. Raises SourceError, as `series_column` does."""
    return {series.name: series_column(series, place) for series in frame.get_columns()}


def series_column(series: pl.Series, place: str) -> Column:
    """A typed series as the column that kinds read; what it becomes depends on its type alone, never on its cells.

    Fixed-size arrays of numbers become arrays; bytes, and structs of ``bytes`` and ``path`` as Hugging Face writes
    them, become files; other nested cells become JSON text; categories become text and decimals numbers.
    """
    kind = series.dtype
    if isinstance(kind, pl.Array) and _innermost(kind).is_numeric():
        if series.null_count():
            raise SourceError(
                f"Column {series.name!r} has rows without an array", where=place, remedy="Leave these rows out"
            )
        return series.to_numpy()
    if kind == pl.Binary:
        return FileColumn([_cell_file(series.name, row, cell) for row, cell in enumerate(series)])
    if isinstance(kind, pl.Struct) and dict(kind).get("bytes") == pl.Binary:
        paths = series.struct.field("path") if "path" in dict(kind) else pl.Series([None] * len(series))
        contents = series.struct.field("bytes")
        pairs = enumerate(zip(contents, paths, strict=True))
        return FileColumn([_cell_file(path or series.name, row, cell) for row, (cell, path) in pairs])
    if kind.is_nested():
        cells = (
            None if cell is None else json.dumps(cell, ensure_ascii=False, default=str) for cell in series.to_list()
        )
        return pl.Series(series.name, cells, dtype=pl.String)
    if kind in (pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    if kind == pl.Object:
        cells = (None if cell is None else str(cell) for cell in series.to_list())
        return pl.Series(series.name, cells, dtype=pl.String)
    return series.cast(pl.Float64) if kind.is_decimal() else series


def _innermost(kind: Any) -> Any:
    while isinstance(kind, pl.Array):
        kind = kind.inner
    return kind


def _cell_file(name: str, row: int, content: bytes | None) -> FileReference | None:
    return None if content is None else FileReference(f"{name}, row {row + 1}", content=content)


class MemorySource(Source):
    """What lies in memory already: columns of equal length."""

    def __init__(self, name: str, place: str, columns: Mapping[str, Column], schema: Schema) -> None:
        self.name, self.place = name, place
        self._columns, self._schema = dict(columns), schema

    def schema(self) -> Schema:
        return self._schema

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self._schema)
        whole = {name: self._columns[name] for name in names}
        rows = self._schema.rows or 0
        size = rows_of_a_chunk(sum(_bytes_of_a_row(column) for column in whole.values()))
        for start in range(0, rows, size):
            yield Chunk(start, {name: column[start : start + size] for name, column in whole.items()})

    def sample(self, rows: int) -> Chunk:
        whole, count = Chunk(0, self._columns), self._schema.rows or 0
        return whole if count <= rows else whole.take(np.linspace(0, count - 1, rows).round().astype(np.int64))

    def fingerprint(self) -> str:
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        """Taken once: hashing a large array takes seconds, and nobody writes to it meanwhile."""
        digest = hashlib.blake2b(digest_size=16)
        for name, column in self._columns.items():
            digest.update(f"\0{name}\0{len(column)}\0".encode())
            for start in range(0, len(column), ROWS_OF_A_CHUNK):
                _update(digest, column[start : start + ROWS_OF_A_CHUNK])
        return digest.hexdigest()


def _bytes_of_a_row(column: Column) -> float:
    if isinstance(column, np.ndarray):
        return column.itemsize * column[0].size if len(column) else 0
    return column.estimated_size() / max(len(column), 1) if isinstance(column, pl.Series) else 64


def _stamp(file: FileReference) -> bytes:
    if file.content is not None:
        return file.content
    try:
        return b"" if file.path is None else stamp(file.path).encode()
    except (SourceError, ValueError):  # whoever reads the row says what is wrong with it
        return file.name.encode()


def _update(digest: Any, column: Column) -> None:
    """Add a column's content to ``digest``, the same in every process and on every machine."""
    if isinstance(column, np.ndarray):
        digest.update(f"{column.dtype.newbyteorder('<').str}{column.shape[1:]}".encode())
        digest.update(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<"), copy=False).data)
        return
    if isinstance(column, FileColumn):
        for file in column.files:
            content = b"\1" if file is None else b"\0" + _stamp(file)
            digest.update(len(content).to_bytes(8, "little") + content)
        return
    digest.update(str(column.dtype).encode())
    digest.update(column.is_null().to_numpy().tobytes())
    if column.dtype == pl.String:
        digest.update(column.str.len_bytes().fill_null(0).to_numpy().astype("<u4").tobytes())
        digest.update((column.fill_null("").str.join("").item() if len(column) else "").encode())
    elif column.dtype != pl.Null:
        numbers = column.to_physical()
        numbers = numbers.fill_null(False) if numbers.dtype == pl.Boolean else numbers.fill_null(0)
        values = numbers.to_numpy()
        digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
