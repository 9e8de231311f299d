"""Wide tables as series: several columns of one row are the steps of a series."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from instar.errors import ColumnError, UsageError, no_column
from instar.sources.base import Chunk, Column, Schema, Source
from instar.sources.columns import check_columns
from instar.sources.derived import DerivedSource
from instar.sources.tally import known

RANGE = ".."


@dataclass(frozen=True)
class WideTable:
    """The columns of the steps of each series, in order, by the series' name."""

    steps: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, Any]:
        return {"steps": {name: list(columns) for name, columns in self.steps.items()}}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WideTable:
        """Raises ValueError or KeyError where that is none."""
        steps = {name: tuple(columns) for name, columns in content["steps"].items()}
        named = [name for columns in steps.values() for name in columns]
        if not all(map(len, steps.values())) or not named or not all(isinstance(name, str) for name in named):
            raise ValueError("columns of a wide table")
        if len(set(named)) < len(named):
            raise ValueError("columns of a wide table")
        return cls(steps)

    @property
    def described(self) -> str:
        """For whoever has another such table."""
        return "; ".join(f"{name!r} from columns {each[0]!r} to {each[-1]!r}" for name, each in self.steps.items())


def find_ranges(source: Source, ranges: Sequence[str]) -> WideTable:
    """What ``FIRST..LAST`` means in the columns of a source. Raises UsageError, ColumnError."""
    columns = source.schema().columns
    steps: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for text in ranges:
        first, last = _ends(text, columns, source.place)
        begin, end = columns.index(first), columns.index(last)
        if begin >= end:
            order = f"{last!r} stands before {first!r}" if end < begin else "it is one column"
            remedy = f"Write the first column of the steps, two dots, and the last: FIRST{RANGE}LAST"
            raise UsageError(f"{text!r} is no range of columns: {order}", remedy=remedy)
        chosen = columns[begin : end + 1]
        if twice := taken.intersection(chosen):
            raise UsageError(f"The column {min(twice)!r} is in two ranges of steps", remedy="Name each column once")
        taken.update(chosen)
        steps[_name(first, last, {*columns, *steps})] = chosen
    return WideTable(steps)


def _ends(text: str, columns: Sequence[str], place: str) -> tuple[str, str]:
    """The two columns; their names may have the dots of a range in them."""
    parts = text.split(RANGE)
    cuts = [(RANGE.join(parts[:cut]), RANGE.join(parts[cut:])) for cut in range(1, len(parts))]
    for first, last in cuts:
        if first in columns and last in columns:
            return first, last
    first, last = cuts[0]
    raise no_column(first if first not in columns else last, columns, place)


def _name(first: str, last: str, taken: set[str]) -> str:
    """What both names begin with, without figures at its end; another name where that is none, or another column's."""
    common = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    name = re.sub(r"[\W\d_]+$", "", first[:common])
    wanted = [name, "series", f"{first}{RANGE}{last}"]
    return next(each for each in wanted if each and each not in taken)


class WideSource(DerivedSource):
    """A source some of whose columns are steps, as one that has them as series: lists of one channel, of steps.

    Raises ColumnError for a column that is not there.
    """

    def __init__(self, inner: Source, table: WideTable) -> None:
        super().__init__(inner)
        self.layout = table
        self._columns = inner.schema().columns
        known_columns = frozenset(self._columns)
        for column in (column for columns in table.steps.values() for column in columns):
            if column not in known_columns:
                raise no_column(column, self._columns, self.place)

    def schema(self) -> Schema:
        inner = self.inner.schema()
        first = {columns[0]: name for name, columns in self.layout.steps.items()}
        taken = {column for columns in self.layout.steps.values() for column in columns}
        columns = tuple(first.get(name, name) for name in self._columns if name in first or name not in taken)
        target = inner.target if inner.target in columns else None
        return replace(inner, columns=columns, target=target, nameless=())

    def targets(self, given: Sequence[str] = ()) -> tuple[str, ...]:
        for name in given:
            if name in self._columns and name not in self.schema().columns:
                raise ColumnError(
                    f"The column {name!r} is a step of a series, and cannot be the answer too",
                    where=self.place,
                    remedy="Name a range of --steps without it",
                )
        return super().targets(given)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self.schema())
        read = [column for name in names for column in self.layout.steps.get(name, (name,))]
        return (self._chunk(chunk, names) for chunk in self.inner.chunks(read))

    def sample(self, rows: int) -> Chunk:
        return self._chunk(self.inner.sample(rows), self.schema().columns)

    def fingerprint(self) -> str:
        content = json.dumps([self.inner.fingerprint(), self.layout.as_json()])
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def _chunk(self, chunk: Chunk, names: Sequence[str]) -> Chunk:
        steps = self.layout.steps
        return Chunk(
            chunk.start,
            {name: self._series(name, chunk, steps[name]) if name in steps else chunk.columns[name] for name in names},
        )

    def _series(self, name: str, chunk: Chunk, columns: Sequence[str]) -> Column:
        cells = [self._cells(column, chunk.columns[column]) for column in columns]
        kind = pl.String() if any(each.dtype == pl.String for each in cells) else pl.Float64()
        frame = pl.DataFrame([each.cast(kind) for each in cells])
        flat = frame.select(pl.concat_list(pl.all())).to_series().explode()
        return flat.reshape((len(frame), 1, len(columns))).cast(pl.List(pl.List(kind))).alias(name)

    def _cells(self, name: str, column: Column) -> pl.Series:
        if not isinstance(column, pl.Series) or column.dtype.is_temporal() or column.dtype.is_nested():
            raise ColumnError(
                f"The column {name!r} holds no numbers, and is no step of a series",
                where=self.place,
                remedy="Name a range of --steps without it",
            )
        return known(column)
