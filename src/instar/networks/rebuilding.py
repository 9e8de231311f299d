"""A head that rebuilds the inputs from a few numbers: an autoencoder, whose errors say how odd a row is.

What rows have in common has to pass a bottleneck (Rumelhart, Hinton & Williams 1986), and a row that lacks it is
rebuilt badly (Hawkins, He, Williams & Baxter 2002). Noise on what goes in, and none on what has to come out, makes the
network learn how inputs belong together rather than copy them (Vincent, Larochelle, Bengio & Manzagol 2008).

Of a row of few columns a bottleneck leaves nothing out, and what is far off is copied as well as the rest. So columns
are hidden, as many as chance will have it, and told from those that are seen. Averaged over how many are hidden, the
surprise at a column is its share of the row's negative log density, whatever the order in which they are told (Uria,
Murray & Larochelle 2014): high where one is unusual by itself, and where it does not suit the rest. The density of a
number is a Gaussian's, whose spread depends on which cells are hidden alone: no row is excused by what it holds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from instar.networks._layers import CONVOLUTIONS
from instar.networks.base import Head, Inputs, Seen
from instar.settings import Settings, setting
from instar.shapes import Anomaly, Grid, Shape, Tokens, Vector

# What hardly varied in training would make every row odd in which it does; so much counts as varying, in nats.
_LEAST = 0.05
_UNKNOWN = 1
# A number is known to within this share of its spread at best (a logarithm), lest mere rounding make a row odd.
_NARROWEST = math.log(0.1)
# Of so few columns any may be hidden, in 15 turns; so many are enough where there are more.
_FEW = 4
# How many groups columns are hidden in, and after how many columns these are moved on by one. Columns 8 apart are in
# one eighth but in two quarters, those 32 apart in two halves: any two of 64 are told from each other.
_GROUPS = ((1, 1), (2, 32), (4, 8), (8, 64))
# A picture grows from about so many cells along a side.
_FIRST_CELLS = 4


@dataclass(frozen=True)
class RebuildingSettings(Settings):
    noise: float = setting(
        0.1,
        "for texts and grids alone, since columns are hidden instead: share of a training text's symbols that are "
        "unknown when it goes in; how much noise grids get, beside their spread",
        minimum=0,
        maximum=0.9,
        source="Vincent, Larochelle, Bengio & Manzagol 2008",
    )
    rebuilding_width: int = setting(
        128, "neurons between the bottleneck and what is rebuilt, or maps of a grid", minimum=1, maximum=16_384
    )


class Rebuilding(Head):
    """What is `Seen` to how badly each input is rebuilt, (B, parts), NaN where it is missing.

    An input's error is its surprise beside that of its mean, or of its frequencies: for numbers of a row in nats below
    the peak of the narrowest Gaussian, for codes and for the symbols of a sequence, in any order, cross entropy, and
    for grids the squared error. A target is (B, 0): there is nothing to know.
    """

    needs = "inputs"

    def __init__(self, width: int, shapes: Mapping[str, Shape], answer: Anomaly, settings: RebuildingSettings) -> None:
        super().__init__()
        self.noise = settings.noise
        self.bottleneck = nn.Linear(width, answer.width)
        vectors = {name: shape for name, shape in shapes.items() if isinstance(shape, Vector)}
        self.order = [
            answer.parts.index(name) for name in (*vectors, *(name for name in shapes if name not in vectors))
        ]
        self.row = RowDecoder(answer.width, list(vectors.values()), settings.rebuilding_width) if vectors else None
        others: list[nn.Module] = []
        for name, shape in shapes.items():
            if isinstance(shape, Grid):
                others.append(GridDecoder(name, answer.width, shape, settings.rebuilding_width))
            elif isinstance(shape, Tokens):
                others.append(BagDecoder(name, answer.width, shape, settings.rebuilding_width))
        self.others = nn.ModuleList(others)
        self.draws = self.row is not None or self.noise > 0

    def initialize(self, inputs: Inputs) -> None:
        for decoder in (*([] if self.row is None else [self.row]), *self.others):
            decoder.initialize(inputs)

    def embed(self, outputs: Seen) -> Tensor:
        embedded: Tensor = self.bottleneck(outputs.features(outputs.inputs))
        return embedded

    def forward(self, features: Seen) -> Tensor:
        columns, device = 0 if self.row is None else self.row.columns, self.bottleneck.weight.device
        if self.training:
            noisy = noised(features.inputs, self.noise) if self.noise else features.inputs
            rows = len(next(iter(features.inputs.values())))
            joined = self._errors(features, noisy, hidden_by_chance(rows, columns, device))
        else:
            turns = hidden_in_turn(columns, device)
            joined = torch.stack([self._errors(features, features.inputs, weight) for weight in turns]).mean(0)
        placed = torch.empty_like(joined)
        placed[:, self.order] = joined
        return placed

    def _errors(self, features: Seen, given: Inputs, weight: Tensor) -> Tensor:
        """(B, parts), the row's before all others; what goes in is ``given`` without columns that have a ``weight``."""
        inputs = features.inputs
        weight = weight if self.row is None else weight[:, self.row.column_of]
        code = self.bottleneck(features.features(without(given, weight > 0)))
        errors = [] if self.row is None else [self.row(code, inputs, weight)]
        return torch.cat([*errors, *(decoder(code, inputs)[:, None] for decoder in self.others)], 1)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        known = ~outputs.isnan()
        counted = known.to(outputs.dtype) if weight is None else known * weight[:, None]
        return (torch.where(known, outputs, 0.0) * counted).sum() / counted.sum().clamp(min=1e-12)

    def answer(self, outputs: Tensor) -> Tensor:
        return outputs

    def soften(self, target: Tensor) -> Tensor:
        return target


def columns_of(shapes: list[Vector]) -> list[int]:
    """Which column each cell is of, numbers before codes: a `Vector.whole` is one, and of others each cell is."""
    # Half of a whole one would only tell its other half. But the numbers of an array can be told from each other alone:
    # hidden all at once, how they belong together would never be asked.
    numbers: list[int] = []
    codes: list[int] = []
    count = 0
    for shape in shapes:
        cells = shape.width + len(shape.cardinalities)
        columns = [count] * cells if shape.whole else list(range(count, count + cells))
        numbers += columns[: shape.width]
        codes += columns[shape.width :]
        count += 1 if shape.whole else cells
    return numbers + codes


def hidden_by_chance(rows: int, columns: int, device: torch.device) -> Tensor:
    """(rows, columns): 0 where a column is seen, else how much it counts; draws from torch's global generator.

    Each number of hidden columns, none and all included, is as likely as any other, and counts as much as any other.
    """
    hidden = torch.rand(rows, columns, device=device) < torch.rand(rows, 1, device=device)
    return hidden * (columns + 1) / hidden.sum(1, keepdim=True).clamp(min=1)


def hidden_in_turn(columns: int, device: torch.device) -> list[Tensor]:
    """(1, columns) each, as `hidden_by_chance`: any of a few, else all, each half, quarter and eighth; means 1."""
    if columns == 0:
        return [torch.zeros(1, 0, device=device)]
    if columns <= _FEW:
        choices = [choice for choice in itertools.product((0, 1), repeat=columns) if any(choice)]
        alike = [sum(choice) * math.comb(columns, sum(choice)) for choice in choices]
        weights = torch.tensor(choices, device=device) * len(choices) / torch.tensor(alike, device=device)[:, None]
        return list(weights[:, None])
    places = torch.arange(columns, device=device)
    turns = [
        (places + places // moved) % count == turn for count, moved in _GROUPS for turn in range(min(count, columns))
    ]
    return [hidden[None] * (len(turns) / len(_GROUPS)) for hidden in turns]


def without(inputs: Inputs, hidden: Tensor) -> dict[str, Tensor]:
    """Inputs of which the numbers and codes ``hidden``, (B or 1, cells), are as if they were missing."""
    seen, place = dict(inputs), 0
    for name in ("numbers", "codes"):
        if name in inputs:
            width = inputs[name].shape[1]
            seen[name] = inputs[name].masked_fill(hidden[:, place : place + width], 0)
            place += width
    return seen


def noised(inputs: Inputs, share: float) -> dict[str, Tensor]:
    """Inputs of which a ``share`` of the symbols is unknown, and grids have noise; draws from the global generator."""
    noisy = dict(inputs)
    for name, content in inputs.items():
        part = name.split("/", 1)[0]
        if part == "grid":
            noisy[name] = content + share * content.std().nan_to_num() * torch.randn_like(content)
        elif part == "tokens":
            hidden = (torch.rand(content.shape, device=content.device) < share) & (content > 0)
            noisy[name] = content.masked_fill(hidden, _UNKNOWN)
    return noisy


class RowDecoder(nn.Module):
    """(B, bottleneck) to the errors of all Vector inputs, (B, inputs), in their order.

    Its cells are numbers and, after these, codes.
    """

    def __init__(self, bottleneck: int, shapes: list[Vector], width: int) -> None:
        super().__init__()
        self.numbers = sum(shape.width for shape in shapes)
        self.cardinalities = [size for shape in shapes for size in shape.cardinalities]
        self.number_of = [place for place, shape in enumerate(shapes) for _ in range(shape.width)]
        self.code_of = [place for place, shape in enumerate(shapes) for _ in shape.cardinalities]
        self.column_of = columns_of(shapes)
        self.count, self.cells, self.columns = len(shapes), len(self.column_of), len(set(self.column_of))
        self.hidden = nn.Sequential(nn.Linear(bottleneck, width), nn.ReLU())
        self.output = nn.Linear(width, self.numbers + sum(self.cardinalities))
        nn.init.zeros_(self.output.weight)  # it begins as the constant answer
        nn.init.zeros_(self.output.bias)
        if self.numbers:
            narrowing = nn.Linear(width, self.numbers)
            nn.init.zeros_(narrowing.weight)
            nn.init.constant_(narrowing.bias, -4.0)  # hardly any
            self.narrowing = nn.Sequential(nn.Linear(self.cells, width), nn.ReLU(), narrowing, nn.Sigmoid())
        self.register_buffer("variance", torch.ones(self.numbers))
        self.register_buffer("constant", torch.ones(self.count))
        self.variance: Tensor
        self.constant: Tensor

    @torch.no_grad()
    def initialize(self, inputs: Inputs) -> None:
        parts = []
        if self.numbers:
            parts.append(inputs["numbers"].mean(0))
            self.variance.copy_(inputs["numbers"].var(0, correction=0).clamp(min=2 * _LEAST))
        for place, size in enumerate(self.cardinalities):
            counts = torch.bincount(inputs["codes"][:, place], minlength=size).float()
            parts.append(torch.log((counts + 1 / size) / (counts.sum() + 1)))
        self.output.bias.copy_(torch.cat(parts))
        rows = len(next(iter(inputs.values())))
        surprise = self._surprise(self.output.bias.expand(rows, -1), inputs, self.constant.new_ones(1, self.cells))
        self.constant.copy_(surprise.mean(0).clamp(min=_LEAST))

    def forward(self, code: Tensor, inputs: Inputs, weight: Tensor) -> Tensor:
        return self._surprise(self.output(self.hidden(code)), inputs, weight) / self.constant

    def _surprise(self, said: Tensor, inputs: Inputs, weight: Tensor) -> Tensor:
        """(B, inputs) in nats; each cell's counts as often as its ``weight`` (B or 1, cells) says."""
        columns, places = [], []
        if self.numbers:
            narrower = _NARROWEST * self.narrowing((weight > 0).to(said.dtype))  # logarithms of shares of the spread
            squared = (said[:, : self.numbers] - inputs["numbers"]).square() / self.variance
            columns.append(squared / 2 * (-2 * narrower).exp() + narrower - _NARROWEST)
            places += self.number_of
        start = self.numbers
        for place, size in enumerate(self.cardinalities):
            logits = said[:, start : start + size]
            columns.append(F.cross_entropy(logits, inputs["codes"][:, place], reduction="none")[:, None])
            start += size
        places += self.code_of
        where = torch.tensor(places, device=said.device)
        return said.new_zeros(len(said), self.count).index_add(1, where, torch.cat(columns, 1) * weight)


class GridDecoder(nn.Module):
    """(B, bottleneck) to the error (B,) of a grid: a few coarse maps, doubled and convolved until they are as fine."""

    def __init__(self, name: str, bottleneck: int, shape: Grid, width: int) -> None:
        super().__init__()
        self.name, self.extent, axes = name, shape.extent, len(shape.extent)
        convolution = CONVOLUTIONS[axes]
        extent, doublings = shape.extent, 0
        while min(extent) > _FIRST_CELLS:
            extent, doublings = tuple(-(-cells // 2) for cells in extent), doublings + 1
        self.first, maps = extent, width
        self.spread = nn.Linear(bottleneck, width * torch.Size(extent).numel())
        layers: list[nn.Module] = []
        for _ in range(doublings):
            fewer = max(16, maps // 2)
            layers += [nn.ReLU(), nn.Upsample(scale_factor=2), convolution(maps, fewer, 3, padding=1)]
            maps = fewer
        self.layers = nn.Sequential(*layers, nn.ReLU())
        self.output = convolution(maps, shape.channels, 3, padding=1)
        nn.init.zeros_(self.output.weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]
        self.register_buffer("mean", torch.zeros(shape.channels, *shape.extent))
        self.register_buffer("variance", torch.ones(()))
        self.mean: Tensor
        self.variance: Tensor

    @torch.no_grad()
    def initialize(self, inputs: Inputs) -> None:
        there = inputs[f"grid/{self.name}"][inputs[f"present/{self.name}"]]
        if len(there):
            self.mean.copy_(there.mean(0))
            self.variance.copy_((there - self.mean).square().mean().clamp(min=1e-6))

    def forward(self, code: Tensor, inputs: Inputs) -> Tensor:
        maps = self.layers(self.spread(code).unflatten(1, (-1, *self.first)))
        maps = self.output(maps)[(..., *(slice(cells) for cells in self.extent))]
        error = (self.mean + maps - inputs[f"grid/{self.name}"]).square().flatten(1).mean(1) / self.variance
        return torch.where(inputs[f"present/{self.name}"], error, torch.nan)


class BagDecoder(nn.Module):
    """(B, bottleneck) to the error (B,) of a sequence: how surprising its symbols are, whatever their order."""

    def __init__(self, name: str, bottleneck: int, shape: Tokens, width: int) -> None:
        super().__init__()
        self.name = name
        self.hidden = nn.Sequential(nn.Linear(bottleneck, width), nn.ReLU())
        self.output = nn.Linear(width, shape.vocabulary)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.register_buffer("entropy", torch.ones(()))
        self.entropy: Tensor

    @torch.no_grad()
    def initialize(self, inputs: Inputs) -> None:
        symbols = inputs[f"tokens/{self.name}"].long()
        symbols = symbols[symbols > 0]
        if len(symbols):
            size = len(self.output.bias)
            shares = (torch.bincount(symbols, minlength=size) + 1 / size) / (len(symbols) + 1)
            self.output.bias.copy_(shares.log())
            self.entropy.copy_(-shares.log()[symbols].mean().clamp(max=-_LEAST))

    def forward(self, code: Tensor, inputs: Inputs) -> Tensor:
        symbols = inputs[f"tokens/{self.name}"].long()
        there = symbols > 0
        likely = self.output(self.hidden(code)).log_softmax(1).gather(1, symbols)
        error = -(likely * there).sum(1) / there.sum(1).clamp(min=1) / self.entropy
        return torch.where(there.any(1), error, torch.nan)
