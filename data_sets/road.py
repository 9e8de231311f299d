"""What a camera sees of a road, drawn with a known angle of the wheel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from data_sets.fetch import DATA, making

WIDTH, HEIGHT, HORIZON = 64, 40, 14
DRIVES, FRAMES = 30, 80
# The car aims at where the road will be this far ahead (1 is the nearest that is seen, and 0 the horizon).
AHEAD = 0.35


def angle_of(bend: float, offset: float, heading: float) -> float:
    """Degrees, to the right: towards the middle of the road ``AHEAD`` ("pure pursuit", Coulter 1992)."""
    return float(np.degrees(np.arctan(middle(np.array(AHEAD), bend, offset, heading) / 2)))


def middle(near: np.ndarray, bend: float, offset: float, heading: float) -> np.ndarray:
    """Where the middle of the road is, across, half pictures from the picture's middle; ``near`` from 0 to 1."""
    return -offset * near + (1 - near) * heading + (1 - near) ** 2 * bend


def frame(generator: np.random.Generator, bend: float, offset: float, heading: float, light: float) -> Image.Image:
    """The road under a sky, with lines, trees, light of its own and grain."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    near = np.clip((rows - HORIZON) / (HEIGHT - HORIZON), 0, 1)
    across = (columns - WIDTH / 2) / (WIDTH / 2) - middle(near, bend, offset, heading)
    half = 0.05 + 0.75 * near
    ground = rows >= HORIZON
    picture = np.where(ground[..., None], (70, 110, 60), (150, 185, 220)).astype(float)
    picture[ground & (np.abs(across) < half)] = (95, 95, 98)
    for side in (-0.92, 0.92):
        picture[ground & (np.abs(across - side * half) < 0.045 * half + 0.008)] = (225, 225, 215)
    dashed = np.sin(6 / (near + 0.12) + generator.uniform(0, 6)) > 0
    picture[ground & dashed & (np.abs(across) < 0.03 * half + 0.006)] = (230, 220, 170)
    for _ in range(generator.integers(2, 7)):
        at, size = generator.uniform(0, WIDTH), generator.uniform(2, 6)
        picture[((columns - at) ** 2 / 2 + (rows - HORIZON + size / 2) ** 2) < size**2 / 2] = (35, 75, 40)
    picture = picture * light + generator.normal(0, 8, picture.shape)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def road() -> Path:
    """A folder of PNG files with `metadata.csv`: ``file_name``, ``drive`` and ``angle`` in degrees, to the right."""
    place = DATA / "road"
    if place.exists():
        return place
    generator, rows = np.random.default_rng(0), []
    with making(place) as folder:
        for drive in range(DRIVES):
            light, state = generator.uniform(0.45, 1.15), generator.normal(0, (0.7, 0.3, 0.3))
            for number in range(FRAMES):
                state = 0.93 * state + generator.normal(0, (0.26, 0.11, 0.11))
                name = f"{drive:02}-{number:03}.png"
                frame(generator, *state, light).save(folder / name)
                rows.append((name, drive, round(angle_of(*state), 3)))
        pl.DataFrame(rows, schema=["file_name", "drive", "angle"], orient="row").write_csv(folder / "metadata.csv")
    return place
