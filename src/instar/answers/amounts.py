"""Numbers: truths and predictions are amounts (n, width) in the column's own units."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from instar.answers.base import MISTAKES, AnswerType, Details, Exhibit, Mistake
from instar.conformal import COVERAGE, half_width, held, shortfall, sorted_residuals
from instar.fields import Field
from instar.metrics import LEAST_ROWS
from instar.resampling import Groups, Values, mean_of_defined
from instar.shapes import Amounts
from instar.words import percent, written_amount

logger = logging.getLogger("instar")

# Rows whose truths and answers are drawn against each other.
PAIRS = 600


class AmountsType(AnswerType[Amounts]):
    task = "regression"
    claim = (
        "The range from low to high holds the truth as often as asked on average over all rows, not for each sort of "
        "row."
    )

    def main_metric(self, answer: Amounts) -> str:
        return "r2"

    def width(self, answer: Amounts) -> int:
        return answer.width

    def in_own_units(self, field: Field, given: np.ndarray) -> np.ndarray:
        return np.asarray(field.decode(given), np.float64).reshape(given.shape)

    def known(self, answer: Amounts, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        amounts, given = _rows(answer, truth), _rows(answer, prediction)
        known: np.ndarray = np.isfinite(amounts).all(axis=1) & ~np.isnan(given).any(axis=1)
        return known

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return np.asarray(np.isfinite(truth.reshape(len(truth), -1)).all(axis=1))

    def to_learn(self, answer: Amounts, truth: np.ndarray) -> np.ndarray:
        return truth.reshape(-1, answer.width)

    def measure(
        self, answer: Amounts, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        return _measure(_rows(answer, truth), _rows(answer, prediction), groups)

    def details(self, exhibit: Exhibit[Amounts]) -> Details:
        amounts, given = (_rows(exhibit.answer, part) for part in (exhibit.truth, exhibit.prediction))
        finite = exhibit.usable[np.isfinite(given[exhibit.usable]).all(axis=1)]
        one = exhibit.answer.width == 1
        return Details(
            _mistakes(exhibit, amounts, given, finite),
            pairs=_pairs(amounts[finite, 0], given[finite, 0], exhibit.seed) if one else [],
        )

    def residual_width(self, answer: Amounts) -> int:
        return answer.width

    def residuals(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return sorted_residuals(truth, prediction)

    def shortfall(self, field: Field, residuals: np.ndarray) -> str | None:
        return shortfall(residuals, COVERAGE)

    def promise(self, field: Field, residuals: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> list[str]:
        count, rows = held(truth, prediction, residuals, COVERAGE)
        if rows < LEAST_ROWS:
            return []
        meant = f"Ranges for {field.name!r} that are meant to hold the truth in {percent(COVERAGE)} of cases"
        return [f"{meant} held it in {percent(count / rows)} of {rows:,} rows of the exam."]

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        short = shortfall(residuals, coverage)
        if short is not None:
            logger.warning("%s: %s", field.name, short)
        reach = np.broadcast_to(half_width(residuals, coverage), given.shape[1:])
        columns = {}
        for index in range(given.shape[1]):
            suffix = f"_{index}" if given.shape[1] > 1 else ""
            columns[f"prediction{suffix}"] = given[:, index]
            columns[f"low{suffix}"] = given[:, index] - reach[index]
            columns[f"high{suffix}"] = given[:, index] + reach[index]
        return columns


def _rows(answer: Amounts, amounts: np.ndarray) -> np.ndarray:
    return np.asarray(amounts, dtype=np.float64).reshape(-1, answer.width)


def _measure(truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> dict[str, Values]:
    width = truth.shape[1]
    error, centered = truth - prediction, truth - truth.mean(axis=0)
    columns = np.hstack([np.abs(error), error**2, centered, centered**2, np.ones((len(truth), 1))])
    # An output whose truths are all equal has no variance to explain, though rounding may leave a trace of one.
    varies = np.ptp(truth, axis=0) > 0

    def measure_sums(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        absolute, squares, total, total_squares, count = np.split(sums, [width * i for i in (1, 2, 3, 4)], axis=-1)
        r2 = np.where(varies, 1 - squares / (total_squares - total**2 / count), np.nan)
        return mean_of_defined(r2), (absolute / count).mean(axis=-1), np.sqrt(squares / count).mean(axis=-1)

    exact, resampled = measure_sums(columns.sum(axis=0)), measure_sums(groups.resample(columns))
    names = ("r2", "mae", "rmse")
    return {name: (float(value), drawn) for name, value, drawn in zip(names, exact, resampled, strict=True)}


def _mistakes(exhibit: Exhibit[Amounts], truth: np.ndarray, given: np.ndarray, usable: np.ndarray) -> list[Mistake]:
    if exhibit.show is None:
        return []
    error = np.abs(truth[usable] - given[usable]).max(axis=1)
    mistakes = []
    for row in usable[np.argsort(-error, kind="stable")[:MISTAKES]]:
        place, inputs = exhibit.show(int(row))
        mistakes.append(Mistake(place, inputs, _written(truth[row]), _written(given[row])))
    return mistakes


def _written(amounts: np.ndarray) -> str:
    return ", ".join(written_amount(float(amount)) for amount in amounts)


def _pairs(truth: np.ndarray, given: np.ndarray, seed: int) -> list[tuple[float, float]]:
    chosen = np.sort(np.random.default_rng(seed).permutation(len(truth))[:PAIRS])
    return [(float(one), float(other)) for one, other in zip(truth[chosen], given[chosen], strict=True)]
