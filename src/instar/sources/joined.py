"""Several sources of the same columns, one after another, each with words that hold for all of its records."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from instar.sources.base import Chunk, Column, Schema, Source, thin
from instar.sources.columns import check_columns


class JoinedSource(Source):
    """The records of ``parts``, in their order, and a column for each word that is said of them.

    ``schema`` has the columns of all parts and those of the words; each part comes with its words by column.
    """

    def __init__(
        self, name: str, place: str, parts: Sequence[tuple[Source, Mapping[str, str | None]]], schema: Schema
    ) -> None:
        self.name, self.place, self._parts, self._schema = name, place, list(parts), schema
        self._starts: list[int] = []

    def schema(self) -> Schema:
        return self._schema

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self._schema)
        starts, start = [], 0
        for part, words in self._parts:
            starts.append(start)
            # Words may be all that is asked for: then another column comes along, to be counted.
            inner = [name for name in names if name not in words] or self._own(words)[:1]
            for chunk in part.chunks(inner):
                yield Chunk(start, _named(chunk, names, words))
                start += len(chunk)
        self._starts = starts

    def sample(self, rows: int) -> Chunk:
        samples = ((part.sample(rows), words) for part, words in self._parts)
        return thin((Chunk(0, _named(chunk, self._schema.columns, words)) for chunk, words in samples), rows)

    def fingerprint(self) -> str:
        stamps = "".join(part.fingerprint() for part, _ in self._parts)
        return hashlib.blake2b(stamps.encode(), digest_size=16).hexdigest()

    def locate_row(self, row: int) -> str:
        if not self._starts:
            for _ in self.chunks(self._own(self._parts[0][1])[:1]):
                pass
        place = bisect_right(self._starts, row) - 1
        return self._parts[place][0].locate_row(row - self._starts[place])

    def _own(self, words: Mapping[str, str | None]) -> list[str]:
        return [name for name in self._schema.columns if name not in words]


def _named(chunk: Chunk, names: Sequence[str], words: Mapping[str, str | None]) -> dict[str, Column]:
    return {
        name: pl.Series(name, [words[name]], pl.String).new_from_index(0, len(chunk))
        if name in words
        else chunk.columns[name]
        for name in names
    }
