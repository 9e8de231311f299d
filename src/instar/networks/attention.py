"""Attention: every step of a sequence looks at every other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import dropout_layer
from instar.networks._sequences import SymbolEmbedding, mean_over_steps, trimmed
from instar.networks.activations import ACTIVATIONS
from instar.networks.base import Body, network
from instar.networks.initialization import initialize_weights
from instar.settings import Settings, setting
from instar.shapes import Grid, Tokens

# A long series is cut into patches, so that about so many are left: attention's cost grows with their square.
_MOST_PATCHES = 64
# The slowest wave of the positions takes 2 pi times so many steps (Vaswani et al. 2017).
_SLOWEST = 10_000.0


@dataclass(frozen=True)
class TransformerSettings(Settings):
    width: int = _settings.width(64, "numbers that stand for a step")
    depth: int = _settings.depth(2, "blocks of attention and two dense layers")
    heads: int = setting(4, "how many places each step can look at at once", minimum=1, maximum=256)
    patch: int | None = setting(
        None, "steps of a series that are taken together; auto leaves 64 patches or fewer", minimum=1, maximum=2**20
    )
    activation: str = _settings.activation("gelu")
    dropout: float = _settings.dropout(0.1)


class _Block(nn.Module):
    """x + attention(x), then x + dense(x), each of normalized x (pre-normalization: Xiong et al. 2020)."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        width, self.heads = settings.width, settings.heads
        inner = settings.heads * -(-width // settings.heads)
        self.before_attention = nn.LayerNorm(width)
        self.ask = nn.Linear(width, 3 * inner)
        self.gather = nn.Linear(inner, width)
        self.before_dense = nn.LayerNorm(width)
        self.widen = nn.Sequential(nn.Linear(width, 4 * width), ACTIVATIONS[settings.activation]())
        self.narrow = nn.Linear(4 * width, width)
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))

    def forward(self, steps: Tensor, known: Tensor | None) -> Tensor:
        asked = self.ask(self.before_attention(steps)).unflatten(2, (3, self.heads, -1))
        queries, keys, values = asked.permute(2, 0, 3, 1, 4)
        mask = None if known is None else known[:, None, None, :]
        seen = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        steps = steps + self.drop(self.gather(seen.transpose(1, 2).flatten(2)))
        return steps + self.drop(self.narrow(self.widen(self.before_dense(steps))))


class Transformer(Body):
    """(B, length) symbols, or (B, channels, steps), to (B, width): the mean over the steps of an encoder's last block.

    Symbols that fill a row after its end are not looked at and do not count in the mean. The patches of a series are
    weighed together linearly; what its last patch lacks is 0.
    """

    def __init__(self, shape: Tokens | Grid, settings: TransformerSettings) -> None:
        super().__init__()
        self.width = settings.width
        if isinstance(shape, Tokens):
            self.symbols = SymbolEmbedding(shape.vocabulary, settings.width)
        else:
            self.patch = min(settings.patch or math.ceil(shape.extent[0] / _MOST_PATCHES), shape.extent[0])
            self.missing = -shape.extent[0] % self.patch
            self.patches = nn.Conv1d(shape.channels, settings.width, self.patch, stride=self.patch)
        self.of_symbols = isinstance(shape, Tokens)
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.depth))
        self.last = nn.LayerNorm(settings.width)
        initialize_weights(self, "glorot", settings.activation)
        for block in self.blocks:
            # Each block begins by changing nothing, so that depth does not hurt at first (Goyal et al. 2017).
            nn.init.zeros_(block.gather.weight)  # type: ignore[union-attr, arg-type]
            nn.init.zeros_(block.narrow.weight)  # type: ignore[union-attr, arg-type]

    def forward(self, content: Tensor) -> Tensor:
        known = None
        if self.of_symbols:
            tokens, known = trimmed(content)
            steps = self.symbols(tokens)
        else:
            steps = self.patches(F.pad(content, (0, self.missing))).transpose(1, 2)
        steps = self.drop(steps + waves(steps.shape[1], self.width, steps.device))
        for block in self.blocks:
            steps = block(steps, known)
        return mean_over_steps(self.last(steps), known)


def waves(length: int, width: int, device: torch.device) -> Tensor:
    """(length, width): sine and cosine of each position, at frequencies that fall from 1 to 1 / 10,000."""
    frequencies = _SLOWEST ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(length, device=device)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :width]


@network(
    "transformer",
    paper="Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser & Polosukhin 2017",
    idea="every step looks at all others at once and takes from those that matter to it: an encoder",
    shapes=(Tokens, Grid),
    axes=(1,),
    settings=TransformerSettings,
    recipe={"optimizer": "adamw", "rate": 1e-3, "weight_decay": 0.1, "clip": 1.0, "warmup": 50},
)
def transformer(shape: Tokens | Grid, settings: TransformerSettings) -> Body:
    return Transformer(shape, settings)
