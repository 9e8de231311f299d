"""The parts of a network, one for each body, and what they offer together: a vector, steps, or maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from instar.errors import SettingError, UsageError
from instar.networks._sequences import trimmed
from instar.networks.base import Body, Followed, Head, Inputs, Memory, networks
from instar.networks.planning import bodies, check_extent, flattened
from instar.networks.plans import Part, Plan
from instar.shapes import Grid, Shape, Tokens, aligned

# Features that a hidden layer makes of those of several bodies.
FUSED = 128


class RowPart(nn.Module):
    """The body of all Vector inputs together."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body

    def initialize(self, inputs: Inputs) -> None:
        self.body.initialize(inputs.get("numbers"), inputs.get("codes"))

    def forward(self, inputs: Inputs) -> Tensor:
        return self.body(inputs.get("numbers"), inputs.get("codes"))

    def with_auxiliary(self, inputs: Inputs) -> tuple[Tensor, list[Tensor]]:
        return self(inputs), []

    def fixed(self, inputs: Inputs) -> dict[str, Tensor]:
        return {}


class Stack(nn.Module):
    """Grids of the same cells as one, their channels side by side, which is present where any of them is.

    Learned numbers stand for the channels of one that is absent.
    """

    def __init__(self, grids: Mapping[str, Grid]) -> None:
        super().__init__()
        self.names = tuple(grids)
        self.absent = nn.ParameterList(nn.Parameter(torch.zeros(grid.channels)) for grid in grids.values())

    def forward(self, inputs: Inputs) -> Tensor:
        grids = []
        for name, absent in zip(self.names, self.absent, strict=True):
            grid = inputs[f"grid/{name}"]
            cells = (1,) * (grid.dim() - 2)
            grids.append(torch.where(inputs[f"present/{name}"].view(-1, 1, *cells), grid, absent.view(-1, *cells)))
        return torch.cat(grids, 1)

    def present(self, inputs: Inputs) -> Tensor:
        return torch.stack([inputs[f"present/{name}"] for name in self.names]).any(0)


class InputPart(nn.Module):
    """The body of one Grid or Tokens, or of several grids as one; a learned vector stands for what is absent.

    A grid is flattened where the body takes a Vector. ``sources`` are the names of the prepared tensors.
    """

    def __init__(
        self,
        name: str,
        sources: tuple[str, ...],
        body: Body,
        *,
        flatten: bool,
        reads: bool,
        maps: bool,
        stack: Stack | None = None,
    ) -> None:
        super().__init__()
        self.body, self.name, self.sources, self.flatten, self.stack = body, name, sources, flatten, stack
        self.absent = nn.Parameter(torch.zeros(body.width))
        if reads:
            self.absent_step = nn.Parameter(torch.zeros(body.step_width or 0))
        if maps:
            self.absent_cell = nn.Parameter(torch.zeros(body.map_width or 0))

    def _present(self, inputs: Inputs) -> Tensor:
        return inputs[f"present/{self.name}"] if self.stack is None else self.stack.present(inputs)

    def _contents(self, inputs: Inputs) -> tuple[Tensor | None, ...]:
        contents = [inputs[source] for source in self.sources] if self.stack is None else [self.stack(inputs)]
        return (*(content.flatten(1) for content in contents), None) if self.flatten else tuple(contents)

    def initialize(self, inputs: Inputs) -> None:
        present = self._present(inputs)
        if present.any():
            self.body.initialize(*(None if each is None else each[present] for each in self._contents(inputs)))

    def forward(self, inputs: Inputs) -> Tensor:
        fixed = inputs.get(f"fixed/{self.name}")
        features = self.body(*self._contents(inputs)) if fixed is None else self.body.learned(fixed)
        return self._or_absent(features, inputs, self.absent)

    def fixed(self, inputs: Inputs) -> dict[str, Tensor]:
        """What of the content no training changes, by the name by which `forward` takes it instead of the content."""
        return {f"fixed/{self.name}": self.body.fixed(*self._contents(inputs))} if self.body.has_fixed else {}

    def with_auxiliary(self, inputs: Inputs) -> tuple[Tensor, list[Tensor]]:
        """What `forward` gives, and what the body's auxiliary classifiers are given."""
        if f"fixed/{self.name}" in inputs:
            return self(inputs), []
        features, early = self.body.with_auxiliary(*self._contents(inputs))
        return self._or_absent(features, inputs, self.absent), early

    def read(self, inputs: Inputs) -> Memory:
        """The steps of the content, and learned ones for what is absent."""
        memory = self.body.read(inputs[self.sources[0]])
        return Memory(self._or_absent(memory.steps, inputs, self.absent_step), memory.known)

    def map(self, inputs: Inputs, condition: Tensor | None) -> Tensor:
        """Maps of the grid, and learned ones, the same in every cell, for what is absent."""
        (grid,) = self._contents(inputs)
        assert grid is not None
        maps = self.body.map(grid, condition)
        return self._or_absent(maps, inputs, self.absent_cell.view(-1, *(1,) * (maps.dim() - 2)))

    def grid(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """What `map` is made of, where it is present, and in which rows that is, (B,)."""
        present = self._present(inputs)
        (grid,) = self._contents(inputs)
        assert grid is not None
        return grid[present], present

    def followed(self, inputs: Inputs) -> Followed:
        """The content's symbols, each with what is known before it; 0 stands before the first."""
        symbols, _ = trimmed(inputs[self.sources[0]])
        return Followed(self.body.follow(functional.pad(symbols[:, :-1], (1, 0)))[0], symbols)

    def _or_absent(self, features: Tensor, inputs: Inputs, absent: Tensor) -> Tensor:
        present = self._present(inputs)
        return torch.where(present.view(-1, *(1,) * (features.dim() - 1)), features, absent)


def build_parts(plan: Plan, inputs: Mapping[str, Shape]) -> dict[str | None, RowPart | InputPart]:
    """The parts of which the network consists, by the input of each. Raises UsageError."""
    shapes = dict(bodies(inputs, plan.mapped))
    if [part.input for part in plan.parts] != list(shapes):
        raise UsageError("The network was planned for other inputs than these")
    reader = None if plan.writer is None else plan.writer.input
    stacked = {} if plan.mapped is None else aligned(inputs, plan.mapped)
    return {
        part.input: _build(
            part,
            shapes[part.input],
            reads=part.input == reader is not None,
            maps=part.input == plan.mapped is not None,
            stack=Stack(stacked) if part.input == plan.mapped and len(stacked) > 1 else None,
        )
        for part in plan.parts
    }


def _build(part: Part, shape: Shape, *, reads: bool, maps: bool, stack: Stack | None) -> RowPart | InputPart:
    specification = networks[part.network]
    flatten = not specification.takes(shape)
    if flatten:
        shape = flattened(shape)
        if not specification.takes(shape):
            raise UsageError(f"The network {part.network!r} does not take this input")
    check_extent(part.input, shape, part.network)
    body = specification.build(shape, part.settings)
    if part.input is None:
        return RowPart(body)
    names = ["tokens"] if isinstance(shape, Tokens) else ["grid"]
    if isinstance(shape, Tokens) and shape.subwords and body.takes_subwords:
        names += ["subwords"]
    sources = tuple(f"{name}/{part.input}" for name in names)
    return InputPart(part.input, sources, body, flatten=flatten, reads=reads, maps=maps, stack=stack)


def members_of(parts: Sequence[RowPart | InputPart]) -> int | None:
    """How many networks in one the parts are, if any is an ensemble."""
    members = {part.body.members for part in parts} - {None}
    if len(members) > 1:
        raise SettingError("Networks with different numbers of members cannot be joined")
    return next(iter(members), None)


def joined(parts: Iterable[nn.Module], inputs: Inputs, members: int | None) -> Tensor:
    """The parts' features side by side: (B, width), or (B, members, width) where one is an ensemble."""
    return side_by_side([part(inputs) for part in parts], members)


def side_by_side(features: list[Tensor], members: int | None) -> Tensor:
    """Several features as one, as `joined` has them."""
    if len(features) == 1:
        return features[0]
    if members is not None:
        features = [each if each.dim() == 3 else each[:, None].expand(-1, members, -1) for each in features]
    return torch.cat(features, -1)


class Auxiliary(nn.Module):
    """A classifier that sits halfway in a body: a head for each of the ``targets`` that are answered from a vector.

    ``part``: the name of the part's input; a row in which it is absent says nothing. ``share``: of the heads' losses.
    """

    def __init__(self, part: str, share: float, heads: Mapping[str, Head]) -> None:
        super().__init__()
        self.part, self.share, self.targets = part, share, tuple(heads)
        self.heads = nn.ModuleList(heads.values())

    def loss(self, features: Tensor, inputs: Inputs, targets: Mapping[str, Tensor], weight: Tensor | None) -> Tensor:
        """Its share of the mean of the heads' losses, a scalar."""
        present = inputs[f"present/{self.part}"].to(features.dtype)
        weight = present if weight is None else weight * present
        losses = [
            head.loss(head(features), targets[target], weight)  # type: ignore[operator]
            for target, head in zip(self.targets, self.heads, strict=True)
        ]
        return self.share * torch.stack(losses).mean()


class Fusion(nn.Module):
    """Several bodies' features, (B, width) or (B, members, width), and `FUSED` more that a hidden layer makes of them.

    Of the features alone a head could only add up what each input says, and never learn that one decides what another
    means. The hidden layer sees every body's features in the same scale.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths, self.width = list(widths), sum(widths) + FUSED
        self.scales = nn.ModuleList(nn.LayerNorm(width) for width in widths)
        self.hidden = nn.Linear(sum(widths), FUSED)

    def forward(self, features: Tensor) -> Tensor:
        parts = features.split(self.widths, -1)
        scaled = [scale(part) for scale, part in zip(self.scales, parts, strict=True)]
        return torch.cat([features, functional.gelu(self.hidden(torch.cat(scaled, -1)))], -1)


class Steps(nn.Module):
    """What is written from: the steps of one part, and after them those of all others: one, or one for each member.

    ``reader`` is the part's place; where it is None, the features of all are the steps. ``width``: of a step.
    """

    def __init__(self, parts: Sequence[RowPart | InputPart], reader: int | None, members: int | None) -> None:
        super().__init__()
        self.reader, self.members = reader, members
        widths = [part.body.width for part in parts]
        self.width, beside = sum(widths), 0
        if reader is not None:
            step_width = parts[reader].body.step_width
            if step_width is None:
                raise UsageError("The network has no steps to write from")
            self.width, beside = step_width, sum(widths) - widths[reader]
        self.beside = nn.Linear(beside, self.width) if beside else None

    def forward(self, parts: nn.ModuleList, inputs: Inputs) -> Memory:
        if self.reader is None:
            return _as_steps(joined(parts, inputs, self.members))
        memory: Memory = parts[self.reader].read(inputs)  # type: ignore[operator]
        if self.beside is None:
            return memory
        others = joined(_all_but(parts, self.reader), inputs, self.members)
        beside = _as_steps(self.beside(others))
        return Memory(torch.cat([memory.steps, beside.steps], 1), torch.cat([memory.known, beside.known], 1))


class Maps(nn.Module):
    """What is answered from cell by cell: the maps of one part, (B, width, *extent), by what all others say.

    ``place`` is the part's; ``numbers``: how many an example's maps hold.
    """

    def __init__(self, parts: Sequence[RowPart | InputPart], place: int, cells: int, members: int | None) -> None:
        super().__init__()
        self.place, self.members, body = place, members, parts[place].body
        if body.map_width is None:
            raise UsageError("The network gives no picture")
        self.width, self.numbers = body.map_width, body.map_width * cells
        beside = sum(part.body.width for part in parts) - body.width
        self.beside: nn.Linear | None = None
        if beside:
            self.beside = nn.Linear(beside, body.condition_width)
            # At first nothing beside the grid matters, so that the network begins as one without it.
            nn.init.zeros_(self.beside.weight)
            nn.init.zeros_(self.beside.bias)

    def forward(self, parts: nn.ModuleList, inputs: Inputs) -> Tensor:
        condition = None
        if self.beside is not None:
            others = joined(_all_but(parts, self.place), inputs, self.members)
            condition = self.beside(others if others.dim() == 2 else others.mean(1))
        maps: Tensor = parts[self.place].map(inputs, condition)  # type: ignore[operator]
        return maps

    def grid(self, parts: nn.ModuleList, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """What maps are made of, where it is present, and in which rows that is, (B,)."""
        return parts[self.place].grid(inputs)  # type: ignore[operator]


def _all_but(parts: nn.ModuleList, place: int) -> list[nn.Module]:
    return [part for other, part in enumerate(parts) if other != place]


def _as_steps(features: Tensor) -> Memory:
    """(B, width) as one step, (B, members, width) as a step for each member."""
    steps = features if features.dim() == 3 else features[:, None]
    return Memory(steps, torch.ones_like(steps[:, :, 0], dtype=torch.bool))
