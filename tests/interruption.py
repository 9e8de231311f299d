"""A training that is stopped and goes on, beside the same one at a stretch: both must end with the same bits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from instar.errors import InterruptionError
from instar.learn import learn
from instar.model import Model


def learned_twice(source: Any, given: Mapping[str, Any], folder: Path, *, stop_at: int) -> Model:
    """The model, in ``whole``; what is asked for the so many-th time whether to stop learns in ``stopped``."""
    model, _ = learn(source, {**given, "out": str(folder / "whole")})
    asked = itertools.count(1)
    stopped = {**given, "out": str(folder / "stopped")}
    with pytest.raises(InterruptionError):
        learn(source, stopped, should_stop=lambda: next(asked) == stop_at)
    learn(source, stopped)
    whole, resumed = ((folder / run / "model.safetensors").read_bytes() for run in ("whole", "stopped"))
    assert whole == resumed
    return model
