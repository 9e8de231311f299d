"""What networks over sequences share: where a row of symbols ends, what stands for a symbol, and sums over steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from instar.shapes import Tokens

# A smaller vocabulary is of letters, of which a few together mean something, and where; a larger one is of words.
FEW_SYMBOLS = 512
# Codes of no symbol and of every unknown one come before all others (`instar.shapes.Tokens`).
_NO_SYMBOLS = 2


def are_letters(shape: Tokens) -> bool:
    """Whether the symbols are letters, which are made of nothing else, and not words."""
    return shape.vocabulary < FEW_SYMBOLS and not shape.subwords


def trimmed(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of symbols (B, length) without the columns in which no row has any, int64; and which places count, bool.

    A row's symbols count, and the first place of every row, so that a row without symbols has a sequence too.
    """
    known = tokens != 0
    if tokens.is_meta:  # nobody knows where rows without content end
        return tokens.long(), known
    used = known.any(0).nonzero()
    length = int(used[-1]) + 1 if len(used) else 1
    known = known[:, :length].clone()
    known[:, :1] = True
    return tokens[:, :length].long(), known


class SymbolEmbedding(nn.Embedding):
    """(B, length) int64 to (B, length, width): a learned vector for each symbol.

    Code 0, which fills a row, stays 0. Unknown symbols begin at 0: they mean nothing until training rows have shown
    what they mean.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__(vocabulary, width, padding_idx=0)
        with torch.no_grad():
            self.weight[:_NO_SYMBOLS] = 0


def mean_over_steps(steps: Tensor, known: Tensor | None) -> Tensor:
    """(B, length, width) to (B, width): the mean over the steps that count; over all where ``known`` is None."""
    if known is None:
        return steps.mean(1)
    counted = known[:, :, None].to(steps.dtype)
    return (steps * counted).sum(1) / counted.sum(1)


def largest_over_steps(steps: Tensor, known: Tensor | None) -> Tensor:
    """(B, length, width) to (B, width): the largest of the steps that count."""
    return (steps if known is None else steps.masked_fill(~known[:, :, None], -torch.inf)).amax(1)
