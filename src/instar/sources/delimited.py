"""Records of delimited text: where they are cut, what their cells are, and what is wrong with them.

Quotes follow RFC 4180: a quote opens a quoted cell only where a cell begins, and two of them inside stand for one. A
block whose structure is regular, which numpy sees at once, is parsed by polars; any other by the csv module, which
knows the line of what is wrong.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from instar.errors import SourceError
from instar.sources.text import LONGEST_RECORD, Block, Position

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
# The csv module would refuse a cell of more than 128 KiB, which a long text is.
csv.field_size_limit(max(csv.field_size_limit(), LONGEST_RECORD))


@dataclass(frozen=True)
class Dialect:
    """How the records of one file are written: the delimiter, the columns' names, where the first record begins."""

    place: str
    delimiter: str
    names: tuple[str, ...]
    start: Position

    def cut(self, content: bytes) -> int:
        """Where the last whole record of ``content`` ends; it begins with a record."""
        return _cut(content, self.delimiter)

    def parse(self, block: Block) -> pl.DataFrame:
        """All cells as text, empty ones as null. Raises SourceError for a ragged record or a quote out of place."""
        frame = self.parse_regular(block.content)
        return self._parse_exactly(block) if frame is None else frame

    def parse_regular(self, content: bytes) -> pl.DataFrame | None:
        """The cells, if every line that ends outside quotes has the right number of them and no quote is odd."""
        quotes, plain = _quotes(content, self.delimiter)
        if not plain or len(quotes) % 2:
            return None
        data = np.frombuffer(content, np.uint8)
        marks = np.flatnonzero((data == ord(self.delimiter)) | (data == _NEWLINE))
        if len(quotes):
            marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
        ends = data[marks] == _NEWLINE
        if data[-1] != _NEWLINE:
            ends = np.append(ends, True)
        width = len(self.names)
        if len(ends) % width:
            return None
        ends = ends.reshape(-1, width)
        if not ends[:, -1].all() or ends[:, :-1].any():
            return None
        try:
            frame = pl.read_csv(
                content,
                has_header=False,
                schema=dict.fromkeys(self.names, pl.String),
                separator=self.delimiter,
                infer_schema=False,
            )
        except pl.exceptions.PolarsError:
            return None
        if len(frame) != len(ends):
            return None
        return frame.with_columns(pl.all().replace("", None)) if len(quotes) else frame

    def lines(self, block: Block) -> Iterator[tuple[int, list[str]]]:
        """Each record's first line and cells, exactly. Raises SourceError."""
        width = len(self.names)
        reader = csv.reader(_lines(block.content), delimiter=self.delimiter, strict=True)
        line = block.position.line
        try:
            for cells in reader:
                if not cells and width == 1:
                    cells = [""]
                if cells:
                    yield line, cells
                line = block.position.line + reader.line_num
        except csv.Error as failure:
            raise SourceError(
                f"The record cannot be understood ({failure})",
                where=f"{self.place}, line {line}",
                remedy='Put cells with quotes in quotes, and write each quote inside twice: "5"" pipe"',
            ) from failure

    def _parse_exactly(self, block: Block) -> pl.DataFrame:
        rows = []
        for line, cells in self.lines(block):
            if len(cells) != len(self.names):
                raise SourceError(
                    f"The row has {_cells(len(cells))}, and the header has {len(self.names)}",
                    where=f"{self.place}, line {line}",
                    remedy=f"Complete the row; cells that contain {DELIMITERS[self.delimiter]} or line breaks must "
                    'stand in double quotes: "..."',
                )
            rows.append([cell or None for cell in cells])
        return pl.DataFrame(rows, schema=dict.fromkeys(self.names, pl.String), orient="row")


def find_dialect(head: Block, place: str, preferred: str) -> Dialect:
    """What the beginning of a file says. Raises SourceError for a header that names no columns, or one twice."""
    content = head.content
    blank = len(content) - len(content.lstrip(b"\r\n"))
    if b"\n" not in content and b"\r" in content:
        raise SourceError(
            "The lines end with a carriage return alone, as on old Macs",
            where=place,
            remedy="Convert it with: tr '\\r' '\\n' < FILE > NEW-FILE",
        )
    lines = _lines(content[blank:])
    counts = {mark: _widths(lines, mark) for mark in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda mark: (*_agreement(counts[mark]), mark == preferred))
    if counts[delimiter][:1] in ([], [1]):
        delimiter = preferred
    line = head.position.line + content.count(b"\n", 0, blank)
    end = blank + _first_record(content[blank:], delimiter)
    try:
        names = next(csv.reader(_lines(content[blank:end]), delimiter=delimiter), [])
    except csv.Error as failure:
        raise SourceError(f"The header cannot be understood ({failure})", where=f"{place}, line {line}") from failure
    start = Position(head.position.offset + end, head.position.line + content.count(b"\n", 0, end))
    return Dialect(place, delimiter, _column_names(names, f"{place}, line {line}"), start)


def _lines(content: bytes) -> list[str]:
    return [line + "\n" for line in content.decode().removesuffix("\n").split("\n")]


def _widths(lines: Sequence[str], delimiter: str, rows: int = 100) -> list[int]:
    """How many cells each of the first records has if ``delimiter`` separates them."""
    widths: list[int] = []
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            if cells:
                widths.append(len(cells))
            if len(widths) == rows:
                break
    except csv.Error:
        pass
    return widths


def _agreement(widths: Sequence[int]) -> tuple[float, int]:
    """The share of records that are as wide as the header, and its width; nothing where it is 1."""
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def _column_names(cells: Sequence[str], where: str) -> tuple[str, ...]:
    names = [cell.strip() for cell in cells]
    if not any(names):
        raise SourceError(
            "The header names no column", where=where, remedy="Write the columns' names in the first line"
        )
    names = [name or f"unnamed_{number}" for number, name in enumerate(names, 1)]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise SourceError(
            f"Several columns are called {twice[0]!r}",
            where=where,
            remedy="Rename them; the first line of the file must hold the columns' names",
        )
    return tuple(names)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _cut(content: bytes, delimiter: str) -> int:
    if b'"' not in content:
        return content.rfind(b"\n") + 1
    ends = _ends(content, delimiter)
    return int(ends[-1]) + 1 if len(ends) else 0


def _first_record(content: bytes, delimiter: str) -> int:
    ends = _ends(content, delimiter)
    return int(ends[0]) + 1 if len(ends) else len(content)


def _ends(content: bytes, delimiter: str) -> np.ndarray:
    """The newlines outside quotes."""
    quotes, _ = _quotes(content, delimiter)
    newlines = np.flatnonzero(np.frombuffer(content, np.uint8) == _NEWLINE)
    return newlines[np.searchsorted(quotes, newlines) % 2 == 0]


def _quotes(content: bytes, delimiter: str) -> tuple[np.ndarray, bool]:
    """Where quotes open and close in turn, and whether all quotes do; those within an unquoted cell are letters."""
    if b'"' not in content:
        return np.empty(0, np.int64), True
    data = np.frombuffer(content, np.uint8)
    quotes = np.flatnonzero(data == _QUOTE)
    opening, closing = quotes[::2], quotes[1::2]
    before = np.where(opening > 0, data[opening - 1], _NEWLINE)
    after = np.append(data, np.uint8(_NEWLINE))[closing + 1]
    borders = np.array([ord(delimiter), _NEWLINE, _QUOTE], np.uint8)
    # A quote before an opening one must be the closing one of the same cell: together they stand for one quote.
    if np.isin(before, borders).all() and np.isin(after, np.append(borders, np.uint8(_RETURN))).all():
        return quotes, True
    return _true_quotes(content, quotes, {ord(delimiter), _NEWLINE}), False


def _true_quotes(content: bytes, quotes: np.ndarray, borders: set[int]) -> np.ndarray:
    true: list[int] = []
    inside, skip = False, -1
    for place in quotes.tolist():
        if place == skip:
            continue
        if inside:
            if content[place + 1 : place + 2] == b'"':
                skip = place + 1
                continue
            inside = False
        elif place == 0 or content[place - 1] in borders:
            inside = True
        else:
            continue
        true.append(place)
    return np.array(true, np.int64)
