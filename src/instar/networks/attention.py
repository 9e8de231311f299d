"""Attention: every step of a sequence looks at every other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import dropout_layer
from instar.networks._sequences import SymbolEmbedding, mean_over_steps, trimmed
from instar.networks.activations import ACTIVATIONS
from instar.networks.base import Body, Memory, network
from instar.networks.decoders import Decoder, WritingSettings
from instar.networks.initialization import initialize_weights
from instar.settings import Settings, setting
from instar.shapes import Grid, Symbols, Tokens

# A long series is cut into patches, so that about so many are left: attention's cost grows with their square.
_MOST_PATCHES = 64
# The slowest wave of the positions takes 2 pi times so many steps (Vaswani et al. 2017).
_SLOWEST = 10_000.0


def _width(default: int) -> Any:
    return _settings.width(default, "numbers that stand for a step")


def _depth(default: int) -> Any:
    return _settings.depth(default, "blocks of attention and two dense layers")


def _heads(default: int) -> Any:
    return setting(default, "how many places each step can look at at once", minimum=1, maximum=256)


@dataclass(frozen=True)
class TransformerSettings(Settings):
    width: int = _width(64)
    depth: int = _depth(2)
    heads: int = _heads(4)
    patch: int | None = setting(
        None, "steps of a series that are taken together; auto leaves 64 patches or fewer", minimum=1, maximum=2**20
    )
    activation: str = _settings.activation("gelu")
    dropout: float = _settings.dropout(0.1)


@dataclass(frozen=True)
class TinySettings(TransformerSettings):
    width: int = _width(128)
    depth: int = _depth(2)
    heads: int = _heads(2)


@dataclass(frozen=True)
class SmallSettings(TransformerSettings):
    width: int = _width(512)
    depth: int = _depth(4)
    heads: int = _heads(8)


@dataclass(frozen=True)
class BaseSettings(TransformerSettings):
    width: int = _width(512)
    depth: int = _depth(6)
    heads: int = _heads(8)


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
        return self._added(steps, F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask))

    def after(self, steps: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """As `forward`, but each step sees those before it alone; ``before`` are keys and values of earlier ones.

        Returns the steps, and keys and values with theirs, (2, B, heads, length, width of a head).
        """
        asked = self.ask(self.before_attention(steps)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        own = asked[1:] if before is None else torch.cat([before, asked[1:]], 3)
        mask = None
        if before is not None:
            length, total = steps.shape[1], own.shape[3]
            mask = torch.ones(length, total, dtype=torch.bool, device=steps.device).tril(total - length)
        seen = F.scaled_dot_product_attention(asked[0], own[0], own[1], attn_mask=mask, is_causal=mask is None)
        return self._added(steps, seen), own

    def _added(self, steps: Tensor, seen: Tensor) -> Tensor:
        steps = steps + self.drop(self.gather(seen.transpose(1, 2).flatten(2)))
        return steps + self.drop(self.narrow(self.widen(self.before_dense(steps))))


class Transformer(Body):
    """(B, length) symbols, or (B, channels, steps), to (B, width): the mean over the steps of an encoder's last block.

    Symbols that fill a row after its end are not looked at and do not count in the mean. The patches of a series are
    weighed together linearly; what its last patch lacks is 0.
    """

    def __init__(self, shape: Tokens | Grid, settings: TransformerSettings) -> None:
        super().__init__()
        self.width = self.step_width = settings.width
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
        return mean_over_steps(*self._steps(content))

    def read(self, content: Tensor) -> Memory:
        steps, known = self._steps(content)
        return Memory(steps, torch.ones_like(steps[:, :, 0], dtype=torch.bool) if known is None else known)

    def _steps(self, content: Tensor) -> tuple[Tensor, Tensor | None]:
        known = None
        if self.of_symbols:
            tokens, known = trimmed(content)
            steps = self.symbols(tokens)
        else:
            steps = self.patches(F.pad(content, (0, self.missing))).transpose(1, 2)
        steps = self.drop(steps + waves(steps.shape[1], self.width, steps.device))
        for block in self.blocks:
            steps = block(steps, known)
        return self.last(steps), known


class _WritingBlock(nn.Module):
    """As `_Block`, with attention to what was written before, and then to what was read."""

    def __init__(self, settings: TransformerSettings, memory: int) -> None:
        super().__init__()
        width, self.heads = settings.width, settings.heads
        inner = settings.heads * -(-width // settings.heads)
        self.before_written, self.ask = nn.LayerNorm(width), nn.Linear(width, 3 * inner)
        self.gather_written = nn.Linear(inner, width)
        self.before_read, self.ask_read = nn.LayerNorm(width), nn.Linear(width, inner)
        self.offer = nn.Linear(memory, 2 * inner)
        self.gather_read = nn.Linear(inner, width)
        self.before_dense = nn.LayerNorm(width)
        self.widen = nn.Sequential(nn.Linear(width, 4 * width), ACTIVATIONS[settings.activation]())
        self.narrow = nn.Linear(4 * width, width)
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))

    def offered(self, memory: Memory) -> Tensor:
        """Keys and values of what was read, (2, B, heads, length, width of a head)."""
        return self.offer(memory.steps).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)

    def forward(
        self, steps: Tensor, offered: Tensor, known: Tensor, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Steps that are written together see those before them; one step sees ``before``, the keys and values so far.

        Returns the steps, and keys and values with theirs.
        """
        asked = self.ask(self.before_written(steps)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        own = asked[1:] if before is None else torch.cat([before, asked[1:]], 3)
        seen = F.scaled_dot_product_attention(asked[0], own[0], own[1], is_causal=before is None)
        steps = steps + self.drop(self.gather_written(seen.transpose(1, 2).flatten(2)))
        queries = self.ask_read(self.before_read(steps)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        seen = F.scaled_dot_product_attention(queries, offered[0], offered[1], attn_mask=known[:, None, None, :])
        steps = steps + self.drop(self.gather_read(seen.transpose(1, 2).flatten(2)))
        return steps + self.drop(self.narrow(self.widen(self.before_dense(steps)))), own


class TransformerDecoder(Decoder):
    """As many blocks as the encoder has, each of which also looks at what was read."""

    def __init__(self, settings: TransformerSettings, memory: int, answer: Symbols, writing: WritingSettings) -> None:
        super().__init__(answer, writing)
        self.width = settings.width
        self.symbols = nn.Embedding(answer.vocabulary, settings.width)
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))
        self.blocks = nn.ModuleList(_WritingBlock(settings, memory) for _ in range(settings.depth))
        self.last, self.output = nn.LayerNorm(settings.width), nn.Linear(settings.width, answer.vocabulary)
        initialize_weights(self, "glorot", settings.activation)
        for block in self.blocks:
            for layer in (block.gather_written, block.gather_read, block.narrow):
                nn.init.zeros_(layer.weight)  # type: ignore[union-attr, arg-type]

    def logits(self, memory: Memory, before: Tensor) -> Tensor:
        steps = self.drop(self.symbols(before) + waves(before.shape[1], self.width, before.device))
        for block in self.blocks:
            steps, _ = block(steps, block.offered(memory), memory.known)  # type: ignore[operator]
        return self.output(self.last(steps))

    def begin(self, memory: Memory) -> list[tuple[Tensor, Tensor | None]]:
        """What each block sees of what was read, and keys and values of what it wrote, none yet."""
        return [(block.offered(memory), None) for block in self.blocks]  # type: ignore[operator]

    def step(self, memory: Memory, state: Any, symbol: Tensor) -> tuple[Tensor, Any]:
        written = state[0][1]
        place = 0 if written is None else written.shape[3]
        steps = self.symbols(symbol)[:, None] + waves(place + 1, self.width, symbol.device)[place:]
        after = []
        for block, (offered, before) in zip(self.blocks, state, strict=True):
            steps, own = block(steps, offered, memory.known, before)
            after.append((offered, own))
        return self.output(self.last(steps))[:, 0], after

    def pick(self, state: Any, rows: Tensor) -> Any:
        return [(offered[:, rows], own[:, rows]) for offered, own in state]


def waves(length: int, width: int, device: torch.device) -> Tensor:
    """(length, width): sine and cosine of each position, at frequencies that fall from 1 to 1 / 10,000."""
    frequencies = _SLOWEST ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(length, device=device)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :width]


_AUTHORS = "Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser & Polosukhin 2017"
_COMPACT = "Turc, Chang, Lee & Toutanova 2019"
_RECIPE = {"optimizer": "adamw", "rate": 1e-3, "weight_decay": 0.1, "clip": 1.0, "warmup": 50}
# Wide ones need smaller steps, and more time to find their feet.
_GENTLE = {**_RECIPE, "rate": 3e-4, "warmup": 200}


@network(
    "transformer",
    paper=_AUTHORS,
    idea="every step looks at all others at once and takes from those that matter to it: an encoder",
    shapes=(Tokens, Grid),
    axes=(1,),
    settings=TransformerSettings,
    recipe=_RECIPE,
    decoder=TransformerDecoder,
)
def transformer(shape: Tokens | Grid, settings: TransformerSettings) -> Body:
    return Transformer(shape, settings)


for _name, _of, _sizes, _recipe, _idea in (
    (
        "tiny",
        f"{_COMPACT}; {_AUTHORS}",
        TinySettings,
        _RECIPE,
        "2 blocks of width 128 with 2 heads: the smallest BERT's",
    ),
    ("small", f"{_COMPACT}; {_AUTHORS}", SmallSettings, _GENTLE, "4 blocks of width 512 with 8 heads: a small BERT's"),
    ("base", _AUTHORS, BaseSettings, _GENTLE, "6 blocks of width 512 with 8 heads, the size that first translated"),
):
    network(
        f"transformer-{_name}",
        paper=_of,
        idea=f"a transformer of {_idea}",
        shapes=(Tokens, Grid),
        axes=(1,),
        settings=_sizes,
        recipe=_recipe,
        decoder=TransformerDecoder,
    )(transformer)
