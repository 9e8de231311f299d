"""A corpus: long texts to learn how they go on, ``corpus:PATH``, a text file or a folder of them, also gzipped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from instar.errors import SourceError
from instar.sources.base import Chunk, Schema, Source, sources
from instar.sources.columns import check_columns
from instar.sources.folder import walk
from instar.sources.paths import existing, existing_file, plain_name, stamp
from instar.sources.text import TextFile

PREFIX = "corpus:"
PASSAGE = "passage"
# Characters of a passage: enough that what stands before it matters little, and so few that a novel has a thousand.
LENGTH = 512
SUFFIXES = tuple(suffix + packed for suffix in (".txt", ".text", ".md") for packed in ("", ".gz"))


@sources.register("corpus")
class Corpus(Source):
    """The column ``passage``: each text cut into stretches of `LENGTH` characters, one after another, nothing left out.

    In a folder the texts are its files with one of `SUFFIXES`, and those of the folders in it, by name.
    """

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        self.path, self.files = path, tuple(files)
        self.place, self.name = PREFIX + str(path), plain_name(path)
        # How many passages each file has, as far as they have been counted.
        self._counted: list[int] = []

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return isinstance(given, str) and given.startswith(PREFIX)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Corpus:
        path = existing(given.removeprefix(PREFIX))
        if not path.is_dir():
            return cls(path, [existing_file(path)])
        names = sorted(name for name in walk(path) if name.lower().endswith(SUFFIXES))
        # An empty file says nothing; and where all are, the first says so.
        full = [name for name in names if (path / name).stat().st_size] or names[:1]
        if not names:
            raise SourceError(
                f"There is no text file in the folder (none of {', '.join(SUFFIXES)})",
                where=str(path),
                remedy="Name a single file, whatever it is called, or give the texts one of these endings",
            )
        return cls(path, [path / name for name in full])

    def schema(self) -> Schema:
        return Schema((PASSAGE,), target=PASSAGE, kinds={PASSAGE: PASSAGE})

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names, start = check_columns(columns, self.schema()), 0
        counted = []
        for file in self.files:
            first = start
            for passages in _passages(file):
                yield Chunk(start, {name: pl.Series(name, passages, dtype=pl.String) for name in names})
                start += len(passages)
            counted.append(start - first)
        self._counted = counted

    def fingerprint(self) -> str:
        return hashlib.blake2b("".join(map(stamp, self.files)).encode(), digest_size=16).hexdigest()

    def locate_row(self, row: int) -> str:
        if not self._counted:
            for _ in self.chunks():
                pass
        number = next(number for number, end in enumerate(accumulate(self._counted)) if row < end)
        within = row - sum(self._counted[:number])
        line = 1
        for passages in _passages(self.files[number]):
            if within < len(passages):
                line += sum(passage.count("\n") for passage in passages[:within])
                break
            line += sum(passage.count("\n") for passage in passages)
            within -= len(passages)
        return f"{self.files[number]}, from line {line}"


def _passages(path: Path) -> Iterator[list[str]]:
    """A text's passages in their order, a few megabytes of them at a time. Raises SourceError, which names the line."""
    rest = ""
    for block in TextFile(path).blocks(_whole_characters):
        text = rest + block.content.decode()
        end = len(text) - len(text) % LENGTH
        yield [text[start : start + LENGTH] for start in range(0, end, LENGTH)]
        rest = text[end:]
    if rest:
        yield [rest]


def _whole_characters(content: bytes) -> int:
    """Where the last whole character ends: at the end, unless its first byte announces more than there are."""
    for back in range(1, min(4, len(content)) + 1):
        byte = content[-back]
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return len(content) - back if needed > back else len(content)
    return len(content)
