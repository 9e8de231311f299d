"""Dates as people write them, and the parts of the calendar."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from instar.fields.digest import words

DAY = 86_400.0

_TIME = (
    r"(?:[T ,]\s*(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d+)?))?\s*(?P<half>[AaPp][Mm])?"
    r"\s*(?P<zone>Z|UTC|[+-]\d\d:?(?:\d\d)?)?)?"
)
_NAMED = r"(?P<name>[A-Za-z]{3,9})\.?"
_YEAR_FIRST = rf"^(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_TIME}$"
_COMPACT = r"^(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)$"
_DAY_FIRST = rf"^(?P<day>\d{{1,2}})[-/.](?P<month>\d{{1,2}})[-/.](?P<year>\d{{4}}|\d\d){_TIME}$"
_MONTH_FIRST = rf"^(?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}})[-/.](?P<year>\d{{4}}|\d\d){_TIME}$"
_DAY_NAMED = rf"^(?:[A-Za-z]{{3,9}},? )?(?P<day>\d{{1,2}})[-. ]\s*{_NAMED}[- ,]\s*(?P<year>\d{{4}}){_TIME}$"
_NAMED_DAY = rf"^(?:[A-Za-z]{{3,9}},? )?{_NAMED} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}}){_TIME}$"
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_SLASHED = re.compile(r"(\d{1,2})([-/.])(\d{1,2})[-/.](?:\d{4}|\d\d)(?!\d).*")


def find_order(sample: pl.Series) -> tuple[str, bool]:
    """Whether day or month comes first in dates such as 3/4/2020, and whether that is certain.

    Numbers above 12 are days and decide. Where none is, or both places have some, it is uncertain: 3/4/2020 then is
    the fourth of March, as in the United States, and 3.4.2020 and 3-4-2020 are the third of April.
    """
    pairs = [match for text in words(sample).drop_nulls() if (match := _SLASHED.fullmatch(text))]
    if not pairs:
        return "day", True
    first = sum(int(match[1]) > 12 for match in pairs)
    second = sum(int(match[3]) > 12 for match in pairs)
    if first != second:
        return ("day" if first > second else "month"), min(first, second) == 0
    slashes = sum(match[2] == "/" for match in pairs)
    return ("month" if slashes > len(pairs) / 2 else "day"), False


def parse_dates(texts: pl.Series, order: str) -> np.ndarray:
    """float64 (n,): seconds since 1970-01-01 in universal time, NaN where a text is no date.

    ISO 8601 dates and times are always understood, and ``20200131``; so are names of months in English. ``order``:
    whether the day or the month comes first in numbers, ``"day"`` or ``"month"``.
    """
    texts = words(texts)
    seconds = np.full(len(texts), np.nan)
    ordered = _DAY_FIRST if order == "day" else _MONTH_FIRST
    for pattern in (_YEAR_FIRST, ordered, _COMPACT, _DAY_NAMED, _NAMED_DAY):
        rest = np.flatnonzero(np.isnan(seconds) & texts.is_not_null().to_numpy())
        if not len(rest):
            break
        left = texts.gather(rest)
        fitting = left.str.contains(pattern).to_numpy()
        if fitting.any():
            seconds[rest[fitting]] = _seconds(left.filter(pl.Series(fitting)).str.extract_groups(pattern).struct)
    return seconds


def parts_of(seconds: np.ndarray) -> dict[str, np.ndarray]:
    """Calendar parts of times without NaN, each as a phase from 0 to 1 of its cycle."""
    days = np.floor(seconds / DAY)
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day_of_month = (dates - months).astype(np.int64)
    return {
        "month": (months.astype(np.int64) % 12) / 12,
        "day of month": day_of_month / 31,
        "weekday": ((days + 3) % 7) / 7,  # 1970-01-01 was a Thursday
        "time of day": (seconds - days * DAY) / DAY,
    }


def written_date(seconds: float) -> str:
    """A time in ISO form, the day alone at midnight."""
    text = str(np.datetime64(round(seconds), "s"))
    return text.removesuffix("T00:00:00").replace("T", " ")


def _seconds(groups: pl.series.struct.StructNameSpace) -> np.ndarray:
    found = set(groups.fields)

    def number(name: str, default: float = 0.0) -> np.ndarray:
        if name not in found:
            return np.full(len(groups.field("day")), default)
        return groups.field(name).cast(pl.Float64).fill_null(default).to_numpy(writable=True)

    year, day, hour = number("year"), number("day"), number("hour")
    digits = groups.field("year").str.len_chars().to_numpy()
    # Two figures as POSIX reads them: 69 to 99 are the last century's.
    year = np.where(digits == 2, year + np.where(year >= 69, 1900, 2000), year)
    if "name" in found:
        named = groups.field("name").str.slice(0, 3).str.to_lowercase()
        month = named.replace_strict(_MONTHS, default=0, return_dtype=pl.Float64).to_numpy()
    else:
        month = number("month")
    minute, second, zone = number("minute"), number("second"), np.zeros(len(year))
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (minute < 60) & (second < 61)
    if "half" in found:
        half = groups.field("half").str.to_lowercase()
        twelve = half.is_not_null().to_numpy()
        valid &= np.where(twelve, (hour >= 1) & (hour <= 12), hour < 24)
        hour = np.where(twelve, hour % 12 + 12 * (half == "pm").fill_null(False).to_numpy(), hour)
        zone = _zone(groups.field("zone"))
    first = ((year - 1970) * 12 + np.where(valid, month, 1) - 1).astype(np.int64).astype("datetime64[M]")
    valid &= day <= ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
    days = first.astype("datetime64[D]").astype(np.int64) + day - 1
    return np.where(valid, days * DAY + hour * 3600 + minute * 60 + second - zone, np.nan)


def _zone(texts: pl.Series) -> np.ndarray:
    """Seconds that zones such as +02:00 are ahead of universal time."""
    parts = texts.str.extract_groups(r"^(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?$").struct
    hours, minutes = (parts.field(each).cast(pl.Float64).fill_null(0.0).to_numpy() for each in ("hours", "minutes"))
    sign = np.where((parts.field("sign") == "-").fill_null(False).to_numpy(), -1.0, 1.0)
    ahead: np.ndarray = sign * (hours * 3600 + minutes * 60)
    return ahead
