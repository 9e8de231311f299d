"""Food as five hands drew it for emoji: Noto, Twemoji, Fluent, OpenMoji and EmojiOne, of which each has one hot dog.

From npm's @iconify-json packages (Apache-2.0, CC BY 4.0, MIT, CC BY-SA 4.0 and CC BY 4.0).
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import polars as pl
from PIL import Image

from data_sets.fetch import DATA, making, npm

HANDS = {
    "noto": "1.2.9",
    "twemoji": "1.2.5",
    "fluent-emoji-flat": "1.2.6",
    "openmoji": "1.2.29",
    "emojione": "1.2.3",
}
SIDE, HOT_DOG, AGAIN = 48, "hot-dog", 10


def food_emoji() -> Path:
    """A folder of PNG files, with two tables for each hand: HAND.csv is its food, and others-than-HAND.csv all other.

    The columns are ``picture`` and ``answer``, hot dog or not. The others' four hot dogs stand there `AGAIN` times
    each, lest they be lost among 500 pictures that are none.
    """
    place = DATA / "food-emoji"
    if place.exists():
        return place
    rows = []
    with making(place) as folder:
        for hand, version in HANDS.items():
            with npm(f"@iconify-json/{hand}@{version}") as content:
                icons = json.loads((content / "icons.json").read_text())
                groups = json.loads((content / "metadata.json").read_text())["categories"]
            for name in next(names for group, names in groups.items() if group.startswith("Food")):
                if name in icons["icons"]:
                    _drawn(icons, name).save(folder / f"{hand}-{name}.png")
                    rows.append((hand, f"{hand}-{name}.png", "hot dog" if name == HOT_DOG else "not hot dog"))
        foods = pl.DataFrame(rows, schema=["hand", "picture", "answer"], orient="row")
        for hand in HANDS:
            own, others = (foods.filter((pl.col("hand") == hand) == is_own).drop("hand") for is_own in (True, False))
            hot_dogs = others.filter(pl.col("answer") == "hot dog")
            own.write_csv(folder / f"{hand}.csv")
            pl.concat([others, *[hot_dogs] * (AGAIN - 1)]).write_csv(folder / f"others-than-{hand}.csv")
    return place


def _drawn(icons: dict, name: str) -> Image.Image:
    """The icon on white."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    icon = icons["icons"][name]
    usual = {"left": 0, "top": 0, "width": 16, "height": 16}
    box = " ".join(str(icon.get(key, icons.get(key, other))) for key, other in usual.items())
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = f'{head} width="{SIDE}" height="{SIDE}" viewBox="{box}">{icon["body"]}</svg>'
    surface = pygame.image.load(io.BytesIO(svg.encode()), "icon.svg")
    picture = Image.frombytes("RGBA", surface.get_size(), pygame.image.tobytes(surface, "RGBA"))
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
