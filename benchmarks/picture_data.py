"""Procedural photographs, the same for everyone: a class is a texture of stripes under shapes, light and grain."""

from __future__ import annotations

import shutil
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import DATA

CLASSES = 10


def draw(generator: np.random.Generator, label: int, size: int) -> Image.Image:
    """A picture of ``size`` pixels a side: stripes whose angle and width tell the class, everything else varies."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    angle = np.pi * (label % 5) / 5 + generator.normal(0, 0.08)
    frequency = (9 if label < 5 else 17) * generator.uniform(0.9, 1.1)
    stripes = np.sin(2 * np.pi * frequency * (rows * np.sin(angle) + columns * np.cos(angle)) + generator.uniform(0, 6))
    picture = generator.uniform(60, 180, 3)[:, None, None] + 38 * stripes * generator.uniform(0.3, 1, 3)[:, None, None]
    for _ in range(6):
        (y, x), radius = generator.uniform(0, 1, 2), generator.uniform(0.05, 0.2)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        picture += inside * generator.uniform(-70, 70, 3)[:, None, None]
    light = generator.uniform(-40, 40, 2)
    picture += light[0] * rows + light[1] * columns
    picture += generator.normal(0, 6, (size, size))
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8).transpose(1, 2, 0))


def _write(job: tuple[Path, int, int, int, int]) -> None:
    folder, label, first, count, size = job
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        buffer = BytesIO()
        picture = draw(np.random.default_rng((size, label, number)), label, size)
        picture.save(buffer, "JPEG", quality=88)
        (folder / f"{number:05}.jpg").write_bytes(buffer.getvalue())


def pictures(name: str, count: int, size: int, shares: dict[str, float] | None = None) -> Path:
    """A folder of ``count`` JPEG files in a folder per class, below ``train``, ``validation`` and ``test`` if asked.

    It is made once, in a folder that gets its name when it is complete.
    """
    folder = DATA / f"{name}-{count}-{size}"
    if folder.exists():
        return folder
    making = folder.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    jobs, each = [], count // CLASSES
    for label in range(CLASSES):
        first = 0
        for part, share in (shares or {"": 1.0}).items():
            wanted = round(each * share)
            jobs += [
                (making / part / f"class_{label}", label, start, min(500, first + wanted - start), size)
                for start in range(first, first + wanted, 500)
            ]
            first += wanted
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write, jobs))
    making.rename(folder)
    return folder
