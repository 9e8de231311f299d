"""Jane Austen's six novels (public domain), from Debian's package r-cran-janeaustenr (Julia Silge, MIT license)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from data_sets.fetch import DATA, debian, making

PACKAGE = "r-cran-janeaustenr"
NOVELS = 6


def austen() -> Path:
    """A folder of six .txt files, the lines of a paragraph joined."""
    place = DATA / "austen"
    if place.exists():
        return place
    with debian(PACKAGE) as content, making(place) as folder:
        packed = (content / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
        for text in map(_lines, _objects(packed)):
            title = text[0].title()
            paragraphs = "\n".join(text).split("\n\n")
            joined = "\n\n".join(" ".join(each.split()) for each in paragraphs if each.strip())
            (folder / f"{title}.txt").write_text(joined + "\n", encoding="utf-8")
        assert len(list(folder.iterdir())) == NOVELS
    return place


def _objects(packed: bytes) -> Iterator[bytes]:
    """What R's database holds: each a length of four bytes, and a zlib stream."""
    while packed:
        stream = zlib.decompressobj()
        yield stream.decompress(packed[4:])
        packed = stream.unused_data


def _lines(serialized: bytes) -> list[str]:
    """R's vector of strings, in its format for exchange (XDR), version 3: after a head each has flags and a length."""
    at = 14 + 4 + struct.unpack_from(">i", serialized, 14)[0]
    _, count = struct.unpack_from(">ii", serialized, at)
    at, found = at + 8, []
    for _ in range(count):
        _, length = struct.unpack_from(">ii", serialized, at)
        found.append(serialized[at + 8 : at + 8 + length].decode())
        at += 8 + length
    return found
