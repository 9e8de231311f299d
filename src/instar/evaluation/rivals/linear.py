"""Weighted sums of the inputs."""

from __future__ import annotations

from typing import Any

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Amounts, Answer


@rival(
    "linear",
    title="linear model",
    paper="Cox 1958; Hoerl & Kennard 1970",
    idea="Logistic regression or ridge regression: a weighted sum of the inputs, its weights kept small.",
    sequences="terms",
    maximum_cells=2**25,
    maximum_terms=2**23,
    cost=1,
)
def linear(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.linear_model import LogisticRegression, Ridge

    if not isinstance(answer, Amounts):
        return [LogisticRegression(C=strength, max_iter=500) for strength in (0.03, 1.0, 30.0)]
    # Rows of terms are of length 1, and not of variance 1 in every column.
    strengths = (0.3, 1.0, 3.0, 10.0, 100.0) if inputs.sequences else (0.1, 3.0, 30.0, 300.0)
    return [Ridge(alpha=strength, random_state=seed) for strength in strengths]
