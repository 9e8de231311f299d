"""What a rival is: one or a few scikit-learn estimators. A new rival is one function beside this file, or in a plug-in:

    @rival("naive_bayes", title="Gaussian naive Bayes", paper="Maron 1961", idea="...", answers=(Choice,), cost=2)
    def naive_bayes(inputs: Inputs, answer: Answer, seed: int) -> list[BaseEstimator]:
        return [GaussianNB()]

The function runs in a process of its own, where scikit-learn is there and torch is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from instar.registry import Registry
from instar.shapes import Amounts, Answer, Choice


@dataclass(frozen=True)
class Inputs:
    """Prepared inputs of n rows, flattened: what the network sees.

    numbers: (n, width) float32, already scaled by their fields.
    codes: (n, codes) integers; column i lies in ``range(cardinalities[i])``.
    """

    numbers: np.ndarray
    codes: np.ndarray
    cardinalities: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def width(self) -> int:
        """How many columns there are, before categories are encoded."""
        return self.numbers.shape[1] + self.codes.shape[1]

    def take(self, rows: np.ndarray) -> Inputs:
        return Inputs(self.numbers[rows], self.codes[rows], self.cardinalities)


Build = Callable[[Inputs, Answer, int], Sequence[Any]]


@dataclass(frozen=True)
class Rival:
    """A rival's entry in the registry.

    build: (training inputs, answer, seed) -> estimators; of several, the one that does best on a quarter of the
        training rows, not learned from, is fitted on all of them.
    encoding: ``one-hot`` (categories become columns of zeros and ones) or ``ordinal`` (codes stay codes, after the
        numbers).
    maximum_rows: how many rows it learns from at most, for its cost; ``maximum_examined``: is examined on at most.
    maximum_cells: how many numbers (rows times columns) it learns from at most.
    cost: cheap ones run first.
    baseline: whether it answers without looking at the inputs.
    """

    name: str
    title: str
    paper: str
    idea: str
    build: Build
    answers: tuple[type[Choice] | type[Amounts], ...]
    encoding: str
    maximum_rows: int
    maximum_examined: int
    maximum_cells: int
    cost: int
    baseline: bool = False


rivals: Registry[Rival] = Registry("rival", "instar.evaluation.rivals")


def rival(
    name: str,
    *,
    title: str,
    paper: str,
    idea: str,
    cost: int,
    answers: tuple[type[Choice] | type[Amounts], ...] = (Choice, Amounts),
    encoding: str = "one-hot",
    maximum_rows: int = 500_000,
    maximum_examined: int = 500_000,
    maximum_cells: int = 2**27,
    baseline: bool = False,
) -> Callable[[Build], Build]:
    """Enter a function into the registry of rivals."""

    def enter(build: Build) -> Build:
        rivals.register(name)(
            Rival(
                name,
                title,
                paper,
                idea,
                build,
                answers,
                encoding,
                maximum_rows,
                maximum_examined,
                maximum_cells,
                cost,
                baseline,
            )
        )
        return build

    return enter
