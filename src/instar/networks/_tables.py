"""Picture networks as their papers print them: tables of layers, from which bodies and the sizes they take follow.

A table names its layers from the first to the last. Convolutions and dense layers are rectified; whether they are also
normalized over the batch (Ioffe & Szegedy 2015) holds for the whole table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from instar.networks._layers import BatchNormalization
from instar.networks.base import PHOTOS, Body, Example, network
from instar.networks.initialization import initialize_weights
from instar.shapes import Grid


class Window:
    """What moves over the cells by ``stride``, after ``padding`` cells were added at every edge.

    ``size``: cells along both axes, or along each. Where no padding is said, only the stride shrinks the extent.
    """

    size: int | tuple[int, int]
    stride: int
    padding: int | None

    @property
    def sizes(self) -> tuple[int, int]:
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    @property
    def margins(self) -> tuple[int, int]:
        height, width = self.sizes
        return (height // 2, width // 2) if self.padding is None else (self.padding, self.padding)

    @property
    def least(self) -> int:
        """From how many cells it makes one: each step of the stride, and what no margin is there for."""
        return max(self.stride, *(size - 2 * margin for size, margin in zip(self.sizes, self.margins, strict=True)))

    def left(self, extent: Sequence[int]) -> tuple[int, ...]:
        """The cells that are left of an extent."""
        axes = zip(extent, self.sizes, self.margins, strict=True)
        return tuple((cells + 2 * margin - size) // self.stride + 1 for cells, size, margin in axes)

    def within(self, extent: Sequence[int]) -> Self:
        """The same, but no larger than an extent with its margins."""
        axes = zip(extent, self.sizes, self.margins, strict=True)
        size = tuple(min(size, cells + 2 * margin) for cells, size, margin in axes)
        return self if size == self.sizes else replace(self, size=size)  # type: ignore[type-var]


@dataclass(frozen=True)
class Convolution(Window):
    """``maps`` weighted sums of each window, of its own share of the maps where there are ``groups``.

    ``depthwise``: None, or how many sums of each single map come first, which the convolution then weighs cell by cell:
    a separable one. ``active``: whether it is rectified.
    """

    maps: int
    size: int | tuple[int, int] = 1
    stride: int = 1
    padding: int | None = None
    groups: int = 1
    depthwise: int | None = None
    active: bool = True


@dataclass(frozen=True)
class Largest(Window):
    """The largest number of each window of each map."""

    size: int | tuple[int, int] = 3
    stride: int = 1
    padding: int | None = None


@dataclass(frozen=True)
class Mean(Window):
    """The mean of each window of each map, margins not counted."""

    size: int | tuple[int, int] = 3
    stride: int = 1
    padding: int | None = None


@dataclass(frozen=True)
class Branches:
    """Side by side over the same maps, each with layers of its own; their maps are put together. One may be empty."""

    branches: tuple[tuple[Layer, ...], ...]


@dataclass(frozen=True)
class Sum:
    """What the layers give is added to what they were given, and the sum rectified (He, Zhang, Ren & Sun 2016).

    Where they change the number of maps or the extent, a convolution of single cells does so with what is added to.
    """

    layers: tuple[Convolution, ...]


@dataclass(frozen=True)
class ResponseNormalization:
    """Each number over how strong its neighbors among the maps are, with the paper's k = 2, n = 5, alpha = 1e-4 and
    beta = 0.75 (Krizhevsky, Sutskever & Hinton 2012)."""


@dataclass(frozen=True)
class MeanOfAll:
    """The mean of each map over all cells (Lin, Chen & Yan 2014)."""


@dataclass(frozen=True)
class AtMost:
    """Means that bring an extent down to at most so many ``cells`` an axis."""

    cells: int


@dataclass(frozen=True)
class Dense:
    width: int


@dataclass(frozen=True)
class Dropout:
    """``share`` of the numbers is left out while training; where None, as much as the settings say."""

    share: float | None = None


@dataclass(frozen=True)
class Auxiliary:
    """What an auxiliary classifier is given at this place while training; the next layer gets what this one got."""

    layers: tuple[Layer, ...]


Layer = Convolution | Largest | Mean | Branches | Sum | ResponseNormalization | MeanOfAll | AtMost | Dense | Dropout
Table = Mapping[str, Layer | Auxiliary]


def smallest(table: Table) -> int:
    """From how many cells along an axis every window of the table has something to look at."""
    return _needed(list(table.values()), 1)


def photo_network(name: str, table: Table, *, example: Example = PHOTOS, **declared: Any) -> Callable[..., Any]:
    """`network` for a body that the table makes: of pictures, from as many cells as it needs."""
    return network(name, shapes=(Grid,), axes=(2,), smallest=smallest(table), example=example, **declared)


def _needed(layers: Sequence[Layer | Auxiliary], cells: int) -> int:
    """How many cells ``layers`` must be given to leave so many."""
    for layer in reversed(layers):
        if isinstance(layer, Window):
            cells = (cells - 1) * layer.stride + layer.least
        elif isinstance(layer, Branches):
            cells = max(_needed(branch, cells) for branch in layer.branches)
        elif isinstance(layer, Sum):
            cells = _needed(layer.layers, cells)
    return cells


class Joined(nn.Module):
    """Branches side by side; their maps one after another."""

    def __init__(self, branches: Iterable[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self.branches], 1)


class Added(nn.Module):
    """rectified(x + f(x)); ``shortcut`` brings x to f(x)'s shape where it has another."""

    def __init__(self, layers: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.layers, self.shortcut, self.activation = layers, shortcut, nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        return self.activation(self.layers(maps) + (maps if self.shortcut is None else self.shortcut(maps)))


@dataclass
class _Builder:
    """Layer by layer from a table to modules: ``maps`` and ``extent`` are what the next one is given, () of a vector.

    ``normalized``: epsilon of the normalization, or None where there is none.
    """

    maps: int
    extent: tuple[int, ...]
    normalized: float | None
    dropout: float

    def all(self, layers: Iterable[Layer]) -> nn.Sequential:
        """The layers one after another, and what they leave."""
        return nn.Sequential(*(module for layer in layers for module in self.modules(layer)))

    def beside(self, layers: Iterable[Layer]) -> tuple[nn.Sequential, _Builder]:
        """The layers over the same maps, and what they would leave."""
        aside = _Builder(self.maps, self.extent, self.normalized, self.dropout)
        return aside.all(layers), aside

    def modules(self, layer: Layer) -> list[nn.Module]:
        if isinstance(layer, Window):
            return self.window(layer.within(self.extent))
        if isinstance(layer, Branches):
            return [self.branches(layer)]
        if isinstance(layer, Sum):
            return [self.sum(layer)]
        if isinstance(layer, Dense):
            incoming, self.maps, flat = self.maps * math.prod(self.extent), layer.width, not self.extent
            self.extent = ()
            return [*([] if flat else [nn.Flatten()]), nn.Linear(incoming, layer.width), nn.ReLU()]
        if isinstance(layer, Dropout):
            share = self.dropout if layer.share is None else layer.share
            return [nn.Dropout(share)] if share else []
        if isinstance(layer, ResponseNormalization):
            return [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)]  # torch divides alpha by the size
        return self.pool(layer)

    def pool(self, layer: MeanOfAll | AtMost) -> list[nn.Module]:
        before = self.extent
        if isinstance(layer, MeanOfAll):
            self.extent = ()
            return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.extent = tuple(min(cells, layer.cells) for cells in before)
        return [] if self.extent == before else [nn.AdaptiveAvgPool2d(self.extent)]

    def window(self, layer: Convolution | Largest | Mean) -> list[nn.Module]:
        incoming, self.extent = self.maps, layer.left(self.extent)
        if isinstance(layer, Largest):
            return [nn.MaxPool2d(layer.sizes, layer.stride, layer.margins)]
        if isinstance(layer, Mean):
            return [nn.AvgPool2d(layer.sizes, layer.stride, layer.margins, count_include_pad=False)]
        self.maps = layer.maps
        made: list[nn.Module] = []
        bias, groups = self.normalized is None, layer.groups  # a normalization that follows has a bias itself
        sizes, stride, margins = layer.sizes, layer.stride, layer.margins
        if layer.depthwise is not None:
            between = incoming * layer.depthwise
            made.append(nn.Conv2d(incoming, between, sizes, stride, margins, groups=incoming, bias=False))
            incoming, sizes, stride, margins = between, (1, 1), 1, (0, 0)
        made.append(nn.Conv2d(incoming, layer.maps, sizes, stride, margins, groups=groups, bias=bias))
        if self.normalized is not None:
            made.append(BatchNormalization(layer.maps, eps=self.normalized))
        return [*made, nn.ReLU()] if layer.active else made

    def branches(self, layer: Branches) -> Joined:
        made = [self.beside(branch) for branch in layer.branches]
        self.maps, self.extent = sum(each.maps for _, each in made), made[0][1].extent
        return Joined(module for module, _ in made)

    def sum(self, layer: Sum) -> Added:
        layers, after = self.beside(layer.layers)
        shortcut = None
        if (after.maps, after.extent) != (self.maps, self.extent):
            stride = math.prod(each.stride for each in layer.layers)
            shortcut, _ = self.beside([Convolution(after.maps, 1, stride, active=False)])
        self.maps, self.extent = after.maps, after.extent
        if isinstance(layers[-1], BatchNormalization):
            # A block begins as its shortcut, so that depth does not hurt at first (Goyal et al. 2017).
            nn.init.zeros_(layers[-1].weight)
        return Added(layers, shortcut)


class TableBody(Body):
    """(B, channels, height, width) to (B, width), by a table that ends in a vector.

    Raises nothing for a picture of `smallest` cells an axis and more. The weights of auxiliary classifiers come into
    being where ``auxiliary`` is above 0.
    """

    def __init__(
        self,
        shape: Grid,
        table: Table,
        *,
        normalized: float | None = None,
        dropout: float = 0.0,
        auxiliary: float = 0.0,
        initialization: str = "auto",
    ) -> None:
        super().__init__()
        builder = _Builder(shape.channels, shape.extent, normalized, dropout)
        self.layers, self.asides = nn.ModuleDict(), nn.ModuleDict()
        widths, last = [], ""
        for name, layer in table.items():
            if not isinstance(layer, Auxiliary):
                self.layers[name] = builder.all([layer])
                last = name
            elif auxiliary > 0:
                self.asides[last], aside = builder.beside(layer.layers)
                widths.append(aside.maps)
        self.width, self.auxiliary_widths, self.auxiliary_weight = builder.maps, tuple(widths), auxiliary
        initialize_weights(self, initialization, "relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, grid: Tensor) -> Tensor:
        maps = grid.contiguous(memory_format=torch.channels_last)
        for layer in self.layers.values():
            maps = layer(maps)
        return maps

    def with_auxiliary(self, *content: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        (grid,) = content
        assert grid is not None
        maps, early = grid.contiguous(memory_format=torch.channels_last), []
        for name, layer in self.layers.items():
            maps = layer(maps)
            if name in self.asides:
                early.append(self.asides[name](maps))
        return maps, early
