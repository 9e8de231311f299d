"""What a source is: an iterator of chunks of records, with a schema and a fingerprint.

A chunk holds columns of equal length. A column is one of three things, and a kind says which of them it reads:

- a polars ``Series``: cells of a table, as the file gave them (text files give text; kinds parse it);
- a numpy array (rows, ...) of two or more axes: one array per row;
- a ``FileColumn``: one file per row, not yet opened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import polars as pl

from instar.errors import SourceError, no_column
from instar.registry import Registry
from instar.sources.slices import files_of

# Files that are read before what they gave is put away: enough to keep the processors busy.
FILES_AT_A_TIME = 1_024


@dataclass(frozen=True)
class FileReference:
    """One file of a source: a path, or bytes that came another way (an upload, a cell of a table).

    The path may be that of a folder which is one example, such as the slices of a scan: its `parts` can be opened.
    """

    name: str
    path: Path | None = None
    content: bytes | None = None

    @property
    def is_folder(self) -> bool:
        return self.path is not None and self.path.is_dir()

    def parts(self) -> list[FileReference]:
        """The file itself, or the files in the folder, by name. Raises SourceError where they cannot be listed."""
        if self.path is None or not self.path.is_dir():
            return [self]
        try:
            return [FileReference(f"{self.name}/{name}", path=self.path / name) for name in files_of(self.path)]
        except OSError as failure:
            raise SourceError(f"The folder cannot be read ({failure.strerror})", where=self.name) from failure

    def read(self) -> bytes:
        """The file's bytes. Raises SourceError where it cannot be read."""
        with self.open() as stream:
            return stream.read()

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """A stream of the file's bytes, which may be too many for memory.

        Raises SourceError where it cannot be read, also while that is done.
        """
        if self.content is not None:
            yield BytesIO(self.content)
            return
        if self.path is None:
            raise SourceError("The file is missing", where=self.name)
        if self.path.exists() and not self.path.is_file():  # a pipe or a device may never end
            raise SourceError("It is no regular file", where=self.name)
        try:
            with self.path.open("rb") as stream:
                yield stream
        except OSError as failure:
            raise SourceError(f"The file cannot be read ({failure.strerror})", where=self.name) from failure


@dataclass(frozen=True)
class FileColumn:
    """A column of files; None where a row has none."""

    files: Sequence[FileReference | None]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: slice) -> FileColumn:
        return FileColumn(self.files[rows])

    def take(self, rows: Sequence[int] | np.ndarray) -> FileColumn:
        return FileColumn([self.files[row] for row in rows])


Column = pl.Series | np.ndarray | FileColumn


def take(column: Column, rows: np.ndarray) -> Column:
    """The column's ``rows`` (integers), in their order."""
    if isinstance(column, FileColumn):
        return column.take(rows)
    return column.gather(rows) if isinstance(column, pl.Series) else column[rows]


def join(parts: Sequence[Column]) -> Column:
    """The parts of one column below each other."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, FileColumn):
        return FileColumn([file for part in parts for file in part.files])  # type: ignore[union-attr]
    return pl.concat(parts) if isinstance(first, pl.Series) else np.concatenate(parts)  # type: ignore[type-var,arg-type]


@dataclass(frozen=True)
class Chunk:
    """A stretch of consecutive records.

    ``start`` is the first one's row number in the source, counted from 0; ``columns`` maps names to columns of equal
    length, in the schema's order.
    """

    start: int
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return next((len(column) for column in self.columns.values()), 0)

    def take(self, rows: np.ndarray) -> Chunk:
        """The ``rows`` (integers, counted within the chunk) as a chunk of their own, which starts at 0."""
        return Chunk(0, {name: take(column, rows) for name, column in self.columns.items()})


@dataclass(frozen=True)
class Schema:
    """What a source knows of itself before it is read.

    columns: the names of all columns, in order.
    rows: how many records there are, where that is known without reading them.
    target: the column that the source itself says is the answer (a folder per class, an example set), if any.
    given_split: the column whose cells say ``train``, ``validation`` or ``test``, if the source has one.
    nameless: columns whose names the source made up, because what was given has none (``file``, ``input``);
        `instar.sources.matching.match` gives them the name that a model expects.
    identifier: the column whose cells tell records apart, where a record is more than a row: answers begin with it.
    left_out: what nobody should learn from, each with the reason, whether it is one of the columns or not.
    kinds: of which kind columns are, where the source knows it for certain.
    span: the columns that say when what a record asks for begins and ends, where records lie in time: then the latest
        are the exam, and no record that is learned from reaches into it.
    moments: the column that lists when the steps are of which an answer tells; answers name them.
    notes: sentences about what was brought and how it is used.
    """

    columns: tuple[str, ...]
    rows: int | None = None
    target: str | None = None
    given_split: str | None = None
    nameless: tuple[str, ...] = ()
    identifier: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    span: tuple[str, str] | None = None
    moments: str | None = None
    notes: tuple[str, ...] = ()


class Source(ABC):
    """Where examples come from. Memory must not grow with the number of examples.

    ``name`` is short and fit for a folder's name (``houses``, ``digits``); ``place`` is what messages call it.
    ``suffixes`` are those of the files that it reads, if any. Where several sources recognize the same thing, the
    one of the highest ``precedence`` gets it, then the first by name.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    precedence: ClassVar[int] = 0

    name: str
    place: str

    @classmethod
    @abstractmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        """Whether this source reads what a person gave: a path, a name such as ``example:digits``, a frame, arrays.

        It looks at names, suffixes and types, and at a file's first bytes at most.
        """

    @classmethod
    @abstractmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        """Open what was given. Raises SourceError, which names the file, the reason and the remedy.

        ``options``: ``target`` (a tuple of names, possibly empty), ``allow_outside`` (whether a table or frame may name
        files outside its folder), ``files`` (the columns that hold files; None where that is to be found out), and
        ``alone`` (whether a file is all that is meant, and not those that belong to it).
        """

    @abstractmethod
    def schema(self) -> Schema:
        """The columns. Raises SourceError, for an empty file for example."""

    @abstractmethod
    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        """All records in a fixed order, a few thousand or tens of thousands at a time. May be called again.

        Only the named ``columns`` are given where they are named, and in that order.
        """

    def sample(self, rows: int) -> Chunk:
        """At most ``rows`` records, spread over the whole of the source and not only its beginning; always the same.

        This one reads everything once, and keeps at most ``2 * rows`` records at a time.
        """
        return thin(self.chunks(), rows)

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digits that change when the source may have changed.

        For files: of path, size and time of change; for what lies in memory: of the content.
        """

    def targets(self, given: Sequence[str] = ()) -> tuple[str, ...]:
        """The target columns: those ``given`` by name, else what the source itself says, if it says anything.

        Raises ColumnError for a name that is not a column's.
        """
        schema = self.schema()
        for name in given:
            if name not in schema.columns:
                raise no_column(name, schema.columns, self.place)
        return tuple(given) or ((schema.target,) if schema.target is not None else ())

    def locate_row(self, row: int) -> str:
        """Where a person finds row number ``row`` (from 0): ``houses.csv, line 12`` or ``photos/cat/3.jpg``."""
        return f"{self.place}, row {row + 1}"


def bounded(chunks: Iterable[Chunk], rows: int | None = None) -> Iterator[Chunk]:
    """The same records at most ``rows`` at a time, and those with files never more than keep the processors busy."""
    for chunk in chunks:
        files = any(isinstance(each, FileColumn) for each in chunk.columns.values())
        most = min(rows or len(chunk), FILES_AT_A_TIME if files else len(chunk))
        if len(chunk) <= most:
            yield chunk
            continue
        for start in range(0, len(chunk), most):
            stretch = slice(start, start + most)
            yield Chunk(chunk.start + start, {name: column[stretch] for name, column in chunk.columns.items()})


def thin(chunks: Iterable[Chunk], rows: int) -> Chunk:
    """At most ``rows`` records, evenly spread over all ``chunks``, however many they are; never draws at random."""
    stride, seen, kept, count = 1, 0, [], 0
    for chunk in chunks:
        chosen = np.arange(-seen % stride, len(chunk), stride)
        seen += len(chunk)
        kept.append(chunk.take(chosen))
        count += len(chosen)
        while count > 2 * rows:
            stride *= 2
            kept = [_together(kept)]
            kept = [kept[0].take(np.arange(0, count, 2))]
            count = len(kept[0])
    if not kept:
        return Chunk(0, {})
    whole = _together(kept)
    return whole if count <= rows else whole.take(np.linspace(0, count - 1, rows).round().astype(np.int64))


def _together(chunks: Sequence[Chunk]) -> Chunk:
    return Chunk(0, {name: join([chunk.columns[name] for chunk in chunks]) for name in chunks[0].columns})


sources: Registry[type[Source]] = Registry("source", "instar.sources")
