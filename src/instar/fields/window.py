"""Windows into series: some steps of history and some ahead. As an input what is known of them, as a target the rest.

No table's column is one by itself: `instar.sources.windows` makes them, and `instar.sources.cells` says how.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError
from instar.fields._calendar import DAY, parts_of
from instar.fields._numbers import written
from instar.fields._state import array, expect, whole
from instar.fields._statistics import Moments
from instar.fields._window_scale import filled, scale_of
from instar.fields.base import Arrays, Field, Kind, Prepared, Problem, State, kinds, no_values
from instar.fields.digest import digest
from instar.settings import Settings
from instar.shapes import SCALES, Curves, Forecast, Grid, Text, View
from instar.sources import Column
from instar.sources.cells import WINDOW, windows_column
from instar.words import counted

# How long the parts of the calendar take to come again, in seconds; of use where a step is at most half of it.
CYCLES = {"month": 365.25 * DAY, "weekday": 7 * DAY, "time of day": DAY}
# Beyond so many spreads from its level a number says no more than "far away", and one row must not decide a training.
FARTHEST = 100.0
LARGEST_WINDOW = 1 << 24
_BYTES_OF_A_NUMBER = 24
# How a cell begins where what lies in memory was written as JSON.
_WRITTEN = '{"steps": [['
SHOWN_STEPS = 400


@dataclass(frozen=True)
class Frame:
    """What all windows of a column have in common.

    channels, steps: of a window. ahead, season, known, channel: as in a cell. parts: of the calendar, as in `CYCLES`.
    """

    channels: int
    steps: int
    ahead: int
    season: int
    known: int
    channel: int
    parts: tuple[str, ...]

    @property
    def history(self) -> int:
        return self.steps - self.ahead

    @property
    def own(self) -> int:
        """How many channels are scaled by their own history, of which nothing ahead is known."""
        return self.channels - self.known

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "parts": list(self.parts)}

    @classmethod
    def from_json(cls, content: Any) -> Frame:
        """Raises ValueError or KeyError where that is none."""
        expect(isinstance(content, dict), "frame")
        parts = content["parts"]
        expect(isinstance(parts, list) and len(set(map(str, parts))) == len(parts) <= len(CYCLES), "parts")
        expect(all(part in CYCLES for part in parts), "parts")
        steps = whole(content, "steps", 2, LARGEST_WINDOW)
        ahead = whole(content, "ahead", 1, steps - 1)
        channels = whole(content, "channels", 1, LARGEST_WINDOW // steps)
        return cls(
            channels,
            steps,
            ahead,
            whole(content, "season", 1, steps - ahead),
            whole(content, "known", 0, channels - 1),
            whole(content, "channel", 0, LARGEST_WINDOW),
            tuple(parts),
        )


class WindowField(Field):
    """A window as an input: the course so far, and of the steps ahead what is known in advance.

    Channels of the grid: those of which nothing ahead is known, less their level and by their spread, 0 ahead; those
    known in advance with mean 0 and variance 1 on training rows, 0 where missing; sine and cosine of each part of the
    calendar; and at each step the share of the first channels that is known.
    mean, deviation: (known,), of the channels known in advance, on training rows.
    """

    kind = "window"
    answer = None

    def __init__(self, name: str, frame: Frame, mean: np.ndarray, deviation: np.ndarray) -> None:
        self.name, self.frame, self.mean, self.deviation = name, frame, mean, deviation
        channels = frame.channels + 2 * len(frame.parts) + 1
        self.shape: Grid = Grid(channels, (frame.steps,), ahead=frame.ahead)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        frame, values = self.frame, arrays.values
        own = values[:, 1 : 1 + frame.own, : frame.history]
        scale = scale_of(own, frame.season)
        grid = np.zeros((len(values), self.shape.channels, frame.steps))
        grid[:, : frame.own, : frame.history] = _less_scale(filled(own), scale)
        known = values[:, 1 + frame.own :]
        grid[:, frame.own : frame.channels] = (known - self.mean[:, None]) / self.deviation[:, None]
        place = frame.channels
        for phase in self._phases(values[:, 0]):
            grid[:, place], grid[:, place + 1] = np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)
            place += 2
        grid[:, place, : frame.history] = (~np.isnan(own)).mean(axis=1)
        grid = np.nan_to_num(np.clip(grid, -FARTHEST, FARTHEST), nan=0.0)
        grid[~arrays.present] = 0.0
        # Level 0, spread 1 and no error stand for channels that have no history: the calendar's and what is known.
        scales = np.zeros((len(values), self.shape.channels, SCALES))
        scales[:, :, 1] = 1.0
        scales[:, : frame.own] = scale
        return {
            "grid": torch.from_numpy(grid.astype(np.float32)),
            "present": torch.from_numpy(np.array(arrays.present)),
            "scale": torch.from_numpy(scales.astype(np.float32)),
        }

    def _phases(self, moments: np.ndarray) -> list[np.ndarray]:
        """Of each part of the calendar, (n, steps) from 0 to 1."""
        if not self.frame.parts:
            return []
        phases = parts_of(np.nan_to_num(moments).reshape(-1))
        return [phases[part].reshape(moments.shape) for part in self.frame.parts]

    def show(self, arrays: Arrays, row: int) -> View:
        if not arrays.present[row]:
            return Text("missing")
        frame = self.frame
        history = arrays.values[row, 1 : 1 + frame.own, : frame.history][:, -SHOWN_STEPS:]
        text = f"{counted(frame.history, 'step')}, ending with {written(history[:, -1])}"
        return Curves(tuple(map(tuple, history.tolist())), text)

    def describe(self) -> str:
        frame = self.frame
        known = f", {frame.known} of {counted(frame.channels, 'channel')} known in advance" if frame.known else ""
        calendar = f"; with {', '.join(frame.parts)}" if frame.parts else ""
        again = f", a season of {frame.season}" if frame.season > 1 else ", no season"
        return f"{counted(frame.history, 'step')} of history and {frame.ahead:,} ahead{again}{known}{calendar}"

    def state(self) -> State:
        return {"role": "input", "frame": self.frame.as_json()}, {"mean": self.mean, "deviation": self.deviation}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> WindowField:
        frame = Frame.from_json(content["frame"])
        deviation = array(arrays, "deviation", np.float64, frame.known)
        expect(bool((deviation > 0).all()), "deviation")
        return cls(name, frame, array(arrays, "mean", np.float64, frame.known), deviation)


class ForecastField(Field):
    """A window as a target: its first channel's steps ahead, in the terms of the history before them."""

    kind = "window"
    shape = None

    def __init__(self, name: str, frame: Frame, naive: float) -> None:
        self.name, self.frame = name, frame
        self.answer: Forecast = Forecast(frame.ahead, frame.channel, frame.season, naive)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        return {"target": torch.from_numpy(self._in_own_terms(arrays).astype(np.float32))}

    def truth(self, arrays: Arrays) -> np.ndarray:
        frame = self.frame
        course = arrays.values[:, 1]
        scale = scale_of(course[:, None, : frame.history], frame.season)[:, 0]
        return np.where(arrays.present[:, None], np.hstack([course[:, frame.history :], scale]), np.nan)

    def _in_own_terms(self, arrays: Arrays) -> np.ndarray:
        truth = self.truth(arrays)
        return np.clip(_less_scale(truth[:, : self.frame.ahead], truth[:, self.frame.ahead :]), -FARTHEST, FARTHEST)

    def naive_errors(self, arrays: Arrays) -> np.ndarray:
        """How far repeating the last season is off, in the rows' own terms, (n, steps), NaN where missing."""
        frame = self.frame
        history = filled(arrays.values[:, 1:2, : frame.history])
        scaled = _less_scale(history, scale_of(history, frame.season)[:, :1])[:, 0]
        return np.abs(self._in_own_terms(arrays) - scaled[:, self.answer.last_season(frame.history)])

    def decode(self, answers: np.ndarray) -> np.ndarray:
        """(n, steps) in the column's own unit."""
        return np.asarray(answers, np.float64)[:, : self.frame.ahead]

    def show(self, arrays: Arrays, row: int) -> View:
        if not arrays.present[row]:
            return Text("missing")
        return Text(written(arrays.values[row, 1, self.frame.history :]))

    def describe(self) -> str:
        return f"the next {counted(self.frame.ahead, 'step')}"

    def state(self) -> State:
        return {"role": "target", "frame": self.frame.as_json(), "naive": self.answer.naive}, {}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ForecastField:
        naive = content["naive"]
        expect(type(naive) is float and math.isfinite(naive) and naive > 0, "naive")
        return cls(name, Frame.from_json(content["frame"]), naive)


class Window(Kind):
    name = "window"
    meaning = "some steps of series and those after them; made by --forecast"
    settings = Settings
    can_be_target = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        if not isinstance(sample, pl.Series) or sample.dtype not in (WINDOW, pl.String):
            return 0.0
        written = sample.dtype == WINDOW or bool(sample.drop_nulls().head(1).str.starts_with(_WRITTEN).all())
        return float(written and sample.null_count() < len(sample))

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        steps, ahead = 24, 4
        begins = generator.integers(0, 1000, rows)[:, None] + np.arange(steps)
        sizes = 10.0 ** generator.uniform(0, 4, (rows, 1))
        course = sizes * (3 + np.sin(begins * 2 * np.pi / 7) + generator.normal(0, 0.1, (rows, steps)))
        windows = windows_column("window", course[:, None], begins * DAY, ahead=ahead, season=7, known=0, channel=0)
        return pl.Series("window", [None if row % 9 == 4 else cell for row, cell in enumerate(windows)], WINDOW)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        cells = _cells(sample).drop_nulls()
        if not len(cells):
            raise no_values(cells.name)
        first = cells[0]
        numbers = {name: int(first[name] or 0) for name in ("ahead", "season", "known", "channel")}
        sizes = {"channels": len(first["steps"]), "steps": len(first["steps"][0])}
        parts: list[str] = []
        if first["moments"] is not None:
            step = float(np.median(np.diff(np.array(first["moments"], np.float64))))
            parts = [part for part, cycle in CYCLES.items() if cycle >= 2 * step]
        return Frame.from_json({**sizes, **numbers, "parts": parts}).as_json()

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        return int(_BYTES_OF_A_NUMBER * (1 + plan["channels"]) * plan["steps"])

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: float64 (n, 1 + channels, steps): moments, then channels; NaN where something is missing."""
        cells = _cells(column)
        channels, steps = plan["channels"], plan["steps"]
        content, moments = cells.struct.field("steps"), cells.struct.field("moments")
        there = cells.is_not_null().to_numpy()
        sizes = content.list.eval(pl.element().list.len().cast(pl.Int64))
        fits = sizes.list.len().eq(channels) & sizes.list.min().eq(steps) & sizes.list.max().eq(steps)
        timed = moments.list.len().eq(steps).fill_null(False).to_numpy()
        usable = there & fits.fill_null(False).to_numpy()
        values = np.full((len(cells), 1 + channels, steps), np.nan)
        rows = np.flatnonzero(usable)
        flat = content.gather(rows).explode().explode().to_numpy()
        values[rows, 1:] = flat.reshape(len(rows), channels, steps) if len(rows) else 0.0
        dated = np.flatnonzero(usable & timed)
        values[dated, 0] = moments.gather(dated).explode().to_numpy().reshape(len(dated), steps) if len(dated) else 0.0
        problems = [
            Problem(row, f"it is no window of {counted(channels, 'channel')} and {counted(steps, 'step')}")
            for row in np.flatnonzero(there & ~usable).tolist()
        ]
        values[np.isinf(values)] = np.nan
        history = values[:, 1 : 1 + channels - plan["known"], : steps - plan["ahead"]]
        present = usable & ~np.isnan(history).all(axis=(1, 2))
        return Arrays(values, present, digest(cells), problems=problems)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        frame = Frame.from_json(plan)
        if target:
            return _fitted_target(name, frame, chunks)
        moments, some = Moments(frame.known), False
        for chunk in chunks:
            some = some or bool(chunk.present.any())
            known = chunk.values[chunk.present][:, 1 + frame.own :].transpose(0, 2, 1)
            moments.add(known.reshape(known.shape[0] * frame.steps, frame.known))
        if not some:
            raise no_values(name)
        deviation = moments.standard_deviation
        return WindowField(name, frame, moments.mean, np.where(deviation > 0, deviation, 1.0))

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        roles: dict[Any, type[WindowField | ForecastField]] = {"input": WindowField, "target": ForecastField}
        expect(isinstance(content["role"], str) and content["role"] in roles, "role")
        return roles[content["role"]].from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, WindowField | ForecastField)
        expect(Frame.from_json(dict(plan)) == field.frame, "frame")


def _fitted_target(name: str, frame: Frame, chunks: Iterable[Arrays]) -> Field:
    field, total, count = ForecastField(name, frame, 1.0), 0.0, 0
    for chunk in chunks:
        errors = field.naive_errors(chunk)
        total, count = total + float(np.nansum(errors)), count + int(np.isfinite(errors).sum())
    if not count:
        raise no_values(name)
    return ForecastField(name, frame, total / count or 1.0)


def _cells(column: Column) -> pl.Series:
    """Structures of `WINDOW`, also where they were written as JSON. Raises ColumnError for anything else."""
    if isinstance(column, pl.Series) and column.dtype == WINDOW:
        return column
    if isinstance(column, pl.Series) and column.dtype == pl.String:
        try:
            return column.str.json_decode(WINDOW)
        except pl.exceptions.PolarsError:
            pass
    raise ColumnError("The cells are no windows into series", remedy="Have them made: --forecast STEPS --steps TIME")


def _less_scale(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Values (..., steps) less their level and by their spread, of a scale (..., 3)."""
    return (values - scale[..., :1]) / scale[..., 1:2]


kinds.register(Window.name)(Window())
