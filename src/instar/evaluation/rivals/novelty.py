"""How odd rows are, without answers to learn from: how soon questions part them from all others, or how far off they
lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Anomaly, Answer

# Neighbors whose mean distance counts.
NEIGHBORS = 5
# Columns that are looked at, those that vary most; with categories by the thousand there are more.
MOST_COLUMNS = 8_192
_LEAST = 1e-6


class Scaled:
    """Rows as deviations from their mean, (n, columns) float32: each column in its own spread, and the cells of grids,
    which stand in the columns ``cells``, in that of all of them."""

    explains = False

    def __init__(self, cells: slice) -> None:
        self.cells = cells

    def scale(self, matrix: Any) -> np.ndarray:
        """Fit to the matrix, and apply to it."""
        dense = np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray(), np.float32)
        variance = dense.var(axis=0, dtype=np.float64)
        if self.cells.stop > self.cells.start:
            variance[self.cells] = variance[self.cells].mean()
        self.chosen = np.sort(np.argsort(-variance, kind="stable")[:MOST_COLUMNS])
        self.mean = dense[:, self.chosen].mean(axis=0)
        self.spread = np.sqrt(np.where(variance > _LEAST, variance, 1.0)).astype(np.float32)[self.chosen]
        return self.scaled(dense)

    def scaled(self, matrix: Any) -> np.ndarray:
        chosen = matrix[:, self.chosen]
        dense = chosen if isinstance(chosen, np.ndarray) else chosen.toarray()
        return np.asarray((dense - self.mean) / self.spread, np.float32)


class Projection(Scaled):
    """The squared error that is left of what so many principal components explain, beside that of the mean."""

    def __init__(self, cells: slice, width: int, explains: bool, seed: int) -> None:
        super().__init__(cells)
        self.width, self.explains, self.seed = width, explains, seed

    def fit(self, matrix: Any, target: np.ndarray) -> Projection:
        from sklearn.decomposition import PCA

        scaled = self.scale(matrix)
        self.components = PCA(min(self.width, *scaled.shape), random_state=self.seed).fit(scaled)
        return self

    def predict(self, matrix: Any) -> np.ndarray:
        scaled = self.scaled(matrix)
        rebuilt = self.components.inverse_transform(self.components.transform(scaled))
        error: np.ndarray = np.square(scaled - rebuilt).mean(axis=1)
        return error


class Nearest(Scaled):
    """The mean distance from the nearest rows."""

    def fit(self, matrix: Any, target: np.ndarray) -> Nearest:
        from sklearn.neighbors import NearestNeighbors

        scaled = self.scale(matrix)
        self.neighbors = NearestNeighbors(n_neighbors=min(NEIGHBORS, len(scaled)), n_jobs=-1).fit(scaled)
        return self

    def predict(self, matrix: Any) -> np.ndarray:
        distances: np.ndarray = self.neighbors.kneighbors(self.scaled(matrix))[0].mean(axis=1)
        return distances


class Isolation:
    """How few questions part a row from all others."""

    explains = False

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, matrix: Any, target: np.ndarray) -> Isolation:
        from sklearn.ensemble import IsolationForest

        self.forest = IsolationForest(n_estimators=200, random_state=self.seed).fit(matrix)
        return self

    def predict(self, matrix: Any) -> np.ndarray:
        odd: np.ndarray = -self.forest.score_samples(matrix)
        return odd


def _cells(inputs: Inputs) -> slice:
    """Which columns of a matrix are cells of grids."""
    width = inputs.numbers.shape[1]
    return slice(width - sum(grid.size for grid in inputs.grids), width)


@rival(
    "isolation_forest",
    title="isolation forest",
    paper="Liu, Ting & Zhou 2008",
    idea="Cuts at random between the rows; odd ones are alone after few cuts.",
    answers=(Anomaly,),
    encoding="ordinal",
    maximum_rows=100_000,
    maximum_cells=2**25,
    cost=1,
)
def isolation_forest(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    return [Isolation(seed)]


@rival(
    "principal_components",
    title="principal components",
    paper="Hotelling 1933; Shyu, Chen, Sarinnapakorn & Chang 2003",
    idea="Rebuilds rows from as many numbers as the network's bottleneck has, linearly; odd ones are rebuilt badly.",
    answers=(Anomaly,),
    maximum_rows=50_000,
    maximum_cells=2**26,
    cost=1,
)
def principal_components(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    assert isinstance(answer, Anomaly)
    # Its errors are those of a network only of grids: columns of rows are hidden from the network.
    explains = not (_cells(inputs).start or inputs.codes.shape[1] or inputs.sequences)
    return [Projection(_cells(inputs), answer.width, explains, seed)]


@rival(
    "nearest",
    title="nearest-neighbor distance",
    paper="Ramaswamy, Rastogi & Shim 2000",
    idea="How far the five nearest training rows are away on average.",
    answers=(Anomaly,),
    maximum_rows=20_000,
    maximum_examined=10_000,
    maximum_cells=2**26,
    cost=2,
)
def nearest(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    return [Nearest(_cells(inputs))]
