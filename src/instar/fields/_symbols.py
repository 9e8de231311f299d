"""What a text is a sequence of: words, characters, or parts of words; found on training rows, and frozen."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from instar.fields._ragged import gather, starts_of
from instar.fields._state import array, expect
from instar.fields._texts import BLANK, POINTS, SPACELESS, code_points, pieces, split, stretches

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Codes: 0 ends a row, 1 is every symbol that is not known, and from here on they are known.
UNKNOWN, FIRST = 1, 2
LARGEST_VOCABULARY, LONGEST_SYMBOL = 1 << 20, 256
# How an unknown symbol is written.
UNKNOWN_TEXT = "\ufffd"
# Different words that are counted; and texts that are kept to see how long they are.
COUNTED_WORDS, KEPT_TEXTS = 1 << 20, 2_048
# Occurrences of words that parts of words are learned from.
LEARNED_WORDS = 1 << 20
# What cannot be spelled, a private character, and where a word begins.
_OUTSIDE, _BEGIN = "\ue000", BLANK

Split = Callable[[pl.Series, int | None], tuple[pl.Series, np.ndarray]]
State = tuple[dict[str, Any], dict[str, np.ndarray]]


class Census:
    """Counts what is in n texts, in bounded memory, whatever chunks they come in; ``split`` says what a word is."""

    def __init__(self, split: Split = split) -> None:
        self._split = split
        self.rows, self.total, self._limit = 0, 0, COUNTED_WORDS
        self.points = np.zeros(POINTS, np.int64)
        self._counts: pl.DataFrame | None = None
        self._generator = np.random.default_rng(0)
        self._kept, self._ranks = pl.Series([], dtype=pl.String), np.empty(0)

    def add(self, texts: pl.Series) -> None:
        """Texts as `normalize` gives them."""
        if not len(texts):
            return
        words, _ = self._split(texts, None)
        self.points += np.bincount(code_points(texts)[0], minlength=POINTS)
        self.rows += len(texts)
        self.total += len(words)
        self._count(words)
        self._keep(texts)

    def words(self, least: int) -> pl.DataFrame:
        """``symbol`` and ``count`` of the words that occur so often, the most frequent first, then by letter."""
        assert self._counts is not None
        return self._counts.filter(pl.col("count") >= least).sort(["count", "symbol"], descending=[True, False])

    def share(self, words: Sequence[str]) -> float:
        """Which part of all words and signs these are."""
        assert self._counts is not None
        return float(self._counts.filter(pl.col("symbol").is_in(words))["count"].sum()) / max(1, self.total)

    @property
    def sample(self) -> pl.Series:
        """Some of the texts, the same ones however the chunks were cut."""
        return self._kept

    @property
    def spaceless(self) -> float:
        """The share of characters, blanks apart, that belong to scripts without spaces."""
        found = sum(int(self.points[first : last + 1].sum()) for first, last in SPACELESS)
        return found / max(1, int(self.points.sum() - self.points[ord(" ")]))

    def _count(self, words: pl.Series) -> None:
        counts = words.value_counts(name="count").with_columns(pl.col("count").cast(pl.Int64))
        counts = counts.filter(pl.col("symbol").str.len_bytes() <= LONGEST_SYMBOL)
        if self._counts is not None:
            counts = pl.concat([self._counts, counts]).group_by("symbol").agg(pl.col("count").sum())
        if len(counts) > self._limit:
            # The rarer half is forgotten: what is frequent keeps nearly its count (Manku & Motwani 2002).
            counts = counts.sort(["count", "symbol"], descending=[True, False]).head(self._limit // 2)
        self._counts = counts

    def _keep(self, texts: pl.Series) -> None:
        ranks = np.concatenate([self._ranks, self._generator.random(len(texts))])
        lowest = np.sort(np.argsort(ranks, kind="stable")[:KEPT_TEXTS])
        self._kept, self._ranks = pl.concat([self._kept, texts.rename("")])[lowest.tolist()], ranks[lowest]


class Tokenization(ABC):
    """A vocabulary, and how a text is taken apart into it.

    texts: (known,) the symbols in the order of their codes, `FIRST` on.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    unit_of_known: ClassVar[str]

    def __init__(self, texts: pl.Series) -> None:
        self.texts = texts

    @property
    def vocabulary(self) -> int:
        return len(self.texts) + FIRST

    @abstractmethod
    def encode(self, texts: pl.Series, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes int32 (total,) of n normalized texts, and int64 (n,) how many each has: at least one, and the first
        ``most`` of them or a few more."""

    def decode(self, codes: np.ndarray) -> list[str]:
        """The symbols of each of n rows of codes (n, length), up to the first 0, one after another."""
        texts = ["", UNKNOWN_TEXT, *self.texts]
        ends = np.where((codes == 0).any(1), (codes == 0).argmax(1), codes.shape[1])
        return [
            "".join([texts[code] for code in row[:end]])
            for row, end in zip(codes.astype(int).tolist(), ends, strict=True)
        ]

    def state(self) -> dict[str, np.ndarray]:
        lengths = self.texts.str.len_bytes().to_numpy().astype(np.int32)
        return {"symbols": np.frombuffer("".join(self.texts).encode(), np.uint8), "lengths": lengths}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> Tokenization:
        return cls(stored_texts(arrays))


class FittedTokenization(Tokenization):
    """Symbols that are found in training texts. customary: how many there are at most where nobody says."""

    customary: ClassVar[int] = 30_000

    @classmethod
    @abstractmethod
    def fit(cls, census: Census, most: int, least: int) -> FittedTokenization:
        """The ``most`` frequent symbols of those that occur at least ``least`` times."""


class Words(FittedTokenization):
    name, unit, unit_of_known = "words", "words", "words"

    @classmethod
    def fit(cls, census: Census, most: int, least: int) -> Words:
        return cls(census.words(least)["symbol"].head(most))

    def encode(self, texts: pl.Series, most: int) -> tuple[np.ndarray, np.ndarray]:
        words, lengths = split(texts, most)
        codes = words.replace_strict(self.texts, self._codes, default=UNKNOWN, return_dtype=pl.Int32)
        return codes.to_numpy(), lengths

    @cached_property
    def _codes(self) -> pl.Series:
        return pl.Series(np.arange(FIRST, self.vocabulary, dtype=np.int32))


class Characters(FittedTokenization):
    name, unit, unit_of_known = "characters", "characters", "characters"

    @classmethod
    def fit(cls, census: Census, most: int, least: int) -> Characters:
        return cls(pl.Series(_frequent_characters(census.points, most, least), dtype=pl.String))

    def encode(self, texts: pl.Series, most: int) -> tuple[np.ndarray, np.ndarray]:
        points, lengths = code_points(texts, most)
        return self._codes[points], lengths

    @cached_property
    def _codes(self) -> np.ndarray:
        """int32 (code points,)."""
        codes = np.full(POINTS, UNKNOWN, np.int32)
        codes[code_points(self.texts)[0]] = np.arange(FIRST, self.vocabulary)
        return codes

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> Characters:
        texts = stored_texts(arrays)
        expect(bool((texts.str.len_chars() == 1).all()), "characters")
        return cls(texts)


class Parts(FittedTokenization):
    """Byte-pair encoding (Sennrich, Haddow & Birch 2016): what occurs often is one symbol, the rest is spelled.

    texts: a part that begins a word begins with a private character. merges: int32 (m, 2), which two parts become one,
        in this order.
    """

    name, unit, unit_of_known, customary = "bpe", "parts of words", "parts", 8_000
    split, begin = staticmethod(split), _BEGIN

    def __init__(self, texts: pl.Series, merges: np.ndarray) -> None:
        super().__init__(texts)
        self.merges = merges

    @classmethod
    def fit(cls, census: Census, most: int, least: int) -> Parts:
        from tokenizers import Tokenizer
        from tokenizers.models import BPE
        from tokenizers.pre_tokenizers import WhitespaceSplit
        from tokenizers.trainers import BpeTrainer

        tokenizer = Tokenizer(BPE(unk_token=_OUTSIDE))
        tokenizer.pre_tokenizer = WhitespaceSplit()
        # What to leave out of an alphabet that is too large is said here, since the trainer draws among equals.
        characters = _frequent_characters(census.points, most // 2, least)
        alphabet = [_BEGIN, *(character for character in characters if character != " ")]
        trainer = BpeTrainer(
            vocab_size=most + 1,
            min_frequency=least,
            special_tokens=[_OUTSIDE],
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            max_token_length=LONGEST_SYMBOL // 4,
            show_progress=False,
        )
        counts = census.words(least)
        scale = min(1.0, LEARNED_WORDS / max(1, census.total))
        repeated = (
            " ".join([cls.begin + word] * max(1, round(count * scale)))
            for word, count in zip(*counts.get_columns(), strict=True)
        )
        tokenizer.train_from_iterator(repeated, trainer)
        return cls(*_learned(tokenizer))

    def encode(self, texts: pl.Series, most: int) -> tuple[np.ndarray, np.ndarray]:
        words, counts = self.split(texts, most)
        different = words.unique()
        # A word is spelled once, however often it occurs; 0 is what the tokenizer cannot spell.
        spelled = [found.ids for found in self._tokenizer.encode_batch_fast([self.begin + word for word in different])]
        parts = np.fromiter((part for word in spelled for part in word), np.int32)
        sizes = np.fromiter(map(len, spelled), np.int64, len(spelled))
        places = words.replace_strict(different, pl.Series(np.arange(len(different))), return_dtype=pl.Int64).to_numpy()
        codes, sizes_of_words = gather(parts + (FIRST - 1), starts_of(sizes), places)
        starts = starts_of(sizes_of_words)
        return codes, np.diff(starts[starts_of(counts)])

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "merges": self.merges}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> Parts:
        texts = stored_texts(arrays)
        merges = array(arrays, "merges", np.int32, None, 2)
        expect(len(merges) <= len(texts) and bool(((merges >= 0) & (merges < len(texts))).all()), "merges")
        known = texts.to_list()
        whole = {known[left] + known[right] for left, right in merges.tolist()}
        expect(len(whole) == len(merges) and whole <= set(known) and _OUTSIDE not in known, "merges")
        return cls(texts, merges)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer
        from tokenizers.models import BPE

        known = self.texts.to_list()
        vocabulary = {_OUTSIDE: 0, **{text: code for code, text in enumerate(known, 1)}}
        merges = [(known[left], known[right]) for left, right in self.merges.tolist()]
        return Tokenizer(BPE(vocabulary, merges, unk_token=_OUTSIDE, fuse_unk=True))


class Pieces(Parts):
    """Parts of words with the blanks between words, so that a text can be written from them."""

    split, begin = staticmethod(pieces), ""

    def decode(self, codes: np.ndarray) -> list[str]:
        return [text.replace(BLANK, " ").strip() for text in super().decode(codes)]


class Stretches(Pieces):
    """As `Pieces`, of a text that is kept as it is, whose space is written in private characters (`_texts.visible`)."""

    split = staticmethod(stretches)

    def decode(self, codes: np.ndarray) -> list[str]:
        return Tokenization.decode(self, codes)


WAYS: dict[str, type[FittedTokenization]] = {way.name: way for way in (Words, Characters, Parts)}


def _frequent_characters(points: np.ndarray, most: int, least: int) -> list[str]:
    """The most frequent first, then by code point."""
    order = np.argsort(-points, kind="stable")[:most]
    return [chr(point) for point in order[points[order] >= least].tolist()]


def _learned(tokenizer: Tokenizer) -> tuple[pl.Series, np.ndarray]:
    """Parts and merges that a trained tokenizer has."""
    model = json.loads(tokenizer.to_str())["model"]
    codes = {text: code for text, code in model["vocab"].items() if text != _OUTSIDE}
    texts = sorted(codes, key=codes.__getitem__)
    places = {text: place for place, text in enumerate(texts)}
    merges = [[places[left], places[right]] for left, right in model["merges"]]
    return pl.Series(texts, dtype=pl.String), np.array(merges, np.int32).reshape(len(merges), 2)


def stored_texts(arrays: Mapping[str, np.ndarray]) -> pl.Series:
    """The symbols of a state. Raises ValueError, KeyError."""
    content, lengths = array(arrays, "symbols", np.uint8, None), array(arrays, "lengths", np.int32, None)
    expect(len(lengths) <= LARGEST_VOCABULARY, "too many symbols")
    expect(bool(((lengths > 0) & (lengths <= 2 * LONGEST_SYMBOL)).all()), "lengths")
    starts = starts_of(lengths.astype(np.int64))
    expect(int(starts[-1]) == len(content), "lengths")
    whole = content.tobytes()
    places = starts.tolist()
    texts = [whole[start:stop].decode() for start, stop in pairwise(places)]
    expect(len(set(texts)) == len(texts), "a symbol twice")
    return pl.Series(texts, dtype=pl.String)
