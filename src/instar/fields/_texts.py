"""Texts as bytes one after another, in one way of writing, and as words; which of them are sentences."""

from __future__ import annotations

import numpy as np
import polars as pl

from instar.fields.base import Arrays
from instar.shapes import Text

# An address of the web, a word with its marks and apostrophes, a number, a flag, an emoji with its tone and family, or
# any other sign. Letters, marks and numbers are those of Unicode, so that it holds in every script.
WORD = (
    r"(?:https?://|www\.)\S+|\p{L}[\p{L}\p{M}\p{N}_\x{200C}\x{200D}]*(?:'\p{L}[\p{L}\p{M}]*)*|\p{N}+|\p{RI}{2}|"
    r"\p{Extended_Pictographic}\p{EMod}?(?:\x{200D}\p{Extended_Pictographic}\p{EMod}?)*|\S"
)
# A word with the blank before it, a figure, or any sign: together they are the text again, but for other space.
PIECE = (
    r" ?(?:\p{L}[\p{L}\p{M}]*|\p{N}|\p{RI}{2}|"
    r"\p{Extended_Pictographic}\p{EMod}?(?:\x{200D}\p{Extended_Pictographic}\p{EMod}?)*|\S)"
)
# A private character, by which no text means anything: the blank before a word.
BLANK = "\ue001"
# What is space in Unicode, and the private characters for it in a text of which nothing may be lost.
_SPACES = [chr(9), *map(chr, range(10, 14)), " ", "\x85", "\xa0", "\u1680", *map(chr, range(0x2000, 0x200B))]
_SPACES += ["\u2028", "\u2029", "\u202f", "\u205f", "\u3000"]
_WRITTEN_SPACES = {space: BLANK if space == " " else chr(0xE010 + place) for place, space in enumerate(_SPACES)}
_READ_SPACES = str.maketrans({written: space for space, written in _WRITTEN_SPACES.items()})
# Scripts whose words no space divides: Thai, Lao, Tibetan, Myanmar, Khmer, Japanese and Chinese.
SPACELESS = (
    (0x0E00, 0x0FFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
# Where more of the characters belong to them, words cannot be told apart.
MOST_SPACELESS = 0.3
POINTS = 0x110000
_SHOWN_CHARACTERS = 400
# Sentences have so many words, most in small letters; so many words are no name or title, whatever their letters.
SENTENCE_WORDS, LONG_SENTENCE_WORDS, CHARACTERS_OF_A_WORD = 3, 8, 2
_SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
# What looks the same is written the same; what cannot be seen is left out.
_WRITINGS = {"’": "'", "\ufe0f": "", "\u00ad": "", "\ufeff": "", "\u200b": ""}
_SURROGATE = "\ufffd"


def to_bytes(texts: pl.Series, most: int) -> tuple[np.ndarray, np.ndarray]:
    """UTF-8 of n texts, null where there is none: uint8 (total,), and int64 (n,) lengths of at most ``most`` bytes.

    A longer text is cut between two characters.
    """
    texts = texts.fill_null("")
    lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    long = np.flatnonzero(lengths > most)
    if len(long):
        texts = texts.scatter(long, [cut(text.encode(), most) for text in texts.gather(long)])
        lengths = texts.str.len_bytes().to_numpy().astype(np.int64)
    joined = texts.str.join("").item() if len(texts) else ""
    return np.frombuffer(joined.encode(), np.uint8), lengths


def cut(content: bytes, most: int) -> str:
    """The text in UTF-8, as much of it as whole characters fit into ``most`` bytes. Raises UnicodeDecodeError."""
    if len(content) > most:
        while most and content[most] & 0xC0 == 0x80:  # within a character
            most -= 1
        content = content[:most]
    return content.decode()


def texts_of(arrays: Arrays, rows: np.ndarray) -> pl.Series:
    """The texts of some rows (int64), as `to_bytes` took them apart."""
    content = arrays.values.tobytes()
    starts, stops = arrays.starts[rows].tolist(), arrays.starts[rows + 1].tolist()
    pairs = zip(starts, stops, strict=True)
    if content.isascii():
        whole = content.decode()
        return pl.Series([whole[start:stop] for start, stop in pairs], dtype=pl.String)
    return pl.Series([content[start:stop].decode(errors="replace") for start, stop in pairs], dtype=pl.String)


def normalize(texts: pl.Series, lowercase: bool) -> pl.Series:
    """One way of writing: compatible characters are one (NFKC, Unicode Annex 15), apostrophes and emoji too.

    None of the texts becomes empty.
    """
    other = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()
    if len(other):
        written = texts.gather(other).str.normalize("NFKC").str.replace_many(list(_WRITINGS), list(_WRITINGS.values()))
        texts = texts.scatter(other, written.str.strip_chars().replace("", _SURROGATE))
    return texts.str.to_lowercase() if lowercase else texts


def shown(arrays: Arrays, row: int) -> Text:
    """The beginning of a row's text, for people."""
    if not arrays.present[row]:
        return Text("missing")
    text = arrays.of_row(row).tobytes().decode(errors="replace")
    return Text(text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…")


def split(texts: pl.Series, most: int | None = None) -> tuple[pl.Series, np.ndarray]:
    """The first ``most`` words and signs of each of n texts, one text after another, and int64 (n,) their numbers."""
    found = texts.str.extract_all(WORD)
    if most is not None:
        found = found.list.head(most)
    return found.explode().rename("symbol"), found.list.len().to_numpy().astype(np.int64)


def pieces(texts: pl.Series, most: int | None = None) -> tuple[pl.Series, np.ndarray]:
    """As `split`, but what the text can be put together from again: each with the blank before it, written `BLANK`."""
    found = texts.str.strip_chars().str.replace_all(r"\s+", " ").str.extract_all(PIECE)
    if most is not None:
        found = found.list.head(most)
    words = found.explode().rename("symbol").str.replace("^ ", BLANK)
    return words, found.list.len().to_numpy().astype(np.int64)


def visible(texts: pl.Series) -> pl.Series:
    """Texts whose space is no space to those who join or strip it: each kind of it is a private character."""
    return texts.str.replace_many(list(_WRITTEN_SPACES), list(_WRITTEN_SPACES.values()))


def with_space(text: str) -> str:
    """The text of which `visible` gave this one."""
    return text.translate(_READ_SPACES)


def stretches(texts: pl.Series, most: int | None = None) -> tuple[pl.Series, np.ndarray]:
    """As `pieces`, of texts as `visible` gives them; put together they are the text again, space included."""
    found = texts.str.extract_all(PIECE.replace(" ?", f"{BLANK}?", 1))
    if most is not None:
        found = found.list.head(most)
    return found.explode().rename("symbol"), found.list.len().to_numpy().astype(np.int64)


def code_points(texts: pl.Series, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first ``most`` characters of each of n texts as code points, uint32 (total,), and int64 (n,) their numbers.

    Space is one blank, however much there is of it.
    """
    texts = texts.str.replace_all(r"\s+", " ")
    if most is not None:
        texts = texts.str.head(most)
    joined = texts.str.join("").item() if len(texts) else ""
    return np.frombuffer(joined.encode("utf-32-le"), np.uint32), texts.str.len_chars().to_numpy().astype(np.int64)


def are_sentences(texts: pl.Series) -> pl.Series:
    """Which texts have several words, most in small letters where there are such, and are no list, path or code."""
    spaceless = texts.str.count_matches(_SPACELESS)
    spoken = texts.str.count_matches(r"\S*\p{L}\S*") + spaceless // CHARACTERS_OF_A_WORD
    small = texts.str.count_matches(r"(?:^|\s)[\p{P}\p{S}]*[\p{Ll}\p{Lo}]") + spaceless // CHARACTERS_OF_A_WORD
    letters = texts.str.count_matches(r"[\p{L}\p{M}]")
    in_words = 2 * letters >= texts.str.count_matches(r"\S")
    listed = texts.str.count_matches(r"[,;|]") + 1 >= spoken
    code = texts.str.contains(r"^[\[{<]|[/\\].*\.\w{1,5}$")
    several = ((spoken >= SENTENCE_WORDS) & (2 * small >= spoken)) | (spoken >= LONG_SENTENCE_WORDS)
    return several & in_words & ~listed & ~code
