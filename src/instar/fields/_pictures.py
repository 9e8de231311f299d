"""Picture files to arrays of bytes: headers without decoding, as little decoding as possible, every mode put right."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

# Formats that Pillow hands to other programs (EPS to Ghostscript, WMF to the system): content must not choose those.
_OUTSIDE = frozenset({"EPS", "WMF"})
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class PictureError(Exception):
    """A picture that cannot be read; the message is a phrase."""


def header(content: bytes, maximum_pixels: int) -> Image.Image:
    """The picture in a file's bytes, not yet decoded. Raises PictureError.

    ``Image.open`` would do the same, but it only warns of a decompression bomb, and to make it refuse one the
    warnings of the whole process had to be changed. The size in the header is compared here, whatever the format.
    """
    if not content:
        raise PictureError("is an empty file")
    image = _identify(content)
    if image is None:
        raise PictureError("is no picture in a known format")
    width, height = image.size
    if width * height > maximum_pixels:
        raise PictureError(f"has {width:,} x {height:,} pixels, more than the {maximum_pixels:,} of maximum_pixels")
    if not width * height:
        raise PictureError("has no pixels")
    return image


def decode(content: bytes, height: int, width: int, channels: int, maximum_pixels: int) -> np.ndarray:
    """uint8 (height, width, channels): 1 channel is gray, 3 are colors, 4 colors and alpha. Raises PictureError.

    The whole picture is squeezed into its place, so that nothing at its edges is lost; it is turned upright first if
    a camera noted how it was held. Without an alpha channel, transparent places become white.
    """
    image = header(content, maximum_pixels)
    turn = _turn(image)
    size = (height, width) if _swaps(turn) else (width, height)
    gray = channels == 1 and image.mode in ("RGB", "YCbCr")
    image.draft("L" if gray else image.mode, size)  # a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that does
    image.load()
    image = _as_mode(image, _MODES[channels])
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if turn is not None:
        image = image.transpose(turn)
    return np.asarray(image, np.uint8).reshape(height, width, channels)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) once the picture stands upright."""
    width, height = image.size
    return (height, width) if _swaps(_turn(image)) else (width, height)


def is_gray(image: Image.Image) -> bool:
    """Whether the header says that there are no colors."""
    return image.mode in _GRAY_MODES


def has_alpha(image: Image.Image) -> bool:
    """Whether there may be transparent places."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def channels_in_use(content: bytes, maximum_pixels: int) -> int:
    """1, 3 or 4: what a picture really needs, transparent and colored places looked for in its content."""
    image = header(content, maximum_pixels)
    image.draft(image.mode, (64, 64))
    image.load()
    if has_alpha(image) and np.asarray(image.convert("RGBA").getchannel("A")).min() < 255:
        return 4
    if is_gray(image):
        return 1
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)
    return 1 if np.array_equal(red, green) and np.array_equal(green, blue) else 3


def known_suffixes() -> Mapping[str, Any]:
    """The suffixes of the formats that Pillow reads."""
    return {suffix: name for suffix, name in Image.registered_extensions().items() if name in Image.OPEN}


def _identify(content: bytes) -> Image.Image | None:
    tried: set[str] = set()
    for load in (Image.preinit, Image.init):  # the common formats first: all of them take a while to import
        load()
        for name in [name for name in Image.ID if name not in tried and name not in _OUTSIDE]:
            tried.add(name)
            factory, accept = Image.OPEN[name]
            accepted = accept is None or accept(content[:16])
            if not accepted or isinstance(accepted, str):
                continue
            try:
                return factory(BytesIO(content), "")
            except (SyntaxError, IndexError, TypeError, KeyError, struct.error):
                continue  # this is how a format says that it is another one
    return None


def _turn(image: Image.Image) -> Image.Transpose | None:
    if "exif" not in image.info and image.format not in ("TIFF", "MPO"):
        return None
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a camera's notes may be damaged in any way where its picture is sound
        return None


def _swaps(turn: Image.Transpose | None) -> bool:
    return turn in (
        Image.Transpose.TRANSPOSE,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_270,
    )


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.mode == mode and "transparency" not in image.info:
        return image
    if mode != "RGBA" and has_alpha(image):
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert(mode)
    return image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Gray values of 16 or 32 bits, or fractions, as bytes: whole numbers have 16 bits, fractions lie from 0 to 1."""
    values = np.asarray(image).astype(np.float64)
    fractions = image.mode == "F" and values.max(initial=0.0) <= 1.0
    factor = 255.0 if fractions else 1.0 if image.mode == "F" else 1 / 257
    return Image.fromarray(np.clip(np.nan_to_num(values * factor).round(), 0, 255).astype(np.uint8))
