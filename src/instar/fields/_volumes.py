"""Volumes as networks see them: what of each is seen, and in which scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from instar.fields._looking import Looking
from instar.fields._pixels import as_png
from instar.fields._scan import MOST_CHANNELS
from instar.fields._scans import LARGEST_GRID, sight_of
from instar.fields._state import array, expect
from instar.fields._views import middle_slices
from instar.fields._voxels import LONGEST_SIDE, Spacing, Triple
from instar.fields.base import Arrays, Field, Prepared, State
from instar.shapes import Grid, Image, Text, View

# Of the training voxels' spread: a volume that varies less is empty, and its noise is not to be made large.
LEAST_SPREAD = 0.01
# Farther from the mean than so many spreads no voxel is seen.
FARTHEST = 10.0


@dataclass(frozen=True)
class Sight:
    """What of a volume is seen.

    extent: voxels along depth, height and width. spacing: from one to the next in millimeters, or without a unit where
    nothing was ``measured``. patch: what of it the network sees at a time; None where nobody said. own: whether each
    volume is scaled by its own mean and spread.
    """

    extent: Triple
    spacing: Spacing
    measured: bool
    patch: Triple | None
    own: bool

    @classmethod
    def from_json(cls, content: Any) -> Sight:
        """Raises ValueError or KeyError where that is none."""
        expect(isinstance(content, Mapping), "sight")
        extent, spacing = sight_of(content)
        patch = None if content["patch"] is None else sight_of({**content, "extent": content["patch"]})[0]
        expect(patch is None or all(part <= size for part, size in zip(patch, extent, strict=True)), "patch")
        expect(isinstance(content["measured"], bool) and isinstance(content["own"], bool), "sight")
        return cls(extent, spacing, content["measured"], patch, content["own"])

    def at_a_time(self, side: int) -> Sight:
        """The same, seen in patches of so many voxels a side, where it has more."""
        depth, height, width = self.extent
        return replace(self, patch=(min(depth, side), min(height, side), min(width, side)))

    @property
    def seen(self) -> Triple:
        return self.patch or self.extent


class VolumeField(Field):
    """A volume as an input: values between two bounds, each channel with mean 0 and variance 1.

    mean, scale, low, high: (channels,), of the training voxels. advice: see `Field`.
    """

    kind = "volume"
    answer = None

    def __init__(
        self,
        name: str,
        sight: Sight,
        looking: Looking,
        *,
        mean: np.ndarray,
        scale: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        advice: str = "",
    ) -> None:
        self.name, self.sight, self.looking, self.advice = name, sight, looking, advice
        self.mean, self.scale, self.low, self.high = mean, scale, low, high
        self.shape: Grid = Grid(len(mean), sight.extent, patch=() if sight.seen == sight.extent else sight.seen)
        # A patch lies anywhere already, and what lies beyond its edges is known.
        self._varied = replace(looking, shift=0.0) if self.shape.patch else looking

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        bounds = (each.astype(np.float32).reshape(-1, 1, 1, 1) for each in (self.low, self.high))
        values = np.clip(arrays.values, *bounds)
        mean, scale = self._mean_and_scale(values)
        values -= mean.astype(np.float32)
        values *= (1 / scale).astype(np.float32)
        np.clip(values, -FARTHEST, FARTHEST, out=values)
        values[~arrays.present] = 0.0
        return {"grid": torch.from_numpy(values), "present": torch.from_numpy(np.array(arrays.present))}

    def _mean_and_scale(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Float64 (1 or n, channels, 1, 1, 1)."""
        if not self.sight.own:
            return self.mean.reshape(1, -1, 1, 1, 1), self.scale.reshape(1, -1, 1, 1, 1)
        flat = values.reshape(*values.shape[:2], -1)
        mean = flat.mean(axis=2, dtype=np.float64)
        spread = flat.std(axis=2, dtype=np.float64)
        wide = spread > LEAST_SPREAD * self.scale
        return mean[:, :, None, None, None], np.where(wide, spread, self.scale)[:, :, None, None, None]

    def augment(self, prepared: Prepared, generator: Any) -> Prepared:
        if self._varied == Looking():
            return prepared
        return {**prepared, "grid": self._varied(prepared["grid"], prepared["present"], generator)}

    def motion(self, rows: int, generator: Any) -> Any | None:
        return None if self._varied == Looking() else self._varied.motion(rows, self.sight.seen, generator)

    def leading(self) -> Field:
        if self.sight.patch is not None:
            return self
        scales = {"mean": self.mean, "scale": self.scale, "low": self.low, "high": self.high}
        sight = self.sight.at_a_time(LONGEST_SIDE)
        return VolumeField(self.name, sight, self.looking, **scales, advice=self.advice)

    def show(self, arrays: Arrays, row: int) -> View:
        if not arrays.present[row]:
            return Text("missing")
        picture = middle_slices(arrays.values[row][0], self.sight.spacing)
        return Image(as_png(picture), f"{self._size()}: middle slices from the front, the side and above")

    def _size(self) -> str:
        return size_in_words(self.sight.extent, self.sight.spacing if self.sight.measured else None)

    def describe(self) -> str:
        channels = f", {self.shape.channels} channels" if self.shape.channels > 1 else ""
        seen = f", seen in patches of {' x '.join(map(str, self.shape.patch))}" if self.shape.patch else ""
        own = ", each scaled by its own mean and spread" if self.sight.own else ""
        return f"volumes of {self._size()}{channels}{seen}{own}"

    def state(self) -> State:
        content = {"role": "input", "sight": asdict(self.sight), "looking": asdict(self.looking)}
        return content, {"mean": self.mean, "scale": self.scale, "low": self.low, "high": self.high}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> VolumeField:
        mean = array(arrays, "mean", np.float64, None)
        channels = len(mean)
        expect(1 <= channels <= MOST_CHANNELS, "channels")
        scale, low, high = (array(arrays, each, np.float64, channels) for each in ("scale", "low", "high"))
        expect(bool((scale > 0).all() and (low <= high).all()), "scale")
        sight = Sight.from_json(content["sight"])
        expect(channels * math.prod(sight.extent) <= LARGEST_GRID, "extent")
        looking = Looking.from_json(content["looking"])
        return cls(name, sight, looking, mean=mean, scale=scale, low=low, high=high)


def size_in_words(extent: Triple, spacing: Spacing | None) -> str:
    """``48 x 40 x 32 voxels of 1 to 2 mm``; without what is not known."""
    steps = sorted({f"{step:.3g}" for step in spacing or ()}, key=float)
    unit = f" of {' to '.join(dict.fromkeys((steps[0], steps[-1])))} mm" if steps else ""
    return f"{' x '.join(map(str, extent))} voxels{unit}"
