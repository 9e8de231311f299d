"""What there is to know of a type of answer, beside how a network gives it: how it is measured, shown and handed over.

A file beside this one each, as kinds have theirs; heads are in `instar.networks.heads`. A type has no state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from instar.fields import Field
from instar.metrics import Score
from instar.resampling import Groups, Values
from instar.shapes import Answer, Text, View

# How many of the worst mistakes are shown.
MISTAKES = 12
# How all classes that were never learned are called together.
OTHER = "(other)"

A = TypeVar("A", bound=Answer)
Show = Callable[[int], tuple[str, Mapping[str, View]]]


@dataclass(frozen=True)
class Mistake:
    """A row on which the network is wrong, the more so the earlier it stands.

    place: where a person finds the row; inputs: the row's fields as they are shown.
    confidence: the probability of the class that it answered, or of the one of several labels that is most in doubt;
        None for an amount.
    drawn: truth and answer where they are pictures or curves; then ``truth`` is empty, and ``answer`` says how
        good it is.
    """

    place: str
    inputs: Mapping[str, View]
    truth: str
    answer: str
    confidence: float | None = None
    drawn: Mapping[str, View] = field(default_factory=dict)

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
    """How one of several labels, or one class of a mask, was answered; ``rows`` are the examined ones that have it.

    metrics: ``f1`` and ``average_precision``, or ``iou`` and ``dice``, as far as they are defined.
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
class Details:
    """What an examination shows beside scores; a type of answer fills what it has.

    mistakes: the worst.
    confusion: of a Choice, counts, a row per true class (and a last one for ``unknown`` rows, where there are any) and
        a column per answered one; None above 100 classes.
    unknown: how many of the examined rows have a class or a label that was never learned; unknown_classes: some of the
        classes' names.
    labels: each of Several, or class of a Mask, by itself, in the order of the classes.
    pairs: truths and answers of up to 600 rows, for amounts of width 1.
    typical: where answers are pictures or forecasts, some rows that are answered as well as most.
    oddest: the rows that are most unlike those learned from, the oddest first.
    """

    mistakes: Sequence[Mistake] = ()
    confusion: Sequence[Sequence[int]] | None = None
    unknown: int = 0
    unknown_classes: Sequence[str] = ()
    labels: Sequence[LabelResult] = ()
    pairs: Sequence[tuple[float, float]] = ()
    typical: Sequence[Mistake] = ()
    oddest: Sequence[Mistake] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "confusion": self.confusion,
            "pairs": [list(pair) for pair in self.pairs],
            "mistakes": [each.to_json() for each in self.mistakes],
            "unknown": self.unknown,
            "unknown_classes": list(self.unknown_classes),
            "labels": [each.to_json() for each in self.labels],
            "typical": [each.to_json() for each in self.typical],
            "oddest": [each.to_json() for each in self.oddest],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Details:
        return cls(
            [Mistake.from_json(each) for each in content["mistakes"]],
            content["confusion"],
            content["unknown"],
            content["unknown_classes"],
            [LabelResult.from_json(each) for each in content["labels"]],
            [(pair[0], pair[1]) for pair in content["pairs"]],
            [Mistake.from_json(each) for each in content["typical"]],
            [Mistake.from_json(each) for each in content["oddest"]],
        )


@dataclass(frozen=True)
class Exhibit(Generic[A]):
    """A target's truths and answers, and how to show them.

    truth, prediction: as `instar.answers.measure` takes them, of all rows; usable: int64, the rows that have both.
    classes: the names of a Choice's classes, in the order of its codes, or of the labels of Several.
    show: place and shown inputs of the row at an index of ``truth``, if there is a way; called for few rows.
    name_truth: the answer that such a row should have had, in the words of its column.
    draw: a truth or an answer as it is shown, where these are pictures.
    """

    answer: A
    truth: np.ndarray
    prediction: np.ndarray
    usable: np.ndarray
    classes: Sequence[str] = ()
    show: Show | None = None
    name_truth: Callable[[int], str] = lambda index: OTHER
    seed: int = 0
    draw: Callable[[np.ndarray], View] | None = None


class AnswerType(ABC, Generic[A]):
    """One type of answer.

    ``task``: the ending of Hugging Face's word for it, as in ``image-classification``; ``claim``: what the certainty
    that goes with an answer may claim, a sentence; ``nothing``: what stands for the answer to an unreadable row;
    ``unscored``: why answers have no score, in a phrase;
    ``tells_unlike``: whether an answer is itself how unlike the rows that were learned from a row is;
    ``part``: what is told by itself where an answer has classes or labels, one and several of them.
    """

    task: ClassVar[str]
    claim: ClassVar[str]
    unscored: ClassVar[str] = "no score can be given on these rows"
    nothing: ClassVar[Any] = np.nan
    tells_unlike: ClassVar[bool] = False
    part: ClassVar[tuple[str, str]] = ("class", "classes")

    def unlearned(self, name: str, details: Details) -> str:
        """What the ``unknown`` rows have that nobody could have answered, and how it counts: how a sentence ends."""
        known_as = ", ".join(map(repr, details.unknown_classes))
        count = "it counts" if details.unknown == 1 else "they count"
        return f"a class of {name!r} that no training row has ({known_as}); {count} as wrong"

    @abstractmethod
    def main_metric(self, answer: A) -> str:
        """The metric that a report leads with."""

    @abstractmethod
    def width(self, answer: A) -> int:
        """How many numbers an answer has."""

    def shape(self, answer: A) -> tuple[int, ...]:
        """The axes of one answer."""
        return (self.width(answer),)

    def dtype(self) -> type:
        """The type of a head's answers."""
        return np.float32

    def moments(self, answer: A) -> int | None:
        """How many values `columns` gives for an answer that goes on in time; None where it gives one."""
        return None

    def in_own_units(self, field: Field, given: np.ndarray) -> np.ndarray:
        """A head's answers as they are examined and handed over."""
        return given

    @abstractmethod
    def known(self, answer: A, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Which rows (n,) bool have both a truth and a prediction; `nothing` is no prediction."""

    @abstractmethod
    def learnable(self, truth: np.ndarray) -> np.ndarray:
        """Which rows (n,) bool have a truth that can be learned from."""

    @abstractmethod
    def to_learn(self, answer: A, truth: np.ndarray) -> np.ndarray:
        """What an estimator learns from truths: codes (n,), 0 and 1 for each label (n, labels), amounts (n, width);
        steps ahead in the terms of a row's history; the truths themselves where they are texts, pictures or masks."""

    def from_learned(self, answer: A, truth: np.ndarray, learned: np.ndarray) -> np.ndarray:
        """An estimator's answers as they are examined, where it learned what `to_learn` gave; beside rows' truths."""
        return learned

    @abstractmethod
    def measure(
        self, answer: A, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        """Every metric of rows that are `known`, and its values in the resamples, by its name in `METRICS`."""

    @abstractmethod
    def details(self, exhibit: Exhibit[A]) -> Details:
        """What else is worth looking at."""

    def residual_width(self, answer: A) -> int:
        """How many numbers of each row not learned from are kept, sorted, to tell later what is usual; 0 for none."""
        return 0

    def residuals(self, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """(k, `residual_width`) of rows not learned from, ascending along axis 0. Only where there is a width."""
        raise TypeError(f"{type(self).__name__} keeps no residuals")

    def shortfall(self, field: Field, residuals: np.ndarray) -> str | None:
        """A sentence where the residuals are too few for what is promised by them, else None."""
        return None

    def promise(self, field: Field, residuals: np.ndarray, truth: np.ndarray, prediction: np.ndarray) -> list[str]:
        """Sentences on how what is promised by the residuals held on examined rows, which are others than theirs."""
        return []

    @abstractmethod
    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        """Predictions as named columns, a value per row; `nothing` where a row could not be read.

        residuals: of rows not learned from (`instar.conformal`), for answers with ranges; ``probabilities``: whether
        each class has a column too.
        """
