"""How a table whose rows are steps is cut into windows: what a person says of it, and what is found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from instar.errors import SourceError, UsageError
from instar.settings import Settings, setting
from instar.sources.clock import Clock
from instar.sources.long import LongTable
from instar.sources.stepped import MOMENT
from instar.words import counted

# Steps of history, where nobody says how many: so many seasons, and times what is ahead, and at least and at most so
# many; and no more than half of what nearly all series have.
_SEASONS, _TIMES_AHEAD, _LEAST, _MOST = 3, 2, 16, 1_024
_SHORT_SERIES = 0.1
LARGEST = 1 << 20


@dataclass(frozen=True)
class ForecastSettings(Settings):
    """What is forecast, and from what."""

    forecast: int | None = setting(
        None,
        "steps ahead to forecast of the target, where each row is a step in time",
        minimum=1,
        maximum=10_000,
        common=True,
    )
    known: tuple[str, ...] = setting(
        (), "column that is known in advance of the steps to forecast, such as a price or a holiday", common=True
    )
    season: int | None = setting(
        None,
        "steps after which things come again, such as 12 of months; found where it is not said",
        minimum=1,
        maximum=LARGEST,
    )
    history: int | None = setting(
        None,
        "steps of history that a forecast is made from; chosen from the data where it is not said",
        minimum=2,
        maximum=LARGEST,
    )

    def checked(self) -> ForecastSettings | None:
        """These settings, None where nothing is to be forecast. Raises UsageError for others that then mean nothing."""
        if self.forecast is not None:
            return self
        for name in self.changed():
            raise UsageError(
                f"The setting {name!r} is for forecasts, and it is not said how many steps to forecast",
                remedy="Say it with --forecast STEPS",
            )
        return None


@dataclass(frozen=True)
class WindowTable:
    """Which columns of a table of steps are what, and how windows are cut; None is found out, and then known.

    series, steps: the columns that say of whose step a row is, and when it was, if there are such. targets: columns to
    forecast; known: columns that are known in advance. ahead, history, season: in steps. clock: how far apart steps
    are, where they have times. long: how steps are brought together; single: whether there is one series alone.
    """

    series: str | None
    steps: str | None
    targets: tuple[str, ...]
    known: tuple[str, ...]
    ahead: int
    history: int | None = None
    season: int | None = None
    clock: Clock | None = None
    long: LongTable | None = None
    single: bool = False

    @property
    def channels(self) -> tuple[str, ...]:
        """The targets, then what else is measured, then what is known in advance, of a table of which all is known."""
        assert self.long is not None and self.long.channels is not None
        aside = {*self.targets, *self.known, MOMENT}
        others = (name for name in self.long.channels if name not in aside)
        return (*self.targets, *others, *self.known)

    def as_json(self) -> dict[str, Any]:
        assert self.long is not None
        return {
            "ahead": self.ahead,
            "history": self.history,
            "season": self.season,
            "series": self.series,
            "steps": self.steps,
            "targets": list(self.targets),
            "known": list(self.known),
            "clock": None if self.clock is None else self.clock.as_json(),
            "long": self.long.as_json(),
            "single": self.single,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WindowTable:
        """Raises ValueError or KeyError where that is none."""
        series, steps, targets, known = (content[name] for name in ("series", "steps", "targets", "known"))
        sizes = [content[name] for name in ("ahead", "history", "season")]
        names = [*targets, *known, *(name for name in (series, steps) if name is not None)]
        clock = None if content["clock"] is None else Clock.from_json(content["clock"])
        long = LongTable.from_json(content["long"])
        ahead, history, season = sizes
        table = cls(series, steps, tuple(targets), tuple(known), ahead, history, season, clock, long)
        if not targets or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ValueError("columns of windows")
        if not all(type(size) is int and 1 <= size <= LARGEST for size in sizes) or sizes[2] > sizes[1]:
            raise ValueError("sizes of windows")
        if not isinstance(content["single"], bool) or not {*targets, *known, MOMENT} <= set(long.channels or ()):
            raise ValueError("channels of windows")
        return replace(table, single=content["single"])

    @property
    def described(self) -> str:
        """For whoever has another such table."""
        whose = "" if self.series is None else f" of each {self.series!r}"
        when = "" if self.steps is None else f", by {self.steps!r}"
        ahead = f", with {', '.join(map(repr, self.known))} of the steps ahead" if self.known else ""
        targets = ", ".join(map(repr, self.targets))
        steps = f"rows that are steps of {targets}{whose}{when}"
        return f"{steps}: the last {self.history:,}, to forecast {self.ahead:,}{ahead}"


def sizes_of(asked: WindowTable, season: int, lengths: np.ndarray, place: str) -> tuple[int, int]:
    """Steps of history, and the season, from the ``lengths`` of series. Raises SourceError where they are too short."""
    usual = int(np.quantile(lengths, _SHORT_SERIES, method="higher"))
    longest = int(lengths.max())
    most = max((usual - asked.ahead) // 2, 2)
    if asked.season is None and season > most:
        season = 1
    wanted = min(_MOST, max(_SEASONS * season, _TIMES_AHEAD * asked.ahead, _LEAST))
    history = asked.history or max(min(wanted, most), season, 2)
    if history < season:
        season = 1 if asked.season is None else season
    if max(history, season) + asked.ahead > longest:
        raise SourceError(
            f"The longest series has {counted(longest, 'step')}; to forecast {asked.ahead:,} of a history of "
            f"{history:,} takes {history + asked.ahead:,}",
            where=place,
            remedy="Forecast fewer steps (--forecast), or bring longer series",
        )
    return max(history, season), season
