"""What freezes a split, so that whoever divides by it later puts every row where it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from instar.errors import ModelError
from instar.parts import LEFT_OUT


@dataclass(frozen=True)
class Record:
    """``content`` is JSON, ``arrays`` hold sorted uint64 ``units`` and their uint8 ``parts``, or nothing.

    What is written in ``content``: ``test_share`` and ``validation_share``; ``occurrences``, whether equal inputs are
    counted; ``test_from`` and ``validation_from`` of a split by time; ``completed``, the shares of test and validation
    that a given split lacked. Whoever knows columns adds more by `with_content`.
    """

    content: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def shares(self) -> tuple[float, float]:
        """Of test and validation. Raises ModelError where this is no record: it may come from a stranger's folder."""
        return checked_shares([self.content.get("test_share"), self.content.get("validation_share")])

    def with_content(self, **content: Any) -> Record:
        return Record({**self.content, **content}, self.arrays)

    def recall(self, parts: np.ndarray, units: np.ndarray) -> np.ndarray:
        """``parts`` (n,) of the ``units`` (n,), but those that the record knows keep theirs. Raises ModelError."""
        if not self.arrays:
            return parts
        known, frozen = self.arrays.get("units"), self.arrays.get("parts")
        if (
            known is None
            or frozen is None
            or (known.dtype, frozen.dtype) != (np.uint64, np.uint8)
            or known.shape != frozen.shape
            or known.ndim != 1
            or (known[1:] <= known[:-1]).any()
            or (frozen >= LEFT_OUT).any()
        ):
            raise unreadable()
        if not len(known):
            return parts
        place = np.minimum(np.searchsorted(known, units), len(known) - 1)
        return np.where(known[place] == units, frozen[place], parts).astype(np.uint8)


def freeze(units: np.ndarray, parts: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a record in which every one of the ``units`` (n,) keeps its part."""
    known, first = np.unique(units, return_index=True)
    return {"units": known, "parts": parts[first]}


def checked_shares(given: Any) -> tuple[float, float]:
    """Two shares, as a record has them. Raises ModelError where they are none."""
    try:
        test, validation = map(float, given)
    except (TypeError, ValueError):
        raise unreadable() from None
    if not (0 <= test <= 1 and 0 <= validation <= 1):
        raise unreadable()
    return test, validation


def unreadable() -> ModelError:
    return ModelError("The record of the split cannot be read", remedy="Train again")
