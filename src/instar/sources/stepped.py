"""A table whose rows are steps, made ready to be cut: with columns for what a person need not say, and with numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import polars as pl

from instar.errors import ColumnError, SourceError
from instar.sources.base import Chunk, Column, Schema, Source
from instar.sources.derived import DerivedSource
from instar.sources.moments import are_dates, times
from instar.sources.tally import known

# Seconds since 1970, or the numbers that stand for times; a name that no file's header has.
MOMENT = "\0moment"
_SAID = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
# Microseconds, in which dates are counted elsewhere, make a second.
_MICROSECONDS = 1e6


class SteppedSource(DerivedSource):
    """Another source with a column that says to which series a row belongs, one for when it was, and `MOMENT`.

    series, steps: these columns. made: those of them that are not in the other source, and are made here: one series in
    all, and the rows' numbers. numbers: columns that must hold numbers, or words for yes and no, and become floats.
    Chunks raise SourceError for a cell that is neither.
    """

    def __init__(self, inner: Source, series: str, steps: str, made: frozenset[str], numbers: Sequence[str]) -> None:
        super().__init__(inner)
        self.series, self.steps, self.made, self.numbers = series, steps, made, tuple(numbers)
        schema = inner.schema()
        columns = [*(name for name in (series, steps) if name in made), *schema.columns]
        self._schema = Schema(tuple(dict.fromkeys([*columns, MOMENT])), rows=schema.rows)

    def schema(self) -> Schema:
        return self._schema

    @cached_property
    def dates(self) -> bool:
        """Whether times are dates and not numbers."""
        if self.steps in self.made:
            return False
        for chunk in self.inner.chunks([self.steps]):
            cells = chunk.columns[self.steps]
            if not isinstance(cells, pl.Series):
                raise ColumnError(f"The column {self.steps!r} holds files or arrays, and no times", where=self.place)
            if known(cells).null_count() < len(cells):
                return are_dates(known(cells))
        raise ColumnError(f"The column {self.steps!r} has no value, and says of no step when it was", where=self.place)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = self._schema.columns if columns is None else columns
        needed = [self.steps if name == MOMENT else name for name in names]
        read = list(dict.fromkeys(name for name in needed if name not in self.made))
        # What is made has as many rows as what is read.
        for chunk in self.inner.chunks(read or self.inner.schema().columns[:1]):
            yield Chunk(chunk.start, {name: self._column(name, chunk) for name in names})

    def _column(self, name: str, chunk: Chunk) -> Column:
        rows = np.arange(chunk.start, chunk.start + len(chunk))
        if name == self.series and name in self.made:
            return pl.Series(name, ["all"]).new_from_index(0, len(chunk))
        if name in self.made:
            return pl.Series(name, rows)
        if name == MOMENT:
            return self._moments(chunk, rows)
        return self._numbers(name, chunk) if name in self.numbers else chunk.columns[name]

    def _moments(self, chunk: Chunk, rows: np.ndarray) -> pl.Series:
        """Null where a time cannot be read, which is refused where times are put in order."""
        if self.steps in self.made:
            return pl.Series(MOMENT, rows.astype(np.float64))
        cells = chunk.columns[self.steps]
        assert isinstance(cells, pl.Series)
        moments = times(known(cells), self.dates).cast(pl.Float64)
        return (moments / _MICROSECONDS if self.dates else moments).alias(MOMENT)

    def _numbers(self, name: str, chunk: Chunk) -> pl.Series:
        cells = chunk.columns[name]
        if not isinstance(cells, pl.Series) or cells.dtype.is_nested() or cells.dtype.is_temporal():
            raise ColumnError(f"The column {name!r} holds no numbers", where=self.place, remedy="Name another column")
        cells = known(cells)
        numbers = cells.cast(pl.Float64, strict=False)
        odd = (cells.is_not_null() & numbers.is_null()).arg_true()
        if len(odd) and cells.dtype == pl.String:
            words = cells.gather(odd).str.to_lowercase().replace_strict(_SAID, default=None, return_dtype=pl.Float64)
            numbers = numbers.scatter(odd, words)
            odd = (cells.is_not_null() & numbers.is_null()).arg_true()
        if len(odd):
            row = int(odd[0])
            raise SourceError(
                f"{name} {str(cells[row])[:40]!r} is no number",
                where=self.inner.locate_row(chunk.start + row),
                remedy="Correct it, or leave the cell empty; words that say what is known become columns of 0 and 1",
            )
        return numbers.set(~numbers.is_finite().fill_null(True), None)
