"""What anyone can answer without looking: the most frequent class or labels, or the mean."""

from __future__ import annotations

from typing import Any

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Amounts, Answer, Choice, Several


@rival(
    "majority",
    title="always answering the most frequent class",
    paper="-",
    idea="Answers the most frequent class, with the classes' shares as probabilities.",
    answers=(Choice,),
    encoding="ordinal",
    sequences=None,
    cost=0,
    baseline=True,
)
def majority(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.dummy import DummyClassifier

    return [DummyClassifier(strategy="prior")]


@rival(
    "frequent_labels",
    title="always answering the labels that most rows have",
    paper="-",
    idea="Answers the labels that at least half of the rows have, with the labels' shares as probabilities.",
    answers=(Several,),
    encoding="ordinal",
    sequences=None,
    cost=0,
    baseline=True,
)
def frequent_labels(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.dummy import DummyClassifier

    return [DummyClassifier(strategy="prior")]


@rival(
    "mean",
    title="always answering the mean",
    paper="-",
    idea="Answers the mean of the training rows.",
    answers=(Amounts,),
    encoding="ordinal",
    sequences=None,
    cost=0,
    baseline=True,
)
def mean(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.dummy import DummyRegressor

    return [DummyRegressor()]
