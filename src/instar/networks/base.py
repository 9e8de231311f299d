"""What a network is: a function from a shape and settings to a body that turns prepared inputs into a vector.

A new network is one function beside this file, or in a plug-in:

    @network("lenet", paper="LeCun, Bottou, Bengio & Haffner 1998", idea="...", shapes=(Grid,), settings=LeNetSettings)
    def lenet(shape: Grid, settings: LeNetSettings) -> Body: ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from instar.registry import Registry
from instar.settings import Settings
from instar.shapes import Answer, Grid, Shape, Symbols, Tokens

Inputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Memory:
    """What a body read of a sequence: ``steps`` (B, length, width), and which of them count, ``known`` (B, length)."""

    steps: Tensor
    known: Tensor

    def __getitem__(self, rows: Tensor) -> Memory:
        return Memory(self.steps[rows], self.known[rows])


@dataclass(frozen=True)
class Seen:
    """Prepared ``inputs``, and what the bodies make of these or of others like them: (B, width), the members' mean."""

    inputs: Inputs
    features: Callable[[Inputs], Tensor]


@dataclass(frozen=True)
class Followed:
    """What a body knows before each symbol of a sequence: ``steps`` (B, length, width), of ``symbols`` (B, length).

    A symbol is 0 after a row's end.
    """

    steps: Tensor
    symbols: Tensor


class Body(nn.Module):
    """Turns one shape's tensors into a vector.

    ``width``: how many numbers it offers; ``members``: None, or how many networks in one it is (TabM), and then it
    offers (B, members, width) instead of (B, width). ``step_width``: None, or how many numbers `read` gives for each
    step of a sequence. ``takes_subwords``: whether it has a use for those of Tokens. ``map_width``: None, or how many
    numbers `map` gives for each cell of a Grid, the grid's own the last of them; it then takes (B, condition_width) of
    what is known beside the grid.
    ``auxiliary_widths``: how many numbers `with_auxiliary` gives for each auxiliary classifier, of whose losses
    ``auxiliary_weight`` is added to the answer's while training.
    ``has_fixed``: whether a large part of its weights never learns: `forward` is `learned` of what `fixed` gives.

    ``forward`` takes (numbers (B, width), codes (B, codes)) for a Vector, each None where the shape has none, (grid
    (B, channels, *extent)) for a Grid and (tokens (B, length) int32) for Tokens, and after them, if it takes
    them and the shape has them, (subwords (B, subwords) int32). A body must be constructible on
    ``torch.device("meta")``: what it fits on data is a persistent buffer, and what follows from shape and settings is
    no buffer at all.
    """

    width: int
    members: int | None = None
    takes_subwords: ClassVar[bool] = False
    step_width: int | None = None
    map_width: int | None = None
    condition_width: int = 0
    auxiliary_widths: tuple[int, ...] = ()
    auxiliary_weight: float = 0.0
    has_fixed: bool = False

    def fixed(self, *contents: Tensor | None) -> Tensor:
        """What weights that never learn make of the content, (B, ...): it is made once, and not in every epoch."""
        raise NotImplementedError

    def learned(self, fixed: Tensor) -> Tensor:
        """(B, width) of what `fixed` gave."""
        raise NotImplementedError

    def read(self, content: Tensor) -> Memory:
        """The steps themselves, for a head that writes. Only of bodies with a ``step_width``."""
        raise NotImplementedError

    def map(self, grid: Tensor, condition: Tensor | None) -> Tensor:
        """(B, map_width, *extent) of a grid, for a head that answers cell by cell, where there is a ``map_width``."""
        raise NotImplementedError

    def with_auxiliary(self, *content: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """What `forward` gives, and on the way there what auxiliary classifiers are given, (B, width) each.

        Such a classifier brings a gradient halfway into a deep network (Szegedy et al. 2014); it never answers.
        """
        return self(*content), []

    def follow(self, symbols: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(B, length, step_width) after each of some symbols (B, length), and the state to go on from.

        Each step knows the symbols up to it, of those before what the ``state`` tells, and none after it. Only of
        networks that continue; rows of the first symbols begin with 0.
        """
        raise NotImplementedError

    def initialize(self, *inputs: Tensor | None) -> None:
        """Set what depends on the data (bin edges, say) from prepared training rows, once, before training."""


class Head(nn.Module):
    """Turns features (B, width), or (B, members, width), into one target's answer.

    ``forward`` gives the raw outputs, ``decayed`` names the parameters that weight decay may shrink. ``needs`` is
    ``vector``, or ``steps`` where `forward` takes a `Memory` instead, ``map`` where it takes (B, width, *extent),
    ``followed`` where it takes what is `Followed`, ``course`` where it takes a `Course`, or ``inputs`` where it takes
    what is `Seen` and asks the bodies itself. ``draws``: whether it draws random numbers.
    """

    needs: ClassVar[str] = "vector"
    decayed: ClassVar[tuple[str, ...]] = ()
    draws: bool = False

    def initialize(self, inputs: Inputs) -> None:
        """Set what depends on the inputs from prepared training rows, once, before training."""

    def embed(self, outputs: Any) -> Tensor:
        """(B, width): the few numbers that stand for a row, from what `forward` takes. Only of some heads."""
        raise NotImplementedError

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """A scalar: about 1 for the best constant answer. In eval mode the loss of `answer` itself."""
        raise NotImplementedError

    def answer(self, outputs: Tensor) -> Tensor:
        """What `instar.shapes` says an answer is, in eval mode."""
        raise NotImplementedError

    def soften(self, target: Tensor) -> Tensor:
        """The target as a float tensor of which weighted sums make sense, for mixing examples."""
        raise NotImplementedError


@dataclass(frozen=True)
class Example:
    """An input, and of how many classes a network tells one."""

    shape: Shape
    classes: int


# What picture networks are usually compared on: a part of each photo of ImageNet (Russakovsky et al. 2015).
PHOTOS = Example(Grid(3, (224, 224)), 1000)
_YEAR = re.compile(r"\b\d{4}\b")


@dataclass(frozen=True)
class NetworkSpecification:
    """A network's entry in the registry.

    shapes: the shapes whose body it can be. A network for Vector only takes a Grid flattened.
    axes: how many axes a Grid may have.
    recipe: values of training settings that suit it better than their defaults, by name; a person's own win.
    limitation: what it cannot learn and why, said when it fails to.
    additive: whether what one input says only adds to what the others say, also beside other bodies.
    head: None, or a function (width of the features, answer) -> Head, where the network has a head of its own; then
        the settings of the ordinary heads do not apply.
    decoder: None, or a function (its settings, width of a step, answer, writing settings) -> Head, where its steps can
        be written from.
    maps: whether its bodies can answer cell by cell.
    continues: whether its bodies `follow` a sequence, so that it can be continued.
    smallest: how many cells along each axis a Grid must have.
    example: what it is drawn and counted for where nobody says; None for something that is usual for its shapes.
    top5_error: None, or the share, in percent, of ImageNet's test photos whose class was not among the five likeliest
        of what its authors made of it: usually the mean of several such networks over several parts of each photo.
    pretrained: whether it takes over the weights of an encoder, to whose vocabulary Tokens then belong; no other does.
    """

    name: str
    build: Callable[[Any, Any], Body]
    paper: str
    idea: str
    shapes: tuple[type[Shape], ...]
    settings: type[Settings]
    axes: tuple[int, ...] = (1, 2, 3)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    limitation: str | None = None
    additive: bool = False
    head: Callable[[int, Answer], Head] | None = None
    decoder: Callable[[Any, int, Symbols, Any], Head] | None = None
    maps: bool = False
    continues: bool = False
    smallest: int = 1
    example: Example | None = None
    top5_error: float | None = None
    pretrained: bool = False

    @property
    def year(self) -> int:
        """Of the first paper that is cited. Raises ValueError where none has a year."""
        found = _YEAR.search(self.paper)
        if found is None:
            raise ValueError(self.paper)
        return int(found[0])

    def takes(self, shape: Shape) -> bool:
        if isinstance(shape, Tokens) and (shape.encoder is not None) != self.pretrained:
            return False
        return isinstance(shape, self.shapes) and (not isinstance(shape, Grid) or len(shape.extent) in self.axes)


networks: Registry[NetworkSpecification] = Registry("network", "instar.networks")


def network(name: str, **declared: Any) -> Callable[[Callable[[Any, Any], Body]], Callable[[Any, Any], Body]]:
    """Enter a builder into the registry of networks; ``declared`` is what `NetworkSpecification` says of it."""

    def enter(build: Callable[[Any, Any], Body]) -> Callable[[Any, Any], Body]:
        networks.register(name)(NetworkSpecification(name, build, **declared))
        return build

    return enter
