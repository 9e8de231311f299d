"""When the steps of a series were: times as numbers that can be subtracted, and whether they are evenly apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

# ISO 8601, with a T or a space; without a zone, and with one, which is turned into universal time.
_LOCAL = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z")
# Times are even where nearly all distances are a whole number of the typical one, give or take a part of it.
LEAST_EVEN, TOLERANCE = 0.95, 0.1
# A series with more gaps than this for each of its steps has a wrong time in it.
MOST_GAPS = 10


@dataclass(frozen=True)
class Pace:
    """How times are written, and how far apart steps are.

    dates: whether they are dates, which count in microseconds, or numbers, in units of their own.
    unit: the distance between two steps, or None where distances are uneven.
    """

    dates: bool
    unit: float | None

    @property
    def described(self) -> str:
        if self.unit is None:
            return "at uneven distances, and are taken one after another"
        apart = str(timedelta(microseconds=self.unit)) if self.dates else f"{self.unit:g}"
        return f"{apart} apart; those that lack count as missing"

    def as_json(self) -> dict[str, Any]:
        return {"dates": self.dates, "unit": self.unit}

    @classmethod
    def from_json(cls, content: Any) -> Pace:
        """Raises ValueError or KeyError where that is none."""
        dates, unit = content["dates"], content["unit"]
        if not isinstance(dates, bool) or not (unit is None or (type(unit) is float and 0 < unit < np.inf)):
            raise ValueError("pace")
        return cls(dates, unit)


def are_dates(cells: pl.Series) -> bool:
    """Whether times are written as dates: by their type, or as text of which the first that is there is no number."""
    if cells.dtype != pl.String:
        return cells.dtype.is_temporal()
    known = cells.drop_nulls().head(1)
    return len(known) > 0 and known.cast(pl.Float64, strict=False).null_count() > 0


def times(cells: pl.Series, dates: bool) -> pl.Series:
    """Int64 or Float64: microseconds of dates, or numbers; null where a cell is not one."""
    if dates:
        if cells.dtype == pl.String:
            return _dates(cells).dt.epoch("us")
        if not cells.dtype.is_temporal() or cells.dtype in (pl.Time, pl.Duration):
            return pl.Series(cells.name, [None], pl.Int64).new_from_index(0, len(cells))
        return cells.cast(pl.Datetime("us")).dt.epoch("us")
    if cells.dtype.is_temporal():
        kind = pl.Duration("us") if cells.dtype == pl.Duration else cells.dtype
        return cells.cast(kind).to_physical().cast(pl.Float64)
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars()
    whole = cells.dtype.is_integer()
    numbers = cells.cast(pl.Float64, strict=False)
    # Whole numbers of nanoseconds do not fit in a float.
    return cells.cast(pl.Int64, strict=False) if whole else numbers.set(~numbers.is_finite().fill_null(True), None)


def _dates(texts: pl.Series) -> pl.Series:
    texts = texts.str.strip_chars().str.replace(" ", "T", literal=True)
    frame = texts.to_frame("text")
    text = pl.col("text")
    local = [text.str.to_datetime(form, strict=False, time_unit="us") for form in _LOCAL]
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    zoned = [
        text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(None)
        for form in _ZONED
    ]
    return frame.select(pl.coalesce(*local, day, *zoned)).to_series()


def unit_of(distances: np.ndarray) -> float | None:
    """The distance between two steps, from those of neighbors (n,), all positive; None where they are uneven."""
    if not len(distances):
        return None
    unit = float(np.quantile(distances, 0.5, method="lower"))  # a mean of two may be none of both
    steps = distances / unit
    nearest = np.rint(steps)
    even = (nearest >= 1) & (np.abs(steps - nearest) <= TOLERANCE)
    return unit if even.mean() >= LEAST_EVEN else None


def positions(at: np.ndarray, first: np.ndarray, unit: float | None) -> np.ndarray:
    """int64 (n,): the place of each step in its series, from 0; ``first`` (n,) says where a series begins.

    ``at`` (n,) are the times, in order within each series. Distances are rounded one by one, so that clocks that run
    a little fast or slow do no harm.
    """
    starts = np.flatnonzero(first)
    lengths = np.diff(starts, append=len(at))
    plain = np.arange(len(at)) - np.repeat(starts, lengths)
    if unit is None or not len(at):
        return plain
    distances = np.diff(at, prepend=at[0]).astype(np.float64)
    steps = np.clip(np.rint(distances / unit), 1, 1 << 40).astype(np.int64)
    steps[starts] = 0
    total = np.cumsum(steps)
    places = total - np.repeat(total[starts], lengths)
    longest = places[starts + lengths - 1] + 1
    wrong = longest > (1 + MOST_GAPS) * lengths
    return np.where(np.repeat(wrong, lengths), plain, places)
