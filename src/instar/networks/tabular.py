"""The default for tables: TabM, many perceptrons in one that share almost all weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import hidden_layers
from instar.networks.base import Body, network
from instar.networks.embedding import RowEmbedding
from instar.networks.initialization import initialize_weights
from instar.settings import Settings, setting
from instar.shapes import Vector


@dataclass(frozen=True)
class TabMSettings(Settings):
    width: int = _settings.width(128, "neurons in each hidden layer")
    depth: int = _settings.depth(3, "hidden layers")
    members: int = setting(8, "networks in one, whose mean is the answer", minimum=1, maximum=256)
    activation: str = _settings.activation("relu")
    dropout: float = _settings.dropout(0.0)
    normalization: str = _settings.normalization("none")
    initialization: str = _settings.initialization("auto")
    number_embedding: str = _settings.number_embedding("auto")
    number_bins: int = _settings.number_bins(32)
    number_width: int = _settings.number_width(8)


class TabM(Body):
    """(B, W) and (B, C) to (B, members, width).

    Each member looks at the inputs through scales of its own, one per input, drawn from a normal distribution; the
    layers after that are shared, and each member has a head of its own. The members disagree enough for their mean
    to be much better than any of them, and share enough not to overfit each by itself ("TabM-mini").
    """

    def __init__(self, shape: Vector, settings: TabMSettings) -> None:
        super().__init__()
        self.embedding = RowEmbedding(shape, settings.number_embedding, settings.number_bins, settings.number_width)
        self.members = settings.members
        self.scales = nn.Parameter(torch.empty(settings.members, self.embedding.width).normal_())
        widths = (settings.width,) * settings.depth
        self.layers = hidden_layers(
            self.embedding.width, widths, settings.activation, settings.normalization, settings.dropout
        )
        self.width = widths[-1]
        initialize_weights(self.layers, settings.initialization, settings.activation)

    def initialize(self, *inputs: Tensor | None) -> None:
        self.embedding.initialize(*inputs)

    def forward(self, numbers: Tensor | None, codes: Tensor | None) -> Tensor:
        seen = self.embedding(numbers, codes)[:, None] * self.scales  # (B, members, inputs)
        return self.layers(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])


@network(
    "tabm",
    paper="Gorishniy, Kotelnikov & Babenko 2025; Gorishniy, Rubachev & Babenko 2022; Wen, Tran & Ba 2020",
    idea="many multilayer perceptrons in one that share their weights, over numbers embedded by bins",
    shapes=(Vector,),
    settings=TabMSettings,
    recipe={"optimizer": "adamw", "rate": 3e-3, "rate_batch": 256, "weight_decay": 3e-4},
)
def tabm(shape: Vector, settings: TabMSettings) -> Body:
    return TabM(shape, settings)
