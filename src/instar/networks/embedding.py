"""A row as a dense layer wants it: codes become one-hot or learned vectors, numbers may become several inputs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from instar.shapes import Vector

ONE_HOT_LIMIT = 16
# Above so many numbers (a flattened picture, say) embedding each costs more than it brings.
_FEW_NUMBERS = 128
_BIN_ROWS = 100_000
_SHARPEST = 1e6
# The codes of missing and of unseen values come before all others (`instar.shapes.Vector`).
_NO_CATEGORIES = 2


def code_width(cardinality: int) -> int:
    """How many numbers stand for a code: itself one-hot up to 16, else 1.6 n^0.56 up to 64 (Howard & Gugger 2020)."""
    return cardinality if cardinality <= ONE_HOT_LIMIT else min(64, round(1.6 * cardinality**0.56))


class CodeEmbedding(nn.Module):
    """(B, codes) int64 to (B, width): few codes one-hot, many as learned vectors (Guo & Berkhahn 2016).

    With ``one_hot`` all are one-hot, for networks that are to stay linear in their inputs. A missing or unseen code
    adds nothing until training rows have shown what it means: its vector begins at 0, and where `initialize` meets no
    such code, it is no one-hot vector but 0, since else it would bring random weights to what follows.
    """

    def __init__(self, cardinalities: tuple[int, ...], *, one_hot: bool = False) -> None:
        super().__init__()
        short = [place for place, size in enumerate(cardinalities) if one_hot or size <= ONE_HOT_LIMIT]
        self.embedded = [place for place in range(len(cardinalities)) if place not in set(short)]
        self.one_hot = short
        self.starts = [sum(cardinalities[other] for other in short[:index]) for index in range(len(short))]
        self.one_hot_width = sum(cardinalities[place] for place in short)
        tables = [nn.Embedding(cardinalities[place], code_width(cardinalities[place])) for place in self.embedded]
        for table in tables:
            # As long as a one-hot vector, so that no column begins louder than another.
            nn.init.normal_(table.weight, std=1 / math.sqrt(table.embedding_dim))
            with torch.no_grad():
                table.weight[:_NO_CATEGORIES] = 0
        self.register_buffer("shown", torch.ones(self.one_hot_width))
        self.shown: Tensor
        self.tables = nn.ModuleList(tables)
        self.width = self.one_hot_width + sum(table.embedding_dim for table in tables)

    @torch.no_grad()
    def initialize(self, codes: Tensor) -> None:
        """Find which columns of training rows (n, codes) have missing and unseen codes."""
        for place, start in zip(self.one_hot, self.starts, strict=True):
            for code in range(_NO_CATEGORIES):
                self.shown[start + code] = (codes[:, place] == code).any()

    def forward(self, codes: Tensor) -> Tensor:
        parts = [table(codes[:, place]) for place, table in zip(self.embedded, self.tables, strict=True)]
        if self.one_hot:
            # One scatter for all columns: a call per column costs more than the layer that follows.
            places = codes[:, self.one_hot] + torch.tensor(self.starts, device=codes.device)
            zeros = torch.zeros(len(codes), self.one_hot_width, device=codes.device)
            parts.append(zeros.scatter_(1, places, self.shown[places]))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


class NumberEmbedding(nn.Module):
    """(B, numbers) to (B, numbers * size), each number by weights of its own."""

    width: int

    def initialize(self, numbers: Tensor) -> None:
        """Fit what depends on training rows (n, numbers)."""


class PiecewiseLinear(NumberEmbedding):
    """Each number by how far it fills each of the bins between quantiles of its training values, then linearly.

    A linear term in the number itself carries on beyond the outer bins. The bins' weights begin at 0, so that the
    network begins as if it had none and bends only where that helps (Gorishniy, Rubachev & Babenko 2022).
    """

    decayed = ("weight",)

    def __init__(self, numbers: int, bins: int, size: int) -> None:
        super().__init__()
        self.width = numbers * size
        bound = 1 / math.sqrt(size)
        self.weight = nn.Parameter(torch.zeros(numbers, bins, size))
        self.slope = nn.Parameter(torch.empty(numbers, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(numbers, size).uniform_(-bound, bound))
        # A bin that is not needed (equal quantiles) has sharpness 0 and is never filled.
        self.register_buffer("left", torch.zeros(numbers, bins))
        self.register_buffer("sharpness", torch.zeros(numbers, bins))
        self.left: Tensor
        self.sharpness: Tensor

    @torch.no_grad()
    def initialize(self, numbers: Tensor) -> None:
        bins = self.left.shape[1]
        stride = -(-len(numbers) // _BIN_ROWS)
        ordered = numbers[::stride].double().sort(0).values
        places = torch.linspace(0, len(ordered) - 1, bins + 1).round().long()
        for number, edges in enumerate(ordered[places].T):
            edges = edges.unique()
            widths = edges.diff()
            self.left[number, : len(widths)] = edges[:-1].float()
            self.sharpness[number, : len(widths)] = (1 / widths).clamp(max=_SHARPEST).float()

    def forward(self, numbers: Tensor) -> Tensor:
        filled = ((numbers[..., None] - self.left) * self.sharpness).clamp(0, 1)  # (B, numbers, bins)
        bent = torch.bmm(filled.transpose(0, 1), self.weight).transpose(0, 1)  # (B, numbers, size)
        return (torch.addcmul(self.bias, numbers[..., None], self.slope) + bent).flatten(1)


class Periodic(NumberEmbedding):
    """Each number beside a linear mixture of cosines of it, whose frequencies and phases are learned.

    Periodic activations are of Gorishniy, Rubachev & Babenko 2022; phases and the number itself beside them (PBLD) of
    Holzmueller, Grinsztajn & Steinwart 2024.
    """

    decayed = ("weight",)

    def __init__(self, numbers: int, waves: int, size: int) -> None:
        super().__init__()
        self.width = numbers * size
        bound = 1 / math.sqrt(waves)
        self.frequency = nn.Parameter(torch.empty(numbers, waves).normal_(0, 0.1))
        self.phase = nn.Parameter(torch.empty(numbers, waves).uniform_(-math.pi, math.pi))
        self.weight = nn.Parameter(torch.empty(numbers, waves, size - 1).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(numbers, size - 1))

    def forward(self, numbers: Tensor) -> Tensor:
        waves = torch.cos(2 * math.pi * self.frequency * numbers[..., None] + self.phase)  # (B, numbers, waves)
        mixed = torch.bmm(waves.transpose(0, 1), self.weight).transpose(0, 1) + self.bias
        return torch.cat([numbers[..., None], mixed], 2).flatten(1)


class RowEmbedding(nn.Module):
    """(numbers (B, W) or None, codes (B, C) or None) to (B, width).

    Numbers come first. ``number_embedding`` is none, piecewise-linear (``bins`` of them), periodic (``bins`` waves), or
    auto, which is piecewise-linear up to 128 numbers; it makes ``size`` inputs of each number. Numbers alone without an
    embedding pass through untouched.
    """

    def __init__(
        self, shape: Vector, number_embedding: str = "none", bins: int = 2, size: int = 2, *, one_hot: bool = False
    ) -> None:
        super().__init__()
        self.numbers: NumberEmbedding | None = None
        if number_embedding == "auto":
            number_embedding = "piecewise-linear" if shape.width <= _FEW_NUMBERS else "none"
        if shape.width and number_embedding == "piecewise-linear":
            self.numbers = PiecewiseLinear(shape.width, bins, size)
        elif shape.width and number_embedding == "periodic":
            self.numbers = Periodic(shape.width, bins, size)
        self.codes = CodeEmbedding(shape.cardinalities, one_hot=one_hot) if shape.cardinalities else None
        self.width = self.numbers.width if self.numbers is not None else shape.width
        self.width += self.codes.width if self.codes is not None else 0

    def initialize(self, numbers: Tensor | None, codes: Tensor | None = None) -> None:
        """Fit what depends on training rows."""
        if self.numbers is not None and numbers is not None:
            self.numbers.initialize(numbers)
        if self.codes is not None and codes is not None:
            self.codes.initialize(codes)

    def forward(self, numbers: Tensor | None, codes: Tensor | None) -> Tensor:
        if numbers is not None and self.numbers is not None:
            numbers = self.numbers(numbers)
        if self.codes is None or codes is None:
            assert numbers is not None
            return numbers
        codes = self.codes(codes)
        return codes if numbers is None else torch.cat([numbers, codes], 1)
