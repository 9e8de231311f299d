"""Rows to look at where answers are pictures: the worst, and some as most are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from instar.answers.base import MISTAKES, Details, Exhibit, Mistake

# Rows shown that are as most are, and between which shares of the rows, ordered by how good they are, they lie.
TYPICAL, FROM, TO = 6, 0.25, 0.75


def galleries(exhibit: Exhibit[Any], errors: np.ndarray, said: Callable[[int], str]) -> Details:
    """``errors`` (usable,): how wrong each usable row is; ``said``: how good a row's answer is, in words."""
    if exhibit.show is None or exhibit.draw is None:
        return Details()
    order = exhibit.usable[np.argsort(-errors, kind="stable")]
    worst = order[:MISTAKES]
    rest = order[len(worst) :]
    places = np.linspace(FROM, TO, TYPICAL) * (len(rest) - 1)
    typical = rest[np.unique(places.round().astype(int))] if len(rest) else rest
    return Details(_shown(exhibit, worst, said), typical=_shown(exhibit, typical, said))


def _shown(exhibit: Exhibit[Any], rows: np.ndarray, said: Callable[[int], str]) -> list[Mistake]:
    assert exhibit.show is not None and exhibit.draw is not None
    shown = []
    for row in rows.tolist():
        place, inputs = exhibit.show(row)
        views = {"truth": exhibit.draw(exhibit.truth[row]), "answer": exhibit.draw(exhibit.prediction[row])}
        shown.append(Mistake(place, inputs, "", said(row), drawn=views))
    return shown
