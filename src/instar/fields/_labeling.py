"""Masks in files and arrays: the value of every cell as it was written, and values as a file again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image as Pillow

from instar.cells import at_extent
from instar.fields._files import on_each, spread
from instar.fields._pictures import PictureError, header
from instar.sources import FileColumn

# How the values of cells are written: as bytes, gray or numbers in a palette; as colors; as numbers of any size; or as
# those in the voxels of a scan.
BYTES, PALETTE, COLORS, NUMBERS, VOXELS = "bytes", "palette", "colors", "numbers", "voxels"
FORMS = (BYTES, PALETTE, COLORS, NUMBERS, VOXELS)
PROBES = 24
# Colors for classes that have none of their own, dark to light; from there on they come again.
_COLORS = (
    *("#1b1b1f", "#e8a33d", "#3d7de8", "#4caf6d", "#d1495b", "#9467bd", "#8c6d4f", "#e377c2"),
    *("#7f7f7f", "#bcbd22", "#17becf", "#f2d96b", "#a8dadc", "#6a4c93", "#ff9e80", "#c5e1a5"),
)


def form_of(image: Pillow.Image) -> str | None:
    """How a picture could hold a mask, by its header; None where it cannot."""
    if image.format in ("JPEG", "MPO", "JPEG2000", "WEBP") and not image.info.get("lossless"):
        return None
    if image.mode == "P":
        return PALETTE
    if image.mode in ("1", "L", "LA"):
        return BYTES
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return NUMBERS
    return COLORS if image.mode in ("RGB", "RGBA") else None


def values_of(image: Pillow.Image, form: str) -> np.ndarray:
    """(height, width) uint8 where the ``form`` is bytes or a palette, else int32. Raises PictureError."""
    found = form_of(image)
    if form == PALETTE and found == PALETTE:
        return np.asarray(image, np.uint8)
    if form in (BYTES, PALETTE):
        if found not in (BYTES, PALETTE):
            raise PictureError(f"is a picture of mode {image.mode}, and masks here are gray or have a palette")
        return np.asarray(image if found == PALETTE else image.convert("L"), np.uint8)
    if form == NUMBERS:
        if found not in (NUMBERS, BYTES):
            raise PictureError(f"is a picture of mode {image.mode}, and masks here are numbers")
        return np.asarray(image.convert("L") if image.mode == "1" else image).astype(np.int32).reshape(image.size[::-1])
    colors = np.asarray(image.convert("RGB")).astype(np.int32)
    return np.asarray((colors[..., 0] << 16) | (colors[..., 1] << 8) | colors[..., 2])


def read_mask(content: bytes, form: str, height: int, width: int, maximum_pixels: int) -> np.ndarray:
    """The values of a mask in a file, squeezed into its place: each cell has one that was there."""
    image = header(content, maximum_pixels)
    image.load()
    values = values_of(image, form)
    return at_extent(values, (height, width))


def probe(column: FileColumn, maximum_pixels: int) -> list[tuple[tuple[int, int], str, np.ndarray, list[int] | None]]:
    """(width, height), form, different values and palette of some files that could be masks."""

    def look(_: int, file: Any) -> tuple[tuple[int, int], str, np.ndarray, list[int] | None]:
        image = header(file.read(), maximum_pixels)
        form = form_of(image)
        if form is None:
            raise PictureError("is compressed with losses, and so no mask")
        image.load()
        return image.size, form, np.unique(values_of(image, form)), image.getpalette()

    results = on_each(spread(column, PROBES), look, PictureError, "mask")
    return [each for each in results if isinstance(each, tuple)]


def colors_of(values: np.ndarray, form: str, palette: Sequence[int] | None) -> np.ndarray:
    """(classes, 3) uint8: the colors in which classes of these values are drawn."""
    if form == COLORS:
        return np.stack([values >> 16 & 255, values >> 8 & 255, values & 255], axis=1).astype(np.uint8)
    if form == PALETTE and palette is not None:
        table = np.zeros((256, 3), np.uint8)
        known = np.array(palette, np.uint8).reshape(-1, 3)[:256]
        table[: len(known)] = known
        return table[values.astype(np.int64)]
    wheel = [tuple(bytes.fromhex(color[1:])) for color in _COLORS]
    return np.array([wheel[place % len(wheel)] for place in range(len(values))], np.uint8)


def as_file(values: np.ndarray, form: str, palette: Sequence[int] | None) -> tuple[str, bytes]:
    """The suffix and the content of a file with a mask, written as those that were learned from."""
    stream = BytesIO()
    if form == NUMBERS and (values.ndim != 2 or values.min() < 0 or values.max() > 65_535):
        np.save(stream, values, allow_pickle=False)
        return ".npy", stream.getvalue()
    if form == COLORS:
        image = Pillow.fromarray(colors_of(values.reshape(-1), form, None).reshape(*values.shape, 3))
    elif form == NUMBERS and values.max() > 255:
        image = Pillow.fromarray(values.astype(np.uint16))
    else:
        image = Pillow.fromarray(values.astype(np.uint8))
        if form == PALETTE and palette is not None:
            image.putpalette(list(palette))
    image.save(stream, "PNG")
    return ".png", stream.getvalue()


def smallest(values: np.ndarray) -> np.ndarray:
    """Whole numbers of 32 bits in the smallest type that holds them and that any viewer of scans knows."""
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high <= 255:
        return values.astype(np.uint8)
    return values.astype(np.int16) if low >= -(2**15) and high < 2**15 else values


def enlarged(codes: np.ndarray, classes: int, extent: Sequence[int]) -> np.ndarray:
    """Codes (height, width) at another extent: at each place the class wins of which most lies around it."""
    if codes.shape == tuple(extent) or codes.ndim != 2:
        return at_extent(codes, extent)
    height, width = extent
    most = np.zeros((height, width), np.float32)
    answer = np.zeros((height, width), np.uint8)
    for code in range(classes):
        here = codes == code
        if not here.any():
            continue
        share = Pillow.fromarray(here.astype(np.float32)).resize((width, height), Pillow.Resampling.BILINEAR)
        better = np.asarray(share) > most
        answer[better] = code
        most[better] = np.asarray(share)[better]
    return answer


def named(values: np.ndarray, form: str) -> list[str]:
    """What classes of these values are called."""
    return [f"#{value:06x}" if form == COLORS else str(value) for value in values.tolist()]


def palette_of(probes: Sequence[tuple[Any, str, Any, list[int] | None]]) -> list[int] | None:
    """The palette that all files share, if they do."""
    palettes = {tuple(palette or ()) for _, form, _, palette in probes if form == PALETTE}
    return list(palettes.pop()) or None if len(palettes) == 1 else None


def plan_palette(plan: Mapping[str, Any]) -> list[int] | None:
    """The palette of a plan. Raises ValueError where it is none."""
    palette = plan["palette"]
    if palette is None:
        return None
    known = isinstance(palette, list) and len(palette) <= 768 and len(palette) % 3 == 0
    if not known or not all(type(each) is int and 0 <= each <= 255 for each in palette):
        raise ValueError("a mask's palette is malformed")
    return palette
