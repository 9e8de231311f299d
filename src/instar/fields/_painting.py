"""Pictures as answers: what a network makes of the cells of another picture, and how it becomes a file again."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as Pillow

from instar.fields._augmentation import warp
from instar.fields._files import on_each
from instar.fields._pictures import PictureError, header, upright_size
from instar.fields._pixels import as_png
from instar.fields._state import array, expect, whole
from instar.fields.base import Arrays, Field, Frame, Prepared, State
from instar.shapes import Image, Picture, Text, View
from instar.sources import FileColumn

LARGEST_EXTENT = 4096
# Pixels that a file's header may announce where nothing but the header is read.
LARGEST_FILE = 1 << 40
WHITE = 255.0


class PictureField(Field):
    """A picture as a target, each channel with mean 0 and all of them together with variance 1 on training rows.

    mean: (channels,) and ``scale``, in units of bytes. levels: what the bytes 0 and 255 stand for in the pictures' own
    unit; None where bytes stand for themselves.
    """

    kind = "image"
    shape = None

    def __init__(
        self, name: str, extent: tuple[int, int], mean: np.ndarray, scale: float, levels: list[float] | None
    ) -> None:
        self.name, self.mean, self.scale, self.levels = name, mean, scale, levels
        self.low, self.high = (0.0, WHITE) if levels is None else (float(levels[0]), float(levels[1]))
        self.answer: Picture = Picture(len(mean), extent, self.low, self.high)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        values = arrays.values if arrays.values.flags.writeable else arrays.values.copy()
        target = torch.from_numpy(values).permute(0, 3, 1, 2).to(torch.float32)
        mean = torch.from_numpy(self.mean.astype(np.float32)).view(1, -1, 1, 1)
        target.sub_(mean).div_(self.scale)
        target[torch.from_numpy(~arrays.present)] = torch.nan
        return {"target": target}

    def moved(self, prepared: Prepared, motion: Any) -> Prepared:
        return {"target": warp(prepared["target"].contiguous(), motion)}

    def truth(self, arrays: Arrays) -> np.ndarray:
        return self._own_unit(np.moveaxis(arrays.values, -1, 1).astype(np.float32), arrays.present)

    def decode(self, answers: np.ndarray) -> np.ndarray:
        """Pictures (n, channels, height, width) float32 in their own unit; NaN where an answer is."""
        shades = answers * np.float32(self.scale) + self.mean.astype(np.float32)[:, None, None]
        return self._own_unit(np.clip(shades, 0, WHITE))

    def _own_unit(self, shades: np.ndarray, present: np.ndarray | None = None) -> np.ndarray:
        if self.levels is not None:
            shades = shades * np.float32((self.high - self.low) / WHITE) + np.float32(self.low)
        if present is not None:
            shades[~present] = np.nan
        return shades

    def draw(self, answer: np.ndarray) -> View:
        return Image(as_png(self._bytes(answer)))

    def _bytes(self, answer: np.ndarray) -> np.ndarray:
        """uint8 (height, width, channels)."""
        shades = (np.nan_to_num(answer) - self.low) * (WHITE / (self.high - self.low))
        return np.moveaxis(np.clip(np.rint(shades), 0, 255).astype(np.uint8), 0, -1)

    def written(self, answer: np.ndarray, frame: Frame | None) -> tuple[str, bytes]:
        """A PNG file, or one of numpy where numbers have a unit of their own."""
        height, width = self.answer.extent if frame is None else frame.extent
        size, stream = (width, height), BytesIO()
        if self.levels is None and len(answer) in (1, 3, 4):
            picture = self._bytes(answer)
            image = Pillow.fromarray(picture if picture.shape[2] > 1 else picture[:, :, 0])
            image.resize(size, Pillow.Resampling.BICUBIC).save(stream, "PNG")
            return ".png", stream.getvalue()
        planes = [Pillow.fromarray(plane).resize(size, Pillow.Resampling.BICUBIC) for plane in answer]
        np.save(stream, np.stack([np.asarray(plane) for plane in planes], axis=-1), allow_pickle=False)
        return ".npy", stream.getvalue()

    def show(self, arrays: Arrays, row: int) -> View:
        return Image(as_png(arrays.values[row])) if arrays.present[row] else Text("missing")

    def describe(self) -> str:
        return described(self.answer.extent, self.answer.channels)

    def state(self) -> State:
        height, width = self.answer.extent
        content = {"role": "target", "height": height, "width": width, "scale": self.scale, "levels": self.levels}
        return content, {"mean": self.mean}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> PictureField:
        extent = (whole(content, "height", 1, LARGEST_EXTENT), whole(content, "width", 1, LARGEST_EXTENT))
        mean, scale, levels = array(arrays, "mean", np.float64, None), content["scale"], content["levels"]
        expect(1 <= len(mean) <= 4, "channels")
        expect(type(scale) is float and 0 < scale < 1e6, "scale")
        if levels is not None:
            expect(isinstance(levels, list) and [type(each) for each in levels] == [float, float], "levels")
            expect(bool(np.isfinite(levels).all()) and levels[0] < levels[1], "levels")
        return cls(name, extent, mean, scale, levels)


def described(extent: tuple[int, ...], channels: int) -> str:
    height, width = extent
    colors = {1: "gray", 3: "colored", 4: "colored and transparent"}.get(channels)
    return f"pictures of {width} x {height} pixels, {colors or f'{channels} channels'}"


def file_frames(column: FileColumn) -> list[Frame | None]:
    """The size of each picture once it stands upright, from its header; None where it cannot be read."""

    def look(_: int, file: Any) -> Frame:
        width, height = upright_size(header(file.read(), LARGEST_FILE))
        return Frame((height, width))

    return [each if isinstance(each, Frame) else None for each in on_each(column.files, look, PictureError, "picture")]
