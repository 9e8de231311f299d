"""Bad texts: in folders, in cells and a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bad_cases.base import DATA, FINE, Case, write_csv

QUICK = ("--no-rivals", "--epochs", "2", "--network", "embedding-bag", "--set", "buckets=500", "--out", "model")
FILES = ("train", "reviews", *QUICK)
CELLS = ("train", "data.csv", "--target", "answer", "--kind", "review=text", *QUICK)
LINES = ("train", "lines.txt", "--target", "text", "--out", "model")
# What a text file must not be, and what is said of it.
NO_TEXTS = {
    "latin-1": ("schön und gut".encode("latin-1"), "UTF-8"),
    "nul-filled": (b"\0" * 4096, "NUL"),
    "elf": (b"\x7fELF\x02\x01\x01" + b"\0" * 64, "NUL"),
    "picture": (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "0x89"),
    "utf-16-without-mark": ("a text".encode("utf-16-le"), "NUL"),
    "half-of-utf-16": (b"\xff\xfe\x00\xd8\x00\x20", "UTF-16"),
    "cut-character": ("schö".encode()[:-1], "UTF-8"),
}


def sentence(number: int) -> str:
    return f"the {('room', 'soup', 'view')[number % 3]} was {('awful', 'lovely')[number % 2]} on day {number}"


def reviews(folder: Path) -> Path:
    """A good folder of texts per class."""
    for number in range(60):
        place = folder / "reviews" / ("bad", "good")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:02}.txt").write_text(sentence(number))
    return folder / "reviews"


def texts() -> Iterator[Case]:
    """One bad file among good ones is said and survived, many end the run; empty texts are absent."""
    for what, (content, said) in NO_TEXTS.items():

        def one(folder: Path, content: bytes = content) -> None:
            (reviews(folder) / "bad" / "00.txt").write_bytes(content)

        def many(folder: Path, content: bytes = content) -> None:
            for path in (reviews(folder) / "bad").iterdir():
                path.write_bytes(content)

        yield Case(f"text/one-{what}", FILES, FINE, (r"00\.txt", said), one)
        yield Case(f"text/many-{what}", FILES, DATA, (r"\.txt", said), many)

    def spoiled(change: Callable[[Path], object]) -> Callable[[Path], None]:
        return lambda folder: [change(path) for path in reviews(folder).rglob("*.txt")] and None

    def one_empty(folder: Path) -> None:
        (reviews(folder) / "bad" / "00.txt").write_bytes(b"")

    yield Case("text/one-empty", FILES, FINE, (), one_empty)
    yield Case("text/all-empty", FILES, DATA, ("reviews",), spoiled(lambda path: path.write_bytes(b"")))
    yield Case("text/all-blank", FILES, DATA, ("reviews",), spoiled(lambda path: path.write_bytes(b" \n\t")))
    yield Case("text/all-the-same", FILES, DATA, ("reviews",), spoiled(lambda path: path.write_bytes(b"the same text")))

    def cells(make: Callable[[int], str]) -> Callable[[Path], None]:
        content = [[make(number), ("bad", "good")[number % 2]] for number in range(60)]
        return lambda folder: write_csv(folder / "data.csv", content, header=["review", "answer"])

    empty = cells(lambda number: sentence(number) if number % 4 < 2 else "")
    yield Case("text/half-missing-cells", CELLS, FINE, (), empty)
    yield Case("text/no-cells", CELLS, DATA, (r"data\.csv",), cells(lambda number: ""))
    yield Case("text/long-cells", CELLS, FINE, (), cells(lambda number: sentence(number) + " and more" * 20_000))

    lines = {
        "empty": (b"", "empty"),
        "blank": (b"\n\n \n", "blank"),
        "latin-1": ("gut\nschön\n".encode("latin-1"), "line 2"),
        "nul": (b"good\nb\0d\n", "line 2"),
        "utf-16": ("good\n".encode("utf-16"), "UTF-16"),
    }
    for what, (content, said) in lines.items():

        def make(folder: Path, content: bytes = content) -> None:
            (folder / "lines.txt").write_bytes(content)

        yield Case(f"text/lines-{what}", LINES, DATA, (r"lines\.txt", said), make)

    def endless(folder: Path) -> None:
        (folder / "lines.txt").write_bytes(b"good\n" + b"word " * 20_000_000)

    yield Case("text/lines-endless", LINES, DATA, (r"lines\.txt", "line 2"), endless)
