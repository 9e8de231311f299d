"""Texts as answers: what a network writes, symbol by symbol, and how it becomes a text again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from instar.fields._ragged import padded
from instar.fields._state import expect, whole, word
from instar.fields._symbols import Census, Characters, FittedTokenization, Pieces, Tokenization
from instar.fields._texts import MOST_SPACELESS, pieces, texts_of
from instar.fields.base import Arrays, Field, Prepared, State, no_values
from instar.shapes import NO_TEXT, Symbols, Text

# The ways of `instar.fields._symbols` from which a text can be put together again.
WAYS: dict[str, type[FittedTokenization]] = {Pieces.name: Pieces, Characters.name: Characters}
# An answer may be so much longer than any that was learned from; and no longer than this.
MARGIN, LONGEST = 1.25, 1_024
LARGEST_LENGTH = 16_384


class WritingField(Field):
    """A text as a target: codes of its symbols. Capital letters stay, and space is one blank, however much there is.

    low, high: how many symbols most training texts have.
    """

    kind = "text"
    shape = None

    def __init__(self, name: str, symbols: Tokenization, answer: Symbols, typical: tuple[int, int]) -> None:
        self.name, self.symbols, self.typical = name, symbols, typical
        self.answer: Symbols = answer

    @classmethod
    def fit(
        cls,
        name: str,
        chunks: Iterable[Arrays],
        way: str | None,
        vocabulary: int | None,
        minimum_uses: int,
        most: int | None,
    ) -> WritingField:
        """``way``: a key of `WAYS`, or None for the one that suits; ``most``: symbols of an answer, if that is said."""
        census = Census(pieces)
        for chunk in chunks:
            census.add(_normalized(texts_of(chunk, np.flatnonzero(chunk.present))))
        if not census.rows:
            raise no_values(name)
        way = way or likeliest(census)
        symbols = WAYS[way].fit(census, vocabulary or WAYS[way].customary, minimum_uses)
        codes, lengths = symbols.encode(census.sample, LARGEST_LENGTH)
        length = most or min(LONGEST, math.ceil(MARGIN * int(lengths.max())))
        uses = np.append(np.bincount(codes, minlength=symbols.vocabulary), len(lengths))
        shares = uses[uses > 0] / uses.sum()
        low, high = np.quantile(lengths, (0.05, 0.95), method="higher").tolist()
        entropy = float(-(shares * np.log(shares)).sum())
        return cls(name, symbols, Symbols(symbols.vocabulary, length, entropy), (low, high))

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        rows, length = np.flatnonzero(arrays.present), self.answer.length
        counts = np.zeros(len(arrays), np.int64)
        codes = np.empty(0, np.int32)
        if len(rows):
            codes, counts[rows] = self.symbols.encode(_normalized(texts_of(arrays, rows)), length)
        target = padded(codes, counts, length)
        target[~arrays.present] = -1
        return {"target": torch.from_numpy(target)}

    def truth(self, arrays: Arrays) -> np.ndarray:
        texts = [NO_TEXT] * len(arrays)
        rows = np.flatnonzero(arrays.present)
        for row, text in zip(rows.tolist(), _normalized(texts_of(arrays, rows)), strict=True):
            texts[row] = text
        return np.array(texts, dtype=np.str_)

    def decode(self, answers: np.ndarray) -> np.ndarray:
        """Texts (n,) of codes (n, length)."""
        return np.array(self.symbols.decode(answers), dtype=np.str_)

    def show(self, arrays: Arrays, row: int) -> Text:
        return Text(arrays.of_row(row).tobytes().decode(errors="replace") if arrays.present[row] else "missing")

    def describe(self) -> str:
        low, high = self.typical
        return f"texts of {low:,} to {high:,} {self.symbols.unit} out of {len(self.symbols.texts):,}"

    def state(self) -> State:
        content = {
            "role": "target",
            "symbols": self.symbols.name,
            "length": self.answer.length,
            "entropy": self.answer.entropy,
            "low": self.typical[0],
            "high": self.typical[1],
        }
        return content, self.symbols.state()

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> WritingField:
        symbols = WAYS[word(content, "symbols", *WAYS)].from_state(arrays)
        entropy = content["entropy"]
        expect(type(entropy) is float and 0 <= entropy < math.inf, "entropy")
        answer = Symbols(symbols.vocabulary, whole(content, "length", 1, LARGEST_LENGTH), entropy)
        return cls(
            name, symbols, answer, (whole(content, "low", 0, LARGEST_LENGTH), whole(content, "high", 0, LARGEST_LENGTH))
        )


def likeliest(census: Census) -> str:
    """Parts of words, or characters where no spaces divide words."""
    return Characters.name if census.spaceless > MOST_SPACELESS else Pieces.name


def _normalized(texts: pl.Series) -> pl.Series:
    """One way of writing, whose letters stay as large or small as they are."""
    return texts.str.normalize("NFC").str.strip_chars().str.replace_all(r"\s+", " ")
