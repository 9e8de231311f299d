"""Measures any type of answer, and picks what is worth looking at."""

from __future__ import annotations

from typing import Any

import numpy as np

from instar.answers.amounts import AmountsType
from instar.answers.anomalies import AnomalyType
from instar.answers.base import AnswerType
from instar.answers.choice import ChoiceType
from instar.answers.continuation import ContinuationType
from instar.answers.forecasts import ForecastType
from instar.answers.masks import MaskType
from instar.answers.pictures import PictureType
from instar.answers.several import SeveralType
from instar.answers.symbols import SymbolsType
from instar.metrics import LEAST_ROWS, METRICS, Score, scored
from instar.resampling import Groups
from instar.shapes import Amounts, Anomaly, Answer, Choice, Continuation, Forecast, Mask, Picture, Several, Symbols

_TYPES: dict[type[Answer], AnswerType[Any]] = {
    Choice: ChoiceType(),
    Several: SeveralType(),
    Amounts: AmountsType(),
    Symbols: SymbolsType(),
    Picture: PictureType(),
    Mask: MaskType(),
    Anomaly: AnomalyType(),
    Continuation: ContinuationType(),
    Forecast: ForecastType(),
}


def type_of(answer: Answer | None) -> AnswerType[Any]:
    """What there is to know of the type of a target's answer, which is never None."""
    assert answer is not None
    return _TYPES[type(answer)]


def measure(
    answer: Answer,
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    seed: int = 0,
    resamples: int = 1000,
    probabilities: bool = True,
) -> dict[str, Score]:
    """Every metric of the answer that has a meaning for these rows, by name, the main one first.

    Parameters
    ----------
    truth: for a Choice (n,) class codes, -1 where missing and -2 where it is none of the classes, which no answer can
        meet; for Several (n, labels + 1), 0 or 1 for each label and then how many others the row has, which no answer
        can meet either, NaN where missing; for Amounts (n, width) in the target's unit, NaN where missing; for Symbols
        texts (n,); for a Picture (n, channels, *extent), NaN where missing; for a Mask codes (n, *extent); for a
        Forecast (n, steps + 3), of which steps may be NaN. Rows without
        a truth, or whose prediction is NaN, no text or of no class, are left out.
    prediction: for a Choice (n, classes) probabilities, of which the largest is the answer; for Several (n, labels)
        probabilities, of which those of at least a half are answers; for Amounts (n, width); for others as the truth.
        Probabilities stay as they are; beside them only a small part of their memory is used.
    probabilities: False where a Choice's prediction are only scores; then log loss and Brier score are left out.

    An empty dictionary for fewer than 20 rows, on which no score can be trusted. A metric that is not defined is left
    out: the area under a curve where all rows are of one class, R² where all truths are equal.
    """
    kind, truth, prediction = type_of(answer), np.asarray(truth), np.asarray(prediction)
    known = kind.known(answer, truth, prediction)
    if known.sum() < LEAST_ROWS:
        return {}
    if not known.all():
        # Answers for many rows and classes are large; they are copied only where rows have to go.
        truth, prediction = truth[known], prediction[known]
    groups = Groups(len(truth), seed, resamples)
    with np.errstate(all="ignore"):
        measured = kind.measure(answer, truth, prediction, groups, probabilities=probabilities)
        scores = {name: scored(name, *values, groups.rows) for name, values in measured.items()}
    return {name: score for name in METRICS if (score := scores.get(name)) is not None}
