"""Any number of labels at once: predictions are probabilities (n, labels), and those of at least a half are answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from instar.answers._labels import measure_labels, measure_one_by_one
from instar.answers.base import MISTAKES, AnswerType, Details, Exhibit, LabelResult, Mistake
from instar.answers.choice import OWN_PROBABILITY, class_columns
from instar.fields import Field
from instar.metrics import LEAST_ROWS, Score, scored
from instar.resampling import Groups, Values
from instar.shapes import ANSWERED_FROM, Several

# How an answer of no label reads.
NO_LABEL = "no label"


class SeveralType(AnswerType[Several]):
    task = "classification"
    claim = OWN_PROBABILITY
    part = ("label", "labels")

    def unlearned(self, name: str, details: Details) -> str:
        return f"labels of {name!r} that are not learned; they count as missed"

    def main_metric(self, answer: Several) -> str:
        return "macro_f1"

    def width(self, answer: Several) -> int:
        return answer.labels

    def known(self, answer: Several, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return np.asarray(~np.isnan(truth[:, 0]) & ~np.isnan(prediction[:, 0]))

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return np.asarray(np.isfinite(truth).all(axis=1))

    def to_learn(self, answer: Several, truth: np.ndarray) -> np.ndarray:
        return truth[:, : answer.labels]

    def measure(
        self, answer: Several, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        return measure_labels(truth, prediction, groups)

    def details(self, exhibit: Exhibit[Several]) -> Details:
        truth, usable = exhibit.truth, exhibit.usable
        having = truth[usable, :-1].sum(axis=0).astype(int).tolist()
        measured = measure_each_label(exhibit)
        return Details(
            _mistakes(exhibit),
            unknown=int((truth[usable, -1] > 0).sum()),
            labels=[LabelResult(*one) for one in zip(exhibit.classes, having, measured, strict=True)],
        )

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        return class_columns(field, given, _most_in_doubt(given), probabilities)


def measure_each_label(exhibit: Exhibit[Several], *, resamples: int = 1000) -> list[dict[str, Score]]:
    """``f1`` and ``average_precision`` of each label by itself, as far as they are defined.

    Empty dictionaries for fewer than 20 usable rows.
    """
    usable = exhibit.usable
    if len(usable) < LEAST_ROWS:
        return [{} for _ in exhibit.answer.counts]
    groups = Groups(len(usable), exhibit.seed, resamples)
    with np.errstate(all="ignore"):
        measured = measure_one_by_one(exhibit.truth[usable], exhibit.prediction[usable], groups)
        # Both lie between 0 and 1, as macro F1 does.
        scores = [
            {name: scored("macro_f1", *values, groups.rows) for name, values in each.items()} for each in measured
        ]
    return [{name: score for name, score in each.items() if score is not None} for each in scores]


def _most_in_doubt(given: np.ndarray) -> np.ndarray:
    """How probable it is that the answer about the label most in doubt is right, (n,)."""
    return np.asarray(np.maximum(given, 1 - given).min(axis=1))


def _mistakes(exhibit: Exhibit[Several]) -> list[Mistake]:
    """The rows of which something is wrong whose truth surprises the most."""
    if exhibit.show is None:
        return []
    truth, prediction, usable, labels = exhibit.truth, exhibit.prediction, exhibit.usable, exhibit.classes
    surprise = np.zeros(len(usable))
    wrong = truth[usable, -1] > 0
    for code in range(exhibit.answer.labels):
        has, stated = truth[usable, code] > 0, prediction[usable, code].astype(np.float64)
        wrong |= has != (stated >= ANSWERED_FROM)
        surprise -= np.log(np.clip(np.where(has, stated, 1 - stated), np.finfo(np.float64).eps, 1))
    mistakes = []
    for at in np.flatnonzero(wrong)[np.argsort(-surprise[wrong], kind="stable")[:MISTAKES]]:
        row = int(usable[at])
        place, inputs = exhibit.show(row)
        known = ", ".join(labels[code] for code in np.flatnonzero(truth[row, :-1] > 0).tolist()) or NO_LABEL
        said = [labels[code] for code in np.flatnonzero(prediction[row] >= ANSWERED_FROM).tolist()]
        true = exhibit.name_truth(row) if truth[row, -1] else known
        sure = float(_most_in_doubt(prediction[row : row + 1])[0])
        mistakes.append(Mistake(place, inputs, true, ", ".join(said) or NO_LABEL, sure))
    return mistakes
