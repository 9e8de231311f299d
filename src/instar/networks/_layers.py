"""Small layers that several bodies share, and what convolutions are called along 1, 2 and 3 axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from instar.networks.activations import ACTIVATIONS

CONVOLUTIONS: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
AVERAGE_POOLS: dict[int, Callable[..., nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
# With the channels last convolutions on a CPU are about 3 times faster.
MEMORY_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}


class HalvingPool2d(nn.Module):
    """The mean of each 2x2 cells, (B, channels, H, W) to (B, channels, H // 2, W // 2).

    On a CPU with the channels last it is a convolution of each map with itself alone, which takes less time forward and
    backward than torch's pooling (`benchmarks/RESULTS.md`).
    """

    def forward(self, maps: Tensor) -> Tensor:
        if maps.device.type != "cpu":
            return F.avg_pool2d(maps, 2)
        channels = maps.shape[1]
        quarter = maps.new_full((channels, 1, 2, 2), 0.25)
        return F.conv2d(maps, quarter, stride=2, groups=channels)


def halving_pool(axes: int) -> nn.Module:
    """The mean of each 2 cells along every axis."""
    return HalvingPool2d() if axes == 2 else AVERAGE_POOLS[axes](2)


class BatchNormalization(_BatchNorm):
    """Batch normalization over whatever axes there are (Ioffe & Szegedy 2015).

    A batch that holds a single value per channel has no variance; it is normalized with the running statistics, so
    that an epoch's last batch may hold one example.
    """

    def _check_input_dim(self, values: Tensor) -> None:
        pass

    def forward(self, values: Tensor) -> Tensor:
        if self.training and values.numel() == values.shape[1]:
            return F.batch_norm(values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(values)


def normalization_layer(name: str, width: int) -> nn.Module | None:
    """The layer of that name for (B, width), or None where there is none."""
    if name == "batch":
        return BatchNormalization(width)
    return nn.LayerNorm(width) if name == "layer" else None


def map_normalization(name: str, channels: int) -> list[nn.Module]:
    """The layers of that name for maps (B, channels, *extent): over the batch, within each example, or none."""
    if name == "batch":
        return [BatchNormalization(channels)]
    return [nn.GroupNorm(1, channels)] if name == "layer" else []


def dropout_layer(share: float) -> list[nn.Module]:
    """A dropout layer, or nothing where nothing is dropped, so that a plain network pays nothing for it."""
    return [nn.Dropout(share)] if share > 0 else []


def hidden_layers(
    incoming: int, widths: Sequence[int], activation: str, normalization: str, dropout: float
) -> nn.Sequential:
    """Dense layers, (B, incoming) to (B, widths[-1]), each normalized, activated and dropped from as the names say."""
    layers: list[nn.Module] = []
    for before, width in pairwise((incoming, *widths)):
        layers.append(nn.Linear(before, width))
        normalized = normalization_layer(normalization, width)
        layers += [] if normalized is None else [normalized]
        layers += [ACTIVATIONS[activation](), *dropout_layer(dropout)]
    return nn.Sequential(*layers)
