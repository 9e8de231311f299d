"""The first reading of a long table: which series there are, how long each is, and what varies within them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from instar.errors import ColumnError, SourceError
from instar.sources.base import Chunk, Source
from instar.sources.columns import MISSING_TEXTS

# Columns that are added to those of the table: the number of the series, and of the row in the table.
CASE, ROW = "\0case", "\0row"
_COUNT, _LEAST, _MOST = "\0count", "\0least", "\0most"
# A column of which more is in words holds no measurements.
_MOST_WORDS = 0.1


@dataclass(frozen=True)
class Tally:
    """The series of a long table, in the order in which they begin.

    names: String (n,), what the column ``series`` calls them. counts, first: int64 (n,), rows of each and the number
        of its first.
    varying: columns that have several values in at least one series; words: those of them that hold no numbers, each
        with the first row and cell that show it; odd: columns that are none of cells.
    """

    inner: Source
    series: str
    names: pl.Series
    counts: np.ndarray
    first: np.ndarray
    varying: frozenset[str] = frozenset()
    words: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    odd: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, inner: Source, series: str, columns: Sequence[str]) -> Tally:
        """What a reading of ``series`` and ``columns`` shows. Raises SourceError for a row without a series."""
        merged, parts, waiting = None, [], 0
        counter = _Counter(columns)
        for chunk in inner.chunks([series, *columns]):
            frame = pl.DataFrame([names_of(inner, chunk, series), rows_of(chunk), *counter.add(chunk)])
            parts.append(frame.group_by(CASE, maintain_order=True).agg(*_first_look(counter.open)))
            counter.settle(parts[-1])
            waiting += len(parts[-1])
            if merged is None or waiting > len(
                merged
            ):  # so that each series is merged a few times, and not once a chunk
                merged = _merge([*([] if merged is None else [merged]), *parts], counter.open)
                counter.settle(merged)
                parts, waiting = [], 0
        assert merged is not None
        merged = _merge([merged, *parts], counter.open)
        counter.settle(merged)
        return cls(
            inner,
            series,
            merged[CASE],
            merged[_COUNT].cast(pl.Int64).to_numpy(),
            merged[ROW].to_numpy(),
            frozenset(counter.varying),
            {name: counter.example[name] for name in counter.varying if counter.in_words(name)},
            frozenset(counter.odd),
        )

    def spread(self, most: int, rows: int) -> np.ndarray:
        """Numbers of at most ``most`` series from all over the table, which have at most ``rows`` rows, or of one."""
        few = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(np.int64))
        while len(few) > 1 and self.counts[few].sum() > rows:
            few = few[::2]
        return few

    def gathered(self, columns: Sequence[str], cases: np.ndarray, rows: int) -> Iterator[pl.DataFrame]:
        """All rows of some series, in the table's order: so many complete ones at a time as have ``rows`` rows, or one.

        cases: int64, the numbers of these series, in order.
        """
        ends = np.cumsum(self.counts[cases])
        stretch, begin = np.zeros(len(cases), np.int64), 0
        while (reached := int(np.searchsorted(ends, (ends[begin - 1] if begin else 0) + rows, "right"))) < len(cases):
            begin = max(reached, begin + 1)
            stretch[begin:] += 1
        turn = np.full(len(self) + 1, -1)  # the last is that of rows whose series was not there before
        turn[cases] = stretch
        sizes = np.bincount(stretch, self.counts[cases]).astype(np.int64)
        firsts = self.first[cases[np.searchsorted(stretch, np.arange(len(sizes)))]]
        now = 0
        while now < len(sizes):
            before = now
            for frame in self._reading(columns, turn, sizes, firsts, before):
                yield frame
                now += 1
            if now == before:
                raise SourceError("It changed while it was read", where=self.inner.place, remedy="Run it again")

    def _reading(
        self, columns: Sequence[str], turn: np.ndarray, sizes: np.ndarray, firsts: np.ndarray, now: int
    ) -> Iterator[pl.DataFrame]:
        """What one reading gathers: the rows of turn ``now``, and of those after it while none was passed by."""
        numbers = pl.DataFrame({"name": self.names, CASE: np.arange(len(self))})
        waiting, missing = [], int(sizes[now])
        for chunk in self.inner.chunks(columns):
            names = names_of(self.inner, chunk, self.series).to_frame("name")
            cases = names.join(numbers, on="name", how="left", maintain_order="left")[CASE].fill_null(len(self))
            frame = pl.DataFrame(dict(chunk.columns)).with_columns(cases, rows_of(chunk))
            turns = turn[cases.to_numpy()]
            while len(mine := np.flatnonzero(turns == now)):
                waiting.append(frame[mine])
                missing -= len(mine)
                if missing:
                    break
                now += 1
                yield pl.concat(waiting)
                # A series that began before this chunk was passed by, and needs a reading of its own.
                if now == len(sizes) or firsts[now] < chunk.start:
                    return
                waiting, missing = [], int(sizes[now])


def names_of(source: Source, chunk: Chunk, series: str) -> pl.Series:
    """Which series each row belongs to, as text. Raises SourceError for a row that says none."""
    cells = chunk.columns[series]
    if not isinstance(cells, pl.Series):
        raise ColumnError(f"The column {series!r} holds files or arrays, and names no series", where=source.place)
    names = cells.cast(pl.String).str.strip_chars().alias(CASE)
    lacking = (names.fill_null("") == "").arg_true()
    if len(lacking):
        raise SourceError(
            f"The row does not say to which series it belongs: it has no {series!r}",
            where=source.locate_row(chunk.start + int(lacking[0])),
            remedy="Fill it in, or leave the row out",
        )
    return names


def rows_of(chunk: Chunk) -> pl.Series:
    return pl.Series(ROW, np.arange(chunk.start, chunk.start + len(chunk)))


def known(cells: pl.Series) -> pl.Series:
    """Cells of text without the space around them, null where they stand for a missing value, as NaN does."""
    if cells.dtype.is_float():
        return cells.fill_nan(None)
    if cells.dtype != pl.String:
        return cells
    texts = cells.str.strip_chars()
    return texts.set(texts.is_in(MISSING_TEXTS).fill_null(False), None)


def canonical(name: str, cells: pl.Series) -> pl.Series:
    """Cells such that equal ones are the same value: text that is a number as that number."""
    if cells.dtype != pl.String:
        return cells.alias(name)
    numbers = cells.cast(pl.Float64, strict=False)
    return numbers.cast(pl.String).fill_null(cells).alias(name)


class _Counter:
    """What is found out about each column while a table is read."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.open, self.varying, self.odd = list(columns), set[str](), set[str]()
        self.example: dict[str, tuple[int, str]] = {}
        self._known, self._words = dict.fromkeys(columns, 0), dict.fromkeys(columns, 0)

    def add(self, chunk: Chunk) -> list[pl.Series]:
        """Count words; the columns of which nobody knows yet whether they vary, in canonical form."""
        looked = []
        for name in self._known:
            column = chunk.columns[name]
            if not isinstance(column, pl.Series):
                self.odd.add(name)
                continue
            cells = known(column)
            self._known[name] += len(cells) - cells.null_count()
            words = _words(cells)
            if len(words):
                row = int(words[0])
                self.example.setdefault(name, (chunk.start + row, str(cells[row])))
                self._words[name] += len(words)
            if name in self.open:
                looked.append(canonical(name, cells))
        self.open = [name for name in self.open if name not in self.odd]
        return looked

    def in_words(self, name: str) -> bool:
        return self._words[name] > _MOST_WORDS * self._known[name]

    def settle(self, looked: pl.DataFrame) -> None:
        """Take note of the columns that have several values in one series."""
        for name in list(self.open):
            if (looked[_LEAST + name] != looked[_MOST + name]).any():
                self.open.remove(name)
                self.varying.add(name)


def _words(cells: pl.Series) -> pl.Series:
    """The places of cells that are no numbers."""
    if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
        return pl.Series([], dtype=pl.UInt32)
    if cells.dtype != pl.String:
        return cells.is_not_null().arg_true()
    return (cells.is_not_null() & cells.cast(pl.Float64, strict=False).is_null()).arg_true()


def _first_look(columns: Sequence[str]) -> list[pl.Expr]:
    looks = [pl.len().alias(_COUNT), pl.col(ROW).first()]
    for name in columns:
        looks += [pl.col(name).min().alias(_LEAST + name), pl.col(name).max().alias(_MOST + name)]
    return looks


def _merge(parts: Sequence[pl.DataFrame], columns: Sequence[str]) -> pl.DataFrame:
    """The parts' series, each once, in the order of their first rows; of ``columns`` alone."""
    kept = [CASE, _COUNT, ROW, *(prefix + name for name in columns for prefix in (_LEAST, _MOST))]
    looks = [pl.col(_COUNT).sum(), pl.col(ROW).min()]
    for name in columns:
        looks += [pl.col(_LEAST + name).min(), pl.col(_MOST + name).max()]
    together = pl.concat([part.select(kept) for part in parts], how="vertical_relaxed")
    return together.group_by(CASE, maintain_order=True).agg(looks).sort(ROW)
