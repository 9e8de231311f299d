"""Pairs of texts, a pair a line with a tab between, as Tatoeba's are handed out: the columns ``from`` and ``to``.

What follows a second tab, such as who wrote the pair, is left out; a line without a tab has no ``to``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from instar.errors import SourceError
from instar.sources.base import Schema, sources
from instar.sources.lines import LinesSource
from instar.sources.paths import as_path
from instar.sources.text import Block, unpacked

FROM, TO = "from", "to"
# Bytes of a file whose lines show whether they are pairs.
_HEAD = 1 << 16


@sources.register("pairs")
class PairsSource(LinesSource):
    """The lines of a text file, where each of the first has a tab."""

    precedence = 1

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return super().recognizes(given, options) and _has_pairs(given)

    def schema(self) -> Schema:
        return Schema((FROM, TO), target=TO, nameless=(FROM,))

    def parse(self, block: Block) -> pl.DataFrame:
        parts = self.texts(block.content).str.split("\t")
        first, second = (parts.list.get(place, null_on_oob=True).str.strip_chars() for place in (0, 1))
        return pl.DataFrame({FROM: first, TO: second})


def _has_pairs(given: Any) -> bool:
    path = as_path(given)
    if path is None or not path.is_file():
        return False
    try:
        with unpacked(path) as stream:
            head = stream.read(_HEAD)
    except SourceError:
        return False  # whoever opens it says why
    lines = head[: head.rfind(b"\n") + 1 or None].splitlines()
    lines = [line for line in lines if line.strip()]
    return bool(lines) and all(b"\t" in line.strip() for line in lines)
