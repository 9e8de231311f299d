"""Plain text, a line each: the column ``text``, without its blank lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from instar.errors import SourceError
from instar.sources.base import Schema, sources
from instar.sources.paths import has_suffix
from instar.sources.table import TableSource, TextTable
from instar.sources.text import Block, Position, line_cut

TEXT = "text"


@sources.register("lines")
class LinesSource(TextTable):
    """The lines of a text file. Where it is known that examples lie in files, a text file is one of them instead."""

    suffixes = (".txt", ".txt.gz")

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return has_suffix(given, cls.suffixes) and not options.get("files")

    def checked(self) -> TableSource:
        if next(self.frames(self.schema().columns), None) is None:
            raise SourceError("There are only blank lines", where=self.place, remedy="Write a text in each line")
        return self

    @property
    def first(self) -> Position:
        return self.text.begin

    def schema(self) -> Schema:
        return Schema((TEXT,), nameless=(TEXT,))

    def cut(self, content: bytes) -> int:
        return line_cut(content)

    def texts(self, content: bytes) -> pl.Series:
        """All lines that are not blank, without surrounding space."""
        texts = _lines(content)
        return texts.filter(texts != "")

    def parse(self, block: Block) -> pl.DataFrame:
        return self.texts(block.content).to_frame()

    def parse_piece(self, content: bytes) -> pl.DataFrame | None:
        try:
            return self.parse(Block(content, self.first))
        except UnicodeDecodeError:  # the whole reading names the line
            return None

    def lines(self, block: Block) -> Iterator[int]:
        texts = _lines(block.content)
        return (block.position.line + place for place in (texts != "").arg_true().to_list())


def _lines(content: bytes) -> pl.Series:
    """All lines without surrounding space."""
    return pl.Series(TEXT, [content.decode()]).str.split("\n").explode().str.strip_chars()
