"""How odd rows are: predictions are numbers (n, parts) for each input, 1 where it is told as badly as by a constant.

A row is as odd as their mean. What is usual is known from rows that were not learned from: a row is called odd where it
is odder than all but a stated share of these, which is then the rate of false alarms, whatever the network and the
distribution (split-conformal p-values; Vovk, Gammerman & Shafer 2005; Laxhammar & Falkman 2010).
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np

from instar.answers.base import MISTAKES, AnswerType, Details, Exhibit, Mistake
from instar.conformal import half_width
from instar.fields import Field
from instar.metrics import LEAST_ROWS, wilson
from instar.resampling import Groups, Values, precision_area, rank, roc_area
from instar.shapes import Anomaly
from instar.words import counted, percent

logger = logging.getLogger("instar")

# Order statistics that are kept of rows that were not learned from: the last tenth of a percent can still be told.
KEPT = 2_000
# What an input usually is at most, beside which one is said to be odd.
_USUAL = 0.95
_NAMED = 3
_LEAST = 1e-9


class AnomalyType(AnswerType[Anomaly]):
    task = "anomaly-detection"
    tells_unlike = True
    claim = (
        "Of each row, anomaly says which share of rows like those learned from is less odd, and oddest which input is "
        "the least usual. A row is called odd where it is unlike the rows that were learned from, which may be for "
        "good reasons; and of what is odd, whatever stood often among these rows is usual to the network."
    )
    unscored = "nothing says which rows are odd, and its errors are not of the network's sort"

    def main_metric(self, answer: Anomaly) -> str:
        return "average_precision"

    def width(self, answer: Anomaly) -> int:
        return len(answer.parts)

    def in_own_units(self, field: Field, given: np.ndarray) -> np.ndarray:
        return given.astype(np.float64)

    def known(self, answer: Anomaly, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return ~np.isnan(prediction).all(axis=1)

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return np.ones(len(truth), bool)

    def to_learn(self, answer: Anomaly, truth: np.ndarray) -> np.ndarray:
        return np.zeros(len(truth))

    def measure(
        self, answer: Anomaly, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        odd, said = oddness(prediction), ~np.isnan(truth)
        areas = {"average_precision": precision_area, "roc_auc": roc_area}
        measured = dict(rank(truth[said] == 1, odd[said], groups.of(said), areas, among=1)) if said.any() else {}
        if probabilities:
            sums = groups.resample(np.stack([odd, np.ones(len(odd))], axis=1))
            measured["explained"] = float(1 - odd.mean()), 1 - sums[:, 0] / sums[:, 1]
        return measured

    def details(self, exhibit: Exhibit[Anomaly]) -> Details:
        if exhibit.show is None or not len(exhibit.usable):
            return Details()
        given = exhibit.prediction[exhibit.usable]
        usual = _quantile(given, _USUAL)
        words = {0.0: "usual", 1.0: "odd"}
        oddest = []
        for at in np.argsort(-oddness(given), kind="stable")[:MISTAKES].tolist():
            row = int(exhibit.usable[at])
            place, inputs = exhibit.show(row)
            parts = _odd_parts(given[at], usual, exhibit.answer.parts)
            first = {name: inputs[name] for name in parts if name in inputs}
            truth = words.get(float(exhibit.truth[row]), "")
            oddest.append(Mistake(place, {**first, **inputs}, truth, ", ".join(parts)))
        return Details(oddest=oddest)

    def residual_width(self, answer: Anomaly) -> int:
        return 1 + len(answer.parts)

    def residuals(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """How odd rows are (k, 1 + parts), as a whole and each input by itself, each column ascending."""
        told = np.hstack([oddness(prediction)[:, None], prediction])
        told = np.sort(told[~np.isnan(told[:, 0])], axis=0)  # what is absent comes last
        kept = min(len(told), KEPT)
        # Ranks are rounded up: of many rows no more are called odd than all of them would say.
        ranks = -(-np.arange(1, kept + 1) * len(told) // max(kept, 1))
        return np.nan_to_num(_without_gaps(told)[ranks - 1])

    def shortfall(self, field: Field, residuals: np.ndarray) -> str | None:
        least = 1 / (len(residuals) + 1)
        rate = _false_alarms(field)
        if rate >= least - 1e-12:
            return None
        return (
            f"{counted(len(residuals))} not learned from are too few to call {percent(rate)} of the usual ones odd; "
            f"what is odder than all of them is called so, which are about {percent(least)}."
        )

    def promise(self, field: Field, residuals: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> list[str]:
        odd = oddness(prediction)
        called = odd > half_width(residuals[:, 0], 1 - _false_alarms(field))
        usual = ~np.isnan(odd) & (truth != 1)
        if usual.sum() < LEAST_ROWS:
            return []
        share, rows = float(called[usual].mean()), int(usual.sum())
        whose = "rows" if np.isnan(truth).all() else "rows that are not odd"
        told = (
            f"Rows are called odd so that {percent(_false_alarms(field))} of those like the rows learned from are; of "
            f"{rows:,} {whose} of the exam {_interval(share, rows)} were."
        )
        found = ~np.isnan(odd) & (truth == 1)
        if found.any():
            told += f" Of {counted(int(found.sum()), 'odd row')} {_interval(float(called[found].mean()), found.sum())}."
        return [told]

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        short = self.shortfall(field, residuals)
        if short is not None:
            logger.warning("%s: %s", field.name, short)
        assert isinstance(field.answer, Anomaly)
        odd, parts = oddness(given), field.answer.parts
        known = ~np.isnan(odd)
        usual, each = residuals[:, 0], _quantile(residuals[:, 1:], _USUAL)
        limit = half_width(usual, 1 - _false_alarms(field))
        less = np.searchsorted(usual, np.nan_to_num(odd)) / max(1, len(usual))
        columns: dict[str, Any] = {
            "prediction": [bool(row > limit) if there else None for row, there in zip(odd, known, strict=True)],
            "anomaly": np.where(known, less, np.nan),
            "error": odd,
            "oddest": [
                _odd_parts(row, each, parts)[0] if there else None for row, there in zip(given, known, strict=True)
            ],
        }
        if probabilities:
            columns |= {f"error_{name}": given[:, place] for place, name in enumerate(parts)}
        return columns


def oddness(given: np.ndarray) -> np.ndarray:
    """(n,) of (n, parts): the mean over the inputs that are there; NaN where none is."""
    there = ~np.isnan(given)
    with np.errstate(invalid="ignore"):
        return np.where(there, given, 0).sum(axis=1) / np.where(there.any(axis=1), there.sum(axis=1), np.nan)


def _odd_parts(given: np.ndarray, usual: np.ndarray, parts: tuple[str, ...]) -> list[str]:
    """The inputs that make a row odd: those that are farther than usual, or else the one that is nearest to it."""
    beyond = np.nan_to_num(given / np.maximum(usual, _LEAST), nan=-1.0)
    order = np.argsort(-beyond, kind="stable")[:_NAMED]
    return [parts[place] for place in order if beyond[place] > 1] or [parts[order[0]]]


def _quantile(given: np.ndarray, level: float) -> np.ndarray:
    """(parts,) of (n, parts); NaN where a part is nowhere."""
    if not len(given):
        return np.ones(given.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a part that is nowhere
        return np.asarray(np.nanquantile(given, level, axis=0))


def _without_gaps(told: np.ndarray) -> np.ndarray:
    """(n, parts) sorted, of which columns that end with gaps are spread over all rows."""
    there = (~np.isnan(told)).sum(axis=0)
    rows = np.arange(len(told))[:, None] * np.maximum(there, 1) // max(1, len(told))
    return np.take_along_axis(told, rows, axis=0)


def _false_alarms(field: Field) -> float:
    assert isinstance(field.answer, Anomaly)
    return field.answer.false_alarms


def _interval(share: float, rows: Any) -> str:
    low, high = (min(1.0, max(0.0, bound)) for bound in wilson(share, int(rows)))
    return f"{100 * share:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
