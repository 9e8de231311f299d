"""How series of any lengths become a grid of one length, and how training series are varied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from instar.fields._state import expect, whole

if TYPE_CHECKING:
    from torch import Generator, Tensor

LONGEST = 1 << 16


@dataclass(frozen=True)
class Preparation:
    """How series become a grid.

    length: steps of the grid. rate: how many of them come of one step of a series. cut: whether what is longer loses
        its end.
    own_scale: whether each series is scaled by its own mean and spread.
    flagged: whether a last channel says which share of the channels is known at a step.
    shortest, longest: steps of the training series.
    """

    length: int
    rate: float
    cut: bool
    own_scale: bool
    flagged: bool
    shortest: int
    longest: int

    @classmethod
    def from_json(cls, content: Any) -> Preparation:
        """Raises ValueError or KeyError where that is none."""
        expect(isinstance(content, dict), "preparation")
        rate = share(content, "rate")
        expect(rate > 0, "rate")
        for name in ("cut", "own_scale", "flagged"):
            expect(isinstance(content[name], bool), name)
        longest = whole(content, "longest", 1, 1 << 62)
        return cls(
            whole(content, "length", 1, LONGEST),
            rate,
            content["cut"],
            content["own_scale"],
            content["flagged"],
            whole(content, "shortest", 1, longest),
            longest,
        )


@dataclass(frozen=True)
class Variation:
    """What of training series is varied and how far, as fractions; 0 leaves it alone."""

    noise: float = 0.0
    gain: float = 0.0
    shift: float = 0.0

    @classmethod
    def from_json(cls, content: Any) -> Variation:
        """Raises ValueError or KeyError where that is none."""
        expect(isinstance(content, dict), "variation")
        return cls(*(share(content, each.name, 10.0) for each in fields(cls)))

    def __call__(self, grid: Tensor, content: Tensor, generator: Generator) -> Tensor:
        """A varied copy of ``grid`` (B, channels, length); ``content`` (B, 1, length) is 0 where there is none."""
        import torch

        rows, channels, length = grid.shape
        gain = 1 + self.gain * (2 * torch.rand((rows, 1, 1), generator=generator) - 1)
        noise = self.noise * torch.randn((rows, channels, length), generator=generator)
        drawn = self.shift * (2 * torch.rand((rows, 1), generator=generator) - 1)
        varied = (grid * gain.to(grid.device) + noise.to(grid.device)) * (content > 0)
        return shifted(torch.cat([varied, content], 1), torch.round(drawn * length).long().to(grid.device))


def shifted(grid: Tensor, by: Tensor) -> Tensor:
    """``grid`` (B, channels, length), each example ``by`` (B, 1) steps later; zeros where nothing comes from."""
    import torch

    length = grid.shape[2]
    places = torch.arange(length, device=grid.device) - by  # (B, length)
    inside = ((places >= 0) & (places < length))[:, None]
    return grid.gather(2, places.clamp(0, length - 1)[:, None].expand_as(grid)) * inside


def share(content: Mapping[str, Any], name: str, maximum: float = 1.0) -> float:
    """The number called ``name`` from 0 to ``maximum``. Raises ValueError, KeyError."""
    value = content[name]
    expect(type(value) in (int, float) and math.isfinite(value) and 0 <= value <= maximum, name)
    return float(value)
