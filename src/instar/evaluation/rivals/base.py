"""What a rival is: one or a few scikit-learn estimators. A new rival is one function beside this file, or in a plug-in:

    @rival("naive_bayes", title="Gaussian naive Bayes", paper="Maron 1961", idea="...", answers=(Choice,), cost=2)
    def naive_bayes(inputs: Inputs, answer: Answer, seed: int) -> list[BaseEstimator]:
        return [GaussianNB()]

The function runs in a process of its own, where scikit-learn is there and torch is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np

from instar.registry import Registry
from instar.shapes import Amounts, Answer, Choice, Grid, Several, Tokens

# Columns that stand for a sequence of symbols where an estimator takes no sparse matrix.
SEQUENCE_COLUMNS = 64
# Numbers of a grid that rivals get at most, its neighboring cells averaged: of more they could learn from few rows.
GRID_CELLS = 2**13


@dataclass(frozen=True)
class Inputs:
    """Prepared inputs of n rows, flattened: what the network sees.

    numbers: (n, width) float32, already scaled by their fields: those of all vectors, then each grid, flattened.
    codes: (n, codes) integers; column i lies in ``range(cardinalities[i])``.
    tokens: (n, sum of lengths) int32: the ``sequences`` beside each other, each 0 after a row's end; none by default.
    grids: what the last columns of ``numbers`` are, each `coarse`.
    """

    numbers: np.ndarray
    codes: np.ndarray
    cardinalities: tuple[int, ...] = ()
    tokens: np.ndarray | None = None
    sequences: tuple[Tokens, ...] = ()
    grids: tuple[Grid, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def width(self) -> int:
        """How many columns there are, before categories are encoded and with sequences as `SEQUENCE_COLUMNS` each."""
        return self.numbers.shape[1] + self.codes.shape[1] + SEQUENCE_COLUMNS * len(self.sequences)

    def take(self, rows: np.ndarray) -> Inputs:
        tokens = None if self.tokens is None else self.tokens[rows]
        return replace(self, numbers=self.numbers[rows], codes=self.codes[rows], tokens=tokens)

    def each_sequence(self) -> Iterator[tuple[Tokens, np.ndarray]]:
        """The sequences and their symbols (n, length)."""
        if self.tokens is not None:
            for shape, place in _side_by_side(self.sequences, [each.length for each in self.sequences]):
                yield shape, self.tokens[:, place]

    def each_grid(self) -> Iterator[tuple[Grid, np.ndarray]]:
        """The grids and their numbers (n, channels, *extent)."""
        sizes = [each.size for each in self.grids]
        flattened = self.numbers[:, self.numbers.shape[1] - sum(sizes) :]
        for shape, place in _side_by_side(self.grids, sizes):
            yield shape, flattened[:, place].reshape(len(self), shape.channels, *shape.extent)


def _side_by_side(shapes: Sequence[Any], widths: Sequence[int]) -> Iterator[tuple[Any, slice]]:
    return zip(shapes, (slice(*ends) for ends in pairwise(accumulate(widths, initial=0))), strict=True)


def coarse(grid: Grid) -> Grid:
    """The grid with at most `GRID_CELLS` numbers, or one for each channel: its longest axes halved, again and again."""
    extent = list(grid.extent)
    while grid.channels * math.prod(extent) > GRID_CELLS and max(extent) > 1:
        longest = extent.index(max(extent))
        extent[longest] = -(-extent[longest] // 2)
    return replace(grid, extent=tuple(extent))


def failed(failure: Exception) -> str:
    """Why a rival has no score, from what it raised."""
    first = next(iter(str(failure).strip().splitlines()), "no reason given")
    return f"it failed ({type(failure).__name__}: {first[:200]})"


Sequences = Literal["terms", "components", "codes"]
Build = Callable[[Inputs, Answer, int], Sequence[Any]]


@dataclass(frozen=True)
class Rival:
    """A rival's entry in the registry.

    build: (training inputs, answer, seed) -> estimators; of several, the one that does best on a quarter of the
        training rows, not learned from, is fitted on all of them. They are classifiers for a Choice, for Several, of
        which each label then has its own where one cannot take all, and for Symbols, whose classes are texts; and
        regressors for Amounts. For a Picture, a Mask and a Forecast, truths are arrays for each row. For an
        Anomaly there are none, ``predict`` says how odd rows are, and ``explains`` whether that is an error as the
        network's is.
    encoding: ``one-hot`` (categories become columns of zeros and ones) or ``ordinal`` (codes stay codes, after the
        numbers).
    sequences: ``terms`` (a sparse matrix of weighted counts of groups of symbols), ``components`` (`SEQUENCE_COLUMNS`
        dense columns that tell most of these counts), ``codes`` (the last columns are the symbols as they are) or None
        (it does not look at sequences).
    series: ``flat`` (each cell of a grid that is a course is a column) or ``features`` (mean, spread, spectrum, ... of
        each of its numbers along the course).
    suits: whether it is meant for such inputs; where not it is neither run nor mentioned.
    maximum_rows: how many rows it learns from at most, for its cost; ``maximum_examined``: is examined on at most.
    maximum_cells: how many numbers (rows times columns) it learns from at most; ``maximum_terms``: how many groups of
        symbols.
    cost: cheap ones run first.
    baseline: whether it answers without having learned anything from them.
    """

    name: str
    title: str
    paper: str
    idea: str
    build: Build
    answers: tuple[type[Answer], ...]
    encoding: str
    maximum_rows: int
    maximum_examined: int
    maximum_cells: int
    cost: int
    baseline: bool = False
    sequences: Sequences | None = "components"
    series: Literal["flat", "features"] = "flat"
    maximum_terms: int = 2**24
    suits: Callable[[Inputs], bool] = lambda inputs: True


rivals: Registry[Rival] = Registry("rival", "instar.evaluation.rivals")


def rival(
    name: str,
    *,
    title: str,
    paper: str,
    idea: str,
    cost: int,
    answers: tuple[type[Answer], ...] = (Choice, Several, Amounts),
    encoding: str = "one-hot",
    maximum_rows: int = 500_000,
    maximum_examined: int = 500_000,
    maximum_cells: int = 2**27,
    baseline: bool = False,
    sequences: Sequences | None = "components",
    series: Literal["flat", "features"] = "flat",
    maximum_terms: int = 2**24,
    suits: Callable[[Inputs], bool] = lambda inputs: True,
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
                sequences,
                series,
                maximum_terms,
                suits,
            )
        )
        return build

    return enter
