"""Pictures: files in any format that Pillow reads, or arrays; bytes in the store, normalized grids for networks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath
from typing import Any

import numpy as np
import polars as pl
from PIL import Image as Pillow

from instar.errors import ColumnError
from instar.fields._augmentation import Augmentation
from instar.fields._files import on_each, problems_of, spread
from instar.fields._painting import LARGEST_EXTENT, PictureField, described, file_frames
from instar.fields._pictures import (
    PictureError,
    channels_in_use,
    decode,
    header,
    known_suffixes,
    upright_size,
)
from instar.fields._pixels import as_bytes, as_png, astray, channels_last, fitting_extent, levels_of, resize
from instar.fields._state import array, expect, whole, word
from instar.fields.base import Arrays, Field, Frame, Kind, Prepared, Problem, State, kinds, no_values
from instar.fields.digest import MISSING, digest, digest_bytes, in_threads
from instar.settings import Settings, setting
from instar.shapes import Grid, Text, View
from instar.shapes import Image as ImageView
from instar.sources import Column, FileColumn, FileReference

# Headers looked at for the size, and pictures decoded to see whether they have colors and transparent places.
HEADERS, PROBES = 128, 32
# Pictures of every chunk that the channels' mean and spread are taken from.
MEASURED_PICTURES = 64
SNIFFED_FILES = 16
SMALLEST_MIRRORED_SIDE = 32


@dataclass(frozen=True)
class ImageSettings(Settings):
    """The size of pictures and masks, and how training pictures are varied."""

    image_size: int | None = setting(None, "longer side of the pictures in pixels", minimum=1, maximum=LARGEST_EXTENT)
    maximum_pixels: int = setting(
        89_478_485, "pixels in a file beyond which it is refused as a decompression bomb", minimum=1, source="Pillow"
    )
    mask_ignore: int | None = setting(
        None, "value of those cells of a mask that say nothing; 255 in some sets", minimum=0, maximum=2**24 - 1
    )
    augmentation: bool = setting(True, "whether training pictures are varied at all")
    flip: str = setting(
        "auto",
        "mirroring of training pictures; auto is horizontal for colored ones of 32 pixels and more, because digits, "
        "letters and scans, which are gray or small, have a right way round",
        choices=("auto", "none", "horizontal", "both"),
    )
    crop: float = setting(
        0.08, "farthest shift of training pictures, as a fraction of their side", minimum=0.0, maximum=0.5
    )
    zoom: float = setting(
        0.1, "most by which training pictures grow or shrink, as a fraction", minimum=0.0, maximum=1.0
    )
    rotate: float = setting(10.0, "most by which training pictures are turned, in degrees", minimum=0.0, maximum=180.0)
    color: float = setting(
        0.1, "most by which brightness, contrast and saturation of training pictures change", minimum=0.0, maximum=1.0
    )
    erase: float = setting(
        0.0,
        "probability that a rectangle of a training picture is erased",
        minimum=0.0,
        maximum=1.0,
        source="Zhong, Zheng, Kang, Li & Yang 2020",
    )


class ImageField(Field):
    """A picture as an input, each channel scaled to mean 0 and variance 1 on training rows.

    mean, scale: (channels,), in units of bytes.
    """

    kind = "image"
    answer = None

    def __init__(
        self, name: str, extent: tuple[int, int], mean: np.ndarray, scale: np.ndarray, augmentation: Augmentation
    ) -> None:
        self.name, self.mean, self.scale, self.augmentation = name, mean, scale, augmentation
        self.shape: Grid = Grid(len(mean), extent)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        values = arrays.values if arrays.values.flags.writeable else arrays.values.copy()
        # (n, height, width, channels) seen as (n, channels, height, width) is what torch calls channels last.
        grid = torch.from_numpy(values).permute(0, 3, 1, 2).to(torch.float32)
        factor = torch.from_numpy((1.0 / self.scale).astype(np.float32)).view(1, -1, 1, 1)
        offset = torch.from_numpy((-self.mean / self.scale).astype(np.float32)).view(1, -1, 1, 1)
        torch.addcmul(offset, grid, factor, out=grid)
        present = torch.from_numpy(np.array(arrays.present))
        if not bool(present.all()):
            grid[~present] = 0.0
        return {"grid": grid, "present": present}

    def augment(self, prepared: Prepared, generator: Any) -> Prepared:
        grid = self.augmentation(prepared["grid"], prepared["present"], generator)
        return {"grid": grid, "present": prepared["present"]}

    def motion(self, rows: int, generator: Any) -> Any | None:
        # The first that is drawn, as when the picture itself is varied.
        return self.augmentation.geometry(rows, generator) if self.augmentation.moves else None

    def show(self, arrays: Arrays, row: int) -> View:
        return ImageView(as_png(arrays.values[row])) if arrays.present[row] else Text("missing")

    def describe(self) -> str:
        return described(self.shape.extent, self.shape.channels)

    def state(self) -> State:
        height, width = self.shape.extent
        content = {"role": "input", "height": height, "width": width, "augmentation": self.augmentation.as_json()}
        return content, {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ImageField:
        extent = (whole(content, "height", 1, LARGEST_EXTENT), whole(content, "width", 1, LARGEST_EXTENT))
        mean = array(arrays, "mean", np.float64, None)
        expect(1 <= len(mean) <= 4, "channels")
        scale = array(arrays, "scale", np.float64, len(mean))
        expect(bool((scale > 0).all()), "scale")
        return cls(name, extent, mean, scale, Augmentation.from_json(content["augmentation"]))


class Image(Kind):
    name = "image"
    meaning = "pictures, in files or as arrays"
    settings = ImageSettings
    reads_files = True
    can_be_target = True
    modality = "image"
    extent_setting = "image_size"

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        if isinstance(sample, pl.Series):
            return 0.0
        if isinstance(sample, np.ndarray):
            if sample.dtype.kind not in "buif" or sample.ndim not in (3, 4):
                return 0.0
            return (0.95 if sample.dtype == np.uint8 else 0.8) if channels_last(sample).shape[3] <= 4 else 0.1
        files = spread(sample, SNIFFED_FILES)
        suffixes = known_suffixes()
        return 0.95 * sum(_looks_like_picture(file, suffixes) for file in files) / max(1, len(files))

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        files: list[FileReference | None] = []
        for row in range(rows):
            pixels = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            stream = BytesIO()
            Pillow.fromarray(pixels).save(stream, "PNG")
            files.append(None if row % 19 == 7 else FileReference(f"{row}.png", content=stream.getvalue()))
        return FileColumn(files)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        assert isinstance(settings, ImageSettings)
        if isinstance(sample, pl.Series) or (isinstance(sample, np.ndarray) and sample.ndim not in (3, 4)):
            raise ColumnError("A column of cells cannot be read as pictures", remedy="Give files or arrays of pictures")
        if isinstance(sample, FileColumn):
            sizes, channels = _survey_files(sample, settings.maximum_pixels)
            levels, fractions = None, False
        else:
            pictures = channels_last(np.asarray(sample))
            sizes, channels = [(pictures.shape[2], pictures.shape[1])], pictures.shape[3]
            levels, fractions = levels_of(pictures)
        height, width = fitting_extent(sizes, settings.image_size)
        return {
            "height": height,
            "width": width,
            "channels": channels,
            "maximum_pixels": settings.maximum_pixels,
            "levels": levels,
            "fractions": fractions,
        }

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        return plan["height"] * plan["width"] * plan["channels"]

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: uint8 (n, height, width, channels), 0 where absent."""
        if isinstance(column, pl.Series):
            raise ColumnError("A column of cells cannot be read as pictures", remedy="Give files or arrays of pictures")
        return _read_files(column, plan) if isinstance(column, FileColumn) else _read_arrays(column, plan)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, ImageSettings)
        sums, count = np.zeros((2, plan["channels"])), 0
        for chunk in chunks:
            rows = np.flatnonzero(chunk.present)
            rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MEASURED_PICTURES)).astype(np.int64)]
            pixels = chunk.values[rows].reshape(-1, plan["channels"]).astype(np.float64)
            sums += pixels.sum(axis=0), (pixels**2).sum(axis=0)
            count += len(pixels)
        if not count:
            raise no_values(name)
        mean = sums[0] / count
        extent = (plan["height"], plan["width"])
        if target:
            # One scale for all channels: how much each weighs in the loss is as in the error that is told.
            spread = np.sqrt(max(float((sums[1] / count - mean**2).mean()), 1.0))
            return PictureField(name, extent, mean, spread, plan["levels"])
        # A channel that hardly varies would turn a speck into a blaze: its scale is one byte at least.
        scale = np.sqrt(np.maximum(sums[1] / count - mean**2, 1.0))
        return ImageField(name, extent, mean, scale, _augmentation(settings, plan["channels"], min(extent)))

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        if word(content, "role", "input", "target") == "target":
            return PictureField.from_state(name, content, arrays)
        return ImageField.from_state(name, content, arrays)

    def frames(self, column: Column) -> Sequence[Frame | None]:
        if isinstance(column, np.ndarray):
            return [Frame(channels_last(column).shape[1:3])] * len(column)
        return file_frames(column) if isinstance(column, FileColumn) else super().frames(column)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, ImageField | PictureField)
        own = field.shape if isinstance(field, ImageField) else field.answer
        expect((plan["height"], plan["width"], plan["channels"]) == (*own.extent, own.channels), "size")
        whole(plan, "maximum_pixels", 1, 1 << 40)
        expect(isinstance(plan["fractions"], bool), "fractions")
        levels = plan["levels"]
        if levels is not None:
            low, high = (float(level) for level in levels)
            expect(low < high < math.inf and low > -math.inf, "levels")
        if isinstance(field, PictureField):
            expect(field.levels == levels, "levels")


def _augmentation(settings: ImageSettings, channels: int, side: int) -> Augmentation:
    if not settings.augmentation:
        return Augmentation()
    photo = channels >= 3 and side >= SMALLEST_MIRRORED_SIDE
    return Augmentation(
        horizontal=settings.flip in ("horizontal", "both") or (settings.flip == "auto" and photo),
        vertical=settings.flip == "both",
        shift=settings.crop,
        zoom=settings.zoom,
        rotate=settings.rotate,
        color=settings.color,
        erase=settings.erase,
    )


def _looks_like_picture(file: FileReference, suffixes: Mapping[str, Any]) -> bool:
    if PurePath(file.name).suffix.lower() in suffixes:
        return True
    try:
        header(file.read(), ImageSettings().maximum_pixels)
    except Exception:  # a text that begins like a picture, or too short for its decoder, fails in any way
        return False
    return True


def _survey_files(column: FileColumn, maximum_pixels: int) -> tuple[list[tuple[int, int]], int]:
    """(width, height) of the sample's pictures, and how many channels hold them all."""
    files = spread(column, HEADERS)
    probed = {id(file) for file in spread(column, PROBES)}

    def look(_: int, file: FileReference) -> tuple[tuple[int, int], int]:
        content = file.read()
        size = upright_size(header(content, maximum_pixels))
        return size, channels_in_use(content, maximum_pixels) if id(file) in probed else 1

    looks = on_each(files, look, PictureError, "picture")
    found = [each for each in looks if isinstance(each, tuple)]
    if not found:
        raise ColumnError(
            "None of the pictures can be read" + "".join(f": {each.reason}" for each in problems_of(looks)[:1]),
            remedy="Check that the files are pictures and not damaged",
        )
    return [size for size, _ in found], max(channels for _, channels in found)


def _read_files(column: FileColumn, plan: Mapping[str, Any]) -> Arrays:
    height, width, channels = plan["height"], plan["width"], plan["channels"]
    if channels == 2:
        raise ColumnError("Files of pictures do not have 2 channels", remedy="Give arrays, as in training")
    values = np.zeros((len(column), height, width, channels), np.uint8)
    digests = np.full(len(column), MISSING, np.uint64)

    def read(row: int, file: FileReference) -> None:
        content = file.read()
        digests[row] = digest_bytes(content)
        values[row] = decode(content, height, width, channels, plan["maximum_pixels"])

    problems = problems_of(on_each(column.files, read, PictureError, "picture"))
    present = np.array([file is not None for file in column.files], bool)
    present[[problem.row for problem in problems]] = False
    return Arrays(values, present, digests, problems=problems)


def _read_arrays(column: np.ndarray, plan: Mapping[str, Any]) -> Arrays:
    if column.ndim not in (3, 4):
        raise ColumnError("Rows of single numbers cannot be read as pictures", remedy="Give arrays of pictures")
    pictures = channels_last(column)
    if pictures.shape[3] != plan["channels"]:
        raise ColumnError(
            f"Pictures have {pictures.shape[3]} channels where {plan['channels']} are expected",
            remedy="Give pictures like those that were learned from",
        )
    values = np.zeros((len(column), plan["height"], plan["width"], plan["channels"]), np.uint8)
    levels, fractions = plan["levels"], plan["fractions"]
    reasons = astray(pictures, levels, fractions)
    present = np.isfinite(pictures).all(axis=(1, 2, 3))
    reasons |= {int(row): "the picture has values that are no finite numbers" for row in np.flatnonzero(~present)}
    present[list(reasons)] = False

    def fill(row: int) -> None:
        if present[row]:
            values[row] = resize(as_bytes(pictures[row], levels, fractions), plan["height"], plan["width"])

    if pictures.shape[1:3] == values.shape[1:3] and present.all():
        values[:] = as_bytes(pictures, levels, fractions)
    else:
        list(in_threads(fill, range(len(column))))
    problems = [Problem(row, reasons[row]) for row in sorted(reasons)]
    return Arrays(values, present, digest(column), problems=problems)


kinds.register(Image.name)(Image())
