"""Checks of a fitted field's state, which comes from a folder that may be damaged or hostile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"a field's state is malformed: {what}")


def array(arrays: Mapping[str, np.ndarray], name: str, kind: type[np.generic], *shape: int | None) -> np.ndarray:
    """The array called ``name``, of that type and shape (None: any length), and finite. Raises ValueError, KeyError."""
    found = arrays[name]
    expect(found.dtype == np.dtype(kind), f"{name} is {found.dtype}")
    expect(found.ndim == len(shape), f"{name} has {found.ndim} axes")
    expect(all(want is None or want == got for want, got in zip(shape, found.shape, strict=True)), f"{name}'s shape")
    expect(found.dtype.kind != "f" or bool(np.isfinite(found).all()), f"{name} is not finite")
    return found


def whole(content: Mapping[str, Any], name: str, minimum: int, maximum: int) -> int:
    """The whole number called ``name`` between two bounds. Raises ValueError, KeyError."""
    found = content[name]
    expect(type(found) is int and minimum <= found <= maximum, f"{name} is {found!r}")
    return int(found)


def word(content: Mapping[str, Any], name: str, *choices: str) -> str:
    """The word called ``name``, one of ``choices``. Raises ValueError, KeyError."""
    found = content[name]
    expect(found in choices, f"{name} is {found!r}")
    return str(found)
