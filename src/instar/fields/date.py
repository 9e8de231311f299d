"""Dates and times: where they lie on the line of time, and where in the year, the month, the week and the day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError
from instar.fields._calendar import DAY, find_order, parse_dates, parts_of, written_date
from instar.fields._state import array, expect, word
from instar.fields._statistics import Moments, Reservoir
from instar.fields.base import Arrays, Field, Kind, Prepared, Problem, State, kinds, no_values, quote
from instar.fields.digest import digest, words
from instar.settings import Settings
from instar.shapes import Text, Vector
from instar.sources import Column, FileColumn

PARTS = ("month", "day of month", "weekday", "time of day")
# A column is one of dates where this share of its cells are.
LEAST_SHARE = 0.9
# Surer than a category of two words, or a number, ever is.
SURE = 0.98
# 20200131 may be a number as well: so many cells, all of them days of these years, are no accident.
COMPACT_CELLS, FIRST_COMPACT, LAST_COMPACT = 10, -70 * 366 * DAY, 131 * 366 * DAY
SAMPLED_ROWS = 200_000


class DateField(Field):
    """A date as an input: its place on the line of time, and sine and cosine of each part of the calendar that varies.

    center, scale: seconds; the middle of the training rows and the reach of their middle half.
    parts: which of `PARTS` vary in training rows.
    flagged: whether there is an indicator, because dates were missing in training rows.
    low, high: seconds; the first and the last training row.
    assumed: ``"day"`` or ``"month"`` where nothing in the sample told which of them comes first, else empty.
    """

    kind = "date"
    answer = None

    def __init__(
        self, name: str, line: tuple[float, float, float, float], parts: Sequence[str], flagged: bool, assumed: str
    ) -> None:
        self.name, self.parts, self.flagged, self.assumed = name, tuple(parts), flagged, assumed
        self.center, self.scale, self.low, self.high = line
        self.shape: Vector = Vector(1 + 2 * len(self.parts) + int(flagged), whole=True)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        present = arrays.present
        seconds = np.where(present, arrays.values, self.center)
        trend = (seconds - self.center) / self.scale
        columns = [trend / np.sqrt(1.0 + (trend / 3.0) ** 2)]
        phases = parts_of(seconds)
        for part in self.parts:
            angle = 2 * np.pi * phases[part]
            columns += [np.sin(angle), np.cos(angle)]
        numbers = np.stack(columns, axis=1)
        numbers[~present] = 0.0
        if self.flagged:
            numbers = np.concatenate([numbers, ~present[:, None]], axis=1)
        return {"numbers": torch.from_numpy(numbers.astype(np.float32))}

    def show(self, arrays: Arrays, row: int) -> Text:
        return Text(written_date(float(arrays.values[row])) if arrays.present[row] else "missing")

    def describe(self) -> str:
        span = f"{written_date(self.low)} to {written_date(self.high)}"
        parts = f", by {', '.join(self.parts)}" if self.parts else ""
        assumed = f"; the {self.assumed} is read first, which the dates leave open" if self.assumed else ""
        return f"dates from {span}{parts}{assumed}"

    def state(self) -> State:
        content = {"parts": list(self.parts), "flagged": self.flagged, "assumed": self.assumed}
        return content, {"line": np.array([self.center, self.scale, self.low, self.high])}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> DateField:
        parts, flagged = content["parts"], content["flagged"]
        expect(isinstance(parts, list) and all(part in PARTS for part in parts), "parts")
        expect(len(set(parts)) == len(parts) and isinstance(flagged, bool), "parts")
        center, scale, low, high = array(arrays, "line", np.float64, 4).tolist()
        expect(scale > 0 and max(abs(center), abs(low), abs(high)) < 1e12, "line")
        assumed = word(content, "assumed", "", "day", "month")
        return cls(name, (center, scale, low, high), parts, flagged, assumed)


class Date(Kind):
    name = "date"
    meaning = "dates and times, in ISO form or as people write them"

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        if isinstance(sample, FileColumn | np.ndarray) or target:
            is_time = isinstance(sample, np.ndarray) and sample.dtype.kind == "M" and sample.ndim == 1
            return 1.0 if is_time and not target else 0.0
        if sample.dtype == pl.Date or isinstance(sample.dtype, pl.Datetime):
            return 1.0
        if sample.dtype != pl.String and not sample.dtype.is_integer():
            return 0.0
        texts = words(sample).drop_nulls()
        if not len(texts):
            return 0.0
        seconds = parse_dates(texts, find_order(texts)[0])
        if (texts.str.len_chars() == 8).all() and texts.str.contains(r"^\d+$").all():
            days = (seconds > FIRST_COMPACT) & (seconds < LAST_COMPACT)
            return SURE if len(texts) >= COMPACT_CELLS and days.all() else 0.0
        share = float(np.isfinite(seconds).mean())
        return SURE * share if share >= LEAST_SHARE else 0.2 * share

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        days = np.datetime64("2019-11-20") + generator.integers(0, 500, rows)
        return pl.Series([None if row % 11 == 4 else str(day) for row, day in enumerate(days)], dtype=pl.String)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        if not isinstance(sample, pl.Series) or sample.dtype != pl.String:
            return {"order": "day", "certain": True}
        order, certain = find_order(sample)
        return {"order": order, "certain": certain}

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: float64 (n,), seconds since 1970-01-01 in universal time, NaN where absent."""
        if isinstance(column, FileColumn) or (isinstance(column, np.ndarray) and column.ndim > 1):
            raise ColumnError("A column of files or arrays cannot be read as dates", remedy="Give a column of dates")
        series = pl.Series(column)
        kind = series.dtype
        if kind == pl.Date or isinstance(kind, pl.Datetime):
            microseconds = series.cast(pl.Datetime("us")) if kind == pl.Date else series.dt.cast_time_unit("us")
            values = microseconds.to_physical().cast(pl.Float64).fill_null(np.nan).to_numpy(writable=True) / 1e6
        else:
            values = parse_dates(series, plan["order"])
        absent = np.flatnonzero(np.isnan(values))
        texts = words(series.gather(absent))
        problems = [
            Problem(int(row), f"{quote(text)} is no date")
            for row, text in zip(absent, texts, strict=True)
            if text is not None
        ]
        return Arrays(values, ~np.isnan(values), digest(series), problems=problems)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        moments, reservoir = Moments(1), Reservoir(SAMPLED_ROWS, 1)
        seen = {part: set[float]() for part in PARTS}
        for chunk in chunks:
            values = np.asarray(chunk.values, np.float64)
            moments.add(values[:, None])
            reservoir.add(values[:, None])
            phases = parts_of(values[chunk.present])
            for part, found in seen.items():
                if len(found) < 2:
                    found.update(np.unique(phases[part])[:2].tolist())
        if not moments.count[0]:
            raise no_values(name)
        known = reservoir.rows[~np.isnan(reservoir.rows)]
        lower, middle, upper = np.quantile(known, [0.25, 0.5, 0.75])
        low, high = float(moments.minimum[0]), float(moments.maximum[0])
        scale = float(upper - lower) or (high - low) / 2 or DAY
        varying = [part for part in PARTS if len(seen[part]) > 1]
        missing = bool(moments.count[0] < moments.rows)
        assumed = "" if plan["certain"] else str(plan["order"])
        return DateField(name, (float(middle), scale, low, high), varying, missing, assumed)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        return DateField.from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        word(plan, "order", "day", "month")
        expect(isinstance(plan["certain"], bool), "certain")


kinds.register(Date.name)(Date())
