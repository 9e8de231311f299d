"""What series are like, in a few numbers, and trees that ask about them."""

from __future__ import annotations

from typing import Any

from instar.evaluation.rivals.base import Inputs, rival
from instar.evaluation.rivals.trees import SHARED_ROWS
from instar.shapes import Amounts, Answer


def has_courses(inputs: Inputs) -> bool:
    return any(grid.is_course for grid in inputs.grids)


@rival(
    "features",
    title="forest on simple features",
    paper="Christ, Braun, Neuffer & Kempa-Liehr 2018 (tsfresh); Breiman 2001",
    idea="Averages 200 trees that ask about each number's mean, spread, slope, quantiles and lowest waves over time.",
    encoding="ordinal",
    series="features",
    suits=has_courses,
    maximum_rows=20_000,
    maximum_cells=2**23,
    cost=4,
)
def features(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )

    if not isinstance(answer, Amounts):
        kinds = (RandomForestClassifier, ExtraTreesClassifier)
    else:
        kinds = (RandomForestRegressor, ExtraTreesRegressor)
    return [kind(200, random_state=seed, n_jobs=-1 if len(inputs) > SHARED_ROWS else 1) for kind in kinds]
