"""Networks that look at which symbols there are, and little at their order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import dropout_layer
from instar.networks.base import Body, network
from instar.settings import Settings, setting
from instar.shapes import Tokens

# Codes from here on are symbols of their own; 0 fills a row, and 1 is every unknown symbol.
_FIRST = 1


@dataclass(frozen=True)
class EmbeddingBagSettings(Settings):
    width: int = _settings.width(64, "numbers that stand for a symbol or for a group of neighboring ones")
    ngram: int = setting(2, "longest group of neighboring symbols that has numbers of its own", minimum=1, maximum=8)
    buckets: int = setting(
        100_000, "places for groups of symbols, which share one where their hashes are equal", minimum=1, maximum=10**7
    )
    dropout: float = _settings.dropout(0.0)


class EmbeddingBag(Body):
    """(B, length) to (B, width): the mean of learned vectors of all symbols, and of all short groups of them."""

    def __init__(self, shape: Tokens, settings: EmbeddingBagSettings) -> None:
        super().__init__()
        self.vocabulary, self.ngram, self.buckets = shape.vocabulary, settings.ngram, settings.buckets
        self.width = settings.width
        rows = shape.vocabulary + (settings.buckets if settings.ngram > 1 else 0)
        self.vectors = nn.Parameter(torch.empty(rows, settings.width).uniform_(-1 / settings.width, 1 / settings.width))
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens.long()
        groups = [tokens, *(self._groups(tokens, size) for size in range(2, self.ngram + 1))]
        codes = torch.cat(groups, 1)
        weights = (codes > 0).to(self.vectors.dtype)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
        return self.drop(F.embedding_bag(codes, self.vectors, per_sample_weights=weights, mode="sum"))

    def _groups(self, tokens: Tensor, size: int) -> Tensor:
        """Codes of all groups of ``size`` symbols, 0 where one of them is none."""
        count = tokens.shape[1] - size + 1
        if count < 1:
            return tokens[:, :0]
        mixed = tokens[:, :count]
        whole = mixed >= _FIRST
        for place in range(1, size):
            following = tokens[:, place : place + count]
            # Knuth's multiplicative hashing, within 63 bits.
            mixed = (mixed * 2_654_435_761 + following) % (2**31 - 1)
            whole = whole & (following >= _FIRST)
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
