"""The widest margin, in a space that a kernel spans."""

from __future__ import annotations

from typing import Any

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Answer, Choice

_CACHE = 500  # MiB of kernel values


@rival(
    "svm",
    title="support vector machine",
    paper="Boser, Guyon & Vapnik 1992; Cortes & Vapnik 1995",
    idea="Separates or fits with the widest margin, under a Gaussian kernel.",
    maximum_rows=10_000,
    maximum_examined=10_000,
    maximum_cells=2**23,
    cost=5,
)
def svm(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    if isinstance(answer, Choice):
        return [SVC(C=strength, cache_size=_CACHE) for strength in (1.0, 10.0)]
    return [
        TransformedTargetRegressor(SVR(C=strength, cache_size=_CACHE), transformer=StandardScaler())
        for strength in (1.0, 10.0)
    ]
