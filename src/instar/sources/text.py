"""Text files, plain or gzipped, in blocks of whole records: memory stays flat however long the file is."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from instar.errors import SourceError
from instar.sources.paths import reading

BLOCK = 8 << 20
LONGEST_RECORD = 64 << 20
PIECES = 64
PIECE = 256 << 10

_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


@dataclass(frozen=True)
class Position:
    """A place between two records: the number of bytes before it, and the line that begins there, counted from 1."""

    offset: int
    line: int


@dataclass(frozen=True)
class Block:
    """A few megabytes of whole records, valid UTF-8 without NUL, and where they begin."""

    content: bytes
    position: Position


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """A stream of a file's bytes, unpacked where its name ends in ``.gz``.

    Raises SourceError, also where reading in the block finds the gzip file damaged.
    """
    with reading(path):
        try:
            with path.open("rb") as stream:
                yield cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if is_gzipped(path) else stream
        except (gzip.BadGzipFile, EOFError, zlib.error) as failure:
            raise SourceError(
                f"The gzip file is damaged or cut short ({failure})",
                where=str(path),
                remedy="Download or compress it again",
            ) from failure


def is_gzipped(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def line_cut(content: bytes) -> int:
    """Where the last whole line ends."""
    return content.rfind(b"\n") + 1


class TextFile:
    """A text file in UTF-8, with or without a byte order mark, gzipped if its name ends in ``.gz``."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, str(path)
        self.gzipped = is_gzipped(path)
        with unpacked(self.path) as stream:
            head = stream.read(4)
        if not head or head == codecs.BOM_UTF8:
            raise SourceError(
                "The file is empty", where=self.place, remedy="Check that it was saved or downloaded completely"
            )
        for mark, encoding in _OTHER_ENCODINGS:
            if head.startswith(mark):
                raise SourceError(
                    f"The text is encoded in {encoding}, and UTF-8 is needed",
                    where=self.place,
                    remedy=self._conversion(encoding),
                )
        self.begin = Position(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0, 1)

    def blocks(self, cut: Callable[[bytes], int], start: Position | None = None) -> Iterator[Block]:
        """The text from ``start`` on; ``cut`` says where the last whole record of some bytes ends (0: nowhere)."""
        position = start or self.begin
        with unpacked(self.path) as stream:
            stream.seek(position.offset)
            rest, size = b"", BLOCK
            while more := stream.read(size):
                rest += more
                end = cut(rest)
                if not end:
                    if len(rest) > LONGEST_RECORD:
                        raise SourceError(
                            f"A record is longer than {LONGEST_RECORD >> 20} MiB",
                            where=f"{self.place}, line {position.line}",
                            remedy="Check that it is a text file with line breaks, and that every quote that a table "
                            "opens is closed",
                        )
                    size = min(len(rest), LONGEST_RECORD + 1 - len(rest))
                    continue
                yield self._checked(rest[:end], position)
                position = Position(position.offset + end, position.line + rest.count(b"\n", 0, end))
                rest, size = rest[end:], BLOCK
            if rest:
                yield self._checked(rest, position)

    def pieces(self, start: Position) -> Iterator[bytes]:
        """Short stretches from all over a plain file that is larger than they are together.

        The first begins at ``start``, every other at a line and not necessarily at a record; none is cut in a line.
        """
        size = self.path.stat().st_size - start.offset
        with unpacked(self.path) as stream:
            for number in range(PIECES):
                stream.seek(start.offset + (size - PIECE) * number // (PIECES - 1))
                content = stream.read(PIECE)
                begin = content.find(b"\n") + 1 if number else 0
                yield content[begin : len(content) if number == PIECES - 1 else line_cut(content)]

    @property
    def large(self) -> bool:
        """Whether a sample is better taken from `pieces` than from a whole reading."""
        return not self.gzipped and self.path.stat().st_size > 2 * PIECES * PIECE

    def _checked(self, content: bytes, position: Position) -> Block:
        zero = content.find(b"\0")
        if zero >= 0:
            line = position.line + content.count(b"\n", 0, zero)
            raise SourceError(
                "There is a NUL byte in the text",
                where=f"{self.place}, line {line}",
                remedy="It is no text file, or encoded in UTF-16: " + self._conversion("UTF-16"),
            )
        if not content.isascii():
            try:
                content.decode()
            except UnicodeDecodeError as failure:
                line = position.line + content.count(b"\n", 0, failure.start)
                raise SourceError(
                    f"Byte 0x{content[failure.start]:02X} (number {position.offset + failure.start + 1}) is not valid "
                    "UTF-8; the text is probably encoded in Windows-1252 or Latin-1",
                    where=f"{self.place}, line {line}",
                    remedy=self._conversion("WINDOWS-1252"),
                ) from None
        return Block(content, position)

    def _conversion(self, encoding: str) -> str:
        name = self.path.name.removesuffix(".gz")
        return f"Convert it with: iconv -f {encoding} -t UTF-8 {name} > utf8-{name}"
