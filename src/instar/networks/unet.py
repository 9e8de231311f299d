"""The U-Net: down to a few cells that see everything, and up again, with what was seen on the way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import CONVOLUTIONS, MEMORY_FORMATS, dropout_layer, halving_pool, map_normalization
from instar.networks.activations import ACTIVATIONS
from instar.networks.base import Body, Example, network
from instar.networks.convolutional import SMALLEST_EXTENT
from instar.networks.initialization import initialize_weights
from instar.settings import Settings, setting
from instar.shapes import Grid

# Levels until so few cells are left along the shortest axis, and no more levels than the paper's.
_FEWEST_CELLS, _MOST_LEVELS = 4, 4
# Along 3 axes. Nearly all time goes into convolutions and grows with the square of the maps' number: a step with a
# volume of 48 cells a side takes a core 0.3 s with 12 maps, and 1.1 s with 24.
_FEWER = 2


@dataclass(frozen=True)
class UNetSettings(Settings):
    width: int = _settings.width(
        24, "feature maps at full resolution, half as many along 3 axes; each level further down doubles them"
    )
    growth: int = setting(8, "how many times as many maps the lowest level has at most", minimum=1, maximum=16)
    depth: int = _settings.depth(1, "pairs of convolutions at each level; the levels follow from the grid's extent")
    activation: str = _settings.activation("relu")
    normalization: str = _settings.normalization("batch")
    dropout: float = _settings.dropout(0.0)
    initialization: str = _settings.initialization("auto")


class Pair(nn.Sequential):
    """Two convolutions of 3 cells an axis, each with normalization and activation."""

    def __init__(self, axes: int, incoming: int, outgoing: int, settings: UNetSettings) -> None:
        layers: list[nn.Module] = []
        for number in range(2 * settings.depth):
            layers += [
                CONVOLUTIONS[axes](
                    outgoing if number else incoming,
                    outgoing,
                    3,
                    padding=1,
                    bias=settings.normalization == "none",  # else the normalization that follows has one
                ),
                *map_normalization(settings.normalization, outgoing),
                ACTIVATIONS[settings.activation](),
            ]
        super().__init__(*layers)


class UNet(Body):
    """(B, channels, *extent) to (B, maps, *extent) by `map`; where a vector is asked for, to their mean over all cells.

    As in the paper, save that convolutions keep the extent, that the way up interpolates before it convolves (no
    checkerboards: Odena, Dumoulin & Olah 2016), and that there is normalization. Extents that cannot be halved
    evenly are filled up with their edge, which is cut off again. The grid itself is the last of the maps, so
    that an answer that is much like it need not be learned from nothing. What is known beside it scales and shifts the
    lowest maps (FiLM: Perez, Strub, de Vries, Dumoulin & Courville 2018). With ``width`` 64 and ``growth`` 16 it has as
    many maps as the paper's.
    """

    def __init__(self, shape: Grid, settings: UNetSettings) -> None:
        super().__init__()
        axes = len(shape.extent)
        cells, levels = min(shape.extent), 0
        while cells // 2 >= _FEWEST_CELLS and levels < _MOST_LEVELS:
            cells, levels = cells // 2, levels + 1
        first = max(1, settings.width // _FEWER) if axes == 3 else settings.width
        widths = [first * min(2**level, settings.growth) for level in range(levels + 1)]
        self.down = nn.ModuleList(
            Pair(axes, incoming, outgoing, settings)
            for incoming, outgoing in zip([shape.channels, *widths[:-1]], widths, strict=True)
        )
        self.pool = halving_pool(axes)
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))
        self.narrow = nn.ModuleList(CONVOLUTIONS[axes](coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(Pair(axes, 2 * width, width, settings) for width in widths[:-1])
        self.extent = shape.extent
        self.multiple = 2**levels
        self.width = self.map_width = widths[0] + shape.channels
        self.condition_width = 2 * widths[-1]
        self.memory_format = MEMORY_FORMATS[axes]
        initialize_weights(self, settings.initialization, settings.activation)
        self.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    def _descend(self, grid: Tensor) -> list[Tensor]:
        """The maps of each level, the finest first."""
        short = [-size % self.multiple for size in self.extent]
        if any(short):
            margins = [margin for size in reversed(short) for margin in (0, size)]
            grid = F.pad(grid, margins, mode="replicate")
        maps = self.down[0](grid.contiguous(memory_format=self.memory_format))
        levels = [maps]
        for down in list(self.down)[1:]:
            levels.append(down(self.pool(levels[-1])))
        levels[-1] = self.drop(levels[-1])
        return levels

    def forward(self, grid: Tensor) -> Tensor:
        return self.map(grid, None).flatten(2).mean(2)

    def map(self, grid: Tensor, condition: Tensor | None) -> Tensor:
        *levels, maps = self._descend(grid)
        if condition is not None:
            scale, shift = condition.view(*condition.shape, *(1,) * len(self.extent)).chunk(2, 1)
            maps = maps * (1 + scale) + shift
        for level, narrow, up in reversed(list(zip(levels, self.narrow, self.up, strict=True))):
            # A convolution of single cells and interpolation give the same in either order; so there are fewer cells.
            maps = F.interpolate(narrow(maps), scale_factor=2.0, mode="nearest")
            maps = up(torch.cat([level, maps], 1))
        for axis, size in enumerate(self.extent, start=2):
            maps = maps.narrow(axis, 0, size)
        return torch.cat([maps, grid], 1)


@network(
    "unet",
    paper="Ronneberger, Fischer & Brox 2015",
    idea="convolutions down to few cells and up again, each resolution joined with its like: an answer for every cell",
    shapes=(Grid,),
    smallest=SMALLEST_EXTENT,
    example=Example(Grid(3, (224, 224)), 2),
    settings=UNetSettings,
    recipe={
        "optimizer": "adamw",
        "rate": 3e-3,
        "weight_decay": 0.01,
        "batch": 16,
        "schedule": "one-cycle",
        "epochs": 30,
        "least_steps": 500,
    },
    maps=True,
)
def unet(shape: Grid, settings: UNetSettings) -> Body:
    return UNet(shape, settings)
