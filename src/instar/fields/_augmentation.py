"""Varied copies of a batch of pictures: one geometry an example, drawn first, so that aligned grids can share it.

Torch is imported in functions: declaring what is varied must not cost its import.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from instar.fields._state import expect

if TYPE_CHECKING:
    from torch import Generator, Tensor

# Random erasing takes a rectangle of 2 to 33 % of the area, its sides 0.3 to 3.3 to each other (Zhong et al. 2020).
_LEAST_AREA, _MOST_AREA, _NARROWEST = 0.02, 0.33, 0.3


@dataclass(frozen=True)
class Augmentation:
    """What is varied and how far; 0 and False leave it alone.

    horizontal, vertical: whether pictures are mirrored, each one with even chance.
    shift, zoom: as a fraction of the picture's side. rotate: degrees to either side.
    color: share by which brightness, contrast and saturation change. erase: probability of a rectangle erased.
    """

    horizontal: bool = False
    vertical: bool = False
    shift: float = 0.0
    zoom: float = 0.0
    rotate: float = 0.0
    color: float = 0.0
    erase: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Augmentation:
        """Raises ValueError or KeyError where that is none."""
        for each in fields(cls):
            value = content[each.name]
            expect(type(value) in ((bool,) if isinstance(each.default, bool) else (int, float)), each.name)
            expect(0 <= value <= 360, each.name)
        return cls(**{each.name: content[each.name] for each in fields(cls)})

    def __call__(self, grid: Tensor, present: Tensor, generator: Generator) -> Tensor:
        """A varied copy of ``grid`` (B, channels, height, width), normalized; what is not ``present`` stays 0."""
        import torch

        if self == Augmentation():
            return grid
        last = grid.is_contiguous(memory_format=torch.channels_last) and not grid.is_contiguous()
        varied = grid.contiguous()  # sampling is twice as fast than with channels last
        varied = warp(varied, self.geometry(len(grid), generator)) if self.moves else varied.clone()
        if self.color:
            varied = _recolor(varied, self.color, generator)
        if self.erase:
            varied = _erase(varied, self.erase, generator)
        if not bool(present.all()):
            varied[~present] = 0.0
        return varied.contiguous(memory_format=torch.channels_last) if last else varied

    @property
    def moves(self) -> bool:
        """Whether the geometry is varied."""
        return bool(self.horizontal or self.vertical or self.shift or self.zoom or self.rotate)

    def geometry(self, rows: int, generator: Generator) -> Tensor:
        """(rows, 2, 3): one affine map an example, from places in the varied picture to places in the picture."""
        import torch

        drawn = torch.rand((6, rows), generator=generator)
        angle, zoom, across, down = (2 * drawn[:4] - 1).unbind()
        angle = angle * math.radians(self.rotate)
        scale = torch.exp(zoom * math.log1p(self.zoom))
        mirror_x = torch.where(drawn[4] < 0.5, -1.0, 1.0) if self.horizontal else torch.ones(rows)
        mirror_y = torch.where(drawn[5] < 0.5, -1.0, 1.0) if self.vertical else torch.ones(rows)
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        # The grid reaches from -1 to 1, so a shift by a fraction of the side is twice that.
        rows_of_map = [
            torch.stack([mirror_x * cosine, -mirror_x * sine, 2 * self.shift * across], 1),
            torch.stack([mirror_y * sine, mirror_y * cosine, 2 * self.shift * down], 1),
        ]
        return torch.stack(rows_of_map, 1)


def warp(grid: Tensor, geometry: Tensor, *, mode: str = "bilinear") -> Tensor:
    """``grid`` (B, channels, height, width) seen through affine maps (B, 2, 3); beyond its edges they go on.

    ``mode``: how numbers lie between cells, ``bilinear`` or ``nearest``.
    """
    import torch
    from torch.nn.functional import grid_sample

    height, width = grid.shape[2:]
    geometry = geometry.to(grid.device)
    # Pixels are square: what is turned must not be sheared where the picture is not square.
    aspect = height / width
    x = (2 * torch.arange(width, device=grid.device) + 1) / width - 1
    y = (2 * torch.arange(height, device=grid.device) + 1) / height - 1
    places = torch.empty((len(grid), height, width, 2), device=grid.device)
    for axis, unit in ((0, torch.tensor([1.0, aspect, 1.0])), (1, torch.tensor([1 / aspect, 1.0, 1.0]))):
        by_x, by_y, shift = (geometry[:, axis] * unit.to(grid.device)).unsqueeze(2).unbind(1)
        torch.add((by_x * x)[:, None, :], (by_y * y + shift)[:, :, None], out=places[..., axis])
    return grid_sample(grid, places, mode=mode, padding_mode="border", align_corners=False)


def _recolor(grid: Tensor, strength: float, generator: Generator) -> Tensor:
    """Brightness, contrast and saturation changed by up to ``strength``; an alpha channel is left alone.

    All three are one affine map of each example's colors, which is one pass over the pixels.
    """
    import torch

    drawn = (2 * torch.rand((3, len(grid), 1, 1), generator=generator) - 1).to(grid.device) * strength
    brightness, contrast, saturation = drawn[0], 1 + drawn[1], 1 + drawn[2]
    colors = (grid[:, :3] if grid.shape[1] >= 3 else grid).flatten(2)
    channels = colors.shape[1]
    offset = colors.mean(dim=(1, 2), keepdim=True) * (1 - contrast) + brightness
    if channels < 3:
        changed = torch.addcmul(offset.expand(-1, channels, 1), colors, contrast)
    else:
        same = torch.eye(channels, device=grid.device)
        blend = contrast * (saturation * same + (1 - saturation) / channels)
        changed = torch.baddbmm(offset.expand(-1, channels, 1), blend, colors)
    changed = changed.view(len(grid), channels, *grid.shape[2:])
    return changed if channels == grid.shape[1] else torch.cat([changed, grid[:, channels:]], 1)


def _erase(grid: Tensor, probability: float, generator: Generator) -> Tensor:
    import torch

    rows, _, height, width = grid.shape
    drawn = torch.rand((5, rows), generator=generator).to(grid.device)
    area = height * width * (_LEAST_AREA + (_MOST_AREA - _LEAST_AREA) * drawn[1])
    aspect = torch.exp((2 * drawn[2] - 1) * math.log(1 / _NARROWEST))
    tall, wide = (area * aspect).sqrt().clamp(max=height), (area / aspect).sqrt().clamp(max=width)
    top, left = drawn[3] * (height - tall), drawn[4] * (width - wide)
    y = torch.arange(height, device=grid.device) + 0.5
    x = torch.arange(width, device=grid.device) + 0.5
    down = (y >= top[:, None]) & (y < (top + tall)[:, None])
    across = (x >= left[:, None]) & (x < (left + wide)[:, None])
    erased = down[:, :, None] & across[:, None, :] & (drawn[0] < probability)[:, None, None]
    return grid.masked_fill_(erased[:, None], 0.0)
