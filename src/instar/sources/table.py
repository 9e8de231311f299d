"""Tables in files: CSV, TSV and JSON lines, also gzipped, and Parquet.

Text files give every cell as text, and kinds parse it; Parquet gives its own types. A column whose cells name files
beside the table becomes a column of files.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from instar.errors import SourceError
from instar.sources.base import Chunk, Column, Schema, Source, sources, thin
from instar.sources.columns import ROWS_OF_A_CHUNK, check_columns, rows_of_a_chunk, series_column
from instar.sources.delimited import Dialect, find_dialect
from instar.sources.paths import existing_file, has_suffix, plain_name, reading, stamp
from instar.sources.references import ROWS_TO_LOOK_FOR_FILES, References
from instar.sources.text import Block, Position, TextFile, line_cut

_HEAD = 1 << 20
_ATTEMPTS_TO_ALIGN = 16
_BYTES_TO_ALIGN = 16 << 10
_STRETCHES = 16
_BYTES_OF_A_CELL = 16


class TableSource(Source):
    """What all tables in files share: their name, and columns of files.

    ``files`` are columns that name files for certain, and so are those of the option ``files``; where that is not
    given, others are found in a sample.
    """

    def __init__(self, path: Path, options: Mapping[str, Any], files: Sequence[str] = ()) -> None:
        self.path, self.place, self.name = path, str(path), plain_name(path)
        named = options.get("files")
        self._files, self._others_are_none = frozenset(files).union(named or ()), named is not None
        self._references = References(path.parent, bool(options.get("allow_outside")))

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return has_suffix(given, cls.suffixes)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        return cls(existing_file(given), options).checked()

    def checked(self) -> TableSource:
        """This table. Raises SourceError where it has no rows, or its first ones cannot be read."""
        if next(self.frames(self.schema().columns[:1]), None) is None:
            raise SourceError("The table has a header and no rows", where=self.place, remedy="Add rows to it")
        return self

    @abstractmethod
    def frames(self, columns: Sequence[str]) -> Iterator[tuple[int, pl.DataFrame]]:
        """The table's frames as the file has them, each with its first row's number."""

    @abstractmethod
    def sample_frame(self, rows: int) -> pl.DataFrame:
        """At most ``rows`` rows, spread over the whole file."""

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self.schema())
        for start, frame in self.frames(names):
            for offset in range(0, len(frame), ROWS_OF_A_CHUNK):
                part = frame.slice(offset, ROWS_OF_A_CHUNK)
                yield Chunk(start + offset, self._columns(part, start + offset))

    def sample(self, rows: int) -> Chunk:
        return Chunk(0, self._columns(self.sample_frame(rows), None))

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(stamp(self.path).encode(), digest_size=16)
        if self._file_columns:
            for _, frame in self.frames(sorted(self._file_columns)):
                for cell in (cell for series in frame if series.dtype == pl.String for cell in series if cell):
                    path = self._references.folder / cell
                    digest.update(stamp(path).encode() if path.is_file() else f"{cell}\0".encode())
        return digest.hexdigest()

    @cached_property
    def _file_columns(self) -> frozenset[str]:
        files = self._files.intersection(self.schema().columns)
        if self._others_are_none:
            return files
        sample = self.sample_frame(ROWS_TO_LOOK_FOR_FILES)
        return files | {series.name for series in sample if self._references.named_by(series)}

    def _columns(self, frame: pl.DataFrame, start: int | None) -> dict[str, Column]:
        """The columns of a frame that begins at row ``start``, or of a sample."""

        def locate(row: int) -> str:
            return self.place if start is None else self.locate_row(start + row)

        return {
            series.name: self._references.column(series, locate)
            if series.name in self._file_columns and series.dtype in (pl.String, pl.Null)
            else series_column(series, self.place)
            for series in frame
        }


class TextTable(TableSource):
    """A table in a text file: blocks of whole records, parsed one after the other."""

    def __init__(self, path: Path, options: Mapping[str, Any], files: Sequence[str] = ()) -> None:
        super().__init__(path, options, files)
        self.text = TextFile(path)
        self._blocks_known: dict[int, Position] = {}

    @property
    @abstractmethod
    def first(self) -> Position:
        """Where the first record begins."""

    @abstractmethod
    def cut(self, content: bytes) -> int:
        """Where the last whole record of ``content`` ends."""

    @abstractmethod
    def parse(self, block: Block) -> pl.DataFrame:
        """All columns of a block. Raises SourceError."""

    @abstractmethod
    def parse_piece(self, content: bytes) -> pl.DataFrame | None:
        """The records in a piece that may begin within one; None where they cannot be told."""

    @abstractmethod
    def lines(self, block: Block) -> Iterator[int]:
        """The line in which each record of a block begins."""

    def frames(self, columns: Sequence[str]) -> Iterator[tuple[int, pl.DataFrame]]:
        row = 0
        for block in self.text.blocks(self.cut, self.first):
            frame = self.parse(block)
            self._blocks_known[row] = block.position
            if len(frame):
                yield row, frame.select(columns)
            row += len(frame)

    def sample_frame(self, rows: int) -> pl.DataFrame:
        names = self.schema().columns
        if self.text.large:
            found = [self.parse_piece(piece) for piece in self.text.pieces(self.first)]
            frames = [frame.select(names) for frame in found if frame is not None and len(frame)]
            if 2 * len(frames) > len(found):
                return _spread(frames, rows)
        whole = thin((Chunk(row, dict(zip(names, frame, strict=True))) for row, frame in self.frames(names)), rows)
        return pl.DataFrame(whole.columns)

    def locate_row(self, row: int) -> str:
        known = sorted(self._blocks_known)
        begin = known[bisect_right(known, row) - 1] if known else 0
        for block in self.text.blocks(self.cut, self._blocks_known.get(begin, self.first)):
            self._blocks_known[begin] = block.position
            for line in self.lines(block):
                if begin == row:
                    return f"{self.place}, line {line}"
                begin += 1
        return super().locate_row(row)


def _spread(frames: Sequence[pl.DataFrame], rows: int) -> pl.DataFrame:
    """At most ``rows`` rows, about as many of each frame, evenly taken."""
    share = max(1, -(-rows // len(frames)))
    whole = pl.concat([frame.gather_every(max(1, len(frame) // share)).head(share) for frame in frames])
    return whole if len(whole) <= rows else whole[np.linspace(0, len(whole) - 1, rows).round().astype(np.int64)]


@sources.register("delimited")
class DelimitedTable(TextTable):
    """CSV and TSV; the delimiter is found among comma, semicolon, tab and bar, quotes are those of RFC 4180."""

    suffixes = (".csv", ".tsv", ".tab", ".csv.gz", ".tsv.gz", ".tab.gz")

    @cached_property
    def dialect(self) -> Dialect:
        head = next(self.text.blocks(line_cut))
        start = Block(head.content[: line_cut(head.content[:_HEAD]) or None], head.position)
        return find_dialect(start, self.place, "," if has_suffix(self.path, (".csv", ".csv.gz")) else "\t")

    @property
    def first(self) -> Position:
        return self.dialect.start

    def schema(self) -> Schema:
        return Schema(self.dialect.names)

    def cut(self, content: bytes) -> int:
        return self.dialect.cut(content)

    def parse(self, block: Block) -> pl.DataFrame:
        return self.dialect.parse(block)

    def parse_piece(self, content: bytes) -> pl.DataFrame | None:
        begin = 0
        for _ in range(_ATTEMPTS_TO_ALIGN):
            # A short stretch shows whether a record begins here, and costs little where none does.
            if self._regular(content[begin : begin + _BYTES_TO_ALIGN]) is not None:
                return self._regular(content[begin:])
            begin = content.find(b"\n", begin) + 1
            if not begin:
                break
        return None

    def _regular(self, content: bytes) -> pl.DataFrame | None:
        end = self.cut(content)
        return self.dialect.parse_regular(content[:end]) if end else None

    def lines(self, block: Block) -> Iterator[int]:
        return (line for line, _ in self.dialect.lines(block))


@sources.register("json-lines")
class JsonLinesTable(TextTable):
    """One JSON object per line. Numbers and truth values become text, as in CSV, and nested values JSON text.

    The columns are the names in the whole of a small file, and in pieces from all over a large one.
    """

    suffixes = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")

    @cached_property
    def _names(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for number, block in enumerate(self.text.blocks(line_cut)):
            if number and (self.text.large or self.text.gzipped):
                break
            for _, record in self._records(block):
                names.update(dict.fromkeys(record))
        if self.text.large:
            for piece in self.text.pieces(self.first):
                for _, record in self._records(Block(piece, self.first)):
                    names.update(dict.fromkeys(record))
        if not names:
            raise SourceError("No line has a value", where=self.place, remedy='Write a line such as {"price": 12}')
        return tuple(names)

    @property
    def first(self) -> Position:
        return self.text.begin

    def schema(self) -> Schema:
        return Schema(self._names)

    def cut(self, content: bytes) -> int:
        return line_cut(content)

    def parse(self, block: Block) -> pl.DataFrame:
        schema = dict.fromkeys(self._names, pl.String)
        if block.content.isspace():
            return pl.DataFrame(schema=schema)
        try:
            return pl.read_ndjson(block.content, schema=schema)
        except pl.exceptions.PolarsError:
            # Python's reader knows NaN, whole numbers of any length, and the line of what is wrong.
            rows = [[_json_text(record.get(name)) for name in self._names] for _, record in self._records(block)]
            return pl.DataFrame(rows, schema=schema, orient="row")

    def parse_piece(self, content: bytes) -> pl.DataFrame | None:
        return self.parse(Block(content, self.first))

    def lines(self, block: Block) -> Iterator[int]:
        return (line for line, _ in self._records(block))

    def _records(self, block: Block) -> Iterator[tuple[int, dict[str, Any]]]:
        for line, text in enumerate(block.content.split(b"\n"), block.position.line):
            if not text or text.isspace():
                continue
            where = f"{self.place}, line {line}"
            try:
                record = json.loads(text)
            except (ValueError, RecursionError) as failure:
                raise SourceError(
                    f"The line is not valid JSON ({failure})", where=where, remedy="Write one JSON object per line"
                ) from failure
            if not isinstance(record, dict):
                raise SourceError(
                    f"The line holds {text.decode()[:40]!r} and not an object",
                    where=where,
                    remedy='Write one JSON object per line, such as {"price": 12}',
                )
            yield line, record


def _json_text(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


@sources.register("parquet")
class ParquetTable(TableSource):
    """Parquet, with its own types."""

    suffixes = (".parquet", ".pq")

    @cached_property
    def _schema(self) -> Schema:
        with self._understanding():
            rows = self._scan().select(pl.len()).collect().item()
            return Schema(tuple(self._scan().collect_schema()), rows=rows)

    def schema(self) -> Schema:
        return self._schema

    def frames(self, columns: Sequence[str]) -> Iterator[tuple[int, pl.DataFrame]]:
        rows = self.schema().rows or 0
        size = self._rows_at_a_time(len(columns))
        for start in range(0, rows, size):
            yield start, self._slice(columns, start, size)

    def sample_frame(self, rows: int) -> pl.DataFrame:
        names, count = self.schema().columns, self.schema().rows or 0
        size = self._rows_at_a_time(len(names))
        if count <= size:
            return _spread([self._slice(names, 0, count)], rows)
        stretches = min(_STRETCHES, rows)
        size = min(size, max(1, rows // stretches))
        starts = np.linspace(0, count - size, stretches).astype(np.int64).tolist()
        return _spread([self._slice(names, start, size) for start in starts], rows)

    def _rows_at_a_time(self, columns: int) -> int:
        stored = self.path.stat().st_size / max(self.schema().rows or 1, 1)
        return rows_of_a_chunk(max(_BYTES_OF_A_CELL * columns, stored))

    def _slice(self, columns: Sequence[str], start: int, rows: int) -> pl.DataFrame:
        with self._understanding():
            return self._scan().select(columns).slice(start, rows).collect()

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.path, glob=False, hive_partitioning=False)

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        try:
            with reading(self.path):
                yield
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as failure:
            raise SourceError(
                f"The Parquet file cannot be understood ({str(failure).splitlines()[0][:200]})",
                where=self.place,
                remedy="Check that it was written or downloaded completely",
            ) from failure
