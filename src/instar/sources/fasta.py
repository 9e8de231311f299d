"""FASTA files of sequences (Pearson & Lipman 1988), also gzipped: a row for each record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from instar.errors import SourceError
from instar.sources.base import Schema, sources
from instar.sources.table import TableSource, TextTable
from instar.sources.text import Block, Position

NAME, DESCRIPTION, SEQUENCE = "name", "description", "sequence"
# A key is a column where at least this share of the records that are looked at have it; and so many keys are.
LEAST_SHARE, MOST_KEYS = 0.95, 64

# ``[key=several words]`` as NCBI writes it, ``OS=several words OX=`` as UniProt does, and ``key=word``.
_PAIR = re.compile(
    r"(?<![^\s;|,])(?:\[(?P<a>[^\W\d]\w*)=(?P<b>[^\]]*)\]|(?P<c>OS)=(?P<d>.*?)(?=\s[A-Z]{2}=|$)|"
    r'(?P<e>[^\W\d]\w*)=(?P<f>"[^"]*"|[^\s;|,"]*))(?=[\s;|,]|$)'
)
# Where pairs were taken out; a text has no NUL.
_TAKEN, _GAP = "\0", re.compile(r"[\s;|,]*\0[\s;|,\0]*")


@sources.register("fasta")
class FastaSource(TextTable):
    """The columns ``name`` (the header's first word), ``description`` (the rest) and ``sequence`` (without space).

    Where nearly all headers have ``key=value``, the key is a column of its own, and taken out of the others.
    """

    suffixes = tuple(
        suffix + packed for suffix in (".fasta", ".fas", ".fa", ".fna", ".ffn", ".faa") for packed in ("", ".gz")
    )

    def __init__(self, path: Path, options: Mapping[str, Any], files: Sequence[str] = ()) -> None:
        super().__init__(path, {**options, "files": ()}, files)

    def checked(self) -> TableSource:
        if next(self.frames([NAME]), None) is None:
            raise SourceError("There is no record in the file", where=self.place, remedy="Begin each with a line >NAME")
        return self

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """What nearly all records say as ``key=value``, as the beginning and pieces from all over the file show."""
        blocks = list(islice(self.text.blocks(self.cut, self.first), 2))
        if self.text.large:
            blocks += [block for piece in self.text.pieces(self.first) if (block := self._aligned(piece)) is not None]
        found: Counter[str] = Counter()
        records = 0
        for block in blocks:
            for _, header, _ in self._records(block):
                found.update(list(dict.fromkeys(key for key, _ in map(_pair, _PAIR.finditer(header)))))
                records += 1
        kept = (key for key, count in found.items() if count >= LEAST_SHARE * records)
        return tuple(key for key in kept if key not in (NAME, DESCRIPTION, SEQUENCE))[:MOST_KEYS]

    @property
    def first(self) -> Position:
        return self.text.begin

    def schema(self) -> Schema:
        return Schema((NAME, DESCRIPTION, SEQUENCE, *self.keys), nameless=(SEQUENCE,))

    def cut(self, content: bytes) -> int:
        return content.rfind(b"\n>") + 1

    def parse(self, block: Block) -> pl.DataFrame:
        keys = self.keys
        rows = [(*_parts(header, keys), sequence) for _, header, sequence in self._records(block)]
        names = (*keys, NAME, DESCRIPTION, SEQUENCE)
        return pl.DataFrame(rows, dict.fromkeys(names, pl.String), orient="row").select(self.schema().columns)

    def parse_piece(self, content: bytes) -> pl.DataFrame | None:
        block = self._aligned(content)
        return None if block is None else self.parse(block)

    def lines(self, block: Block) -> Iterator[int]:
        return (line for line, _, _ in self._records(block))

    def _aligned(self, piece: bytes) -> Block | None:
        """The whole records of a piece that may begin and end within one; None where there are none, or no text."""
        piece = b"\n" + piece
        content = piece[piece.find(b"\n>") + 1 : self.cut(piece)]
        try:
            content.decode()
        except UnicodeDecodeError:  # the whole reading names the line
            return None
        return Block(content, self.first) if content else None

    def _records(self, block: Block) -> Iterator[tuple[int, str, str | None]]:
        """The line, the header and the sequence of every record; None where it has none. Raises SourceError."""
        before, found, text = ("\n" + block.content.decode()).partition("\n>")
        for line, words in enumerate(before.split("\n"), block.position.line - 1):
            if words.strip() and not words.startswith(";"):
                raise SourceError(
                    f"{words.strip()[:40]!r} stands before any header",
                    where=f"{self.place}, line {line}",
                    remedy="Begin each record with a line >NAME, or name a file with a sequence in each line .txt",
                )
        line = block.position.line + before.count("\n")
        for record in text.split("\n>") if found else ():
            header, _, body = record.partition("\n")
            if ";" in body:
                body = "\n".join(part for part in body.split("\n") if not part.startswith(";"))
            yield line, header.strip(), "".join(body.split()) or None
            line += record.count("\n") + 1


def _parts(header: str, keys: Sequence[str]) -> list[str | None]:
    """What a header says of each of ``keys``, then its first word and the rest."""
    values: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        key, value = _pair(match)
        if key not in keys:
            return match[0]
        values.setdefault(key, value.strip())
        return _TAKEN

    rest = _GAP.sub(" ", _PAIR.sub(take, header)) if keys else header
    name, *description = rest.split() or [""]
    return [values.get(key) or None for key in keys] + [name or None, " ".join(description) or None]


def _pair(match: re.Match[str]) -> tuple[str, str]:
    key, value = (group for group in match.groups() if group is not None)
    return key, value.strip('"')
