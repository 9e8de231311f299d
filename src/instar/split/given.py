"""What a source, or a column of it, says of the split itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from instar.errors import ColumnError
from instar.parts import TRAINING, WORDS, part_called


def given_parts(words: Iterable[Any], where: Callable[[int], str] = lambda number: f"row {number + 1}") -> np.ndarray:
    """uint8 (n,) parts from a source's own words, such as `instar.parts.WORDS`; a blank is training.

    Raises ColumnError for any other word; ``where`` says where a person finds the word of that number.
    """
    parts = []
    for number, word in enumerate(words):
        text = "" if word is None else str(word).strip()
        part = part_called(text) if text else TRAINING
        if part is None:
            *others, last = (each[0] for each in WORDS.values())
            raise ColumnError(
                f"The split of a row is {text!r}",
                where=where(number),
                remedy=f"Say {', '.join(others)} or {last}, or nothing, which is training",
            )
        parts.append(part)
    return np.array(parts, np.uint8)
