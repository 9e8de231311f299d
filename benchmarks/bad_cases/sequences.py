"""Bad sequences of letters: FASTA files that are cut, empty, spaced or no text, and cells that are no sequence."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bad_cases.base import DATA, FINE, Case, write_csv

QUICK = ("--no-rivals", "--epochs", "2", "--network", "embedding-bag", "--set", "buckets=500", "--out", "model")
FILE = ("train", "genes.fasta", "--target", "kind", *QUICK)
CELLS = ("train", "data.csv", "--target", "answer", "--kind", "gene=sequence", *QUICK)


def gene(number: int) -> str:
    """Letters of DNA, by turns with and without a motif."""
    generator = random.Random(number)
    letters = "".join(generator.choice("ACGT") for _ in range(60))
    return letters[:20] + "TATAAT" + letters[26:] if number % 2 else letters


def records(sequence: Callable[[int], str] = gene, count: int = 60) -> str:
    return "".join(f">gene{number} kind={('no', 'yes')[number % 2]}\n{sequence(number)}\n" for number in range(count))


def sequences() -> Iterator[Case]:
    yield from _files()
    yield from _cells()


def _files() -> Iterator[Case]:
    good = records()
    contents: dict[str, tuple[bytes, tuple[int, ...], tuple[str, ...]]] = {
        "empty": (b"", DATA, ("empty",)),
        "blank": (b"\n \n\t\n", DATA, ("record|blank|empty",)),
        "no-record": (b"; a comment alone\n", DATA, ("record",)),
        "headers-alone": (records(lambda number: "").encode(), DATA, (r"sequence",)),
        "no-header": (gene(1).encode() + b"\n" + good.encode(), DATA, ("line 1", ">")),
        "latin-1": (good.replace("gene7 ", "gène7 ").encode("latin-1"), DATA, ("UTF-8", "line")),
        "nul": (good.replace("gene7 ", "gene\x007 ").encode(), DATA, ("line",)),
        "utf-16": (good.encode("utf-16"), DATA, ("UTF-16",)),
        "picture": (b"\x89PNG\r\n\x1a\n" + bytes(200), DATA, ("genes",)),
        "spaces": (records(lambda number: " ".join(gene(number)) + " ").encode(), FINE, ()),
        "blank-lines": (good.replace("\n", "\n\n").encode(), FINE, ()),
        "one-empty-record": (good.replace(gene(7), "").encode(), FINE, ()),
        "lower-case": (good.replace(gene(7), gene(7).lower()).encode(), FINE, ()),
        "windows-lines": (good.replace("\n", "\r\n").encode(), FINE, ()),
        "all-the-same": (records(lambda number: "ACGT").encode(), DATA, ("genes",)),
        "endless-line": (good.encode() + b">long kind=no\n" + b"ACGT" * 25_000_000, (0, 3), ("genes|long",)),
    }
    for what, (content, codes, told) in contents.items():

        def make(folder: Path, content: bytes = content) -> None:
            (folder / "genes.fasta").write_bytes(content)

        mentions = told if codes == FINE else (r"genes\.fasta", *told)
        yield Case(f"sequence/fasta-{what}", FILE, codes, mentions, make)
    packed = ("train", "genes.fasta.gz", *FILE[2:])
    whole = gzip.compress(good.encode())
    for what, content in {"cut": whole[: len(whole) // 2], "not-packed": good.encode(), "empty": b""}.items():

        def make_packed(folder: Path, content: bytes = content) -> None:
            (folder / "genes.fasta.gz").write_bytes(content)

        yield Case(f"sequence/gz-{what}", packed, DATA, (r"genes\.fasta\.gz",), make_packed)


def _cells() -> Iterator[Case]:
    def cells(make: Callable[[int], str]) -> Callable[[Path], None]:
        content = [[make(number), ("no", "yes")[number % 2]] for number in range(60)]
        return lambda folder: write_csv(folder / "data.csv", content, header=["gene", "answer"])

    missing = cells(lambda number: gene(number) if number % 4 < 2 else "")
    yield Case("sequence/half-missing-cells", CELLS, FINE, (), missing)
    yield Case("sequence/no-cells", CELLS, DATA, (r"data\.csv",), cells(lambda number: ""))
    yield Case("sequence/spaces-in-cells", CELLS, FINE, (), cells(lambda number: f" {gene(number)} "))
    yield Case("sequence/one-of-digits", CELLS, FINE, (), cells(lambda n: "12345" if n == 7 else gene(n)))
    yield Case("sequence/long-cells", CELLS, FINE, (), cells(lambda number: gene(number) * 2_000))
