"""Instar learns from examples: it builds, trains and honestly examines the neural network that fits them.

    model = instar.train("houses.csv", target="price")
    model.predict(frame); model.evaluate(frame); model.network

Nothing heavy is imported before it is used. The errors, a tree under `InstarError`, are in `instar.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from instar.version import VERSION

if TYPE_CHECKING:
    from instar.drawing import draw
    from instar.errors import InstarError
    from instar.games import play
    from instar.learn import train
    from instar.model import Model, load

__version__ = VERSION

_HOMES = {
    "InstarError": "instar.errors",
    "Model": "instar.model",
    "draw": "instar.drawing",
    "load": "instar.model",
    "play": "instar.games",
    "train": "instar.learn",
}

__all__ = ["InstarError", "Model", "draw", "load", "play", "train"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'instar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
