"""Example sets that need no network: those that scikit-learn ships, and four noisy clusters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import SourceError, did_you_mean
from instar.sources.base import Column, Schema, Source, sources
from instar.sources.columns import MemorySource

PREFIX = "example:"

Columns = dict[str, Column]


@dataclass(frozen=True)
class Example:
    """An example set: what it is in a line, the column to learn, and how to load it."""

    meaning: str
    target: str
    load: Callable[[], Columns]


EXAMPLES: dict[str, Example] = {}


def _example(name: str, meaning: str, target: str) -> Callable[[Callable[[], Columns]], None]:
    def enter(load: Callable[[], Columns]) -> None:
        EXAMPLES[name] = Example(meaning, target, load)

    return enter


def _table(loaded: Any, target: str, answers: Column) -> Columns:
    """scikit-learn's table: a column of numbers for each feature, and the answers."""
    features = {
        _word(name): pl.Series(column) for name, column in zip(loaded.feature_names, loaded.data.T, strict=True)
    }
    return {**features, target: answers}


def _word(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def _names(loaded: Any) -> pl.Series:
    return pl.Series([str(name) for name in loaded.target_names[loaded.target]])


@_example("digits", "1,797 handwritten digits of 8 x 8 pixels", "digit")
def _digits() -> Columns:
    from sklearn.datasets import load_digits

    loaded = load_digits()
    # Pixels lie in 0..16; as bytes they are pictures like any other.
    images = (loaded.images * 255 / 16).round().astype(np.uint8)
    return {"image": images, "digit": pl.Series([str(digit) for digit in loaded.target])}


@_example("iris", "150 irises of three species, four measures of each", "species")
def _iris() -> Columns:
    from sklearn.datasets import load_iris

    loaded = load_iris()
    return _table(loaded, "species", _names(loaded))


@_example("wine", "178 wines of three cultivars, 13 chemical measures of each", "cultivar")
def _wine() -> Columns:
    from sklearn.datasets import load_wine

    loaded = load_wine()
    return _table(loaded, "cultivar", _names(loaded))


@_example("breast_cancer", "569 tumors, 30 measures of each", "diagnosis")
def _breast_cancer() -> Columns:
    from sklearn.datasets import load_breast_cancer

    loaded = load_breast_cancer()
    return _table(loaded, "diagnosis", _names(loaded))


@_example("diabetes", "442 patients, and how their diabetes progressed in a year", "progression")
def _diabetes() -> Columns:
    from sklearn.datasets import load_diabetes

    loaded = load_diabetes(scaled=False)
    return _table(loaded, "progression", pl.Series(loaded.target))


@_example("xor", "2,000 points in four noisy clusters: are the signs of x and y alike?", "signs")
def _xor() -> Columns:
    generator = np.random.default_rng(1958)
    corners = generator.choice([-1.0, 1.0], size=(2000, 2))
    points = (corners + generator.normal(scale=0.3, size=corners.shape)).round(4)
    alike = corners[:, 0] == corners[:, 1]
    answers = np.where(alike, "alike", "different").tolist()
    return {"x": pl.Series(points[:, 0]), "y": pl.Series(points[:, 1]), "signs": pl.Series(answers)}


@sources.register("example")
class ExampleSource(MemorySource):
    """``example:NAME``, one of `EXAMPLES`."""

    precedence = 1

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return isinstance(given, str) and given.startswith(PREFIX)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        name = given.removeprefix(PREFIX).strip().lower().replace("-", "_")
        if name not in EXAMPLES:
            raise SourceError(f"There is no example set called {name!r}", remedy=did_you_mean(name, EXAMPLES))
        example = EXAMPLES[name]
        columns = {column: _named(column, values) for column, values in example.load().items()}
        rows = len(next(iter(columns.values())))
        schema = Schema(tuple(columns), rows=rows, target=example.target)
        return cls(name, PREFIX + name, columns, schema)


def _named(name: str, column: Column) -> Column:
    return column.rename(name) if isinstance(column, pl.Series) else column
