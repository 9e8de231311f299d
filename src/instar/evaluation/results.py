"""What an examination found for one target: scores, rivals, confusions, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from instar.answers import Details, Exhibit, Show, measure, type_of
from instar.answers.base import OTHER
from instar.evaluation.rivals.run import RivalResult
from instar.metrics import Score, better
from instar.shapes import Answer, View, answer_as_json, answer_from_json


@dataclass(frozen=True)
class TargetResult:
    """How one target was answered on examined rows.

    examined: how many rows have a truth and an answer.
    metrics: empty below 20 rows.
    classes: the names of a Choice's classes, in the order of its codes, or of the labels of Several.
    details: what else is worth looking at.
    """

    name: str
    answer: Answer
    examined: int
    metrics: Mapping[str, Score]
    rivals: Sequence[RivalResult] = ()
    classes: Sequence[str] = ()
    details: Details = field(default_factory=Details)

    @property
    def main(self) -> str:
        """The name of the metric that it is judged by; the first that is defined."""
        name = type_of(self.answer).main_metric(self.answer)
        return name if name in self.metrics or not self.metrics else next(iter(self.metrics))

    @property
    def score(self) -> Score | None:
        return self.metrics.get(self.main)

    @property
    def true_classes(self) -> list[str]:
        """The names of the confusions' rows."""
        return [*self.classes, *([OTHER] if self.details.unknown else [])]

    def ranked(self) -> list[RivalResult]:
        """The rivals with a score in the main metric, the best first."""
        scored = [each for each in self.rivals if self.main in each.metrics]
        sign = -1 if better(self.main, 1, 0) else 1
        return sorted(scored, key=lambda each: sign * each.metrics[self.main].value)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "answer": answer_as_json(self.answer),
            "examined": self.examined,
            "main_metric": self.main,
            "metrics": {name: score.to_json() for name, score in self.metrics.items()},
            "rivals": [each.to_json() for each in self.rivals],
            "classes": list(self.classes),
            **self.details.to_json(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TargetResult:
        return cls(
            content["name"],
            answer_from_json(content["answer"]),
            content["examined"],
            {name: Score(**score) for name, score in content["metrics"].items()},
            [RivalResult.from_json(each) for each in content["rivals"]],
            content["classes"],
            Details.from_json(content),
        )


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
    draw: Callable[[np.ndarray], View] | None = None,
) -> TargetResult:
    """Measure a target's answers and pick what is worth looking at.

    Parameters
    ----------
    truth, prediction: as `instar.answers.measure` takes them.
    classes: the names of the classes or labels; needed for a Choice and for Several.
    show: place and shown inputs of the row at an index of ``truth``; it is called for the worst mistakes alone.
    name_truth: the true class of such a row, where it is none of ``classes``, or all its labels, where one is none.
    draw: a truth or an answer as it is shown, where these are pictures.
    """
    truth, prediction, labels = np.asarray(truth), np.asarray(prediction), [str(label) for label in classes]
    kind = type_of(answer)
    usable = np.flatnonzero(kind.known(answer, truth, prediction))
    exhibit = Exhibit(answer, truth, prediction, usable, labels, show, name_truth, seed, draw)
    metrics = measure(answer, truth, prediction, seed=seed)
    return TargetResult(name, answer, len(usable), metrics, rivals, labels, kind.details(exhibit))
