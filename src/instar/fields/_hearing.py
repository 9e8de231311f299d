"""Varied copies of a batch of log-mel spectrograms, as if recorded elsewhere, and with parts of them hidden.

Torch is imported in functions: declaring what is varied must not cost its import.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from instar.fields._series_grid import share, shifted

if TYPE_CHECKING:
    from torch import Generator, Tensor

LOUDEST_GAIN = 60.0


@dataclass(frozen=True)
class Hearing:
    """What is varied and how far; 0 leaves it alone.

    shift: of the frames. gain: decibels to either side. noise: amplitude of white noise, of the loudest place's.
    time_mask, band_mask: of the frames and the bands, the most that are hidden in a row (SpecAugment: Park, Chan,
    Zhang, Chiu, Zoph, Cubuk & Le 2019).
    """

    shift: float = 0.0
    gain: float = 0.0
    noise: float = 0.0
    time_mask: float = 0.0
    band_mask: float = 0.0

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Hearing:
        """Raises ValueError or KeyError where that is none."""
        most = {"gain": LOUDEST_GAIN}
        return cls(**{each.name: share(content, each.name, most.get(each.name, 1.0)) for each in fields(cls)})

    def __call__(self, grid: Tensor, silence: Tensor, scale: Tensor, generator: Generator) -> Tensor:
        """A varied copy of ``grid`` (B, channels, bands, frames), normalized.

        silence: (channels, bands, 1), what stands for none in it. scale: (channels, bands, 1), decibels for each 1.
        """
        import torch

        rows, frames = len(grid), grid.shape[3]
        sound = grid - silence  # at least 0
        drawn = torch.rand((3, rows, 1, 1, 1), generator=generator)
        if self.shift:
            by = torch.round(self.shift * frames * (2 * drawn[0].view(rows, 1) - 1)).long().to(grid.device)
            sound = shifted(sound.flatten(1, 2), by).view_as(grid)
        if self.gain:
            gain = (self.gain * (2 * drawn[1] - 1)).to(grid.device) / scale
            sound = torch.where(sound > 0, (sound + gain).clamp_min(0.0), sound)  # silence stays silent
        if self.noise:
            sound = self._in_noise(sound * scale, drawn[2], generator) / scale
        varied = sound + silence
        for axis, most in ((2, self.band_mask), (3, self.time_mask)):
            if most:
                varied = hidden(varied, axis, most, generator)
        return varied

    def _in_noise(self, decibels: Tensor, drawn: Tensor, generator: Generator) -> Tensor:
        """``decibels`` with the power of white noise added, whose level in each row is ``drawn`` of the most.

        The power of white noise at a frequency is exponentially distributed from frame to frame.
        """
        import torch

        fold = 10 / math.log(10)
        level = 2 * torch.log(self.noise * drawn).to(decibels.device)
        power = torch.empty(decibels.shape).exponential_(generator=generator).to(decibels.device)
        loudest = decibels.amax(dim=(1, 2, 3), keepdim=True) / fold
        return (fold * torch.logaddexp(decibels / fold, loudest + level + torch.log(power))).clamp_min(0.0)


def hidden(grid: Tensor, axis: int, most: float, generator: Generator) -> Tensor:
    """``grid`` with up to a share of ``most`` of an axis replaced by 0, the mean, in each row another stretch."""
    import torch

    size = grid.shape[axis]
    drawn = torch.rand((2, len(grid), 1), generator=generator).to(grid.device)
    length = torch.floor(drawn[0] * (math.floor(most * size) + 1))
    first = torch.floor(drawn[1] * (size - length + 1))
    places = torch.arange(size, device=grid.device)
    mask = (places >= first) & (places < first + length)  # (B, size)
    return grid.masked_fill(mask.view(len(grid), *(size if each == axis else 1 for each in (1, 2, 3))), 0.0)
