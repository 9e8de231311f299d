"""The widest margin: in a space that a kernel spans, or for sequences of symbols in that of their terms."""

from __future__ import annotations

from typing import Any

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Amounts, Answer

_CACHE = 500  # MiB of kernel values


@rival(
    "svm",
    title="support vector machine",
    paper="Boser, Guyon & Vapnik 1992; Cortes & Vapnik 1995",
    idea="Separates or fits with the widest margin, under a Gaussian kernel.",
    suits=lambda inputs: not inputs.sequences,
    maximum_rows=10_000,
    maximum_examined=10_000,
    maximum_cells=2**23,
    cost=5,
)
def svm(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    if not isinstance(answer, Amounts):
        return [SVC(C=strength, cache_size=_CACHE) for strength in (1.0, 10.0)]
    return [
        TransformedTargetRegressor(SVR(C=strength, cache_size=_CACHE), transformer=StandardScaler())
        for strength in (1.0, 10.0)
    ]


@rival(
    "linear_svm",
    title="linear support vector machine",
    paper="Cortes & Vapnik 1995; Joachims 1998; Fan et al. 2008 (LIBLINEAR)",
    idea="Separates or fits with the widest margin, as a weighted sum of the inputs.",
    sequences="terms",
    suits=lambda inputs: bool(inputs.sequences),
    maximum_rows=200_000,
    maximum_cells=2**23,
    maximum_terms=2**23,
    cost=2,
)
def linear_svm(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC, LinearSVR

    strengths = (0.1, 1.0, 10.0)
    if not isinstance(answer, Amounts):
        return [LinearSVC(C=strength, random_state=seed) for strength in strengths]
    return [
        TransformedTargetRegressor(LinearSVR(C=strength, random_state=seed), transformer=StandardScaler())
        for strength in strengths
    ]
