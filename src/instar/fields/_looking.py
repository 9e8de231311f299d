"""How training volumes are varied.

Torch is imported in functions: declaring what is varied must not cost its import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from instar.cells import nearest_cells
from instar.fields._series_grid import share
from instar.fields._state import expect, word

if TYPE_CHECKING:
    from torch import Generator, Tensor

FLIPS = ("none", "sides", "all")


@dataclass(frozen=True)
class Looking:
    """What is varied and how far; 0 leaves it alone.

    flip: which axes are mirrored, each one with even chance: none, left and right, or all. shift: of the side. gain: as
    a fraction. offset, noise: in the spreads of the training voxels.
    """

    flip: str = "none"
    shift: float = 0.0
    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0

    @classmethod
    def from_json(cls, content: Any) -> Looking:
        """Raises ValueError or KeyError where that is none."""
        expect(isinstance(content, Mapping), "looking")
        amounts = {each.name: share(content, each.name) for each in fields(cls) if each.name != "flip"}
        return cls(word(content, "flip", *FLIPS), **amounts)

    def __call__(self, grid: Tensor, present: Tensor, generator: Generator) -> Tensor:
        """A varied copy of ``grid`` (B, channels, *extent); beyond the edges of what is shifted they go on."""
        import torch

        rows = len(grid)
        drawn = torch.rand((8, rows), generator=generator)
        noise = torch.randn(grid.shape, generator=generator) if self.noise else None
        varied = seen_at(grid, self._all_places(grid.shape[2:], drawn))
        gain, offset = ((2 * each - 1).view(rows, 1, 1, 1, 1).to(grid.device) for each in drawn[6:])
        varied = varied * (1 + self.gain * gain) + self.offset * offset
        if noise is not None:
            varied = varied + self.noise * noise.to(grid.device)
        return varied * present.view(rows, 1, 1, 1, 1)

    def motion(self, rows: int, extent: tuple[int, ...], generator: Generator) -> list[Tensor]:
        """Which cells of each axis so many examples are seen at, as when they are varied: (rows, size) int64."""
        import torch

        return self._all_places(extent, torch.rand((8, rows), generator=generator))

    def _all_places(self, extent: Sequence[int], drawn: Tensor) -> list[Tensor]:
        return [self._places(size, axis, drawn) for axis, size in enumerate(extent)]

    def _places(self, size: int, axis: int, drawn: Tensor) -> Tensor:
        """(B, size) int64: which cells of an axis each example is seen at."""
        import torch

        first = torch.round(self.shift * size * (2 * drawn[axis] - 1))
        places = (first[:, None] + torch.arange(size)).long().clamp(0, size - 1)
        mirrored = self.flip == "all" or (self.flip == "sides" and axis == 2)
        return torch.where(drawn[3 + axis, :, None] < 0.5, places.flip(1), places) if mirrored else places


def seen_at(whole: Tensor, places: Sequence[Tensor]) -> Tensor:
    """(B, channels, *sizes): of each example of ``whole`` the cells at its ``places`` (B, size) along each axis."""
    varied = whole.new_empty((*whole.shape[:2], *(at.shape[1] for at in places)))
    for row in range(len(whole)):
        seen = whole[row]
        for axis, at in enumerate(places, start=1):
            seen = seen.index_select(axis, at[row].to(whole.device))
        varied[row] = seen
    return varied


def at_extent(places: Sequence[Tensor], extent: Sequence[int]) -> list[Tensor]:
    """The places (B, size) along each axis of a grid, as those of one of another extent that fills the same space."""
    import torch

    found = []
    for at, own in zip(places, extent, strict=True):
        size = at.shape[1]
        mine, its = (torch.from_numpy(nearest_cells(*each)) for each in ((own, size), (size, own)))
        found.append(mine[at[:, its]])
    return found
