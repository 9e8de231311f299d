"""The stamps of Tux Paint: hundreds of drawings and photographs of animals, food, plants, vehicles and more.

From Debian's package tuxpaint-stamps-default (its contributors; GPL-2+ and free licenses, each named there).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from data_sets.fetch import DATA, debian, making

PACKAGE = "tuxpaint-stamps-default"
# Letters, signs and symbols, which have hardly any colors, are left out.
COLORFUL = frozenset(
    {"animals", "clothes", "food", "household", "people", "plants", "seasonal", "space", "sports", "town", "vehicles"}
)
CLASSES = {"animals": "animal", "food": "food", "plants": "plant", "vehicles": "vehicle"}
SIDE = 64


def stamps() -> Path:
    """A folder of PNG files, ``SIDE`` pixels at most, white where they were transparent."""
    place = DATA / "stamps"
    if place.exists():
        return place
    with debian(PACKAGE) as content, making(place) as folder:
        for file in sorted(content.rglob("stamps/**/*.png")):
            parts = file.parts[file.parts.index("stamps") + 1 :]
            if COLORFUL & set(parts):
                _on_white(Image.open(file)).save(folder / "-".join(parts))
    return place


def stamps_to_color() -> tuple[Path, Path]:
    """The stamps in two folders: one to learn from, and every twelfth, to try it on."""
    place = DATA / "stamps-to-color"
    if not place.exists():
        with making(place) as folder:
            for number, file in enumerate(sorted(stamps().iterdir())):
                part = folder / ("new" if number % 12 == 7 else "learn")
                part.mkdir(exist_ok=True)
                shutil.copy(file, part / file.name)
    return place / "learn", place / "new"


def stamps_in_folders() -> Path:
    """A folder for each of animal, food, plant and vehicle."""
    place = DATA / "stamps-in-folders"
    if place.exists():
        return place
    with making(place) as folder:
        for file in sorted(stamps().iterdir()):
            label = CLASSES.get(file.name.split("-")[0])
            if label is not None:
                (folder / label).mkdir(exist_ok=True)
                shutil.copy(file, folder / label / file.name)
    return place


def _on_white(stamp: Image.Image) -> Image.Image:
    stamp = stamp.convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", stamp.size, "white"), stamp).convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (SIDE, SIDE), "white")
    square.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return square
