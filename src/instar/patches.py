"""Grids of which a network sees a patch at a time: which they are, and where patches lie in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from instar.errors import UsageError
from instar.shapes import (
    Answer,
    Continuation,
    Forecast,
    Grid,
    Mapped,
    Shape,
    Symbols,
    aligned,
    mapped_from,
)

# Of a patch, from one to the next where all of a grid is answered (Isensee et al. 2021).
STEP = 0.5

# Picks a patch out of an array or a tensor whose last axes are those of the extent.
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Patches:
    """What is seen a patch at a time, all of it at the same place.

    grids: the inputs; answers: the targets with something for each cell of them, if they are not those of another grid,
    which is seen whole. extent: of all of these; patch: of what is seen of them.
    """

    grids: tuple[str, ...]
    answers: tuple[str, ...]
    extent: tuple[int, ...]
    patch: tuple[int, ...]

    @classmethod
    def among(cls, inputs: Mapping[str, Shape], answers: Mapping[str, Answer]) -> Patches | None:
        """None where all is seen whole. Raises UsageError where patches do not lie side by side."""
        large = {name: shape for name, shape in inputs.items() if isinstance(shape, Grid) and shape.patch}
        if not large:
            return None
        if any(isinstance(answer, Symbols | Continuation | Forecast) for answer in answers.values()):
            raise UsageError(
                "What is written or goes on cannot be put together from what patches say",
                remedy="Have the inputs seen whole",
            )
        mapped = {name: answer for name, answer in answers.items() if isinstance(answer, Mapped)}
        leader = next((mapped_from(inputs, answer) for answer in mapped.values()), None)
        grids = {} if leader is None else aligned(inputs, leader)
        if not large.keys() & grids.keys():
            grids, mapped = large, {}
        first = next(iter(large.values()))
        together = {**large, **grids, **mapped}
        if any(each.extent != first.extent for each in together.values()) or any(
            each.patch != first.patch for each in large.values()
        ):
            raise UsageError(
                "Patches cannot be seen side by side: "
                + ", ".join(f"{name!r} has {_in_words(each)}" for name, each in together.items()),
                remedy="Have them read at one size and seen in patches of one size, or seen whole",
            )
        return cls(tuple(grids), tuple(mapped), first.extent, first.patch)

    def seen(self, answer: Mapped) -> Mapped:
        """What is answered of a patch."""
        return replace(answer, extent=self.patch)

    def everywhere(self) -> list[Place]:
        """Places at even distances, each patch sharing about half of its cells with the next, that leave none out."""
        return [self._at(starts) for starts in product(*map(_starts, self.extent, self.patch))]

    def anywhere(self, generator: np.random.Generator, mask: np.ndarray | None = None, classes: int = 0) -> Place:
        """A place that is drawn: anywhere; or where a cell of the ``mask`` (*extent) lies anywhere in the patch.

        That cell is any one of a class, and each class that the mask has is as likely as the others: a network that
        rarely saw a rare class would not learn it (as Isensee et al. 2021, who show one in a third of all patches).
        """
        ends = [size - part for size, part in zip(self.extent, self.patch, strict=True)]
        starts = [int(generator.integers(end + 1)) for end in ends]
        cell = None if mask is None else _cell_of_any_class(mask, classes, generator)
        if cell is not None:
            within = [int(generator.integers(part)) for part in self.patch]
            starts = [min(max(at - into, 0), end) for at, into, end in zip(cell, within, ends, strict=True)]
        return self._at(starts)

    def _at(self, starts: tuple[int, ...] | list[int]) -> Place:
        return ..., *(slice(start, start + part) for start, part in zip(starts, self.patch, strict=True))


def _in_words(each: Grid | Mapped) -> str:
    cells = f"{' x '.join(map(str, each.extent))} cells"
    if isinstance(each, Grid) and each.patch:
        return f"{cells}, in patches of {' x '.join(map(str, each.patch))}"
    return cells


def _starts(size: int, part: int) -> list[int]:
    count = math.ceil((size - part) / max(1, int(part * STEP))) + 1
    return [round(start) for start in np.linspace(0, size - part, count).tolist()]


def _cell_of_any_class(mask: np.ndarray, classes: int, generator: np.random.Generator) -> tuple[int, ...] | None:
    """Where a cell lies that is drawn as `Patches.anywhere` says; None where no cell is of a class."""
    # Plane by plane, since places of all cells would take eight times the memory of the mask.
    counts = np.stack([np.bincount(plane.reshape(-1), minlength=classes)[:classes] for plane in mask])
    there = np.flatnonzero(counts.any(axis=0))
    if not len(there):
        return None
    code = there[generator.integers(len(there))]
    ends = counts[:, code].cumsum()
    number = int(generator.integers(ends[-1]))
    plane = int(np.searchsorted(ends, number, side="right"))
    before = number - int(ends[plane] - counts[plane, code])
    cell = int(np.flatnonzero(mask[plane].reshape(-1) == code)[before])
    return plane, *(int(at) for at in np.unravel_index(cell, mask.shape[1:]))
