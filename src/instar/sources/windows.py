"""Series cut into windows: each record is some steps of history and those after them, which are to be forecast.

Where rows are steps, `LongSource` brings those of a series together; here they are cut, so that a record asks what
comes next. What the future of the target was stands in a column of the target's name and nowhere else, so that
neither an input nor a record's key holds any of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError, SourceError, no_column
from instar.sources.base import Chunk, Column, Schema, Source
from instar.sources.cells import windows_column
from instar.sources.clock import Clock, find_season
from instar.sources.columns import check_columns
from instar.sources.derived import DerivedSource
from instar.sources.long import LongSource, LongTable
from instar.sources.stepped import MOMENT, SteppedSource
from instar.sources.window_table import WindowTable, sizes_of
from instar.words import counted

logger = logging.getLogger("instar")

# As many windows are cut as are worth learning from, and as many numbers in them as fit on a small disk; where series
# give more, windows begin some steps apart.
MOST_WINDOWS, MOST_NUMBERS = 30_000, 1 << 25
# Numbers that windows have together while they are cut; series that are looked at for a season, the earlier part of
# them, since the later one is the exam; and left out ones that are named.
_NUMBERS_AT_A_TIME, _LOOKED_AT, _EARLIER, _NAMED = 1 << 21, 200, 0.6, 5


@dataclass(frozen=True)
class _Survey:
    """What one reading of all series showed.

    first, last: int64 (series,), the first step of each with a target and the last, -1 where there is none. sizes: how
    many steps each has. times: some, (n,). courses: the earlier part of the first target of some series, without gaps.
    """

    first: np.ndarray
    last: np.ndarray
    sizes: np.ndarray
    times: np.ndarray
    courses: list[np.ndarray]


class WindowSource(DerivedSource):
    """A source whose rows are steps, as one whose rows are windows into series.

    Columns: the series' name and whatever has one value in each, ``window`` (`instar.sources.cells`), each target, and
    when the steps ahead begin, end and are. ``latest``: one window for each series, ahead of which lies what follows
    its last target; else as many as there are, of which the targets ahead are known.

    Raises ColumnError, UsageError, SourceError, also for steps at uneven distances and where all series are too short;
    of others that is said in the schema's notes, or in a warning where there is nobody to read them.
    """

    def __init__(
        self, inner: Source, table: WindowTable, *, latest: bool = False, excluded: Sequence[str] = ()
    ) -> None:
        super().__init__(inner)
        self._asked, self.latest, self._excluded = table, latest, tuple(excluded)
        columns = inner.schema().columns
        for name in (table.series, table.steps, *table.targets, *table.known):
            if name is not None and name not in columns:
                raise no_column(name, columns, self.place)
        long = table.long
        if long is None:
            series = table.series or _free("series", columns)
            long = LongTable(series, table.steps or _free("row", columns))
        made = frozenset(
            name for name, said in ((long.series, table.series), (long.steps, table.steps)) if said is None
        )
        self._stepped = SteppedSource(inner, long.series, long.steps, made, (*table.targets, *table.known))
        self._long = LongSource(self._stepped, long, excluded)

    @cached_property
    def layout(self) -> WindowTable:
        """All that has to be known to read another table alike."""
        asked = self._asked
        if asked.long is not None:
            return asked
        long = self._long.layout
        assert long.channels is not None and long.pace is not None
        for name in asked.targets:
            if name not in long.channels:
                raise ColumnError(f"The column {name!r} does not change from step to step", where=self.place)
        if long.pace.unit is None and asked.steps is not None:
            raise SourceError(
                f"The times in {asked.steps!r} are at uneven distances",
                where=self.place,
                remedy="Bring the steps to even distances, or leave out --steps to take the rows in their order",
            )
        known = tuple(name for name in asked.known if name in long.channels)
        survey, clock = self._survey, None
        if asked.steps is not None:
            unit = float(long.pace.unit or 1.0) / (1e6 if long.pace.dates else 1.0)
            clock = Clock.of(long.pace.dates, unit, survey.times)
        lengths = (survey.last - survey.first + 1)[survey.last >= 0]
        if not len(lengths):
            raise ColumnError(f"The column {asked.targets[0]!r} has no numbers", where=self.place)
        season = asked.season or find_season(survey.courses, None if clock is None else clock.season)
        history, season = sizes_of(asked, season, lengths, self.place)
        return replace(
            asked,
            known=known,
            history=history,
            season=season,
            clock=clock,
            long=long,
            single=len(survey.sizes) == 1,
        )

    @cached_property
    def _survey(self) -> _Survey:
        """Read every series once."""
        places: list[tuple[int, int, int]] = []
        times: list[np.ndarray] = []
        courses: list[np.ndarray] = []
        for _, steps in self._series(self._asked.targets):
            known = np.flatnonzero(~np.isnan(steps[1:]).all(axis=0))
            places.append((int(known[0]), int(known[-1]), steps.shape[1]) if len(known) else (0, -1, steps.shape[1]))
            if len(courses) < _LOOKED_AT and len(known):
                moments = steps[0][~np.isnan(steps[0])]
                times.append(moments)
                course = steps[1, known[0] : known[0] + max(3, int(_EARLIER * (known[-1] + 1 - known[0])))]
                there = np.flatnonzero(~np.isnan(course))
                if len(there) > 2:
                    courses.append(np.interp(np.arange(len(course)), there, course[there]))
        whole = np.concatenate(times) if times else np.zeros(0)
        first, last, sizes = np.array(places, np.int64).reshape(-1, 3).T
        return _Survey(first, last, sizes, whole, courses)

    def _series(
        self, channels: Sequence[str], columns: Sequence[str] = ()
    ) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """Of each series the cells of ``columns``, and float64 (1 + channels, steps): moments, then ``channels``."""
        long = self._long.layout
        assert long.channels is not None
        place = {name: number for number, name in enumerate(long.channels)}
        chosen = [place[MOMENT], *(place[name] for name in channels)]
        for chunk in self._long.chunks([*columns, str(long.field)]):
            nested = chunk.columns[str(long.field)]
            assert isinstance(nested, pl.Series)
            lists = nested.explode()
            sizes = lists.list.len().to_numpy().reshape(len(nested), len(long.channels))[:, 0].astype(np.int64)
            flat = lists.explode().cast(pl.Float64, strict=False).to_numpy()
            ends = np.cumsum(sizes) * len(long.channels)
            for row, (size, end) in enumerate(zip(sizes.tolist(), ends.tolist(), strict=True)):
                steps = flat[end - size * len(long.channels) : end].reshape(len(long.channels), size)[chosen]
                yield {name: chunk.columns[name][row] for name in columns}, steps  # type: ignore[index]

    @cached_property
    def _origins(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Of each series the first step ahead of its last window, and how many windows it gives; and how far apart
        these begin. A series that is shorter than a window gives none."""
        layout, survey = self.layout, self._survey
        assert layout.history is not None
        if self.latest:
            last = survey.last + 1
            return last, (last - survey.first >= layout.history).astype(np.int64), 1
        last = survey.last + 1 - layout.ahead
        room = np.maximum(last - survey.first - layout.history + 1, 0)
        numbers = (len(layout.channels) + len(layout.targets) + 2) * (layout.history + layout.ahead)
        most = max(1, min(MOST_WINDOWS, MOST_NUMBERS // numbers))
        stride = max(1, -(-int(room.sum()) // most))
        return last, -(-room // stride), stride

    @cached_property
    def _begins(self) -> np.ndarray:
        """The number of each series' first window; and how many there are in all."""
        return np.concatenate([[0], np.cumsum(self._origins[1])])

    def schema(self) -> Schema:
        return self._schema

    @cached_property
    def _schema(self) -> Schema:
        layout, long = self.layout, self._long.schema()
        assert layout.long is not None
        if not self._begins[-1]:
            raise SourceError(
                f"No series has the {layout.history:,} steps of history"
                + ("" if self.latest else f" and the {layout.ahead:,} ahead")
                + " that a forecast needs",
                where=self.place,
                remedy="Bring longer series",
            )
        fixed = [name for name in long.columns if name not in (layout.long.field, layout.long.series)]
        whose = [layout.long.series] if layout.series is not None and not layout.single else []
        taken = [*fixed, *whose, *layout.targets]
        self._window, self._first, self._last = (_free(name, taken) for name in ("window", "first step", "last step"))
        self._listed = layout.steps or _free("step", taken)
        left_out = {
            name: reason for name, reason in long.left_out.items() if name not in (layout.long.series, self._listed)
        }
        left_out[self._listed] = "it says when the steps are"
        return Schema(
            (*whose, *fixed, self._window, *layout.targets, self._first, self._last, self._listed),
            rows=int(self._begins[-1]),
            identifier=layout.series if whose else None,
            left_out={name: reason for name, reason in left_out.items() if not name.startswith("\0")},
            span=(self._first, self._last),
            moments=self._listed,
            notes=tuple(self._notes()),
        )

    def _notes(self) -> list[str]:
        layout, (_, counts, stride) = self.layout, self._origins
        apart = f", {stride} steps apart" if stride > 1 else ""
        again = f"a season of {layout.season}" if (layout.season or 1) > 1 else "no season"
        windows = f"{counted(int(counts.sum()), 'window')} of {layout.history:,} steps of history"
        notes = [f"Cut into {windows} and {layout.ahead:,} ahead{apart}; {again}."]
        if (layout.history or 0) + layout.ahead > stride and not self.latest:
            notes.append(
                "Windows overlap: intervals of scores are narrower than those of as many separate ones would be."
            )
        short = np.flatnonzero(counts == 0)
        if len(short):
            names = self._long._tally.names.gather(short[:_NAMED].tolist()).to_list()
            more = f" and {len(short) - _NAMED:,} more" if len(short) > _NAMED else ""
            notes.append(
                f"Left out, for fewer steps than a window has: {len(short):,} of {len(counts):,} series"
                f" ({', '.join(map(repr, names))}{more})."
            )
            if self.latest:
                logger.warning("%s", notes[-1])
        return notes

    def targets(self, given: Sequence[str] = ()) -> tuple[str, ...]:
        return self.layout.targets

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        schema = self.schema()
        names = check_columns(columns, schema)
        layout, start = self.layout, 0
        assert layout.history is not None
        own = {self._window, self._first, self._last, self._listed, *layout.targets}
        fixed = [name for name in names if name not in own]
        size = layout.history + layout.ahead
        most = max(1, _NUMBERS_AT_A_TIME // (size * (1 + len(layout.channels))))
        parts: list[tuple[dict[str, Any], np.ndarray]] = []
        held = 0
        for number, (cells, steps) in enumerate(self._series(layout.channels, fixed)):
            for cut in self._cut(number, steps, most):
                parts.append((cells, cut))
                held += len(cut)
                if held >= most:
                    yield Chunk(start, self._columns(names, fixed, parts))
                    start, held, parts = start + held, 0, []
        if parts:
            yield Chunk(start, self._columns(names, fixed, parts))

    def _cut(self, number: int, steps: np.ndarray, most: int) -> Iterator[np.ndarray]:
        """Windows (n, 1 + channels, steps) of a series, ``most`` at a time, the latest the last; with all moments."""
        layout, (last, counts, stride) = self.layout, self._origins
        assert layout.history is not None
        count = int(counts[number])
        if not count:
            return
        beyond = int(last[number]) + layout.ahead - steps.shape[1]
        if beyond > 0:
            steps = np.hstack([steps, np.full((len(steps), beyond), np.nan)])
        steps[0] = self._moments(steps[0])
        if self.latest:
            self._check_known(number, steps[:, int(last[number]) : int(last[number]) + layout.ahead])
        views = np.lib.stride_tricks.sliding_window_view(steps, layout.history + layout.ahead, axis=1)
        begins = int(last[number]) - layout.history - stride * np.arange(count)[::-1]
        for start in range(0, count, most):
            yield views[:, begins[start : start + most]].transpose(1, 0, 2)

    def _moments(self, moments: np.ndarray) -> np.ndarray:
        """When all steps of a series were or will be, from those of some of them; numbers from 0 where nobody says."""
        clock, places = self.layout.clock, np.arange(len(moments))
        if clock is None:
            return places.astype(np.float64)
        known = np.flatnonzero(~np.isnan(moments))
        filled: np.ndarray = np.interp(places, known, moments[known])
        after = places > known[-1]
        filled[after] = clock.after(float(moments[known[-1]]), places[after] - known[-1])
        return filled

    def _check_known(self, number: int, ahead: np.ndarray) -> None:
        """Raises SourceError where something is missing that is to be known in advance."""
        layout = self.layout
        for channel, name in enumerate(layout.known, start=1 + len(layout.channels) - len(layout.known)):
            lacking = np.flatnonzero(np.isnan(ahead[channel]))
            if len(lacking):
                when = self._written(ahead[0, int(lacking[0])])
                raise SourceError(
                    f"The column {name!r} is to be known in advance, and is empty or has no row {when}",
                    where=self._long.locate_row(number) if layout.series is not None else self.place,
                    remedy=f"Add rows for the {counted(layout.ahead, 'step')} after the last with "
                    f"{layout.targets[0]!r}, with {name!r} filled in and {layout.targets[0]!r} left empty",
                )

    def _written(self, moment: float) -> str:
        if self.layout.clock is None:
            return f"at its step {int(moment) + 1:,}"
        listed = self.layout.clock.written(np.array([moment]))
        return f"at {self.layout.steps} {listed[0]}"

    def _columns(
        self, names: Sequence[str], fixed: Sequence[str], parts: Sequence[tuple[dict[str, Any], np.ndarray]]
    ) -> dict[str, Column]:
        layout = self.layout
        assert layout.history is not None and layout.season is not None
        windows = np.concatenate([cut for _, cut in parts])
        moments = windows[:, 0]
        size = {"ahead": layout.ahead, "season": layout.season}
        dated = moments if layout.clock is not None and layout.clock.dates else None
        columns: dict[str, Column] = {}
        for name in names:
            if name in fixed:
                cells = [cell for content, cut in parts for cell in [content[name]] * len(cut)]
                columns[name] = pl.Series(name, cells, self._long_type(parts, name))
            elif name == self._window:
                steps = windows[:, 1:].copy()
                steps[:, : len(layout.channels) - len(layout.known), layout.history :] = np.nan
                columns[name] = windows_column(name, steps, dated, **size, known=len(layout.known))
            elif name in layout.targets:
                channel = layout.targets.index(name)
                columns[name] = windows_column(
                    name, windows[:, 1 + channel : 2 + channel], None, **size, channel=channel
                )
            elif name == self._listed:
                columns[name] = self._list(moments[:, layout.history :])
            else:
                columns[name] = pl.Series(name, moments[:, layout.history if name == self._first else -1])
        return columns

    @staticmethod
    def _long_type(parts: Sequence[tuple[dict[str, Any], np.ndarray]], name: str) -> Any:
        """The type of cells of a series' columns: text where any is."""
        return pl.String if any(isinstance(content[name], str) for content, _ in parts) else None

    def _list(self, moments: np.ndarray) -> pl.Series:
        """Lists of times in the terms of their column; of what has no times, how many steps ahead they are."""
        rows, ahead = moments.shape
        clock = self.layout.clock
        flat = (
            pl.Series(self._listed, np.tile(np.arange(1, ahead + 1), rows))
            if clock is None
            else clock.written(moments.reshape(-1)).alias(self._listed)
        )
        return flat.reshape((rows, ahead)).arr.to_list()

    def fingerprint(self) -> str:
        asked = self._asked
        said: list[Any] = [
            asked.series,
            asked.steps,
            asked.targets,
            asked.known,
            asked.ahead,
            asked.history,
            asked.season,
        ]
        said += [sorted(self._excluded), self.latest, None if asked.long is None else asked.as_json()]
        return hashlib.blake2b(json.dumps([self.inner.fingerprint(), said]).encode(), digest_size=16).hexdigest()

    def locate_row(self, row: int) -> str:
        series = int(np.searchsorted(self._begins, row, side="right")) - 1
        last, counts, stride = self._origins
        step = int(last[series]) - stride * int(counts[series] - 1 - (row - self._begins[series]))
        whose = f", {self.layout.series} {self._long._tally.names[series]!r}" if self.layout.series is not None else ""
        return f"{self.place}{whose}, from step {step + 1:,}"


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name
