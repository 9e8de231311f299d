"""Questions about one input at a time: one tree of them, or many that vote."""

from __future__ import annotations

from typing import Any

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Amounts, Answer

# With fewer rows, handing trees to several processors takes longer than growing them.
SHARED_ROWS = 2000
# Rows of a tree where columns stand for sequences: none of these says much, and trees become very deep.
SEQUENCE_ROWS = 10_000


@rival(
    "tree",
    title="decision tree",
    paper="Breiman, Friedman, Olshen & Stone 1984",
    idea="Asks one question about one input after another.",
    encoding="ordinal",
    maximum_cells=2**25,
    cost=1,
)
def tree(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeRegressor if isinstance(answer, Amounts) else DecisionTreeClassifier
    return [kind(min_samples_leaf=leaf, random_state=seed) for leaf in (1, 5, 20)]


@rival(
    "forest",
    title="random forest",
    paper="Breiman 2001",
    idea="Averages 100 trees, each grown on other rows and choosing among other inputs.",
    encoding="ordinal",
    maximum_rows=100_000,
    maximum_cells=2**23,
    cost=4,
)
def forest(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    most = SEQUENCE_ROWS if inputs.sequences and len(inputs) > 2 * SEQUENCE_ROWS else None
    common = {"max_samples": most, "random_state": seed, "n_jobs": -1 if len(inputs) > SHARED_ROWS else 1}
    if not isinstance(answer, Amounts):
        return [RandomForestClassifier(**common)]
    return [RandomForestRegressor(max_features=share, **common) for share in (0.33, 1.0)]
