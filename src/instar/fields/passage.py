"""Passages: stretches of a longer text, kept as they are, line breaks and all, of which is learned how they go on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError, SettingError
from instar.fields._ragged import padded
from instar.fields._state import expect, whole, word
from instar.fields._symbols import Census, Characters, FittedTokenization, Stretches, Tokenization
from instar.fields._text_settings import LARGEST_LENGTH, LARGEST_TEXT, TextSettings
from instar.fields._texts import are_sentences, shown, stretches, texts_of, to_bytes, visible, with_space
from instar.fields.base import Arrays, Field, Kind, Prepared, State, kinds, no_values
from instar.fields.digest import digest
from instar.settings import Settings
from instar.shapes import Continuation, Text, Tokens
from instar.sources import Column, FileColumn

# What a passage can be taken apart into so that nothing of it is lost.
WAYS: dict[str, type[FittedTokenization]] = {Characters.name: Characters, Stretches.name: Stretches}
# A passage may have so many more symbols than those that were learned from, where these are no characters.
MARGIN = 1.25
# Cells of a column of passages are equally long, nearly all, and at least so long; most begin within a sentence.
EQUALLY_LONG, SHORTEST, WITHIN_SENTENCES = 0.95, 32, 0.5
# Surer than of a text, and less so than of sequences, which are equally long too.
SURENESS = 0.85


class PassageField(Field):
    """Codes of a passage's symbols, as an input or, with its ``entropy``, as what is told of that input.

    entropy: of the symbols of training passages, in nats; None for an input.
    """

    kind = "passage"

    def __init__(self, name: str, symbols: Tokenization, length: int, entropy: float | None) -> None:
        self.name, self.symbols, self.length, self.entropy = name, symbols, length, entropy
        self.shape = Tokens(symbols.vocabulary, length) if entropy is None else None
        self.answer = None
        if entropy is not None:
            self.answer = Continuation(symbols.vocabulary, length, entropy, _characters(symbols))

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        rows = np.flatnonzero(arrays.present)
        codes, counts = np.empty(0, np.int32), np.zeros(len(arrays), np.int64)
        if len(rows):
            codes, counts[rows] = self.symbols.encode(visible(texts_of(arrays, rows)), self.length)
        filled = padded(codes, counts, self.length)
        if self.answer is not None:
            filled[~arrays.present] = -1
            return {"target": torch.from_numpy(filled)}
        return {"tokens": torch.from_numpy(filled), "present": torch.from_numpy(np.array(arrays.present))}

    def truth(self, arrays: Arrays) -> np.ndarray:
        return np.where(arrays.present, 1.0, np.nan)[:, None]

    def encode(self, text: str) -> np.ndarray:
        """Codes, int32 (symbols,), of a text of any length; 1 stands for what was never learned."""
        return self.symbols.encode(visible(pl.Series([text])), len(text))[0] if text else np.empty(0, np.int32)

    def decode(self, answers: np.ndarray) -> list[str]:
        """Texts (n,) of codes (n, length)."""
        return [with_space(text) for text in self.symbols.decode(answers)]

    def show(self, arrays: Arrays, row: int) -> Text:
        return shown(arrays, row)

    def describe(self) -> str:
        known = f"{len(self.symbols.texts):,} known {self.symbols.unit_of_known}"
        return f"passages of up to {self.length:,} {self.symbols.unit}, {known}"

    def state(self) -> State:
        content = {"symbols": self.symbols.name, "length": self.length, "entropy": self.entropy}
        return content, self.symbols.state()

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> PassageField:
        symbols = WAYS[word(content, "symbols", *WAYS)].from_state(arrays)
        entropy = content["entropy"]
        expect(entropy is None or (type(entropy) is float and 0 <= entropy < math.inf), "entropy")
        return cls(name, symbols, whole(content, "length", 1, LARGEST_LENGTH), entropy)


def _characters(symbols: Tokenization) -> tuple[int, ...]:
    """As `Continuation` has them: whatever is not known counts as one."""
    lengths = symbols.texts.str.len_chars().to_list()
    return () if set(lengths) <= {1} else (0, 1, *lengths)


class PassageKind(Kind):
    name = "passage"
    meaning = "stretches of a longer text, letter by letter as they are, to be continued"
    settings = TextSettings
    modality = "text"
    can_be_target = True
    answers_itself = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        if not isinstance(sample, pl.Series) or sample.dtype != pl.String:
            return 0.0
        cells = sample.drop_nulls()
        lengths = cells.str.len_chars()
        longest = int(lengths.max() or 0)  # type: ignore[arg-type]
        if longest < SHORTEST or (lengths == longest).mean() < EQUALLY_LONG:  # type: ignore[operator]
            return 0.0
        within = cells.str.contains(r"^[\p{Ll}\s\p{P}]").mean()
        return SURENESS if within > WITHIN_SENTENCES and are_sentences(cells).mean() > 0.5 else 0.0  # type: ignore[operator]

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        sentences = ("The old house stood by the river.\n", "Nobody had lived in it for years. ", "\tThen she came, ")
        text = "".join(generator.choice(sentences, 8 * rows))
        size = SHORTEST + 2
        cells = [None if row % 23 == 6 else text[row * size + row % 7 :][:size] for row in range(rows)]
        return pl.Series(cells, dtype=pl.String)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        assert isinstance(settings, TextSettings)
        _refuse_others(sample)
        return {"bytes": settings.text_bytes}

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: uint8 (sum of lengths,), UTF-8; nothing where there is no text."""
        texts = _refuse_others(column).cast(pl.String)
        values, lengths = to_bytes(texts, plan["bytes"])
        present = lengths > 0
        return Arrays(values, present, digest(column), lengths=lengths)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, TextSettings)
        way = Characters.name if settings.symbols == "auto" else settings.symbols
        if way not in WAYS:
            raise SettingError(
                f"No text can be continued by {way} alone",
                where=f"column {name!r}",
                remedy=f"Set symbols to {' or '.join(WAYS)}",
            )
        if settings.pretrained != "none":
            raise SettingError(
                "A pretrained encoder reads texts whole, and cannot tell how they go on",
                where=f"column {name!r}",
                remedy="Leave out the setting pretrained",
            )
        census = Census(stretches)
        for chunk in chunks:
            census.add(visible(texts_of(chunk, np.flatnonzero(chunk.present))))
        if not census.rows:
            raise no_values(name)
        symbols = WAYS[way].fit(census, settings.vocabulary or WAYS[way].customary, settings.minimum_uses)
        codes, lengths = symbols.encode(census.sample, LARGEST_LENGTH)
        longest = int(lengths.max()) if way == Characters.name else math.ceil(MARGIN * int(lengths.max()))
        length = min(settings.text_length or longest, LARGEST_LENGTH)
        if not target:
            return PassageField(name, symbols, length, None)
        uses = np.bincount(codes)
        shares = uses[uses > 0] / uses.sum()
        return PassageField(name, symbols, length, abs(float(-(shares * np.log(shares)).sum())))

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        return PassageField.from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        whole(plan, "bytes", 1, LARGEST_TEXT)


def _refuse_others(column: Column) -> pl.Series:
    if isinstance(column, FileColumn) or not isinstance(column, pl.Series):
        raise ColumnError(
            "Only cells of text can be read as passages",
            remedy="Give text files as corpus:FILE_OR_FOLDER, which cuts them into passages",
        )
    return column


kinds.register(PassageKind.name)(PassageKind())
