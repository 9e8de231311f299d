"""Convolutional networks for grids."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from instar.errors import UsageError
from instar.networks import _settings
from instar.networks._layers import (
    AVERAGE_POOLS,
    CONVOLUTIONS,
    MEMORY_FORMATS,
    dropout_layer,
    halving_pool,
    map_normalization,
)
from instar.networks.activations import ACTIVATIONS
from instar.networks.base import Body, Example, network
from instar.networks.initialization import initialize_weights
from instar.settings import Settings
from instar.shapes import Grid

SMALLEST_EXTENT = 8


@dataclass(frozen=True)
class LeNetSettings(Settings):
    width: int = _settings.width(6, "feature maps of the first convolution; the other layers keep their proportion")
    depth: int = _settings.depth(2, "convolutions, each of 5 cells an axis and followed by pooling")
    activation: str = _settings.activation("scaled-tanh")
    normalization: str = _settings.normalization("none")
    dropout: float = _settings.dropout(0.0)
    initialization: str = _settings.initialization("auto")


class LeNet(Body):
    """(B, channels, *extent) to (B, 14 * width): LeNet-5 up to its layer F6.

    On 32x32 pictures it is the paper's, save that the second convolution sees all maps of the first (the table of
    connections was there to save time) and that pooling has no weights. Smaller grids get a margin before each
    convolution that would else not fit; the layer after the last pooling always covers all that is left. Raises
    UsageError where nothing would be left.
    """

    def __init__(self, shape: Grid, settings: LeNetSettings) -> None:
        super().__init__()
        axes = len(shape.extent)
        convolution = CONVOLUTIONS[axes]
        layers: list[nn.Module] = []
        channels, extent = shape.channels, shape.extent
        for stage in range(settings.depth):
            if min(extent) < 2:
                raise UsageError(
                    f"{settings.depth} convolutions that each halve the picture leave nothing of it",
                    remedy=f"Set depth to {stage} or less, or take larger pictures",
                )
            outgoing = max(1, min(settings.width * 8**stage // 3**stage, _settings.LARGEST_WIDTH))
            margin = tuple(0 if cells >= (8 if stage else 32) else 2 for cells in extent)
            layers += [convolution(channels, outgoing, 5, padding=margin)]
            layers += [
                *map_normalization(settings.normalization, outgoing),
                ACTIVATIONS[settings.activation](),
                halving_pool(axes),
            ]
            extent = tuple((cells - 4 + 2 * padding) // 2 for cells, padding in zip(extent, margin, strict=True))
            channels = outgoing
        self.convolutions = nn.Sequential(*layers)
        self.width = 14 * settings.width
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * math.prod(extent), 20 * settings.width),
            ACTIVATIONS[settings.activation](),
            nn.Linear(20 * settings.width, self.width),
            ACTIVATIONS[settings.activation](),
            *dropout_layer(settings.dropout),
        )
        self.memory_format = MEMORY_FORMATS[axes]
        initialize_weights(self, settings.initialization, settings.activation)
        self.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    def forward(self, grid: Tensor) -> Tensor:
        return self.dense(self.convolutions(grid.contiguous(memory_format=self.memory_format)))


@network(
    "lenet",
    paper="LeCun, Bottou, Bengio & Haffner 1998",
    idea="two small convolutions, each followed by pooling, and two dense layers: LeNet-5, which read cheques",
    shapes=(Grid,),
    smallest=SMALLEST_EXTENT,
    example=Example(Grid(1, (32, 32)), 10),
    settings=LeNetSettings,
    recipe={"optimizer": "adamw", "rate": 2e-3},
)
def lenet(shape: Grid, settings: LeNetSettings) -> Body:
    return LeNet(shape, settings)


@dataclass(frozen=True)
class ResNetSettings(Settings):
    width: int = _settings.width(
        32, "feature maps of the first stage; each further stage doubles them, up to eightfold"
    )
    depth: int = _settings.depth(1, "residual blocks in each stage; the stages follow from the grid's extent")
    activation: str = _settings.activation("relu")
    normalization: str = _settings.normalization("batch")
    dropout: float = _settings.dropout(0.0)
    initialization: str = _settings.initialization("auto")


class Residual(nn.Module):
    """x + f(x), f being twice normalization, activation, convolution: a pre-activation block (He et al. 2016).

    Where the block shrinks the grid or adds maps, the way round f is a mean over cells and a 1x1 convolution, which
    loses no cell (He, Zhang, Zhang, Zhang, Xie & Li 2019).
    """

    def __init__(self, axes: int, incoming: int, outgoing: int, stride: int, settings: ResNetSettings) -> None:
        super().__init__()
        convolution, act, name = CONVOLUTIONS[axes], ACTIVATIONS[settings.activation], settings.normalization
        bias = name == "none"  # else the normalization that follows has one
        self.before = nn.Sequential(*map_normalization(name, incoming), act())
        self.residual = nn.Sequential(
            convolution(incoming, outgoing, 3, stride=stride, padding=1, bias=bias),
            *map_normalization(name, outgoing),
            act(),
        )
        self.last = convolution(outgoing, outgoing, 3, padding=1, bias=bias)
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(AVERAGE_POOLS[axes](stride, ceil_mode=True))
        if incoming != outgoing:
            shortcut.append(convolution(incoming, outgoing, 1, bias=False))
        self.shortcut = nn.Sequential(*shortcut) if shortcut else None

    def forward(self, maps: Tensor) -> Tensor:
        ready = self.before(maps)
        return self.last(self.residual(ready)) + (maps if self.shortcut is None else self.shortcut(ready))


class ResNet(Body):
    """(B, channels, *extent) to (B, maps of the last stage).

    The first convolution brings large grids down to about 16 to 32 cells an axis; stages follow, each at half the
    extent and twice the maps of the one before, until about 4 cells are left; the mean over the cells is the answer.
    """

    def __init__(self, shape: Grid, settings: ResNetSettings) -> None:
        super().__init__()
        axes = len(shape.extent)
        convolution, act, name = CONVOLUTIONS[axes], ACTIVATIONS[settings.activation], settings.normalization
        bias = name == "none"
        shrink = _stem_stride(min(shape.extent))
        cells, maps = -(-min(shape.extent) // shrink), settings.width
        layers: list[nn.Module] = [
            convolution(shape.channels, maps, 2 * shrink + 1, stride=shrink, padding=shrink, bias=bias)
        ]
        incoming, stride = maps, 1
        while True:
            for _ in range(settings.depth):
                layers.append(Residual(axes, incoming, maps, stride, settings))
                incoming, stride = maps, 1
            if cells <= 4:
                break
            cells, stride, maps = -(-cells // 2), 2, min(2 * maps, 8 * settings.width)
        self.layers = nn.Sequential(*layers, *map_normalization(name, maps), act())
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))
        self.width = maps
        self.memory_format = MEMORY_FORMATS[axes]
        initialize_weights(self, settings.initialization, settings.activation)
        for layer in self.layers:
            if isinstance(layer, Residual):
                # Each block begins as its shortcut, so that depth does not hurt at first (Goyal et al. 2017).
                for weight in layer.last.parameters():
                    nn.init.zeros_(weight)
        self.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    def forward(self, grid: Tensor) -> Tensor:
        maps = self.layers(grid.contiguous(memory_format=self.memory_format))
        return self.drop(maps.flatten(2).mean(2))


def _stem_stride(cells: int) -> int:
    """1 below 24 cells, 2 below 48, 4 below 192, and 8 from there on: half or less of a picture's detail is noise."""
    return next((stride for limit, stride in ((24, 1), (48, 2), (192, 4)) if cells < limit), 8)


@network(
    "resnet",
    paper="He, Zhang, Ren & Sun 2016",
    idea="convolutions that each add to what they were given, with batch normalization; depth follows the extent",
    shapes=(Grid,),
    smallest=SMALLEST_EXTENT,
    settings=ResNetSettings,
    recipe={
        "optimizer": "adamw",
        "rate": 3e-3,
        "weight_decay": 0.05,
        "batch": 64,
        "schedule": "one-cycle",
        "epochs": 20,
    },
)
def resnet(shape: Grid, settings: ResNetSettings) -> Body:
    return ResNet(shape, settings)
