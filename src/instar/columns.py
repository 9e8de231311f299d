"""A store's columns in their roles, the fields that are fitted on them, and what a network is built for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from instar.fields import Field, kinds
from instar.settings import Settings
from instar.shapes import Answer, Mapped, Shape, aligned, mapped_from
from instar.store import Store

# Inputs and targets.
Fitted = tuple[tuple[Field, ...], tuple[Field, ...]]


@dataclass(frozen=True)
class Columns:
    """The columns that are learned from, and those that hold the answers, with the settings of their kinds."""

    store: Store
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    settings: Mapping[type[Settings], Settings]

    def fit(self, rows: np.ndarray, *, labelled: np.ndarray | None = None) -> Fitted:
        """Fields fitted on ``rows`` (int64, sorted) of the store, and on no others.

        labelled: rows from which targets take which classes there are, so that what is fitted on parts of them has
            the same classes in the same order; that a class exists is no secret of any row. How frequent the classes
            are is still learned from ``rows``.
        """
        inputs = tuple(self._fit(name, rows, target=False) for name in self.inputs)
        targets = tuple(self._fit_target(name, rows, labelled).asked_of(inputs) for name in self.targets)
        led = _mapped(inputs, targets)
        return tuple(each.leading() if each.name in led else each for each in inputs), targets

    def _fit_target(self, name: str, rows: np.ndarray, labelled: np.ndarray | None) -> Field:
        if labelled is not None:
            field = self._fit(name, labelled, target=True)
            if field.classes is not None:
                return field.recounted(self.store.column(name).chunks(rows))
        return self._fit(name, rows, target=True)

    def _fit(self, name: str, rows: np.ndarray, *, target: bool) -> Field:
        column = self.store.column(name)
        kind = kinds[column.kind]
        return kind.fit(name, column.chunks(rows), column.plan, self.settings[kind.settings], target=target)


def _mapped(inputs: Sequence[Field], targets: Sequence[Field]) -> set[str]:
    """The inputs of whose cells something is to be said."""
    shapes, answers = shapes_of(inputs, targets)
    leaders = {mapped_from(shapes, answer) for answer in answers.values() if isinstance(answer, Mapped)} - {None}
    return {name for leader in leaders for name in aligned(shapes, leader)}  # type: ignore[arg-type]


def shapes_of(inputs: Sequence[Field], targets: Sequence[Field]) -> tuple[dict[str, Shape], dict[str, Answer]]:
    """The inputs' shapes and the targets' answers, by name."""
    return (
        {each.name: each.shape for each in inputs if each.shape is not None},
        {each.name: each.answer for each in targets if each.answer is not None},
    )
