"""Networks that look at which symbols there are, and little at their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import dropout_layer
from instar.networks._sequences import trimmed
from instar.networks.base import Body, network
from instar.settings import Settings, setting
from instar.shapes import Tokens


@dataclass(frozen=True)
class EmbeddingBagSettings(Settings):
    width: int = _settings.width(16, "numbers that stand for a symbol or for a group of neighboring ones")
    ngram: int = setting(2, "longest group of neighboring symbols that has numbers of its own", minimum=1, maximum=8)
    buckets: int = setting(
        32_768, "places for groups of symbols, which share one where their hashes are equal", minimum=1, maximum=10**7
    )
    symbol_dropout: float = setting(
        0.0,
        "share of the symbols and groups that each training step leaves out",
        minimum=0,
        maximum=0.95,
        source="Iyyer, Manjunatha, Boyd-Graber & Daumé 2015",
    )
    dropout: float = _settings.dropout(0.0)


class _Sum(torch.autograd.Function):
    """The weighted sum of each row's vectors; in the backward pass torch's own takes three times as long, to sort."""

    @staticmethod
    def forward(context: Any, vectors: Tensor, codes: Tensor, rows: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
        context.save_for_backward(codes, rows, weights)
        context.size = vectors.shape
        return F.embedding_bag(codes, vectors, starts, mode="sum", per_sample_weights=weights)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        codes, rows, weights = context.saved_tensors
        each = gradients[0].index_select(0, rows) * weights[:, None]
        return gradients[0].new_zeros(context.size).index_add_(0, codes, each), None, None, None, None


class EmbeddingBag(Body):
    """(B, length) to (B, width): the sum of learned vectors of all symbols and groups, over the root of their number.

    A vector begins at 0, so that what training rows never showed adds nothing.
    """

    decayed = ("vectors",)

    def __init__(self, shape: Tokens, settings: EmbeddingBagSettings) -> None:
        super().__init__()
        self.vocabulary, self.ngram, self.buckets = shape.vocabulary, settings.ngram, settings.buckets
        self.width = settings.width
        rows = shape.vocabulary + (settings.buckets if settings.ngram > 1 else 0)
        self.vectors = nn.Parameter(torch.zeros(rows, settings.width))
        self.drop_symbols = nn.Sequential(*dropout_layer(settings.symbol_dropout))
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens, _ = trimmed(tokens)
        groups = [tokens, *(self._groups(tokens, size) for size in range(2, self.ngram + 1))]
        codes = torch.cat(groups, 1)
        rows, places = codes.nonzero(as_tuple=True)
        counts = torch.bincount(rows, minlength=len(codes))
        starts = counts.cumsum(0) - counts
        weights = counts.clamp(min=1).to(self.vectors.dtype).rsqrt().index_select(0, rows)
        weights = self.drop_symbols(weights)
        return self.drop(_Sum.apply(self.vectors, codes[rows, places], rows, starts, weights))

    def _groups(self, tokens: Tensor, size: int) -> Tensor:
        """Codes of all groups of ``size`` symbols, 0 where one of them is none."""
        count = max(0, tokens.shape[1] - size + 1)
        mixed = tokens[:, :count]
        for place in range(1, size):
            # Knuth's multiplicative hashing, within 63 bits.
            mixed = (mixed * 2_654_435_761 + tokens[:, place : place + count]) % (2**31 - 1)
        whole = tokens[:, tokens.shape[1] - count :] > 0
        return (mixed % self.buckets + self.vocabulary) * whole


@network(
    "embedding-bag",
    paper="Joulin, Grave, Bojanowski & Mikolov 2017",
    idea="the mean of learned vectors of all symbols and short groups of them: fastText",
    shapes=(Tokens,),
    settings=EmbeddingBagSettings,
)
def embedding_bag(shape: Tokens, settings: EmbeddingBagSettings) -> Body:
    return EmbeddingBag(shape, settings)
