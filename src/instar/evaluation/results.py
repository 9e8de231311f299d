"""What an examination found for one target: scores, rivals, confusions, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from instar.evaluation.rivals.run import RivalResult
from instar.metrics import Score, better, confidence, known_rows, main_metric, measure, measure_each_label
from instar.shapes import (
    ANSWERED_FROM,
    UNKNOWN_CLASS,
    Answer,
    Choice,
    Several,
    Text,
    View,
    answer_as_json,
    answer_from_json,
)

MISTAKES = 12
# A matrix of more classes than these is no longer read by anyone.
CONFUSED_CLASSES = 100
PAIRS = 600
# Rows that are looked at for the names of classes that were never learned, and names that are said.
NAMED_ROWS, NAMED_CLASSES = 1_000, 3
# How all classes that were never learned are called together.
OTHER = "(other)"
# How an answer of no label reads.
NO_LABEL = "no label"


@dataclass(frozen=True)
class Mistake:
    """A row on which the network is wrong, the more so the earlier it stands.

    place: where a person finds the row; inputs: the row's fields as they are shown.
    confidence: the probability of the class that it answered, or of the one of several labels that is most in doubt;
        None for an amount.
    """

    place: str
    inputs: Mapping[str, View]
    truth: str
    answer: str
    confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Pictures are left to the page; here stands what is written beside them."""
        shown = {name: view.text for name, view in self.inputs.items()}
        return {
            "place": self.place,
            "inputs": shown,
            "truth": self.truth,
            "answer": self.answer,
            "confidence": self.confidence,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Mistake:
        return cls(**{**content, "inputs": {name: Text(text) for name, text in content["inputs"].items()}})


@dataclass(frozen=True)
class LabelResult:
    """How one of several labels was answered; ``rows`` are the examined ones that have it.

    metrics: ``f1`` and ``average_precision``, as far as they are defined.
    """

    name: str
    rows: int
    metrics: Mapping[str, Score]

    def to_json(self) -> dict[str, Any]:
        metrics = {name: score.to_json() for name, score in self.metrics.items()}
        return {"name": self.name, "rows": self.rows, "metrics": metrics}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LabelResult:
        metrics = {name: Score(**score) for name, score in content["metrics"].items()}
        return cls(content["name"], content["rows"], metrics)


@dataclass(frozen=True)
class TargetResult:
    """How one target was answered on examined rows.

    examined: how many rows have a truth and an answer.
    metrics: empty below 20 rows.
    classes: the names of a Choice's classes, in the order of its codes, or of the labels of Several.
    unknown: how many of the examined rows have a class or a label that is none of these; unknown_classes: some of the
        classes' names.
    labels: each of Several by itself, in the order of ``classes``.
    confusion: counts, a row per true class (and a last one for ``unknown`` rows, where there are any) and a column per
        answered one; None for amounts and above 100 classes.
    pairs: truths and answers of up to 600 rows, for amounts of width 1.
    """

    name: str
    answer: Answer
    examined: int
    metrics: Mapping[str, Score]
    rivals: Sequence[RivalResult] = ()
    classes: Sequence[str] = ()
    confusion: Sequence[Sequence[int]] | None = None
    pairs: Sequence[tuple[float, float]] = ()
    mistakes: Sequence[Mistake] = field(default=())
    unknown: int = 0
    unknown_classes: Sequence[str] = ()
    labels: Sequence[LabelResult] = ()

    @property
    def main(self) -> str:
        """The name of the metric that it is judged by; the first that is defined."""
        name = main_metric(self.answer)
        return name if name in self.metrics or not self.metrics else next(iter(self.metrics))

    @property
    def score(self) -> Score | None:
        return self.metrics.get(self.main)

    @property
    def true_classes(self) -> list[str]:
        """The names of the confusions' rows."""
        return [*self.classes, *([OTHER] if self.unknown else [])]

    def ranked(self) -> list[RivalResult]:
        """The rivals with a score in the main metric, the best first."""
        scored = [each for each in self.rivals if self.main in each.metrics]
        sign = -1 if better(self.main, 1, 0) else 1
        return sorted(scored, key=lambda each: sign * each.metrics[self.main].value)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **answer_as_json(self.answer),
            "examined": self.examined,
            "main_metric": self.main,
            "metrics": {name: score.to_json() for name, score in self.metrics.items()},
            "rivals": [each.to_json() for each in self.rivals],
            "classes": list(self.classes),
            "confusion": self.confusion,
            "pairs": [list(pair) for pair in self.pairs],
            "mistakes": [each.to_json() for each in self.mistakes],
            "unknown": self.unknown,
            "unknown_classes": list(self.unknown_classes),
            "labels": [each.to_json() for each in self.labels],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TargetResult:
        return cls(
            content["name"],
            answer_from_json(content),
            content["examined"],
            {name: Score(**score) for name, score in content["metrics"].items()},
            [RivalResult.from_json(each) for each in content["rivals"]],
            content["classes"],
            content["confusion"],
            [(pair[0], pair[1]) for pair in content["pairs"]],
            [Mistake.from_json(each) for each in content["mistakes"]],
            content["unknown"],
            content["unknown_classes"],
            [LabelResult.from_json(each) for each in content["labels"]],
        )


Show = Callable[[int], tuple[str, Mapping[str, View]]]


def examine(
    name: str,
    answer: Answer,
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    classes: Sequence[str] = (),
    rivals: Sequence[RivalResult] = (),
    show: Show | None = None,
    name_truth: Callable[[int], str] = lambda index: OTHER,
    seed: int = 0,
) -> TargetResult:
    """Measure a target's answers and pick what is worth looking at.

    Parameters
    ----------
    truth, prediction: as `instar.metrics.measure` takes them.
    classes: the names of the classes or labels; needed for a Choice and for Several.
    show: place and shown inputs of the row at an index of ``truth``; it is called for the worst mistakes alone.
    name_truth: the true class of such a row, where it is none of ``classes``, or all its labels, where one is none.
    """
    labels = [str(label) for label in classes]
    usable = np.flatnonzero(known_rows(answer, truth, prediction))
    metrics = measure(answer, truth, prediction, seed=seed)
    result = TargetResult(name, answer, len(usable), metrics, rivals, labels)
    if isinstance(answer, Choice):
        return _examined_choices(result, truth, prediction, usable, show, name_truth)
    if isinstance(answer, Several):
        each = measure_each_label(answer, truth, prediction, seed=seed)
        having = truth[usable, :-1].sum(axis=0).astype(int).tolist()
        return replace(
            result,
            mistakes=[] if show is None else _wrong_labels(answer, truth, prediction, usable, labels, show, name_truth),
            unknown=int((truth[usable, -1] > 0).sum()),
            labels=[LabelResult(*one) for one in zip(labels, having, each, strict=True)],
        )
    amounts, given = (np.asarray(part, dtype=np.float64).reshape(-1, answer.width) for part in (truth, prediction))
    finite = usable[np.isfinite(given[usable]).all(axis=1)]
    return replace(
        result,
        pairs=_pairs(amounts[finite, 0], given[finite, 0], seed) if answer.width == 1 else [],
        mistakes=[] if show is None else _wrong_amounts(amounts, given, finite, show),
    )


def _examined_choices(
    result: TargetResult,
    truth: np.ndarray,
    prediction: np.ndarray,
    usable: np.ndarray,
    show: Show | None,
    name_truth: Callable[[int], str],
) -> TargetResult:
    """The result with confusions, mistakes, and what is known of classes that were never learned."""
    assert isinstance(result.answer, Choice)
    codes = np.asarray(truth).reshape(-1)
    # Of all rows, since picking rows would copy all their probabilities.
    said = np.asarray(prediction).argmax(axis=1)[usable]
    strange = usable[codes[usable] == UNKNOWN_CLASS]
    names = dict.fromkeys(name_truth(int(index)) for index in strange[:NAMED_ROWS])
    mistakes = [] if show is None else _wrong_choices(codes, prediction, usable, said, result.classes, show, name_truth)
    return replace(
        result,
        confusion=_confusion(codes[usable], said, result.answer.classes, len(strange)),
        mistakes=mistakes,
        unknown=len(strange),
        unknown_classes=list(names)[:NAMED_CLASSES],
    )


def _confusion(truth: np.ndarray, said: np.ndarray, classes: int, unknown: int) -> list[list[int]] | None:
    if classes > CONFUSED_CLASSES:
        return None
    rows = classes + (1 if unknown else 0)
    cells = np.where(truth == UNKNOWN_CLASS, classes, truth) * classes + said
    counts: list[list[int]] = np.bincount(cells, minlength=rows * classes).reshape(rows, classes).tolist()
    return counts


def _wrong_choices(
    codes: np.ndarray,
    prediction: np.ndarray,
    usable: np.ndarray,
    said: np.ndarray,
    labels: Sequence[str],
    show: Show,
    name_truth: Callable[[int], str],
) -> list[Mistake]:
    wrong = np.flatnonzero(codes[usable] != said)
    confidence = prediction[usable[wrong], said[wrong]]
    mistakes = []
    for at in np.argsort(-confidence, kind="stable")[:MISTAKES]:
        row, answered = int(usable[wrong[at]]), int(said[wrong[at]])
        place, inputs = show(row)
        truth = labels[codes[row]] if codes[row] != UNKNOWN_CLASS else name_truth(row)
        mistakes.append(Mistake(place, inputs, truth, labels[answered], float(confidence[at])))
    return mistakes


def _wrong_labels(
    answer: Several,
    truth: np.ndarray,
    prediction: np.ndarray,
    usable: np.ndarray,
    labels: Sequence[str],
    show: Show,
    name_truth: Callable[[int], str],
) -> list[Mistake]:
    """The rows of which something is wrong whose truth surprises the most."""
    surprise = np.zeros(len(usable))
    wrong = truth[usable, -1] > 0
    for code in range(answer.labels):
        has, stated = truth[usable, code] > 0, prediction[usable, code].astype(np.float64)
        wrong |= has != (stated >= ANSWERED_FROM)
        surprise -= np.log(np.clip(np.where(has, stated, 1 - stated), np.finfo(np.float64).eps, 1))
    mistakes = []
    for at in np.flatnonzero(wrong)[np.argsort(-surprise[wrong], kind="stable")[:MISTAKES]]:
        row = int(usable[at])
        place, inputs = show(row)
        known = ", ".join(labels[code] for code in np.flatnonzero(truth[row, :-1] > 0).tolist()) or NO_LABEL
        said = [labels[code] for code in np.flatnonzero(prediction[row] >= ANSWERED_FROM).tolist()]
        true = name_truth(row) if truth[row, -1] else known
        sure = float(confidence(answer, prediction[row : row + 1])[0])
        mistakes.append(Mistake(place, inputs, true, ", ".join(said) or NO_LABEL, sure))
    return mistakes


def _wrong_amounts(truth: np.ndarray, given: np.ndarray, usable: np.ndarray, show: Show) -> list[Mistake]:
    error = np.abs(truth[usable] - given[usable]).max(axis=1)
    mistakes = []
    for row in usable[np.argsort(-error, kind="stable")[:MISTAKES]]:
        place, inputs = show(int(row))
        mistakes.append(Mistake(place, inputs, _written(truth[row]), _written(given[row])))
    return mistakes


def _written(amounts: np.ndarray) -> str:
    return ", ".join(written_amount(float(amount)) for amount in amounts)


def written_amount(value: float) -> str:
    """A number as a person reads it: four significant digits, and whole above 10,000."""
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _pairs(truth: np.ndarray, given: np.ndarray, seed: int) -> list[tuple[float, float]]:
    chosen = np.sort(np.random.default_rng(seed).permutation(len(truth))[:PAIRS])
    return [(float(one), float(other)) for one, other in zip(truth[chosen], given[chosen], strict=True)]
