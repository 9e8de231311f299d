"""Who acts: a network, chance, or somebody who always does the same.

A policy is asked for many episodes at once. What it leaves to chance it takes from normal draws that are handed to
it, so that whoever hands them over decides how long they hold: where a draw hardly differs from the one before, an
episode goes on in one direction for a while, and sees more than trembling ever would (Eberhard et al. 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from instar.answering import answers
from instar.columns import Fitted
from instar.fields import Arrays, kinds
from instar.playing.spaces import Actions, Part
from instar.prepared import prepare_inputs
from instar.store import ColumnPlan

if TYPE_CHECKING:
    from instar.networks.assemble import Network

# Share of choices that are even where they are left to chance: a network that is sure too soon would try nothing new.
EVEN_CHOICES = 0.05

Cells = Mapping[str, Sequence[Any]]


class Policy(Protocol):
    """Values for each part of the action, (B,) codes or (B, width) amounts, for the cells of B observations.

    ``draws`` (B, `chances`) are normal; None for what it thinks best.
    """

    def __call__(self, cells: Cells, draws: np.ndarray | None) -> list[np.ndarray]: ...


def chances(actions: Actions) -> int:
    """How many draws an action takes: one for a code, and one for each amount."""
    return sum(_width(part) for part in actions.parts)


def _width(part: Part) -> int:
    return 1 if part.low is None else len(part.low)


def _shares(actions: Actions, draws: np.ndarray) -> list[np.ndarray]:
    """The draws of each part, (B, its width)."""
    return np.split(draws, np.cumsum([_width(part) for part in actions.parts])[:-1], axis=1)


class Chance:
    """Acts by chance alone, every action as likely as any other."""

    def __init__(self, actions: Actions) -> None:
        self.actions = actions

    def __call__(self, cells: Cells, draws: np.ndarray | None) -> list[np.ndarray]:
        from scipy.special import ndtr

        assert draws is not None
        values = []
        for part, drawn in zip(self.actions.parts, _shares(self.actions, draws), strict=True):
            if part.codes is not None:
                places = (ndtr(drawn[:, 0]) * len(part.codes)).astype(np.int64)
                values.append(np.asarray(part.codes)[np.minimum(places, len(part.codes) - 1)])
            else:
                assert part.low is not None and part.high is not None
                bounded = np.isfinite(part.low) & np.isfinite(part.high)
                low, reach = np.where(bounded, part.low, 0), np.where(bounded, part.high - part.low, 0)
                values.append(np.where(bounded, low + reach * ndtr(drawn), np.clip(drawn, part.low, part.high)))
        return values


class Constant:
    """Always does the same: ``values`` has one for each part of the action."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = [np.asarray(each) for each in values]

    def __call__(self, cells: Cells, draws: np.ndarray | None) -> list[np.ndarray]:
        count = len(next(iter(cells.values())))
        return [np.repeat(each[None], count, axis=0) for each in self.values]


class Learned:
    """A network with the fields of what it observes and does.

    ``spread``: by part, (width,), how far an amount strays from the network's answer where it is left to chance; codes
    are drawn by their probabilities, and a few evenly.
    """

    def __init__(
        self,
        observed: Sequence[Part],
        actions: Actions,
        plans: Mapping[str, ColumnPlan],
        fitted: Fitted,
        network: Network,
        spread: Mapping[str, np.ndarray],
    ) -> None:
        self.observed, self.actions, self.plans = observed, actions, plans
        self.inputs, self.targets = fitted
        self.network, self.spread = network, dict(spread)
        self._codes = {
            part.name: kinds[part.kind].read(part.column(part.codes), plans[part.name].plan)
            for part in observed
            if part.codes is not None
        }

    def _read(self, part: Part, cells: Sequence[Any]) -> Arrays:
        if part.codes is not None:
            places = np.asarray(cells) - part.codes[0]
            if ((places >= 0) & (places < len(part.codes))).all():
                return self._codes[part.name].rows(places)
            return kinds[part.kind].read(part.column(cells), self.plans[part.name].plan)
        return kinds[part.kind].glance(np.asarray(cells), self.plans[part.name].plan)

    def __call__(self, cells: Cells, draws: np.ndarray | None) -> list[np.ndarray]:
        from scipy.special import ndtr

        arrays = {part.name: self._read(part, cells[part.name]) for part in self.observed}
        given = answers(self.network, self.targets, [prepare_inputs(self.inputs, arrays)])
        count = len(next(iter(arrays.values())))
        shares = _shares(self.actions, np.zeros((count, chances(self.actions))) if draws is None else draws)
        values = []
        for part, field, drawn in zip(self.actions.parts, self.targets, shares, strict=True):
            answer = given[field.name]
            if part.low is not None and part.high is not None:
                values.append(np.clip(answer + drawn * self.spread.get(part.name, 0.0), part.low, part.high))
            elif draws is None:
                values.append(np.asarray(field.decode(answer)))
            else:
                reached = np.cumsum((1 - EVEN_CHOICES) * answer + EVEN_CHOICES / answer.shape[1], axis=1)
                places = (reached < ndtr(drawn) * reached[:, -1:]).sum(axis=1)
                values.append(np.asarray(field.classes)[np.minimum(places, answer.shape[1] - 1)])
        return values
