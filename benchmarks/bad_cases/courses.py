"""Bad series: other channels, other lengths, words and gaps where numbers belong, in cells and in `.ts` files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bad_cases.base import DATA, FINE, Case, train, write_csv

CELLS = train("data.csv", "--kind", "course=series")
FILE = train("waves.ts", target=None)
HEADER = "@problemName waves\n@univariate {univariate}\n@classLabel true flat steep\n@data\n"


def course(number: int, channels: int = 2, steps: int = 12) -> list[list[float]]:
    """(channels, steps): rising slowly or fast by its class."""
    slope = (0.1, 1.0)[number % 2]
    return [
        [round(slope * step + math.sin(number + step + channel), 3) for step in range(steps)]
        for channel in range(channels)
    ]


def _number(number: int) -> str:
    return json.dumps(course(number))


def series() -> Iterator[Case]:
    yield from _one_among_many()
    yield from _all()
    yield from _files()
    yield from _arrays()


def _cells(make: Callable[[int], str]) -> Callable[[Path], None]:
    content = [[make(number), ("flat", "steep")[number % 2]] for number in range(60)]
    return lambda folder: write_csv(folder / "data.csv", content, header=["course", "answer"])


def _one_among_many() -> Iterator[Case]:
    """One bad cell among sixty: its line is named and the others are learned from."""
    bad = {
        "one-channel": json.dumps(course(7, channels=1)),
        "three-channels": json.dumps(course(7, channels=3)),
        "unequal-channels": "[[1, 2, 3], [1, 2]]",
        "words": "up and down",
        "words-in-a-list": '[["up", "down"], ["up", "down"]]',
        "nested-too-deep": "[[[1, 2]], [[3, 4]]]",
        "lists-and-numbers": "[1, [2, 3]]",
        "cut": _number(7)[:-9],
        "no-steps": "[[], []]",
        "infinite": "[[1, Infinity], [1, 2]]",
        "too-large": "[[1e400, 1], [1, 2]]",
        "deep": "[" * 100_000,
        "object": '{"course": [1, 2, 3]}',
    }
    for what, cell in bad.items():
        one = _cells(lambda number, cell=cell: cell if number == 7 else _number(number))
        yield Case(f"series/one-{what}", CELLS, FINE, (r"line 9\b",), one)
        yield Case(f"series/many-{what}", CELLS, DATA, (r"data\.csv",), _cells(lambda n, cell=cell: cell))
    for what, cell in {
        "missing": "",
        "one-step": "[[1], [2]]",
        "far-longer": json.dumps(course(7, steps=5_000)),
        "gaps": "[[1, null, 3], [null, 2, null]]",
    }.items():
        odd = _cells(lambda number, cell=cell: cell if number == 7 else _number(number))
        yield Case(f"series/odd-{what}", CELLS, FINE, (), odd)


def _all() -> Iterator[Case]:
    halves = _cells(lambda number: json.dumps(course(number, channels=1 + number // 2 % 2)))
    yield Case("series/half-with-another-channel-count", CELLS, (0, 3), (r"data\.csv|line \d+",), halves)
    yield Case("series/all-missing", CELLS, DATA, (r"data\.csv",), _cells(lambda number: ""))
    gaps = _cells(lambda number: json.dumps([[None] * (3 + number)] * 2))
    yield Case("series/gaps-alone", CELLS, DATA, (r"course|data\.csv",), gaps)
    same = _cells(lambda number: "[[1, 1, 1], [1, 1, 1]]")
    yield Case("series/all-the-same", CELLS, DATA, (r"data\.csv|same",), same)


def _files() -> Iterator[Case]:
    def line(number: int) -> str:
        channels = ":".join(",".join(map(str, channel)) for channel in course(number))
        return f"{channels}:{('flat', 'steep')[number % 2]}"

    def content(make: Callable[[int], str], header: str = HEADER) -> bytes:
        return (header.format(univariate="false") + "\n".join(map(make, range(60))) + "\n").encode()

    good = content(line)
    bad: dict[str, tuple[bytes, tuple[int, ...], tuple[str, ...]]] = {
        "empty": (b"", DATA, ("empty",)),
        "header-alone": (HEADER.format(univariate="false").encode(), DATA, ()),
        "no-header": (good.split(b"@data\n")[1], DATA, ()),
        "words": (
            content(lambda number: "up,down:up,down:flat" if number == 7 else line(number)),
            (0, 3),
            ("line 12",),
        ),
        "another-channel-count": (content(lambda n: "1,2,3:flat" if n == 7 else line(n)), (0, 3), ("line 12",)),
        "foreign-class": (content(lambda n: line(n).replace("steep", "sloping") if n == 7 else line(n)), (0, 3), ()),
        "latin-1": (good.replace(b"flat", "schräg".encode("latin-1")), DATA, ("UTF-8",)),
        "nul": (good.replace(b"flat", b"fl\0at"), DATA, ("line",)),
        "cut": (good[: len(good) // 2], (0, 3), ()),
    }
    for what, (spoilt, codes, told) in bad.items():

        def make(folder: Path, spoilt: bytes = spoilt) -> None:
            (folder / "waves.ts").write_bytes(spoilt)

        mentions = (r"waves\.ts", *told) if codes == DATA else told
        yield Case(f"series/ts-{what}", FILE, codes, mentions, make)


def _arrays() -> Iterator[Case]:
    """Arrays in an .npz file; ``x`` is (rows, channels, steps)."""

    def arrays(change: Callable[[np.ndarray], Any]) -> Callable[[Path], None]:
        content = np.array([course(number) for number in range(60)])
        target = np.arange(60) % 2
        return lambda folder: np.savez(folder / "data.npz", x=change(content), y=target)

    def spoilt(value: float) -> Callable[[np.ndarray], np.ndarray]:
        def change(content: np.ndarray) -> np.ndarray:
            content[7, 0, 3] = value
            return content

        return change

    given = ("train", "data.npz", "--target", "y", "--kind", "x=series", *train("")[4:])
    yield Case("series/array-one-infinite", given, FINE, ("8|7",), arrays(spoilt(np.inf)))
    yield Case("series/array-one-gap", given, FINE, (), arrays(spoilt(np.nan)))
    yield Case("series/array-no-number", given, DATA, (r"data\.npz",), arrays(lambda content: content * np.nan))
    yield Case("series/array-of-words", given, DATA, (r"data\.npz|x",), arrays(lambda content: content.astype(str)))
    yield Case("series/array-of-four-axes", given, DATA, (r"data\.npz|x",), arrays(lambda content: content[..., None]))
