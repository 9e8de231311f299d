"""Volumes as answers: what a network makes of each voxel of a scan, and how it becomes a file that lies on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from instar.fields._looking import seen_at
from instar.fields._pixels import as_png
from instar.fields._scan import MOST_CHANNELS, Layout, Scan, upright
from instar.fields._scans import LARGEST_GRID, file_of, sight_of
from instar.fields._state import array, expect
from instar.fields._views import middle_slices
from instar.fields._volumes import size_in_words
from instar.fields._voxels import Spacing, Triple, resampled
from instar.fields.base import Arrays, Field, Frame, Prepared, State
from instar.shapes import Image, Picture, Text, View


class VolumeAnswer(Field):
    """A volume as a target, each channel with mean 0 and all of them together with variance 1 on training voxels.

    mean: (channels,), scale, low and high: in the volumes' own unit. spacing: of the grid's voxels, in millimeters
    where it was ``measured``.
    """

    kind = "volume"
    shape = None

    def __init__(
        self,
        name: str,
        extent: Triple,
        spacing: Spacing,
        measured: bool,
        *,
        mean: np.ndarray,
        scale: float,
        low: float,
        high: float,
    ) -> None:
        self.name, self.extent, self.spacing, self.measured = name, extent, spacing, measured
        self.mean, self.scale = mean, scale
        self.answer: Picture = Picture(len(mean), extent, low, high)

    @classmethod
    def fitted(cls, name: str, plan: Mapping[str, Any], voxels: np.ndarray) -> VolumeAnswer:
        """``voxels`` (n, channels) are some of the training volumes'."""
        # One scale for all channels: how much each weighs in the loss is as in the error that is told.
        scale = float(np.sqrt(voxels.var(axis=0).mean())) or 1.0
        low, high = float(voxels.min()), float(voxels.max())
        return cls(
            *(name, *sight_of(plan), plan["measured"]),
            mean=voxels.mean(axis=0),
            scale=scale,
            low=low,
            high=high if high > low else low + 1.0,
        )

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        values = (arrays.values - self._means) / np.float32(self.scale)
        values[~arrays.present] = np.nan
        return {"target": torch.from_numpy(values)}

    @property
    def _means(self) -> np.ndarray:
        return self.mean.astype(np.float32)[:, None, None, None]

    def moved(self, prepared: Prepared, motion: Any) -> Prepared:
        return {"target": seen_at(prepared["target"], motion)}

    def truth(self, arrays: Arrays) -> np.ndarray:
        values = np.array(arrays.values, np.float32)
        values[~arrays.present] = np.nan
        return values

    def decode(self, answers: np.ndarray) -> np.ndarray:
        """Volumes (n, channels, depth, height, width) float32 in their own unit, within what training voxels had."""
        return np.clip(answers * np.float32(self.scale) + self._means, self.answer.low, self.answer.high)

    def draw(self, answer: np.ndarray) -> View:
        low, high = self.answer.low, self.answer.high
        return Image(as_png(middle_slices(np.nan_to_num(answer[0]), self.spacing, low=low, high=high)))

    def written(self, answer: np.ndarray, frame: Frame | None) -> tuple[str, bytes]:
        """A NIfTI file of float32, as large as the scan that it is made of, and lying where that lies."""
        own = upright(len(answer), self.extent, self.spacing)
        if isinstance(frame, Layout):
            # Where nothing is measured, a grid fills what it is made of from edge to edge.
            steps = frame.spacing if self.measured else _stretched(self.extent, self.spacing, frame.extent)
            answer = resampled(Scan(own, answer), frame.extent, steps)
            own = upright(len(answer), frame.extent, steps)
        return file_of(answer, frame, own)

    def show(self, arrays: Arrays, row: int) -> View:
        return self.draw(arrays.values[row]) if arrays.present[row] else Text("missing")

    def describe(self) -> str:
        channels = f", {self.answer.channels} channels" if self.answer.channels > 1 else ""
        size = size_in_words(self.extent, self.spacing if self.measured else None)
        return f"volumes of {size}{channels}, from {self.answer.low:.3g} to {self.answer.high:.3g}"

    def state(self) -> State:
        content = {
            "role": "target",
            "extent": list(self.extent),
            "spacing": list(self.spacing),
            "measured": self.measured,
            "scale": self.scale,
            "range": [self.answer.low, self.answer.high],
        }
        return content, {"mean": self.mean}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> VolumeAnswer:
        mean, scale, bounds = array(arrays, "mean", np.float64, None), content["scale"], content["range"]
        expect(1 <= len(mean) <= MOST_CHANNELS, "channels")
        extent, spacing = sight_of(content)
        expect(len(mean) * math.prod(extent) <= LARGEST_GRID, "extent")
        expect(isinstance(content["measured"], bool), "measured")
        expect(type(scale) is float and 0 < scale < math.inf, "scale")
        expect(isinstance(bounds, list) and [type(each) for each in bounds] == [float, float], "range")
        expect(bool(np.isfinite(bounds).all()) and bounds[0] < bounds[1], "range")
        return cls(name, extent, spacing, content["measured"], mean=mean, scale=scale, low=bounds[0], high=bounds[1])


def _stretched(extent: Triple, spacing: Spacing, other: Triple) -> Spacing:
    """The spacing at which voxels of another extent fill the same space."""
    depth, height, width = (step * size / its for size, step, its in zip(extent, spacing, other, strict=True))
    return depth, height, width
