"""Trees, each of which mends the errors of those before it."""

from __future__ import annotations

from typing import Any

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Amounts, Answer, Choice, Several

# As many categories as fit in a bin each, the missing one apart.
MOST_CATEGORIES = 255
# Fewer rows than these are too few to set some aside for stopping.
STOPPING_ROWS = 2000


@rival(
    "boosting",
    title="boosted trees",
    paper="Friedman 2001; Ke et al. 2017 (LightGBM), as scikit-learn's histogram gradient boosting",
    idea="Adds up to 1,000 small trees, each of which mends what those before it left, until it helps no more.",
    encoding="ordinal",
    maximum_cells=2**26,
    cost=3,
)
def boosting(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if isinstance(answer, Amounts) else HistGradientBoostingClassifier
    first = inputs.numbers.shape[1]
    categorical = [first + code for code, size in enumerate(inputs.cardinalities) if size <= MOST_CATEGORIES]
    common = {"categorical_features": categorical or None, "random_state": seed}
    # A round is a tree for every class or label; where there are many, or many columns, there is less to choose from.
    classes = answer.classes if isinstance(answer, Choice) else answer.labels if isinstance(answer, Several) else 1
    if len(inputs) < STOPPING_ROWS:
        rounds = (50, 150) if classes <= 3 else (100,)
        return [kind(max_iter=count, learning_rate=0.08, early_stopping=False, **common) for count in rounds]
    rate, most = (0.2, 150) if inputs.width * classes > 2000 else (0.07, 1000)
    return [kind(max_iter=most, learning_rate=rate, early_stopping=True, n_iter_no_change=20, **common)]
