"""Networks that look at which symbols there are, and little at their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks import _settings
from instar.networks._layers import dropout_layer
from instar.networks._sequences import FEW_SYMBOLS, are_letters, trimmed
from instar.networks.base import Body, network
from instar.settings import Settings, setting
from instar.shapes import Tokens

# How long groups of symbols are, where nothing is said: single letters say little, and words much.
_OF_LETTERS, _OF_WORDS = 6, 2
# What a symbol or group weighs that every row has; one that a row in e has weighs 1 more.
_COMMON = 1.0
# How long the weights of a row's symbols are, those of its groups of words, and those of its subwords: there are more
# groups than words, and what is learned of one serves in fewer rows.
_SHARES = (0.7, 0.5, 0.7)
# How much faster than the head the vectors learn: a symbol is met in few rows only, the head in each of them.
_AHEAD = 10.0


@dataclass(frozen=True)
class EmbeddingBagSettings(Settings):
    width: int = _settings.width(10, "numbers that stand for a symbol or for a group of neighboring ones")
    ngram: int | None = setting(
        None,
        f"longest group of neighboring symbols that has numbers of its own; auto takes {_OF_LETTERS} of letters, "
        f"fewer than {FEW_SYMBOLS} symbols that are no words, and {_OF_WORDS} of words",
        minimum=1,
        maximum=8,
    )
    buckets: int = setting(
        65_536,
        "places for groups of symbols, and as many for subwords; where their hashes are equal they share one",
        minimum=1,
        maximum=10**7,
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
    """(B, length), and (B, subwords) or None, to (B, width): the sum of learned vectors of all symbols, groups of
    symbols and subwords that a row has.

    Rare ones weigh more, by the logarithm of the share of training rows that have them (Spärck Jones 1972), and the
    weights of a row's symbols have one length, as those of its groups and of its subwords have (Salton & Buckley 1988),
    or what every row has would drown what tells them apart. What the rows that `initialize` was shown do not have does
    not count in that length: `rarity` is negative there. A vector begins at 0, so that what training rows never showed
    adds nothing.
    """

    takes_subwords = True
    looked_up: ClassVar[tuple[str, ...]] = ("vectors",)

    def __init__(self, shape: Tokens, settings: EmbeddingBagSettings) -> None:
        super().__init__()
        self.vocabulary, self.buckets, self.width = shape.vocabulary, settings.buckets, settings.width
        of_letters = are_letters(shape)
        self.ngram = settings.ngram or (_OF_LETTERS if of_letters else _OF_WORDS)
        # Codes of symbols come first, then those of groups and of subwords.
        self.first_subword = shape.vocabulary + (settings.buckets if self.ngram > 1 else 0)
        # A letter says nothing by itself: letters and their groups have one length together.
        self.first_group = self.first_subword if of_letters else shape.vocabulary
        rows = self.first_subword + (settings.buckets if shape.subwords else 0)
        self.vectors = nn.Parameter(torch.zeros(rows, settings.width))
        self.register_buffer("rarity", torch.ones(rows))
        self.rarity: Tensor
        self.drop_symbols = nn.Sequential(*dropout_layer(settings.symbol_dropout))
        self.drop = nn.Sequential(*dropout_layer(settings.dropout))

    @torch.no_grad()
    def initialize(self, *inputs: Tensor | None) -> None:
        tokens, *subwords = inputs
        assert tokens is not None
        _, codes = self._codes(tokens, *subwords)
        having = torch.bincount(codes, minlength=len(self.rarity))
        rarity = torch.log((1 + len(tokens)) / (1 + having)) + _COMMON
        self.rarity.copy_(torch.where(having > 0, rarity, -rarity))

    def forward(self, tokens: Tensor, subwords: Tensor | None = None) -> Tensor:
        if tokens.is_meta:  # how many codes rows have depends on their content
            return self.drop(self.vectors.new_empty(len(tokens), self.width))
        rows, codes = self._codes(tokens, subwords)
        counts = torch.bincount(rows, minlength=len(tokens))
        rarity = self.rarity.index_select(0, codes)
        parts = rows * len(_SHARES) + (codes >= self.first_group) + (codes >= self.first_subword)
        shares = rarity.new_tensor(_SHARES).repeat(len(tokens))
        scales = _AHEAD * shares / _lengths(rarity, parts, len(shares))
        weights = self.drop_symbols(rarity.abs() * scales.index_select(0, parts))
        return self.drop(_Sum.apply(self.vectors, codes, rows, counts.cumsum(0) - counts, weights))

    def _codes(self, tokens: Tensor, subwords: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The codes of all that rows (B, length) and (B, subwords) have, each once, row after row, and whose it is."""
        tokens, _ = trimmed(tokens)
        found = [tokens, *(self._groups(tokens, size) for size in range(2, self.ngram + 1))]
        if subwords is not None:
            subwords, _ = trimmed(subwords)
            found.append((subwords % self.buckets + self.first_subword) * (subwords > 0))
        codes = torch.cat(found, 1)
        codes = codes.sort(1).values
        first = codes > 0
        first[:, 1:] &= codes[:, 1:] != codes[:, :-1]
        rows, places = first.nonzero(as_tuple=True)
        return rows, codes[rows, places]

    def _groups(self, tokens: Tensor, size: int) -> Tensor:
        """Codes of all groups of ``size`` symbols, 0 where one of them is none."""
        count = max(0, tokens.shape[1] - size + 1)
        mixed = tokens[:, :count]
        for place in range(1, size):
            # Knuth's multiplicative hashing, within 63 bits.
            mixed = (mixed * 2_654_435_761 + tokens[:, place : place + count]) % (2**31 - 1)
        whole = tokens[:, tokens.shape[1] - count :] > 0
        return (mixed % self.buckets + self.vocabulary) * whole


def _lengths(rarity: Tensor, parts: Tensor, count: int) -> Tensor:
    """(count,) how long the weights of each part are: of what was shown, or where there is nothing such, of all."""
    squares = rarity.square()
    shown, every = (squares.new_zeros(count).index_add_(0, parts, each) for each in (squares * (rarity > 0), squares))
    return torch.where(shown > 0, shown, every.clamp(min=1)).sqrt()


@network(
    "embedding-bag",
    paper="Joulin, Grave, Bojanowski & Mikolov 2017; Bojanowski, Grave, Joulin & Mikolov 2017; Spärck Jones 1972",
    idea="learned vectors of all symbols, short groups of them and parts of words, added up, rare ones weighing more: "
    "fastText",
    shapes=(Tokens,),
    settings=EmbeddingBagSettings,
    recipe={"optimizer": "sgd", "rate": 0.01, "rate_batch": 1024, "clip": 1.0, "relearn_below": 20_000},
)
def embedding_bag(shape: Tokens, settings: EmbeddingBagSettings) -> Body:
    return EmbeddingBag(shape, settings)
