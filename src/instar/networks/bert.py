"""A pretrained encoder: what was learned of many texts, learned on with few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import dropout_layer
from instar.networks._sequences import trimmed
from instar.networks.base import Body, Example, network
from instar.pretrained import PIECES, read_weights
from instar.settings import Settings, setting
from instar.shapes import Encoder, Tokens

# As in BERT's own code, where its blocks learn.
_EPSILON, _DROPOUT = 1e-12, 0.1
# Rows by which features are scaled; and how many an encoder reads together.
_SCALING_ROWS, _ROWS = 256, 32
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class BertSettings(Settings):
    width: int = _settings.width(256, "neurons of the hidden layer over a pretrained encoder")
    learning_blocks: int = setting(
        0,
        "last blocks of a pretrained encoder that learn too: it then reads the texts in every epoch, and else once",
        minimum=0,
        maximum=_settings.LARGEST_DEPTH,
        source="Howard & Ruder 2018; Peters, Ruder & Smith 2019",
    )
    dropout: float = _settings.dropout(0.5)


class _Block(nn.Module):
    """normalized (x + attention(x)), then normalized (x + dense(x)), over the steps of all rows one after another."""

    def __init__(self, encoder: Encoder, dropout: float) -> None:
        super().__init__()
        width, self.heads = encoder.width, encoder.heads
        self.ask, self.gather = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.after_attention = nn.LayerNorm(width, _EPSILON)
        self.widen, self.narrow = nn.Linear(width, encoder.inner), nn.Linear(encoder.inner, width)
        self.after_dense = nn.LayerNorm(width, _EPSILON)
        self.drop = nn.Sequential(*dropout_layer(dropout))

    def forward(self, steps: Tensor, places: Tensor, known: Tensor) -> Tensor:
        """(steps of all rows, width) to the same; ``places`` are theirs in ``known``, (B, length), flattened."""
        asked = self.ask(steps)
        # Rows lie beside each other for attention alone; all else is spared what fills them.
        rows = asked.new_zeros(known.numel(), asked.shape[1]).index_copy(0, places, asked)
        queries, keys, values = rows.view(*known.shape, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(queries, keys, values, attn_mask=known[:, None, None, :])
        seen = seen.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, places)
        steps = self.after_attention(steps + self.drop(self.gather(seen)))
        return self.after_dense(steps + self.drop(self.narrow(F.gelu(self.widen(steps)))))


class Bert(Body):
    """(B, length) pieces to (B, width): a hidden layer over the means of the steps after each block of an encoder.

    Later blocks know more of what a text says as a whole, earlier ones of its words; which of it serves is learned (as
    in Peters et al. 2018). The means are scaled as training rows have them. Pieces and positions never learn.
    """

    def __init__(self, shape: Tokens, settings: BertSettings) -> None:
        super().__init__()
        assert shape.encoder is not None
        self.encoder, self.width = shape.encoder, settings.width
        width, depth = shape.encoder.width, shape.encoder.depth
        fixed = max(0, depth - settings.learning_blocks)
        self.has_fixed = fixed == depth
        self.pieces, self.positions = (
            nn.Embedding(shape.vocabulary, width),
            nn.Embedding(shape.encoder.positions, width),
        )
        self.first = nn.LayerNorm(width, _EPSILON)
        self.blocks = nn.ModuleList(_Block(shape.encoder, _DROPOUT if place >= fixed else 0) for place in range(depth))
        for module in (self.pieces, self.positions, self.first, *self.blocks[:fixed]):
            module.requires_grad_(False)
        self.register_buffer("center", torch.zeros(depth * width))
        self.register_buffer("spread", torch.ones(depth * width))
        self.center: Tensor
        self.spread: Tensor
        dense = nn.Linear(depth * width, settings.width)
        before, after = dropout_layer(settings.dropout), dropout_layer(settings.dropout)
        self.hidden = nn.Sequential(*before, dense, nn.GELU(), *after)

    @torch.no_grad()
    def initialize(self, *inputs: Tensor | None) -> None:
        """The weights come in, and how what they make of some training rows lies."""
        (tokens,) = inputs
        assert tokens is not None
        self._fill()
        rows = tokens[:: -(-len(tokens) // _SCALING_ROWS)]
        training = self.training
        self.eval()
        means = torch.cat([self.fixed(part) for part in rows.split(_ROWS)])
        self.train(training)
        self.center.copy_(means.mean(0))
        self.spread.copy_(means.std(0, correction=0).clamp(min=_LEAST_SPREAD))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.learned(self.fixed(tokens))

    def learned(self, fixed: Tensor) -> Tensor:
        return self.hidden((fixed - self.center) / self.spread)

    def fixed(self, *contents: Tensor | None) -> Tensor:
        """(B, length) to (B, depth * width): the means."""
        (tokens,) = contents
        assert tokens is not None
        tokens, known = trimmed(tokens)
        every = torch.arange(known.numel(), device=known.device)
        places = every if known.is_meta else every[known.flatten()]
        row, position = places // known.shape[1], places % known.shape[1]
        steps = self.first(self.pieces(tokens.flatten()[places]) + self.positions(position))
        counts = known.sum(1, keepdim=True)
        means = []
        for block in self.blocks:
            steps = block(steps, places, known)
            means.append(steps.new_zeros(len(tokens), steps.shape[1]).index_add(0, row, steps) / counts)
        return torch.cat(means, 1)

    def _fill(self) -> None:
        """Put the weights of the encoder where they belong."""
        own = dict(self.named_parameters())
        sources = {
            f"{part}.{kind}": tuple(f"{name}.{kind}" for name in names)
            for part, names in _sources(self.encoder.depth)
            for kind in ("weight", "bias")
        }
        shapes = {PIECES: tuple(own["pieces.weight"].shape), _POSITIONS: tuple(own["positions.weight"].shape)}
        shapes[_FIRST_OF_TWO] = (2, self.encoder.width)
        for name, theirs in sources.items():
            rows, *others = own[name].shape
            shapes |= dict.fromkeys(theirs, (rows // len(theirs), *others))
        found = read_weights(self.encoder.source, shapes)
        own["pieces.weight"].copy_(found[PIECES])
        # Every text here is a first one, where BERT takes two.
        own["positions.weight"].copy_(found[_POSITIONS] + found[_FIRST_OF_TWO][0])
        for name, theirs in sources.items():
            own[name].copy_(torch.cat([found[each] for each in theirs]))


# Where BERT's own code has what is here, beside the vectors of pieces.
_POSITIONS, _FIRST_OF_TWO = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
_OF_A_BLOCK = {
    "ask": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "gather": ("attention.output.dense",),
    "after_attention": ("attention.output.LayerNorm",),
    "widen": ("intermediate.dense",),
    "narrow": ("output.dense",),
    "after_dense": ("output.LayerNorm",),
}


def _sources(depth: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each layer, and those that are joined in it."""
    yield "first", ("embeddings.LayerNorm",)
    for place in range(depth):
        for part, names in _OF_A_BLOCK.items():
            yield f"blocks.{place}.{part}", tuple(f"encoder.layer.{place}.{name}" for name in names)


# The sizes of all-MiniLM-L6-v2.
_MINILM = Encoder("minilm", depth=6, width=384, heads=12, inner=1536, positions=512)


@network(
    "bert",
    paper="Devlin, Chang, Lee & Toutanova 2019; Wang, Wei, Dong, Bao, Yang & Zhou 2020; Reimers & Gurevych 2019",
    idea="a hidden layer over what each block of an encoder that has read many other texts makes of these",
    shapes=(Tokens,),
    settings=BertSettings,
    recipe={"optimizer": "adamw", "rate": 1e-4, "weight_decay": 0.01, "clip": 1.0, "relearn_below": 20_000},
    pretrained=True,
    example=Example(Tokens(30_522, 64, encoder=_MINILM), 2),
)
def bert(shape: Tokens, settings: BertSettings) -> Body:
    return Bert(shape, settings)
