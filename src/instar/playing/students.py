"""What learns to play: the columns of what it observes and does, fitted on the first round, and its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from instar.columns import Fitted, shapes_of
from instar.fields import Field, kinds
from instar.networks.assemble import Network
from instar.networks.planning import plan, quick_plan
from instar.playing.episodes import Arena, Episode
from instar.playing.examples import PlayedSteps, in_memory
from instar.playing.policies import Learned
from instar.playing.spaces import Part
from instar.prepared import Examples
from instar.seeds import seed_for
from instar.settings import Settings
from instar.shapes import Amounts, Grid
from instar.store import ColumnPlan

# How many cells along an axis a picture has left where steps are compared.
COARSE = 8
# Steps of the first round on which fields are fitted.
FITTING_STEPS, INITIALIZING_STEPS = 50_000, 16_384


@dataclass(frozen=True)
class Lesson:
    """What a game is learned with: the settings of kinds by group, those of training and of the network by name."""

    kinds: Mapping[type[Settings], Settings]
    training: Mapping[str, Any]
    network: str | None
    network_settings: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class Student:
    """Fitted fields, how their columns are read, and a network."""

    plans: Mapping[str, ColumnPlan]
    inputs: tuple[Field, ...]
    targets: tuple[Field, ...]
    network: Network

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.inputs, *self.targets)

    @classmethod
    def admit(cls, arena: Arena, lesson: Lesson, episodes: Sequence[Episode]) -> Student:
        """A student that has seen the episodes and learned nothing. Raises ColumnError where nothing varies in them."""
        plans: dict[str, ColumnPlan] = {}
        place = arena.source.place

        def fit(part: Part, *, target: bool) -> Field:
            cells = [cell for episode in episodes for cell in episode.cells[part.name]]
            cells = cells[:: 1 + len(cells) // FITTING_STEPS]
            plans[part.name] = part.plan(cells, lesson.kinds, place)
            return part.fit(plans[part.name], cells, lesson.kinds, target=target)

        inputs = tuple(fit(part, target=False) for part in arena.observed)
        targets = tuple(fit(part, target=True) for part in arena.actions.parts)
        student = cls(plans, inputs, targets, _network(lesson, (inputs, targets)))
        examples = Examples(student.steps(arena, episodes), inputs, targets)
        rows = np.arange(0, len(examples), 1 + len(examples) // min(INITIALIZING_STEPS, examples.block_rows))
        batch = examples.take(rows)
        student.network.initialize(batch.inputs, batch.targets)
        return student

    def scales(self) -> dict[str, np.ndarray]:
        """How amounts varied in the first round, (width,) by part of the action."""
        widths = {each.name: each.answer.width for each in self.targets if isinstance(each.answer, Amounts)}
        return {
            each.name: np.subtract(*each.decode(np.eye(2, 1) * np.ones(widths[each.name])))
            for each in self.targets
            if each.name in widths
        }

    def learned(self, arena: Arena, spread: Mapping[str, np.ndarray]) -> Learned:
        return Learned(arena.observed, arena.actions, self.plans, (self.inputs, self.targets), self.network, spread)

    def steps(self, arena: Arena, episodes: Sequence[Episode]) -> PlayedSteps:
        """The steps of the episodes, read as the columns of a source are."""
        columns = {}
        for part in (*arena.observed, *arena.actions.parts):
            plan = self.plans[part.name]
            column = part.column([cell for episode in episodes for cell in episode.cells[part.name]])
            read = kinds[plan.kind].read(column, plan.plan)
            columns[part.name] = in_memory(read.values, read.present)
        return PlayedSteps(columns)

    def declare(self) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """The fields as JSON and arrays, as `restore` takes them."""
        declared: list[dict[str, Any]] = []
        arrays: dict[str, np.ndarray] = {}
        for place, each in enumerate(self.fields):
            state, own = each.state()
            declared.append({"name": each.name, "plan": dict(self.plans[each.name].plan), "state": state})
            arrays |= {f"{place}/{name}": array for name, array in own.items()}
        return declared, arrays

    def seen(self, steps: PlayedSteps) -> np.ndarray:
        """What was observed as numbers, (n, width) float32, pictures coarse."""
        grids = [
            Grid(each.shape.channels, tuple(min(COARSE, extent) for extent in each.shape.extent))
            for each in self.inputs
            if isinstance(each.shape, Grid)
        ]
        examples = Examples(steps, self.inputs, ())
        blocks = examples.flat(np.arange(len(steps)), grids)
        return np.concatenate([np.column_stack([numbers, codes]) for numbers, codes, _ in blocks]).astype(np.float32)

    @classmethod
    def restore(
        cls, arena: Arena, lesson: Lesson, declared: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]
    ) -> Student:
        """The student that `declare` told of, with a fresh network."""
        parts = [*arena.observed, *arena.actions.parts]
        plans, fields = {}, []
        for place, (part, about) in enumerate(zip(parts, declared, strict=True)):
            own = {name.partition("/")[2]: each for name, each in arrays.items() if name.startswith(f"{place}/")}
            plans[part.name] = ColumnPlan(part.kind, about["plan"])
            fields.append(kinds[part.kind].restore(part.name, about["state"], own))
        inputs, targets = tuple(fields[: len(arena.observed)]), tuple(fields[len(arena.observed) :])
        return cls(plans, inputs, targets, _network(lesson, (inputs, targets)))


def _network(lesson: Lesson, fitted: Fitted) -> Network:
    shapes, answers = shapes_of(*fitted)
    if lesson.network is None:
        chosen = quick_plan(shapes, answers, lesson.network_settings)
    else:
        chosen = plan(shapes, answers, lesson.network, lesson.network_settings)
    # Modules draw from torch's own generator, which whoever called us may be drawing from too.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_for(lesson.seed, "weights"))
        return Network(shapes, answers, chosen)
