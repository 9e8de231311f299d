"""Rivals that answer with pictures and masks: what each cell usually is, and what it is by its neighborhood."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from instar.cells import at_extent
from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Answer, Mapped, Mask, Picture, aligned, mapped_from

# Cells that are learned from, out of all training rows; and how far a neighborhood reaches along 1, 2 and 3 axes.
LEARNED_CELLS, REACHES = 40_000, {1: 4, 2: 2, 3: 1}
# Of the numbers that a whole row has beside its grids, so many are looked at.
MOST_BESIDE = 32
_LARGEST = 2**26


@rival(
    "usual_cells",
    title="always answering what each cell usually is",
    paper="-",
    idea="Answers each cell's mean over the training rows, or its most frequent class.",
    answers=(Picture, Mask),
    encoding="ordinal",
    sequences=None,
    maximum_cells=_LARGEST,
    cost=0,
    baseline=True,
)
def usual_cells(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    return [UsualCells(answer)]


@rival(
    "linear_filter",
    title="linear filter",
    paper="Wiener 1949",
    idea="Weighs the cells of a small neighborhood, with the same weights everywhere.",
    answers=(Picture,),
    encoding="ordinal",
    sequences=None,
    maximum_cells=_LARGEST,
    maximum_examined=1_000,
    cost=1,
)
def linear_filter(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.linear_model import Ridge

    return [ByNeighborhood(inputs, answer, Ridge(1.0), seed)]


@rival(
    "cell_forest",
    title="random forest, cell by cell",
    paper="Breiman 2001; Shotton, Johnson & Cipolla 2008",
    idea="Asks about the cells of a small neighborhood and where it lies, 40 trees for every cell.",
    answers=(Picture, Mask),
    encoding="ordinal",
    sequences=None,
    maximum_cells=_LARGEST,
    maximum_examined=200,
    cost=3,
)
def cell_forest(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    common = {"n_estimators": 40, "min_samples_leaf": 3, "random_state": seed}
    if isinstance(answer, Picture):
        return [ByNeighborhood(inputs, answer, RandomForestRegressor(max_features=0.33, **common), seed)]
    return [ByNeighborhood(inputs, answer, RandomForestClassifier(**common), seed)]


class UsualCells:
    """``fit`` takes truths as `instar.shapes` has them, ``predict`` gives them."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def fit(self, columns: np.ndarray, truth: np.ndarray) -> UsualCells:
        if isinstance(self.answer, Picture):
            self.usual = truth.mean(axis=0, dtype=np.float64).astype(np.float32)
        else:
            assert isinstance(self.answer, Mask)
            most = np.zeros(truth.shape[1:], np.int64)
            self.usual = np.full(truth.shape[1:], int(np.argmax(self.answer.counts)), np.uint8)
            for code in range(self.answer.classes):
                counts = (truth == code).sum(axis=0)
                self.usual[counts > most] = code
                most = np.maximum(most, counts)
        return self

    def predict(self, columns: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.usual, (len(columns), *self.usual.shape))


class ByNeighborhood:
    """An estimator of one cell, from the cells around it in the grids that answers are made of, and from where it lies.

    Those are the one that leads and all that are aligned with it. Of the inputs' columns the grids are the last,
    flattened.
    """

    def __init__(self, inputs: Inputs, answer: Answer, estimator: Any, seed: int) -> None:
        assert isinstance(answer, Mapped)
        self.answer, self.estimator, self.seed = answer, estimator, seed
        named = {str(place): grid for place, grid in enumerate(inputs.grids)}
        chosen = sorted(map(int, aligned(named, mapped_from(named, answer) or "0")))
        sizes = [grid.size for grid in inputs.grids]
        self.beside = inputs.numbers.shape[1] - sum(sizes)
        self.grids = [(self.beside + sum(sizes[:place]), inputs.grids[place]) for place in chosen]
        self.extent = answer.extent
        reach = REACHES[len(self.extent)]
        self.reach = reach
        self.offsets = list(product(range(2 * reach + 1), repeat=len(self.extent)))

    def fit(self, columns: np.ndarray, truth: np.ndarray) -> ByNeighborhood:
        generator = np.random.default_rng(self.seed)
        each = max(1, LEARNED_CELLS // max(1, len(columns)))
        content, targets = [], []
        rows = np.arange(len(columns))
        if len(rows) > LEARNED_CELLS:
            rows = np.sort(generator.choice(rows, LEARNED_CELLS, replace=False))
        for row in rows:
            cells = generator.integers(0, int(np.prod(self.extent)), each)
            target = self._of_cells(truth[row])[cells]
            if isinstance(self.answer, Mask):
                cells, target = cells[target < self.answer.classes], target[target < self.answer.classes]
            content.append(self._around(columns[row])[cells])
            targets.append(target)
        learned = np.concatenate(targets)
        self.estimator.fit(
            np.concatenate(content), learned[:, 0] if learned.ndim == 2 and learned.shape[1] == 1 else learned
        )
        return self

    def predict(self, columns: np.ndarray) -> np.ndarray:
        if isinstance(self.answer, Mask):
            given = np.empty((len(columns), *self.extent), np.uint8)
            for row, one in enumerate(columns):
                given[row] = self.estimator.predict(self._around(one)).reshape(self.extent)
            return given
        painted = np.empty((len(columns), self.answer.channels, *self.extent), np.float32)
        for row, one in enumerate(columns):
            shades = self.estimator.predict(self._around(one)).reshape(-1, self.answer.channels)
            painted[row] = np.clip(shades.T.reshape(painted.shape[1:]), self.answer.low, self.answer.high)
        return painted

    def _of_cells(self, truth: np.ndarray) -> np.ndarray:
        """(cells,) of a mask, (cells, channels) of a picture."""
        if isinstance(self.answer, Mask):
            return truth.reshape(-1)
        return truth.reshape(self.answer.channels, -1).T

    def _around(self, row: np.ndarray) -> np.ndarray:
        """(cells, numbers): of each cell what is around it, where it lies, and what the row says beside."""
        whole = [row[start : start + grid.size].reshape(-1, *grid.extent) for start, grid in self.grids]
        grid = at_extent(np.concatenate(whole), self.extent)
        padded = np.pad(grid, [(0, 0)] + [(self.reach, self.reach)] * len(self.extent), mode="edge")
        parts = []
        for offset in self.offsets:
            window = tuple(slice(start, start + size) for start, size in zip(offset, self.extent, strict=True))
            parts.append(padded[(slice(None), *window)].reshape(len(grid), -1))
        where = np.meshgrid(*(np.linspace(-1, 1, size) for size in self.extent), indexing="ij")
        parts += [each.reshape(1, -1) for each in where]
        beside = row[: min(self.beside, MOST_BESIDE)]
        parts.append(np.repeat(beside[:, None], parts[0].shape[1], axis=1))
        return np.concatenate(parts).T.astype(np.float32)
