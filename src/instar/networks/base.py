"""What a network is: a function from a shape and settings to a body that turns prepared inputs into a vector.

A new network is one function beside this file, or in a plug-in:

    @network("lenet", paper="LeCun, Bottou, Bengio & Haffner 1998", idea="...", shapes=(Grid,), settings=LeNetSettings)
    def lenet(shape: Grid, settings: LeNetSettings) -> Body: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from instar.registry import Registry
from instar.settings import Settings
from instar.shapes import Grid, Shape, Vector

Inputs = dict[str, Tensor]


class Body(nn.Module):
    """Turns one shape's tensors into a vector.

    ``width``: how many numbers it offers; ``members``: None, or how many networks in one it is (TabM), and then it
    offers (B, members, width) instead of (B, width).

    ``forward`` takes (numbers (B, width), codes (B, codes)) for a Vector and (grid (B, channels, *extent)) for a Grid.
    """

    width: int
    members: int | None = None

    def initialize(self, *inputs: Tensor) -> None:
        """Set what depends on the data (bin edges, say) from prepared training rows, once, before training."""


@dataclass(frozen=True)
class NetworkSpecification:
    """A network's entry in the registry.

    shapes: the shapes whose body it can be. A network for Vector only takes a Grid flattened.
    recipe: values of training settings that suit it better than their defaults, by name; a person's own win.
    limitation: what it cannot learn and why, said when it fails to.
    head: None, or a function (features, answer) -> head module, where the network has a head of its own.
    """

    name: str
    build: Callable[[Any, Any], Body]
    paper: str
    idea: str
    shapes: tuple[type[Vector] | type[Grid], ...]
    settings: type[Settings]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    limitation: str | None = None
    head: Callable[[int, Any], nn.Module] | None = None

    def takes(self, shape: Shape) -> bool:
        return isinstance(shape, self.shapes)


networks: Registry[NetworkSpecification] = Registry("network", "instar.networks")


def network(
    name: str,
    *,
    paper: str,
    idea: str,
    shapes: tuple[type[Vector] | type[Grid], ...],
    settings: type[Settings],
    recipe: Mapping[str, Any] | None = None,
    limitation: str | None = None,
    head: Callable[[int, Any], nn.Module] | None = None,
) -> Callable[[Callable[[Any, Any], Body]], Callable[[Any, Any], Body]]:
    """Enter a builder into the registry of networks."""

    def enter(build: Callable[[Any, Any], Body]) -> Callable[[Any, Any], Body]:
        networks.register(name)(
            NetworkSpecification(name, build, paper, idea, shapes, settings, recipe or {}, limitation, head)
        )
        return build

    return enter
