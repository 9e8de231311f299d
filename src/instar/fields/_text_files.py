"""Files of text: whether one is, and what it says, in whatever Unicode it is written."""

from __future__ import annotations

import codecs
from pathlib import PurePath

import numpy as np
import polars as pl

from instar.errors import SourceError
from instar.fields._files import on_each, problems_of
from instar.fields._texts import cut, to_bytes
from instar.fields.base import Arrays
from instar.fields.digest import MISSING, digest_bytes, words
from instar.sources import FileColumn, FileReference

SUFFIXES = (".txt", ".text", ".md")
# A file without a suffix may be anything: so many of its bytes show whether it is text.
SNIFFED_BYTES = 4_096

_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def looks_like_text(file: FileReference) -> float:
    """How sure it is that a file holds text, from 0 to 1."""
    suffix = PurePath(file.name).suffix.lower()
    if suffix in SUFFIXES:
        return 0.95
    if suffix and not suffix[1:].isdigit():
        return 0.0
    try:
        text = decode(file.read(), SNIFFED_BYTES)
    except (SourceError, ValueError):
        return 0.0
    letters = sum(map(str.isalpha, text))
    return 0.6 if 2 * letters >= len(text) > 0 else 0.0


def decode(content: bytes, most: int) -> str:
    """The beginning of a text file, at most ``most`` bytes of UTF-8; UTF-16 and UTF-32 go by their byte order mark.

    Raises ValueError, with the reason, for what is no text.
    """
    for mark, encoding in _OTHER_ENCODINGS:
        if content.startswith(mark):
            try:
                text = codecs.getincrementaldecoder(encoding)().decode(content[: 4 * most])
            except UnicodeDecodeError as failure:
                raise ValueError(f"is not the {encoding.upper()} that its first bytes announce") from failure
            content = text.encode()
            break
    content = content.removeprefix(codecs.BOM_UTF8).lstrip()
    try:
        text = cut(content, most)
    except UnicodeDecodeError as failure:
        raise ValueError(
            f"has a byte 0x{failure.object[failure.start]:02X} that is not valid UTF-8; the text is probably encoded "
            "in Windows-1252 or Latin-1: convert it with iconv"
        ) from failure
    if "\0" in text:
        raise ValueError("has a NUL byte: it is no text, or encoded in UTF-16 without a byte order mark")
    return text


def read_files(column: FileColumn, most: int) -> Arrays:
    """Texts as bytes, of ``most`` each, as `instar.fields._texts.to_bytes` has them."""
    digests = np.full(len(column), MISSING, np.uint64)

    def read(row: int, file: FileReference) -> str:
        content = file.read()
        digests[row] = digest_bytes(content)
        return decode(content, most)

    results = on_each(column.files, read, ValueError, "text")
    texts = words(pl.Series([each if isinstance(each, str) else None for each in results], dtype=pl.String))
    values, lengths = to_bytes(texts, most)
    problems = problems_of(results)
    return Arrays(values, texts.is_not_null().to_numpy(), digests, problems=problems, lengths=lengths)
