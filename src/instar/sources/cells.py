"""Cells of windows into series: a structure for each, as `instar.sources.windows` makes and the kind ``window`` reads.

======== =====================================================================================================
steps     (channels, steps) numbers, null where unknown: channels of which nothing ahead is known, then others
moments   (steps,) seconds since 1970, null where steps have no dates
ahead     how many of the steps, the last, are in the future
season    after how many steps things come again; 1 where they do not
known     how many of the channels, the last, are known in advance
channel   of a target: which channel of the input it continues
======== =====================================================================================================
"""

from __future__ import annotations

import numpy as np
import polars as pl

_LISTS = pl.List(pl.List(pl.Float64))
WINDOW = pl.Struct(
    {
        "steps": _LISTS,
        "moments": pl.List(pl.Float64),
        "ahead": pl.Int64,
        "season": pl.Int64,
        "known": pl.Int64,
        "channel": pl.Int64,
    }
)


def windows_column(
    name: str,
    steps: np.ndarray,
    moments: np.ndarray | None,
    *,
    ahead: int,
    season: int,
    known: int = 0,
    channel: int = 0,
) -> pl.Series:
    """Cells from ``steps`` (n, channels, steps), NaN where unknown, and ``moments`` (n, steps), if there are any."""
    rows = len(steps)
    constants = {"ahead": ahead, "season": season, "known": known, "channel": channel}
    fields = [
        pl.Series("steps", steps.reshape(-1)).fill_nan(None).reshape(steps.shape).cast(_LISTS),
        pl.Series("moments", [None] * rows if moments is None else moments.tolist(), pl.List(pl.Float64)),
        *(pl.Series(field, np.full(rows, value, np.int64)) for field, value in constants.items()),
    ]
    return pl.DataFrame(fields).to_struct(name)
