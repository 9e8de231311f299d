"""Learning without answers: what is asked of every row is how odd it is, and no column has to say it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from instar.errors import ColumnError, UsageError
from instar.sources import Chunk, Schema, Source
from instar.sources.columns import check_columns
from instar.sources.derived import DerivedSource

# How what is asked is called where no column has a name for it.
ANOMALY = "anomaly"


def without_target(source: Source, odd: str | None, target: Sequence[str]) -> Source:
    """The source with nothing to learn from but its inputs; what holds its own answers is left out.

    odd: the column that says which rows are odd, for the exam alone. Where there is none, a column `ANOMALY` is added
        in which nothing is said.

    Raises UsageError where a target is named too, and ColumnError for a column that there is not.
    """
    if target:
        raise UsageError(
            f"The column {target[0]!r} is to be learned, and there is to be no target",
            remedy="Leave out --target, or --no-target and --odd",
        )
    schema = source.schema()
    if odd is None and ANOMALY in schema.columns:
        raise ColumnError(
            f"There is a column {ANOMALY!r} already",
            where=source.place,
            remedy=f"If it says which rows are odd, give --odd {ANOMALY}; else rename it",
        )
    if odd is not None:
        source.targets([odd])  # names the columns that there are
    return _Unanswered(source, odd or ANOMALY)


def with_column(source: Source, name: str) -> Source:
    """The source itself where it has the column, which says what is odd; else with one in which nothing is said."""
    return source if name in source.schema().columns else _Unanswered(source, name)


class _Unanswered(DerivedSource):
    """Another source, with the column ``asked`` as its target; it is empty where the source has none of that name."""

    def __init__(self, source: Source, asked: str) -> None:
        super().__init__(source)
        self._asked = asked
        schema = source.schema()
        self._made = asked not in schema.columns
        columns = (*schema.columns, asked) if self._made else schema.columns
        left_out = dict(schema.left_out)
        if schema.target not in (None, asked):
            left_out[schema.target] = "it holds answers, and none are learned; --odd examines by them"
        nameless = tuple(name for name in schema.nameless if name != asked)
        self._schema = replace(schema, columns=columns, target=asked, nameless=nameless, left_out=left_out)

    def schema(self) -> Schema:
        return self._schema

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self._schema)
        if not self._made or self._asked not in names:
            return self.inner.chunks(names)
        # Of no column at all nobody could say how many rows there are.
        others = [name for name in names if name != self._asked] or list(self.inner.schema().columns[:1])
        return (self._with(chunk, names) for chunk in self.inner.chunks(others))

    def sample(self, rows: int) -> Chunk:
        chunk = self.inner.sample(rows)
        return self._with(chunk, self._schema.columns) if self._made else chunk

    def _with(self, chunk: Chunk, names: Sequence[str]) -> Chunk:
        nothing = pl.Series(self._asked, [None], dtype=pl.String).new_from_index(0, len(chunk))
        return Chunk(chunk.start, {name: nothing if name == self._asked else chunk.columns[name] for name in names})
