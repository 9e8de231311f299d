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
from instar.settings import Settings, setting
from instar.shapes import Grid

# The paper's 40, 20 and 10, one less each, so that they have a middle.
_KERNELS = (39, 19, 9)
_EVERY = 3


@dataclass(frozen=True)
class InceptionTimeSettings(Settings):
    width: int = _settings.width(16, "feature maps of each of the four branches of a module")
    depth: int = _settings.depth(3, "inception modules; each third has a way around the three")
    members: int = setting(1, "networks that learn side by side, whose mean is the answer", minimum=1, maximum=256)
    activation: str = _settings.activation("relu")
    normalization: str = _settings.normalization("batch")
    dropout: float = _settings.dropout(0.0)
    initialization: str = _settings.initialization("auto")


def _convolution(incoming: int, outgoing: int, size: int = 1) -> nn.Conv2d:
    """Over (B, incoming, 1, steps): on a CPU such a one with the channels last takes a third of a Conv1d's time."""
    return nn.Conv2d(incoming, outgoing, (1, size), padding=(0, size // 2), bias=False)


class _Module(nn.Module):
    """(B, incoming, 1, steps) to (B, 4 * width, 1, steps): convolutions of three lengths behind a bottleneck, and a
    maximum."""

    def __init__(self, incoming: int, steps: int, settings: InceptionTimeSettings) -> None:
        super().__init__()
        width = settings.width
        self.bottleneck = _convolution(incoming, width) if incoming > 1 else nn.Identity()
        sizes = [min(size, steps - 1 + steps % 2) for size in _KERNELS]
        narrow = width if incoming > 1 else incoming
        self.convolutions = nn.ModuleList(_convolution(narrow, width, size) for size in sizes)
        self.largest = nn.Sequential(nn.MaxPool2d((1, 3), 1, (0, 1)), _convolution(incoming, width))
        self.after = nn.Sequential(
            *map_normalization(settings.normalization, 4 * width), ACTIVATIONS[settings.activation]()
        )

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.bottleneck(maps)
        branches = [convolution(narrow) for convolution in self.convolutions]
        return self.after(torch.cat([*branches, self.largest(maps)], 1))


class _Member(nn.Module):
    """(B, channels, steps) to (B, 4 * width): modules of parallel convolutions, and the mean over the steps."""

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
                shortcuts.append(nn.Sequential(_convolution(before, self.width), *normalization))
                before = self.width
        self.inception, self.shortcuts = nn.ModuleList(modules), nn.ModuleList(shortcuts)
        self.activation = ACTIVATIONS[settings.activation]()
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))
        initialize_weights(self, settings.initialization, settings.activation)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, grid: Tensor) -> Tensor:
        maps = before = grid[:, :, None].contiguous(memory_format=torch.channels_last)
        for number, module in enumerate(self.inception):
            maps = module(maps)
            if number % _EVERY == _EVERY - 1:
                before = maps = self.activation(maps + self.shortcuts[number // _EVERY](before))
        return self.drop(maps.flatten(2).mean(2))


class InceptionTime(Body):
    """(B, channels, steps) to (B, 4 * width), or (B, members, 4 * width) of networks that begin with other weights.

    By default it is one network of the paper's ensemble of five, half as wide and as deep, an eighth of its
    multiplications. Kernels are no longer than the series.
    """

    def __init__(self, shape: Grid, settings: InceptionTimeSettings) -> None:
        super().__init__()
        self.width = 4 * settings.width
        self.members = settings.members if settings.members > 1 else None
        self.ensemble = nn.ModuleList(_Member(shape, settings) for _ in range(settings.members))

    def forward(self, grid: Tensor) -> Tensor:
        features = [member(grid) for member in self.ensemble]
        return features[0] if self.members is None else torch.stack(features, 1)


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
