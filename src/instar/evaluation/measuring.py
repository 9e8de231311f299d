"""Measures a network's answers for rows of a store, target by target, and shows the rows that it got most wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from instar.evaluation.report import InputColumn
from instar.evaluation.results import TargetResult, examine
from instar.evaluation.rivals.run import RivalResult
from instar.fields import Field
from instar.prepared import Examples
from instar.shapes import View
from instar.sources import Source

# A page that shows more columns of a mistaken row than this is read by nobody.
SHOWN_INPUTS = 24


def measure_targets(
    examples: Examples,
    rows: np.ndarray,
    truth: Mapping[str, np.ndarray],
    answers: Mapping[str, np.ndarray],
    *,
    source: Source,
    rivals: Mapping[str, Sequence[RivalResult]] | None = None,
    seed: int = 0,
) -> list[TargetResult]:
    """A result per target. ``truth`` and ``answers`` are those of ``rows`` (int64) of the examples' store."""

    def view(field: Field, index: int) -> View:
        row = int(rows[index])
        return field.show(examples.store.column(field.name).arrays(slice(row, row + 1)), 0)

    def show(index: int) -> tuple[str, dict[str, View]]:
        views = {each.name: view(each, index) for each in examples.inputs[:SHOWN_INPUTS]}
        return source.locate_row(int(rows[index])), views

    return [
        examine(
            each.name,
            each.answer,
            truth[each.name],
            answers[each.name],
            classes=[str(label) for label in each.classes or ()],
            rivals=(rivals or {}).get(each.name, ()),
            show=show,
            name_truth=lambda index, target=each: view(target, index).text,  # type: ignore[misc]
            seed=seed,
            draw=each.draw,
        )
        for each in examples.targets
        if each.answer is not None
    ]


def input_columns(inputs: Sequence[Field]) -> list[InputColumn]:
    """The inputs as a report lists them."""
    return [InputColumn(each.name, each.kind, each.describe(), each.shape) for each in inputs if each.shape is not None]
