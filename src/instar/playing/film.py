"""An episode as a moving picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from instar.errors import SourceError, UsageError
from instar.files import write_atomically
from instar.playing.episodes import Arena
from instar.playing.policies import Policy

# By suffix, Pillow's name of the format.
FORMATS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP"}
# Pictures of a film, of which a longer one leaves out every second, and how wide they are at most.
MOST_PICTURES, WIDEST = 500, 480


@dataclass(frozen=True)
class Film:
    """Pictures (height, width, 3) uint8, and how many a second."""

    pictures: Sequence[np.ndarray]
    rate: float


def film(arena: Arena, policy: Policy, seed: int) -> Film:
    """The episode of a seed. The arena's copies have to be ``drawn``. Raises SourceError where nothing can be seen."""
    pictures: list[np.ndarray] = []
    stride, count = 1, 0

    def look(picture: object) -> None:
        nonlocal pictures, stride, count
        if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.dtype != np.uint8:
            raise SourceError("The environment gives no pictures of itself", where=arena.source.place)
        if count % stride == 0:
            shrink = -(-picture.shape[1] // WIDEST)
            pictures.append(picture[::shrink, ::shrink, :3].copy())
        count += 1
        if len(pictures) > MOST_PICTURES:
            pictures, stride = pictures[::2], 2 * stride

    arena.play(policy, [seed], look=look)
    return Film(pictures, arena.pictures_a_second / stride)


def film_writer(path: Path) -> Callable[[Film], None]:
    """A function that writes a film to ``path``. Raises UsageError where its suffix is no format of films."""
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UsageError(
            f"A film cannot be written as {path.suffix or 'a file without a suffix'}",
            where=str(path),
            remedy=f"Name it with one of {', '.join(FORMATS)}",
        )

    def write(content: Film) -> None:
        first, *others = [Image.fromarray(each) for each in content.pictures]
        duration = max(20, round(1000 / content.rate))  # milliseconds; what is faster is shown slowly by many viewers

        def save(temporary: Path) -> None:
            first.save(temporary, form, save_all=True, append_images=others, duration=duration, loop=0)

        write_atomically(path, save)

    return write
