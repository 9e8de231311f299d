"""Long tables as series: a row for each step, a column that says whose step it is, and one that says when.

A first reading counts the rows of every series and finds out what varies within them; the next gathers. What lies
together in the table is gathered in one reading. Where series are scattered, rows wait until their series is complete,
and so only as many series are gathered in a reading as fit in an eighth of the machine's memory: memory grows with the
number of series, by some tens of bytes for each, and not with their steps.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError, SourceError, UsageError, no_column
from instar.sources.base import Chunk, Schema, Source
from instar.sources.columns import check_columns, rows_of_a_chunk
from instar.sources.derived import DerivedSource
from instar.sources.moments import Pace, are_dates, positions, times, unit_of
from instar.sources.tally import CASE, ROW, Tally, canonical, known


def _cells_at_a_time() -> int:
    """How many cells of the table are gathered together: they may take an eighth of the machine's memory."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system tells
        memory = 0
    return max(LEAST_CELLS, memory // 8 // BYTES_OF_A_CELL)


# As measured: text, its sorted copy, and the lists that are made of it. So few cells fit in everybody's memory.
BYTES_OF_A_CELL, LEAST_CELLS = 85, 1 << 22
CELLS_AT_A_TIME = _cells_at_a_time()
# Series that show how far apart steps are.
_PACED = 1_000
# Columns that are added to those of the table, besides those of its tally.
_AT, _PLACE, _CHANNEL, _CELL = "\0at", "\0place", "\0channel", "\0cell"


@dataclass(frozen=True)
class LongTable:
    """Which columns of a long table are what; what is None is found out, and then known, so that others are read alike.

    series, steps: the columns that say of whose step a row is, and when it was.
    channels: the columns that vary within a series, in order; field: what the series that they make are called.
    """

    series: str
    steps: str
    channels: tuple[str, ...] | None = None
    field: str | None = None
    pace: Pace | None = None

    def as_json(self) -> dict[str, Any]:
        assert self.channels is not None and self.pace is not None
        return {
            "series": self.series,
            "steps": self.steps,
            "channels": list(self.channels),
            "field": self.field,
            "pace": self.pace.as_json(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LongTable:
        """Raises ValueError or KeyError where that is none."""
        series, steps, field, channels = (content[name] for name in ("series", "steps", "field", "channels"))
        named = [series, steps, *channels]
        if not channels or not all(isinstance(name, str) for name in [field, *named]) or len(set(named)) < len(named):
            raise ValueError("columns of a long table")
        return cls(series, steps, tuple(channels), field, Pace.from_json(content["pace"]))

    @property
    def described(self) -> str:
        """For whoever has another such table."""
        channels = ", ".join(map(repr, self.channels or ()))
        return f"{self.field!r} from rows of {channels}: one for each step, of {self.series!r} at {self.steps!r}"


class LongSource(DerivedSource):
    """A source whose rows are steps, as one whose rows are series, in the order in which these begin.

    Channels come together as one column of lists, of channels, of steps; a column that has one value in each series is
    as it was. ``excluded`` columns are no channels, whether they vary or not. Where steps lie evenly apart, those that
    lack are null.

    Raises ColumnError for a column that is not there, or where nothing varies. Chunks raise SourceError for a row
    without series or time, and where a series has one time twice.
    """

    def __init__(self, inner: Source, table: LongTable, excluded: Sequence[str] = ()) -> None:
        super().__init__(inner)
        self._asked, self._excluded = table, frozenset(excluded)
        self._columns = inner.schema().columns
        for name in (table.series, table.steps, *(table.channels or ())):
            if name not in self._columns:
                raise no_column(name, self._columns, self.place)
        if table.series == table.steps:
            raise UsageError(
                f"The column {table.series!r} cannot say both whose step a row is and when it was",
                remedy="Name two columns: --series ID --steps TIME",
            )

    @cached_property
    def layout(self) -> LongTable:
        """All that has to be known to read another table alike."""
        asked = self._asked
        if asked.channels is not None:
            return asked
        fields = [name for name in ("series", "steps") if name not in self._columns]
        field = fields[0] if fields else "_".join(self._columns)
        return replace(asked, channels=self._channels(), field=field, pace=self._pace())

    @cached_property
    def _tally(self) -> Tally:
        aside = {self._asked.series, self._asked.steps}
        names = [name for name in self._columns if name not in aside] if self._asked.channels is None else []
        return Tally.of(self.inner, self._asked.series, names)

    def _channels(self) -> tuple[str, ...]:
        tally = self._tally
        chosen = tally.varying - set(tally.words) - self._excluded
        if not chosen:
            single = "; every one has a single row" if tally.counts.max() == 1 else ""
            words = ", ".join(f"{name!r} holds {cell!r}" for name, (_, cell) in tally.words.items())
            raise ColumnError(
                f"No column of numbers changes from step to step of a {self._asked.series!r}{single}"
                + (f" ({words})" if words else ""),
                where=self.place,
                remedy="Name the column that is equal in all rows of a series with --series",
            )
        return tuple(name for name in self._columns if name in chosen)

    def _pace(self) -> Pace:
        few = self._tally.spread(_PACED, CELLS_AT_A_TIME // 2)
        frame = pl.concat(self._tally.gathered([self._asked.series, self._asked.steps], few, CELLS_AT_A_TIME))
        dates = are_dates(known(frame[self._asked.steps]))
        moments = self._times(frame, dates).to_numpy()
        cases = frame[CASE].to_numpy()
        order = np.lexsort((moments, cases))
        distances = np.diff(moments[order])[np.diff(cases[order]) == 0]
        return Pace(dates, unit_of(distances[distances > 0]))

    def schema(self) -> Schema:
        return self._schema

    @cached_property
    def _schema(self) -> Schema:
        layout, inner = self.layout, self.inner.schema()
        assert layout.channels is not None and layout.field is not None and layout.pace is not None
        left_out = {
            layout.series: "it says to which series a row belongs",
            layout.steps: f"it says when each step was; these are {layout.pace.described}",
        }
        left_out |= dict.fromkeys(self._tally.odd, "it holds files or arrays, one for each step")
        for name, (row, cell) in self._tally.words.items():
            if name not in self._excluded:
                where = self.inner.locate_row(row)
                left_out[name] = f"it changes from step to step and holds no numbers ({cell[:40]!r} in {where})"
        aside = {*layout.channels, *left_out} - {layout.series}
        columns = [name for name in self._columns if name not in aside]
        columns.insert(columns.index(layout.series) + 1, layout.field)
        return Schema(
            tuple(columns),
            rows=len(self._tally),
            target=inner.target if inner.target in columns else None,
            given_split=inner.given_split if inner.given_split in columns else None,
            identifier=layout.series,
            left_out=left_out,
        )

    def targets(self, given: Sequence[str] = ()) -> tuple[str, ...]:
        for name in given:
            if name in self._columns and name not in self.schema().columns:
                raise ColumnError(
                    f"The column {name!r} changes from step to step, and a series has one answer",
                    where=self.place,
                    remedy=f"Name a column that has one value for each {self._asked.series!r}",
                )
        return super().targets(given)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names, start = check_columns(columns, self.schema()), 0
        for found in self._gathered(np.arange(len(self._tally)), names):
            rows = len(next(iter(found.values())))
            size = rows_of_a_chunk(sum(column.estimated_size() for column in found.values()) / rows)
            for begin in range(0, rows, size):
                yield Chunk(start + begin, {name: column[begin : begin + size] for name, column in found.items()})
            start += rows

    def sample(self, rows: int) -> Chunk:
        few = self._tally.spread(rows, CELLS_AT_A_TIME // len(self._columns))
        parts = list(self._gathered(few, self.schema().columns))
        return Chunk(0, {name: pl.concat([part[name] for part in parts]) for name in parts[0]})

    def fingerprint(self) -> str:
        asked: list[Any] = [self._asked.series, self._asked.steps, sorted(self._excluded)]
        asked.append(None if self._asked.channels is None else self._asked.as_json())
        return hashlib.blake2b(json.dumps([self.inner.fingerprint(), asked]).encode(), digest_size=16).hexdigest()

    def locate_row(self, row: int) -> str:
        return f"{self.inner.locate_row(int(self._tally.first[row]))}, {self._asked.series} {self._tally.names[row]!r}"

    def _gathered(self, cases: np.ndarray, names: Sequence[str]) -> Iterator[dict[str, pl.Series]]:
        """The columns ``names`` of some series, as many as fit in memory at a time."""
        layout = self.layout
        scalars = [name for name in names if name not in (layout.series, layout.field)]
        channels = layout.channels or () if layout.field in names else ()
        read = [layout.series, *([layout.steps] if channels else []), *channels, *scalars]
        for frame in self._tally.gathered(read, cases, max(1, CELLS_AT_A_TIME // (len(read) + 2))):
            found = self._scalars(frame, scalars)
            numbers = frame[CASE].unique().sort()
            found[layout.series] = self._tally.names.gather(numbers).alias(layout.series)
            if channels:
                found[str(layout.field)] = self._series(frame, channels).alias(str(layout.field))
            yield {name: found[name] for name in names}

    def _scalars(self, frame: pl.DataFrame, names: Sequence[str]) -> dict[str, pl.Series]:
        """The first known value of each series. Raises ColumnError where a column that is no channel has several."""
        checked = [name for name in names if name not in self._excluded]
        alike = frame.select(CASE, ROW, *(canonical(name, known(frame[name])) for name in checked))
        counts = alike.group_by(CASE).agg(pl.col(name).drop_nulls().n_unique() for name in checked)
        for name in checked:
            several = counts.filter(pl.col(name) > 1)[CASE]
            if len(several):
                raise ColumnError(
                    f"The column {name!r} changes from step to step, and has one value for a series elsewhere",
                    where=self.locate_row(int(several.min())),  # type: ignore[arg-type]
                    remedy=f"Give all rows of a {self._asked.series!r} the same value",
                )
        cells = (
            frame.select(CASE, *(known(frame[name]) for name in names))
            .group_by(CASE)
            .agg(pl.col(name).drop_nulls().first() for name in names)
        )
        return {name: cells.sort(CASE)[name] for name in names}

    def _series(self, frame: pl.DataFrame, channels: Sequence[str]) -> pl.Series:
        """List of channels of lists of steps, a row for each series, in the order of their numbers."""
        assert self.layout.pace is not None
        typed = self._typed(frame, channels)
        moments = self._times(frame, self.layout.pace.dates)
        steps = pl.DataFrame([frame[CASE], frame[ROW], moments, *typed]).sort(CASE, _AT)
        cases, at = steps[CASE].to_numpy(), steps[_AT].to_numpy()
        first = np.diff(cases, prepend=-1) > 0
        twice = np.flatnonzero(~first[1:] & (at[1:] == at[:-1]))
        if len(twice):
            row = max(steps[ROW][int(twice[0])], steps[ROW][int(twice[0]) + 1])
            raise SourceError(
                f"{self._asked.series} {self._tally.names[int(cases[twice[0]])]!r} has two rows of the time "
                f"{frame.filter(pl.col(ROW) == row)[self._asked.steps][0]}",
                where=self.inner.locate_row(row),
                remedy="Leave one of them out, or give each channel a column of its own",
            )
        places = positions(at, first, self.layout.pace.unit)
        steps = steps.with_columns(pl.Series(_PLACE, places))
        lengths = places[np.append(first[1:], True)] + 1
        if lengths.sum() > len(steps):
            whole = {CASE: np.repeat(cases[first], lengths), _PLACE: _counted(lengths)}
            steps = pl.DataFrame(whole).join(steps, on=[CASE, _PLACE], how="left", maintain_order="left")
        long = steps.unpivot(on=channels, index=CASE, variable_name=_CHANNEL, value_name=_CELL)
        nested = long.group_by(CASE, _CHANNEL, maintain_order=True).agg(_CELL).group_by(CASE, maintain_order=True)
        return nested.agg(_CELL).sort(CASE)[_CELL]

    def _times(self, frame: pl.DataFrame, dates: bool) -> pl.Series:
        cells = known(frame[self._asked.steps])
        moments = times(cells, dates).alias(_AT)
        if moments.null_count():
            place = int(moments.is_null().arg_true()[0])
            form = "neither a number nor a date such as 2024-05-01 12:30:00" if dates else "no number, as others are"
            said = f"{self._asked.steps} {str(cells[place])[:40]!r} is {form}"
            raise SourceError(
                f"The row does not say when it was: it has no {self._asked.steps!r}" if cells[place] is None else said,
                where=self.inner.locate_row(frame[ROW][place]),
                remedy="Correct it, or leave the row out",
            )
        return moments

    def _typed(self, frame: pl.DataFrame, channels: Sequence[str]) -> list[pl.Series]:
        """Channels as numbers, or all as text where one is: then words are for whoever reads the series."""
        columns = [known(frame[name]) for name in channels]
        for column in columns:
            if column.dtype.is_temporal():
                raise ColumnError(f"The column {column.name!r} holds dates and not numbers", where=self.place)
        if any(column.dtype == pl.String for column in columns):
            return [column.cast(pl.String) for column in columns]
        return [column.cast(pl.Float64) for column in columns]


def _counted(lengths: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... for each length, one after another."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
