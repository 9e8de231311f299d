"""The nearest examples decide."""

from __future__ import annotations

from typing import Any

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Amounts, Answer


@rival(
    "neighbors",
    title="k-nearest neighbors",
    paper="Fix & Hodges 1951; Cover & Hart 1967",
    idea="Answers what the nearest training rows answer, the nearer the weightier.",
    sequences="terms",
    maximum_rows=30_000,
    maximum_examined=10_000,
    maximum_cells=2**26,
    maximum_terms=2**21,
    cost=2,
)
def neighbors(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    import sklearn
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    kind = KNeighborsRegressor if isinstance(answer, Amounts) else KNeighborsClassifier
    # The choice among them is made with three quarters of the rows, which have to be enough for the most neighbors.
    counts = [count for count in (1, 5, 20) if count <= 0.7 * len(inputs)] or [1]
    # Rows of terms are near each other where they share many, however long they are.
    metric = "cosine" if inputs.sequences else "minkowski"
    # MiB of distances at a time, which as products of sparse rows take several times as much.
    sklearn.set_config(working_memory=128)
    return [kind(n_neighbors=count, weights="distance", metric=metric, n_jobs=-1) for count in counts]
