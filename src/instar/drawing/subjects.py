"""What is drawn: a network by its name, for an input that is usual for it, or the one of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from instar.columns import shapes_of
from instar.errors import UsageError, did_you_mean
from instar.folder import is_model
from instar.model import Model, load
from instar.networks.base import PHOTOS, Example, NetworkSpecification, networks
from instar.networks.planning import plan
from instar.networks.plans import Plan
from instar.shapes import Answer, Choice, Continuation, Grid, Mask, Shape, Tokens, Vector

_SERIES, _SCANS = Example(Grid(1, (128,)), 2), Example(Grid(1, (32, 32, 32)), 2)
_USUAL = (_SERIES, PHOTOS, _SCANS, Example(Tokens(10_000, 64), 2), Example(Vector(16), 2))


@dataclass(frozen=True)
class Subject:
    """A network that can be built, and what is said of it."""

    title: str
    words: str
    inputs: Mapping[str, Shape]
    answers: Mapping[str, Answer]
    plan: Plan


def usual(specification: NetworkSpecification) -> Example:
    """What a network is drawn and counted for where nobody says."""
    if specification.example is not None:
        return specification.example
    able = [each for each in _USUAL if specification.takes(each.shape)]
    # Pictures first, then symbols, which show more of a network than a series does.
    return next((each for each in able if each is PHOTOS), able[-1])


def subject(what: str | Path | Model, size: int | None, settings: Mapping[str, Any]) -> Subject:
    """Raises UsageError where it is neither a network nor a model, or where the size or a setting does not fit."""
    if isinstance(what, str) and what in networks:
        return _of_network(networks[what], size, settings)
    if size is not None or settings:
        raise UsageError("A model has its own size and settings", remedy="Name a network instead")
    if isinstance(what, Model):
        return _of_model(what, "model")
    if is_model(Path(what)):
        return _of_model(load(what), Path(what).resolve().name)
    raise UsageError(
        f"There is no network and no model folder called {str(what)!r}", remedy=did_you_mean(str(what), networks)
    )


def _of_network(specification: NetworkSpecification, size: int | None, settings: Mapping[str, Any]) -> Subject:
    example = usual(specification)
    shape = example.shape if size is None else _sized(example.shape, size)
    answer: Answer = Choice((1,) * example.classes)
    if specification.maps and isinstance(shape, Grid):
        answer = Mask((1,) * example.classes, shape.extent)
    inputs, answers = {"input": shape}, {f"{example.classes:,} classes": answer}
    if specification.continues and isinstance(shape, Tokens):
        answers = {"input": Continuation(shape.vocabulary, shape.length, math.log(shape.vocabulary))}
    made = plan(inputs, answers, specification.name, settings)
    return Subject(specification.name, f"{specification.paper}: {specification.idea}", inputs, answers, made)


def _sized(shape: Shape, size: int) -> Shape:
    if size < 1:
        raise UsageError(f"The size must be at least 1, and is {size}")
    if isinstance(shape, Grid):
        return replace(shape, extent=(size,) * len(shape.extent))
    return replace(shape, length=size) if isinstance(shape, Tokens) else replace(shape, width=size)


def _of_model(model: Model, title: str) -> Subject:
    inputs, answers = shapes_of(model.inputs, model.targets)
    return Subject(title, model.network.plan.why, inputs, answers, model.network.plan)
