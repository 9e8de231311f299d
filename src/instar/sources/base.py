"""What a source is: an iterator of chunks of records, with a schema and a fingerprint.

A chunk holds columns of equal length. A column is one of three things, and a kind says which of them it reads:

- a polars ``Series``: cells of a table, as the file gave them (text files give text; kinds parse it);
- a numpy array (rows, ...) of two or more axes: one array per row;
- a ``FileColumn``: one file per row, not yet opened.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from instar.errors import SourceError
from instar.registry import Registry


@dataclass(frozen=True)
class FileReference:
    """One file of a source: a path, or bytes that came another way (an upload, a cell of a table)."""

    name: str
    path: Path | None = None
    content: bytes | None = None

    def read(self) -> bytes:
        """The file's bytes. Raises SourceError where it cannot be read."""
        if self.content is not None:
            return self.content
        if self.path is None:
            raise SourceError("The file is missing", where=self.name)
        try:
            return self.path.read_bytes()
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


@dataclass(frozen=True)
class Schema:
    """What a source knows of itself before it is read.

    columns: the names of all columns, in order.
    rows: how many records there are, where that is known without reading them.
    target: the column that the source itself says is the answer (a folder per class, an example set), if any.
    given_split: the column whose cells say ``train``, ``validation`` or ``test``, if the source has one.
    kinds: kinds that the source is certain of, by column, for example of an example set.
    """

    columns: tuple[str, ...]
    rows: int | None = None
    target: str | None = None
    given_split: str | None = None
    kinds: Mapping[str, str] | None = None


class Source(ABC):
    """Where examples come from. Memory must not grow with the number of examples.

    ``name`` is short and fit for a folder's name (``houses``, ``digits``); ``place`` is what messages call it.
    """

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

        ``options``: ``target`` (a tuple of names, possibly empty) and ``allow_outside`` (whether a table may name
        files outside its own folder).
        """

    @abstractmethod
    def schema(self) -> Schema:
        """The columns. Raises SourceError, for an empty file for example."""

    @abstractmethod
    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        """All records in a fixed order, a few thousand or tens of thousands at a time. May be called again.

        Only the named ``columns`` are given where they are named, and in that order.
        """

    @abstractmethod
    def sample(self, rows: int) -> Chunk:
        """About ``rows`` records, spread over the whole of the source and not only its beginning; always the same."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hex digits that change when the source may have changed.

        For files: of path, size and time of change; for what lies in memory: of the content.
        """

    def locate_row(self, row: int) -> str:
        """Where a person finds row number ``row`` (from 0): ``houses.csv, line 12`` or ``photos/cat/3.jpg``."""
        return f"{self.place}, row {row + 1}"


sources: Registry[type[Source]] = Registry("source", "instar.sources")
