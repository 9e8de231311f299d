"""Rivals that forecast: what was a season ago, and models of the steps before, in terms of a row's own history."""

from __future__ import annotations

from typing import Any

import numpy as np

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Answer, Forecast

# Trees learn from one row for each step ahead, of at most so many numbers in all; and look back at so many steps, and
# at so many before and after what was a season before the step that is asked for.
_LARGEST, _RECENT, _AROUND = 2**25, 24, 2


@rival(
    "seasonal_naive",
    title="seasonal naive forecast",
    paper="-",
    idea="Answers what was a season ago.",
    answers=(Forecast,),
    encoding="ordinal",
    sequences=None,
    cost=0,
    baseline=True,
)
def seasonal_naive(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    return [SeasonalNaive(inputs, answer)]


@rival(
    "lagged_ridge",
    title="ridge regression on lags",
    paper="Hoerl & Kennard 1970",
    idea="Answers each step ahead with a weighted sum of the steps before and all that is known, its weights small.",
    answers=(Forecast,),
    maximum_cells=2**26,
    cost=1,
)
def lagged_ridge(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    return [LaggedRidge(inputs, answer, strength) for strength in (1.0, 30.0, 1_000.0)]


@rival(
    "lagged_boosting",
    title="boosted trees on lags",
    paper="Friedman 2001; Januschowski et al. 2022",
    idea="Adds small trees that ask about the steps before, those a season before the one that is asked for, and what "
    "is known of that one.",
    answers=(Forecast,),
    encoding="ordinal",
    maximum_cells=2**26,
    cost=3,
)
def lagged_boosting(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    return [LaggedBoosting(inputs, answer, seed)]


class _OnLags:
    """What all share: where in a row the course lies, that is continued."""

    def __init__(self, inputs: Inputs, answer: Answer) -> None:
        assert isinstance(answer, Forecast)
        self.answer = answer
        place = next(place for place, grid in enumerate(inputs.grids) if grid.ahead)
        self.grid = inputs.grids[place]
        sizes = [grid.size for grid in inputs.grids]
        self.beside = inputs.numbers.shape[1] - sum(sizes)
        self.start = self.beside + sum(sizes[:place])
        self.history = self.grid.extent[0] - self.grid.ahead

    def course(self, columns: np.ndarray) -> np.ndarray:
        """(n, channels, steps)."""
        return columns[:, self.start : self.start + self.grid.size].reshape(len(columns), self.grid.channels, -1)

    def last_season(self, columns: np.ndarray) -> np.ndarray:
        """(n, steps ahead)."""
        return self.course(columns)[:, self.answer.channel, self.answer.last_season(self.history)].astype(np.float64)

    def score(self, columns: np.ndarray, truth: np.ndarray) -> float:
        """The higher the better: less the mean absolute error."""
        return -float(np.nanmean(np.abs(self.predict(columns) - truth)))

    def predict(self, columns: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class SeasonalNaive(_OnLags):
    def fit(self, columns: np.ndarray, truth: np.ndarray) -> SeasonalNaive:
        return self

    def predict(self, columns: np.ndarray) -> np.ndarray:
        return self.last_season(columns)


class LaggedRidge(_OnLags):
    """What differs from the last season, of all columns. A step of which the truth lacks counts as the last season."""

    def __init__(self, inputs: Inputs, answer: Answer, strength: float) -> None:
        super().__init__(inputs, answer)
        self.strength = strength

    def __sklearn_clone__(self) -> LaggedRidge:
        return self

    def fit(self, columns: Any, truth: np.ndarray) -> LaggedRidge:
        from sklearn.linear_model import Ridge

        self.ridge = Ridge(alpha=self.strength).fit(columns, np.nan_to_num(truth - self.last_season(columns)))
        return self

    def predict(self, columns: np.ndarray) -> np.ndarray:
        added: np.ndarray = self.ridge.predict(columns)
        return self.last_season(columns) + added.reshape(len(columns), -1)


class LaggedBoosting(_OnLags):
    """One model for all steps ahead: a row for each, with which one it is, as a difference from the last season."""

    def __init__(self, inputs: Inputs, answer: Answer, seed: int) -> None:
        super().__init__(inputs, answer)
        self.seed = seed

    def fit(self, columns: np.ndarray, truth: np.ndarray) -> LaggedBoosting:
        from sklearn.ensemble import HistGradientBoostingRegressor

        steps, width = self.answer.steps, self._asked(columns[:1], 0).shape[1]
        most = max(1, _LARGEST // (width * steps))
        if len(columns) > most:
            some = np.sort(np.random.default_rng(self.seed).choice(len(columns), most, replace=False))
            columns, truth = columns[some], truth[some]
        asked = np.concatenate([self._asked(columns, step) for step in range(steps)])
        target = (truth - self.last_season(columns)).T.reshape(-1)
        known = np.isfinite(target)
        self.trees = HistGradientBoostingRegressor(
            loss="absolute_error", max_iter=300, learning_rate=0.07, early_stopping=False, random_state=self.seed
        ).fit(asked[known], target[known])
        return self

    def predict(self, columns: np.ndarray) -> np.ndarray:
        given = [self.trees.predict(self._asked(columns, step)) for step in range(self.answer.steps)]
        return self.last_season(columns) + np.stack(given, axis=1)

    def _asked(self, columns: np.ndarray, step: int) -> np.ndarray:
        """(n, width) of what is looked at for a step ahead."""
        course, history, answer = self.course(columns), self.history, self.answer
        own = course[:, answer.channel, :history]
        center = answer.last_season(history)[step]
        around = np.clip(np.arange(center - _AROUND, center + _AROUND + 1), 0, history - 1)
        parts = [
            np.full((len(columns), 1), step, np.float32),
            own[:, -min(_RECENT, history) :],
            own[:, around],
            course[:, :, history - 1],
            course[:, :, history + step],
            columns[:, : self.beside],
            columns[:, self.start + self.grid.size :],
        ]
        return np.hstack(parts).astype(np.float32)
