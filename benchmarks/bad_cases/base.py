"""What a case is, and the good content that cases spoil."""

from __future__ import annotations

import csv
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

# The shortest training there is, for what must get past it.
QUICK = ("--no-rivals", "--epochs", "2", "--network", "linear", "--out", "model")
HEADER = ["age", "income", "town", "day", "answer"]

USAGE, DATA, MODEL, FOLDER = (2,), (3,), (5,), (6,)
FINE = (0,)


@dataclass(frozen=True)
class Case:
    """One bad input: how it is made, what is called, and what has to come of it.

    Parameters
    ----------
    make: fills the case's folder, which is the working directory of the call. It finds trained models in `MODELS`.
    codes: the exit codes that are right; 0 where the bad part can be survived, and then it must be told of.
    mentions: regular expressions that what is said on stderr (for code 0 also stdout) must all match, case ignored.
    file_size_limit: the largest file, in bytes, that the process may write.
    may_go_on: training had begun, and so an unfinished run may stay in the out folder, which the same command takes up.
    unprivileged: run without the right to read and write everything, where the benchmark itself has that right.
    """

    name: str
    arguments: Sequence[str]
    codes: tuple[int, ...]
    mentions: tuple[str, ...]
    make: Callable[[Path], None] = lambda folder: None
    file_size_limit: int | None = None
    may_go_on: bool = False
    unprivileged: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def rows(count: int = 120, seed: int = 0) -> list[list[str]]:
    """Good rows of a small table; `answer` follows from `age` and `town`."""
    generator = random.Random(seed)
    found = []
    for _ in range(count):
        age, town = generator.randint(18, 90), generator.choice(["Basel", "Bern", "Genf"])
        answer = "yes" if age + 20 * (town == "Bern") > 55 else "no"
        day = f"20{generator.randint(10, 24)}-{generator.randint(1, 12):02}-{generator.randint(1, 28):02}"
        found.append([str(age), f"{generator.uniform(1000, 9000):.2f}", town, day, answer])
    return found


def write_csv(
    path: Path,
    content: Sequence[Sequence[str]] | None = None,
    *,
    header: Sequence[str] = HEADER,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows() if content is None else content)


def with_column(name: str, values: Callable[[int], str], count: int = 120) -> list[list[str]]:
    """Good rows, one column of them replaced by ``values`` of the row's number."""
    content, place = rows(count), HEADER.index(name)
    for number, row in enumerate(content):
        row[place] = values(number)
    return content


def picture(label: int, number: int, size: int = 24) -> Image.Image:
    """A small picture, darker or brighter by its class."""
    generator = np.random.default_rng((label, number))
    noise = generator.integers(0, 60, (size, size, 3)) + 120 * label
    return Image.fromarray(noise.astype(np.uint8))


def encoded(image: Image.Image, form: str = "JPEG") -> bytes:
    buffer = BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def photos(folder: Path, each: int = 30, classes: Sequence[str] = ("dark", "light")) -> Path:
    """A good folder of pictures per class."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            (folder / name / f"{number:03}.jpg").write_bytes(encoded(picture(label % 2, number)))
    return folder


def huge_png(width: int, height: int) -> bytes:
    """A few hundred bytes that declare a picture of ``width`` x ``height``."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def train(source: str, *more: str, target: str | None = "answer") -> tuple[str, ...]:
    return ("train", source, *(("--target", target) if target else ()), *QUICK, *more)
