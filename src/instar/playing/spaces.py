"""From an environment's spaces to columns, and from columns' answers to actions.

A number of an observation is a column of its own where there are few, so that a table can be answered; more are one
column of arrays; pictures are pictures, and codes categories. An action is a category where it is one of some, several
targets where several are chosen at once, and amounts where it is numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import SourceError
from instar.fields import Field, kinds
from instar.settings import Settings
from instar.sources import Column
from instar.store import ColumnPlan

OBSERVATION, ACTION = "observation", "action"
# More numbers than these are one column of arrays: nobody wants to write such a table.
MOST_COLUMNS = 32
# How often each code of a space is counted where its column is fitted, so that none is thought rare.
_TIMES = 100
_WHOLE = (np.integer, np.bool_)


@dataclass(frozen=True)
class Part:
    """A column of what is observed, or of what is done.

    kind: of the column; ``take`` gives its cell from a whole observation; ``codes`` are all values that it can have,
    where they are codes. low, high: the bounds of amounts, flat.
    """

    name: str
    kind: str
    take: Callable[[Any], Any]
    codes: tuple[int, ...] | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def column(self, cells: Sequence[Any] | np.ndarray) -> Column:
        """The cells of several observations or actions as a column, as a source would give it."""
        values = np.asarray(cells)
        return values if values.ndim > 1 else pl.Series(self.name, values)

    def column_to_fit(self, cells: Sequence[Any]) -> Column:
        """What its field is fitted on: all codes alike, else what was met."""
        return self.column(cells if self.codes is None else np.tile(self.codes, _TIMES))

    def plan(self, cells: Sequence[Any], settings: Mapping[type[Settings], Settings], place: str) -> ColumnPlan:
        sample = self.column_to_fit(cells)
        return ColumnPlan.survey(self.name, self.kind, sample, settings[kinds[self.kind].settings], place)

    def fit(
        self, plan: ColumnPlan, cells: Sequence[Any], settings: Mapping[type[Settings], Settings], *, target: bool
    ) -> Field:
        kind = kinds[self.kind]
        arrays = kind.read(self.column_to_fit(cells), plan.plan)
        return kind.fit(self.name, [arrays], plan.plan, settings[kind.settings], target=target)


def observed(space: Any, place: str) -> list[Part]:
    """The columns of observations of a space. Raises SourceError where it cannot be observed by a network."""
    return list(_parts(space, OBSERVATION, lambda whole: whole, place))


def _parts(space: Any, name: str, take: Callable[[Any], Any], place: str) -> Iterator[Part]:
    from gymnasium import spaces

    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from _parts(inner, f"{name}_{key}", lambda whole, key=key: take(whole)[key], place)  # type: ignore[misc]
    elif isinstance(space, spaces.Tuple):
        for at, inner in enumerate(space.spaces):
            yield from _parts(inner, f"{name}_{at}", lambda whole, at=at: take(whole)[at], place)  # type: ignore[misc]
    elif isinstance(space, spaces.Discrete):
        codes = tuple(range(int(space.start), int(space.start + space.n)))
        yield Part(name, "category", lambda whole: int(take(whole)), codes)
    elif isinstance(space, spaces.MultiDiscrete):
        for at, (first, count) in enumerate(zip(_flat(space.start), _flat(space.nvec), strict=True)):
            codes = tuple(range(int(first), int(first + count)))
            yield Part(f"{name}_{at}", "category", lambda whole, at=at: int(_flat(take(whole))[at]), codes)  # type: ignore[misc]
    elif isinstance(space, spaces.Box) and _is_picture(space):
        yield Part(name, "image", lambda whole: _upright(np.array(take(whole), np.uint8)))
    elif isinstance(space, spaces.Box | spaces.MultiBinary):
        yield from _numbers(int(np.prod(space.shape)), name, take)
    else:
        raise SourceError(
            f"A network cannot observe a space of type {type(space).__name__}",
            where=place,
            remedy="Wrap the environment so that it gives numbers, codes or pictures",
        )


def _numbers(width: int, name: str, take: Callable[[Any], Any]) -> Iterator[Part]:
    if width == 1:
        yield Part(name, "number", lambda whole: float(_flat(take(whole))[0]))
    elif width <= MOST_COLUMNS:
        for at in range(width):
            yield Part(f"{name}_{at}", "number", lambda whole, at=at: float(_flat(take(whole))[at]))  # type: ignore[misc]
    else:
        yield Part(name, "number", lambda whole: np.array(_flat(take(whole)), np.float32))


def _flat(values: Any) -> np.ndarray:
    return np.asarray(values).reshape(-1)


def _is_picture(space: Any) -> bool:
    if space.dtype != np.uint8 or len(space.shape) not in (2, 3):
        return False
    return len(space.shape) == 2 or min(space.shape[0], space.shape[2]) <= 4


def _upright(picture: np.ndarray) -> np.ndarray:
    """(height, width, channels), also of a picture whose channels come first."""
    if picture.ndim == 2:
        return picture[:, :, None]
    return picture if picture.shape[2] <= 4 else np.moveaxis(picture, 0, 2)


class Actions:
    """The columns of what can be done, and the way back from their values to an action."""

    def __init__(self, space: Any, place: str) -> None:
        from gymnasium import spaces

        self.space = space
        if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
            self.parts = list(_parts(space, ACTION, lambda whole: whole, place))
        elif isinstance(space, spaces.MultiBinary):
            width = int(np.prod(space.shape))
            self.parts = [
                Part(f"{ACTION}_{at}", "category", lambda whole, at=at: int(_flat(whole)[at]), (0, 1))  # type: ignore[misc]
                for at in range(width)
            ]
        elif isinstance(space, spaces.Box) and not issubclass(space.dtype.type, _WHOLE) and np.prod(space.shape):
            low, high = (_flat(bound).astype(np.float64) for bound in (space.low, space.high))
            self.parts = [Part(ACTION, "number", lambda whole: whole, None, low, high)]
        else:
            raise SourceError(
                f"A network cannot act in a space of type {type(space).__name__}",
                where=place,
                remedy="Wrap the environment so that an action is one of some, several such, or numbers",
            )
        if any(part.codes is not None and len(part.codes) < 2 for part in self.parts):
            raise SourceError("There is only one thing to do, so there is nothing to learn", where=place)

    def action(self, values: Sequence[Any]) -> Any:
        """What the environment takes, of a value for each part: a code, or amounts (width,)."""
        from gymnasium import spaces

        if isinstance(self.space, spaces.Discrete):
            return int(values[0])
        if isinstance(self.space, spaces.Box):
            return np.asarray(values[0], self.space.dtype).reshape(self.space.shape)
        return np.asarray(values, self.space.dtype).reshape(self.space.shape)
