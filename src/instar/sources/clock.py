"""When the steps of series are, also those after the last; and after how many of them things may come again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0
_MONTH = 365.2425 / 12 * _DAY
# How far a typical distance of dates may be from whole months: 31 days, and 30, are 2 per cent off.
_MONTHLY = 0.03
# Of the variance of changes: what comes again explains so much at least. Where the calendar suggests a season, and
# where the best of all lags is taken.
_LEAST_SUGGESTED, _LEAST_FOUND = 0.2, 0.4
_LONGEST_SEASON = 400


@dataclass(frozen=True)
class Clock:
    """How far apart steps are.

    dates: whether times are seconds since 1970; else they are numbers of their own. unit: between two steps.
    months: how many months that is, 0 if it is no number of them. last_day: whether steps are the last days of months.
    """

    dates: bool
    unit: float
    months: int = 0
    last_day: bool = False

    @classmethod
    def of(cls, dates: bool, unit: float, times: np.ndarray) -> Clock:
        """``times`` (n,): some that there are."""
        months = round(unit / _MONTH) if dates else 0
        if months < 1 or abs(unit - months * _MONTH) > _MONTHLY * unit:
            return cls(dates, unit)
        days = times.astype("datetime64[s]").astype("datetime64[D]")
        of_month = (days - days.astype("datetime64[M]")).astype(np.int64)
        last_day = bool((days + 1 == (days + 1).astype("datetime64[M]")).all()) and bool((of_month >= 27).all())
        return cls(dates, unit, months if last_day or len(np.unique(of_month)) == 1 else 0, last_day)

    def after(self, time: float, steps: np.ndarray) -> np.ndarray:
        """Times so many ``steps`` (integers) after ``time``, or before it: float64 of the same shape."""
        if not self.months:
            moved: np.ndarray = time + self.unit * np.asarray(steps, np.float64)
            return moved
        moment = np.datetime64(round(time), "s")
        month = moment.astype("datetime64[M]") + self.months * np.asarray(steps)
        length = (month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")
        day = moment.astype("datetime64[D]") - moment.astype("datetime64[M]").astype("datetime64[D]")
        last = length - np.timedelta64(1, "D")
        placed = month.astype("datetime64[D]") + (last if self.last_day else np.minimum(day, last))
        within = time - moment.astype("datetime64[D]").astype("datetime64[s]").astype(np.float64)
        seconds: np.ndarray = placed.astype("datetime64[s]").astype(np.float64) + within
        return seconds

    def written(self, moments: np.ndarray) -> pl.Series:
        """Times (n,) as dates, moments of a day, or numbers, whole ones where all are."""
        if self.dates:
            times = pl.Series(np.rint(moments * 1e6).astype(np.int64)).cast(pl.Datetime("us"))
            return times.cast(pl.Date) if (np.rint(moments) % 86_400 == 0).all() else times
        rounded = np.rint(moments)
        return pl.Series(rounded.astype(np.int64)) if (rounded == moments).all() else pl.Series(np.round(moments, 9))

    @property
    def season(self) -> int | None:
        """After how many steps things usually come again by the calendar; None where that says nothing."""
        if not self.dates:
            return None
        if self.months:
            return 12 // self.months if 12 % self.months == 0 else 1
        if self.unit > 10 * _DAY:
            return 1
        if self.unit > 2 * _DAY:
            return 52
        cycles = ((_MINUTE, 12), (_HOUR, 12), (_DAY, 2))
        return round(next((cycle for cycle, least in cycles if cycle >= least * self.unit), 7 * _DAY) / self.unit)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> Clock:
        """Raises ValueError or KeyError where that is none."""
        dates, unit, months, last_day = (content[name] for name in ("dates", "unit", "months", "last_day"))
        if not (isinstance(dates, bool) and isinstance(last_day, bool) and type(unit) is float and 0 < unit < math.inf):
            raise ValueError("clock")
        if type(months) is not int or not 0 <= months <= 12_000:
            raise ValueError("clock")
        return cls(dates, unit, months, last_day)


def find_season(courses: Sequence[np.ndarray], suggested: int | None) -> int:
    """After how many steps most of the ``courses`` (each (steps,), without gaps) come again; 1 where they do not.

    What counts is the autocorrelation of changes from step to step, in which no trend is left. What the calendar
    ``suggested`` is taken where it shows; else, of all lags, that at which it is highest.
    """
    changes = [change for change in map(np.diff, courses) if len(change) > 2 and change.std() > 0]
    if not changes or suggested == 1:
        return 1
    longest = min(_LONGEST_SEASON, int(np.median([len(change) for change in changes])) // 2)
    lags = np.arange(1, max(longest, min(suggested or 1, max(map(len, changes)) // 2)) + 1)
    similar = np.nanmedian(np.stack([_autocorrelations(change, lags) for change in changes]), axis=0)
    if suggested is not None:
        return suggested if suggested <= len(lags) and similar[suggested - 1] >= _LEAST_SUGGESTED else 1
    if len(lags) < 3:
        return 1
    peaks = [lag for lag in range(2, len(lags)) if similar[lag - 1] >= max(similar[lag - 2], similar[lag])]
    best = max(peaks, key=lambda lag: similar[lag - 1], default=1)
    return int(best) if best > 1 and similar[best - 1] >= _LEAST_FOUND else 1


def _autocorrelations(change: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """At each lag, NaN where the course is shorter than twice of it."""
    centered = change - change.mean()
    variance = float(centered @ centered)
    return np.array(
        [float(centered[lag:] @ centered[:-lag]) / variance if len(change) >= 2 * lag else np.nan for lag in lags]
    )
