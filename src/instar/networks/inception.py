"""InceptionTime: convolutions of several lengths side by side, for series."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import dropout_layer, map_normalization
from instar.networks.activations import ACTIVATIONS
from instar.networks.base import Body, network
from instar.networks.initialization import initialize_weights
from instar.settings import Settings
from instar.shapes import Grid

# The paper's 40, 20 and 10, one less each, so that they have a middle.
_KERNELS = (39, 19, 9)
_EVERY = 3


@dataclass(frozen=True)
class InceptionTimeSettings(Settings):
    width: int = _settings.width(16, "feature maps of each of the four branches of a module")
    depth: int = _settings.depth(3, "inception modules; each third has a way around the three")
    activation: str = _settings.activation("relu")
    normalization: str = _settings.normalization("batch")
    dropout: float = _settings.dropout(0.0)
    initialization: str = _settings.initialization("auto")


class _Module(nn.Module):
    """(B, incoming, steps) to (B, 4 * width, steps): convolutions of three lengths behind a bottleneck; a maximum."""

    def __init__(self, incoming: int, steps: int, settings: InceptionTimeSettings) -> None:
        super().__init__()
        width = settings.width
        self.bottleneck = nn.Conv1d(incoming, width, 1, bias=False) if incoming > 1 else nn.Identity()
        sizes = [min(size, steps - 1 + steps % 2) for size in _KERNELS]
        narrow = width if incoming > 1 else incoming
        self.convolutions = nn.ModuleList(
            nn.Conv1d(narrow, width, size, padding=size // 2, bias=False) for size in sizes
        )
        self.largest = nn.Sequential(nn.MaxPool1d(3, 1, 1), nn.Conv1d(incoming, width, 1, bias=False))
        self.after = nn.Sequential(
            *map_normalization(settings.normalization, 4 * width), ACTIVATIONS[settings.activation]()
        )

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.bottleneck(maps)
        branches = [convolution(narrow) for convolution in self.convolutions]
        return self.after(torch.cat([*branches, self.largest(maps)], 1))


class InceptionTime(Body):
    """(B, channels, steps) to (B, 4 * width): modules of parallel convolutions, and the mean over the steps.

    It is one network of the paper's ensemble of five, and by default half as wide and as deep, an eighth of the
    multiplications. Kernels are no longer than the series.
    """

    def __init__(self, shape: Grid, settings: InceptionTimeSettings) -> None:
        super().__init__()
        steps, self.width = shape.extent[0], 4 * settings.width
        modules, shortcuts, incoming = [], [], shape.channels
        before = incoming
        for number in range(settings.depth):
            modules.append(_Module(incoming, steps, settings))
            incoming = self.width
            if number % _EVERY == _EVERY - 1:
                normalization = map_normalization(settings.normalization, self.width)
                shortcuts.append(nn.Sequential(nn.Conv1d(before, self.width, 1, bias=False), *normalization))
                before = self.width
        self.inception, self.shortcuts = nn.ModuleList(modules), nn.ModuleList(shortcuts)
        self.activation = ACTIVATIONS[settings.activation]()
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))
        initialize_weights(self, settings.initialization, settings.activation)

    def forward(self, grid: Tensor) -> Tensor:
        maps = before = grid
        for number, module in enumerate(self.inception):
            maps = module(maps)
            if number % _EVERY == _EVERY - 1:
                before = maps = self.activation(maps + self.shortcuts[number // _EVERY](before))
        return self.drop(maps.mean(2))


@network(
    "inception-time",
    paper="Ismail Fawaz, Lucas, Forestier, Pelletier, Schmidt, Weber, Webb, Idoumghar, Muller & Petitjean 2020",
    idea="convolutions of 9, 19 and 39 steps side by side, for patterns of any length; one of the paper's five",
    shapes=(Grid,),
    axes=(1,),
    settings=InceptionTimeSettings,
    recipe={"optimizer": "adamw", "rate": 3e-3, "weight_decay": 0.05, "batch": 16, "schedule": "one-cycle"},
)
def inception_time(shape: Grid, settings: InceptionTimeSettings) -> Body:
    return InceptionTime(shape, settings)
