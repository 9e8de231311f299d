"""Forecasts: truths and predictions are (n, steps + 3), as `instar.shapes` says, compared step by step."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np

from instar.answers.base import MISTAKES, AnswerType, Details, Exhibit, Mistake
from instar.conformal import COVERAGE, half_width, shortfall, sorted_residuals
from instar.fields import Field
from instar.metrics import LEAST_ROWS
from instar.resampling import Groups, Values
from instar.shapes import SCALES, Curves, Forecast, View
from instar.words import percent, written_amount

logger = logging.getLogger("instar")

# Forecasts shown that are as most are, and between which shares of the rows, ordered by their errors, they lie.
TYPICAL, FROM, TO = 6, 0.25, 0.75
_LEVEL, _SPREAD, _ERROR = -3, -2, -1


class ForecastType(AnswerType[Forecast]):
    task = "time-series-forecasting"
    claim = (
        "The range from low to high holds the truth as often as asked on average over all series, at each step ahead, "
        "as long as what comes is like what was; not all steps of a forecast at once."
    )

    def main_metric(self, answer: Forecast) -> str:
        return "mase"

    def width(self, answer: Forecast) -> int:
        return answer.width

    def moments(self, answer: Forecast) -> int:
        return answer.steps

    def known(self, answer: Forecast, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        there = np.isfinite(truth[:, : answer.steps]).any(axis=1)
        known: np.ndarray = there & ~np.isnan(prediction[:, : answer.steps]).any(axis=1)
        return known

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return np.asarray(np.isfinite(truth[:, :-SCALES]).any(axis=1))

    def to_learn(self, answer: Forecast, truth: np.ndarray) -> np.ndarray:
        return (truth[:, : answer.steps] - truth[:, [_LEVEL]]) / truth[:, [_SPREAD]]

    def from_learned(self, answer: Forecast, truth: np.ndarray, learned: np.ndarray) -> np.ndarray:
        scale = truth[:, -SCALES:]
        return np.hstack([learned * scale[:, [_SPREAD]] + scale[:, [_LEVEL]], scale])

    def measure(
        self, answer: Forecast, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        true, given = truth[:, : answer.steps], prediction[:, : answer.steps]
        error = np.abs(true - given)
        both = np.abs(true) + np.abs(given)
        off = np.nanmean(error, axis=1)
        relative = 2 * error / np.where(both > 0, both, 1.0)  # where both are 0 the answer is right
        seasonal = truth[:, _ERROR]
        scaled = seasonal > 0
        columns = np.stack(
            [
                np.where(scaled, off / np.where(scaled, seasonal, 1.0), 0.0),
                np.nanmean(relative, axis=1),
                off,
                scaled,
                np.ones(len(truth)),
            ],
            axis=1,
        )
        exact, drawn = columns.sum(axis=0), groups.resample(columns)
        measured = {}
        for place, (name, count) in enumerate((("mase", 3), ("smape", 4), ("mae", 4))):
            measured[name] = float(exact[place] / exact[count]), drawn[:, place] / drawn[:, count]
        return measured

    def details(self, exhibit: Exhibit[Forecast]) -> Details:
        if exhibit.show is None or not len(exhibit.usable):
            return Details()
        steps, usable = exhibit.answer.steps, exhibit.usable
        error = np.nanmean(np.abs(exhibit.truth[usable, :steps] - exhibit.prediction[usable, :steps]), axis=1)
        error = error / exhibit.truth[usable, _SPREAD]
        order = usable[np.argsort(-error, kind="stable")]
        worst, rest = order[:MISTAKES], order[MISTAKES:]
        places = np.linspace(FROM, TO, TYPICAL) * (len(rest) - 1)
        typical = rest[np.unique(places.round().astype(int))] if len(rest) else rest
        return Details(_shown(exhibit, worst), typical=_shown(exhibit, typical))

    def residual_width(self, answer: Forecast) -> int:
        return answer.steps

    def residuals(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """By the spread of each row's own history, so that ranges are as wide as suits a series."""
        spread = prediction[:, [_SPREAD]]
        return sorted_residuals(truth[:, :-SCALES] / spread, prediction[:, :-SCALES] / spread)

    def shortfall(self, field: Field, residuals: np.ndarray) -> str | None:
        return shortfall(residuals, COVERAGE)

    def promise(self, field: Field, residuals: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> list[str]:
        error = np.abs(truth[:, :-SCALES] - prediction[:, :-SCALES]) / prediction[:, [_SPREAD]]
        known = np.isfinite(error)
        if known.any(axis=1).sum() < LEAST_ROWS:
            return []
        share = percent(float((error <= half_width(residuals, COVERAGE))[known].mean()))
        meant = f"Ranges for {field.name!r} that are meant to hold the truth in {percent(COVERAGE)} of cases"
        return [f"{meant} held it in {share} of {int(known.sum()):,} steps of the exam."]

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        short = shortfall(residuals, coverage)
        if short is not None:
            logger.warning("%s: %s", field.name, short)
        steps = given[:, :-SCALES]
        reach = np.broadcast_to(half_width(residuals, coverage), steps.shape[1:]) * given[:, [_SPREAD]]
        columns = {"prediction": steps, "low": steps - reach, "high": steps + reach}
        return {name: values.reshape(-1).astype(np.float64) for name, values in columns.items()}


def _shown(exhibit: Exhibit[Forecast], rows: np.ndarray) -> list[Mistake]:
    """Each with its history, truth and answer as curves on one axis."""
    assert exhibit.show is not None
    steps = exhibit.answer.steps
    shown = []
    for row in rows.tolist():
        place, inputs = exhibit.show(row)
        true, given = exhibit.truth[row], exhibit.prediction[row, :steps]
        history = next(
            (_curve(view, exhibit.answer.channel) for view in inputs.values() if isinstance(view, Curves)), ()
        )
        gap = (math.nan,) * max(0, len(history) - 1)
        joint = history[-1:]  # the answer goes on from where the history ends
        curves = ((*history, *true[:steps].tolist()), (*gap, *joint, *given.tolist()))
        off = float(np.nanmean(np.abs(true[:steps] - given)))
        said = f"off by {written_amount(off)}"
        if true[_ERROR] > 0:
            said += f", {off / true[_ERROR]:.2f} of what repeating a season was in its history"
        words = {name: view for name, view in inputs.items() if not isinstance(view, Curves)}
        drawn: dict[str, View] = {"history and truth, answer": Curves(curves, said)}
        shown.append(Mistake(place, words, "", said, drawn=drawn))
    return shown


def _curve(view: Curves, channel: int) -> tuple[float, ...]:
    return view.curves[channel] if channel < len(view.curves) else ()
