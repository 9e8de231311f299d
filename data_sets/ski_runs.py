"""Days of a ski resort, made with a known law: who has come and how much snow has fallen, and what was skied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from data_sets.fetch import DATA

CUSTOMERS = ("beginners", "families", "racers", "freeriders")
RUNS = ("green", "blue", "red", "black")
# How often in a day each kind of customer (row) skis each kind of run (column) where there is snow enough.
HABITS = np.array([[7.0, 2.0, 0.2, 0.0], [4.0, 5.0, 1.0, 0.1], [0.5, 3.0, 9.0, 4.0], [0.2, 1.0, 4.0, 8.0]])
# Centimeters of snow at which half of the runs of a kind are open.
NEEDED = np.array([15.0, 35.0, 60.0, 100.0])
DAYS = 3_000


def expected(customers: np.ndarray, snow: np.ndarray) -> np.ndarray:
    """The mean counts (n, 4) of what is skied by ``customers`` (n, 4) with ``snow`` (n,) centimeters so far.

    Of each kind of run a share is open that rises with the snow; who finds his own closed skis the next easier ones.
    """
    open_share = 1 / (1 + np.exp(-(snow[:, None] - NEEDED) / (0.15 * NEEDED)))
    wanted = customers @ HABITS
    skied = wanted * open_share
    skied[:, :-1] += (wanted * (1 - open_share))[:, 1:] * open_share[:, :-1]
    return skied


def ski_runs() -> Path:
    """A CSV file: counts of four kinds of customers, ``snow`` in centimeters, counts of four kinds of runs skied."""
    path = DATA / "ski-runs.csv"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        generator = np.random.default_rng(0)
        customers = generator.poisson(generator.gamma(2, [30, 40, 10, 15], (DAYS, 4)))
        snow = np.round(generator.gamma(2.5, 30, DAYS), 1)
        skied = generator.poisson(expected(customers, snow))
        table = dict(zip(CUSTOMERS, customers.T, strict=True)) | {"snow": snow}
        pl.DataFrame(table | dict(zip(RUNS, skied.T, strict=True))).write_csv(path)
    return path
