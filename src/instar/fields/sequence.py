"""Sequences: DNA, RNA, proteins and other codes, each letter a symbol; bytes in the store, codes for networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError, SettingError
from instar.fields._alphabets import ALPHABETS, FIRST_LETTER, LAST_LETTER, LETTERS, Alphabet, likeliest
from instar.fields._ragged import padded
from instar.fields._state import array, expect, whole, word
from instar.fields._symbols import FIRST, UNKNOWN
from instar.fields._texts import to_bytes
from instar.fields.base import Arrays, Field, Kind, Prepared, Problem, State, kinds, no_values, quote
from instar.fields.digest import digest, words
from instar.settings import Settings, setting
from instar.shapes import Text, Tokens
from instar.sources import Column, FileColumn

# The share of training sequences that fit into the length, and the longest that it becomes by itself.
WHOLE_SEQUENCES, LONGEST = 0.98, 1_024
# Letters of a sequence that are read, since no network sees more.
LARGEST_LENGTH = 16_384
SNIFFED_CELLS, SNIFFED_LETTERS = 1_000, 1_000
# Fewer different sequences than these are categories, and so are those that mostly come back, unless there are many.
FEWEST_DIFFERENT, LEAST_DIFFERENT, MANY_DIFFERENT = 4, 0.5, 500
# Letters of other alphabets than those of biology say it by their small number; words have more.
MOST_LETTERS = 8
SHOWN_LETTERS = 400

_SPACE = r"\s+"
_STRANGE = r"[^\x21-\x7e]"
# What says that letters are of a number, a code or a list.
_SEPARATE = r"[\d,;|]"
# Molecules as SMILES (Weininger 1988), of carbon above all, with bonds, branches or rings.
_MOLECULE = r"^(?:\[[^\[\]]+\]|Br|Cl|[BCNOPSFIbcnops]|%\d\d|[-()=#:/\\.+@~*$0-9])+$"
_BONDS, _CARBON, LEAST_CARBON = r"[(=#]|[cCnN]1", r"[Cc]", 0.25


@dataclass(frozen=True)
class SequenceSettings(Settings):
    """What the letters of a sequence stand for, and how many of them are read."""

    alphabet: str = setting(
        "auto",
        "what the letters stand for; auto is found from training rows; those of letters are taken as they are, the "
        "others in capital or small letters alike",
        choices=("auto", *ALPHABETS),
        source="Cornish-Bowden 1985",
    )
    sequence_length: int | None = setting(
        None,
        f"most letters of a sequence; what follows is not seen; nothing said: as many as {WHOLE_SEQUENCES:.0%} of the "
        f"training sequences have, at most {LONGEST:,}",
        minimum=1,
        maximum=LARGEST_LENGTH,
    )
    reverse_complement: bool = setting(
        False,
        "whether half of the training sequences of DNA or RNA, drawn anew each time, are read from the other strand",
    )


class SequenceField(Field):
    """A sequence as an input: codes of its first letters.

    letters: uint8 (known,), the letters in the order of their codes. typical: how many letters most training sequences
        have, from and to.
    """

    kind = "sequence"
    answer = None

    def __init__(
        self,
        name: str,
        alphabet: Alphabet,
        letters: np.ndarray,
        length: int,
        typical: tuple[int, int],
        reverse_complement: bool,
    ) -> None:
        self.name, self.alphabet, self.letters, self.typical = name, alphabet, letters, typical
        self.reverse_complement = reverse_complement
        self.shape: Tokens = Tokens(len(letters) + FIRST, length)
        codes = np.full(256, UNKNOWN, np.int32)
        codes[0] = 0
        codes[letters] = np.arange(FIRST, self.shape.vocabulary)
        self._codes: np.ndarray = codes[alphabet.folded]

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        assert arrays.lengths is not None
        tokens = self._codes[padded(arrays.values, arrays.lengths, self.shape.length)]
        return {"tokens": torch.from_numpy(tokens), "present": torch.from_numpy(np.array(arrays.present))}

    def augment(self, prepared: Prepared, generator: Any) -> Prepared:
        """Half of the rows are turned round, every letter the complement of its own."""
        if not self.reverse_complement:
            return prepared
        import torch

        assert self.alphabet.complements is not None
        complements = np.arange(self.shape.vocabulary, dtype=np.int32)
        complements[FIRST:] = self._codes[self.alphabet.complements[self.letters]]
        tokens = prepared["tokens"]
        turned = torch.rand(len(tokens), generator=generator) < 0.5
        places = (tokens > 0).sum(1, keepdim=True) - 1 - torch.arange(tokens.shape[1])
        other = torch.from_numpy(complements)[tokens.gather(1, places.clamp(min=0)).long()]
        other[places < 0] = 0
        return {**prepared, "tokens": torch.where(turned[:, None], other, tokens)}

    def show(self, arrays: Arrays, row: int) -> Text:
        if not arrays.present[row]:
            return Text("missing")
        text = arrays.of_row(row).tobytes().decode("ascii", errors="replace")
        return Text(text if len(text) <= SHOWN_LETTERS else text[: SHOWN_LETTERS - 1] + "…")

    def describe(self) -> str:
        low, high = self.typical
        size = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        seen = f", of which the first {self.shape.length:,} are seen" if high > self.shape.length else ""
        return f"{self.alphabet.noun} of {size} letters{seen}, {len(self.letters)} known letters"

    def state(self) -> State:
        low, high = self.typical
        content = {
            "alphabet": self.alphabet.name,
            "length": self.shape.length,
            "reverse_complement": self.reverse_complement,
            "low": low,
            "high": high,
        }
        return content, {"letters": self.letters}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SequenceField:
        alphabet = ALPHABETS[word(content, "alphabet", *ALPHABETS)]
        letters = array(arrays, "letters", np.uint8, None)
        expect(
            bool((np.diff(letters.astype(int)) > 0).all() and (alphabet.folded[letters] == letters).all()), "letters"
        )
        expect(bool(((letters >= FIRST_LETTER) & (letters <= LAST_LETTER)).all()), "letters")
        turned = content["reverse_complement"]
        expect(turned is False or (turned is True and bool(alphabet.pairs)), "reverse_complement")
        typical = (whole(content, "low", 1, LARGEST_LENGTH), whole(content, "high", 1, LARGEST_LENGTH))
        return cls(name, alphabet, letters, whole(content, "length", 1, LARGEST_LENGTH), typical, turned)


class SequenceKind(Kind):
    name = "sequence"
    meaning = "DNA, RNA, proteins, molecules and other codes, letter by letter"
    settings = SequenceSettings

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """Digits alone say nothing, nor do letters of a large alphabet: they are numbers, identifiers and words."""
        if target or not isinstance(sample, pl.Series) or sample.dtype != pl.String:
            return 0.0
        texts = words(sample).drop_nulls()
        different = texts.n_unique()
        if different < FEWEST_DIFFERENT or (different < LEAST_DIFFERENT * len(texts) and different < MANY_DIFFERENT):
            return 0.0
        cells = texts.gather_every(max(1, len(texts) // SNIFFED_CELLS)).str.head(SNIFFED_LETTERS)
        letters = _without_space(cells)
        counts = np.bincount(np.frombuffer("".join(letters).encode(), np.uint8), minlength=256)
        alphabet, typical = likeliest(counts), letters.str.len_bytes().quantile(0.5, "lower") or 0
        # Words have space between them; few letters, as those of bases, are no words all the same.
        apart = bool(alphabet.pairs) or 2 * int(cells.str.contains(_SPACE).sum()) <= len(cells)
        if alphabet is not LETTERS and typical >= alphabet.least and apart:
            return 0.9
        few = 2 <= np.count_nonzero(counts) <= MOST_LETTERS and typical >= LETTERS.least
        plain = few and not cells.str.contains(_SEPARATE + "|" + _STRANGE).any()
        return 0.85 if plain or _are_molecules(cells) else 0.0

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        cells = ["".join(generator.choice(list("ACGT"), generator.integers(20, 40))) for _ in range(rows)]
        return pl.Series([None if row % 21 == 5 else cell for row, cell in enumerate(cells)], dtype=pl.String)

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: uint8 (sum of lengths,), the letters as they are written, without space between them."""
        if not isinstance(column, pl.Series):
            what = "files" if isinstance(column, FileColumn) else "arrays"
            raise ColumnError(
                f"A column of {what} cannot be read as sequences", remedy="Give cells of letters, or a FASTA file"
            )
        texts = words(column)
        letters = _without_space(texts)
        strange = letters.str.extract(f"({_STRANGE})")
        problems = [
            Problem(
                row, f"{quote(texts[row])} has {strange[row]!r}, and a sequence consists of ASCII letters and signs"
            )
            for row in strange.is_not_null().arg_true().to_list()
        ]
        letters = letters.set(strange.is_not_null(), None)
        values, lengths = to_bytes(letters, LARGEST_LENGTH)
        return Arrays(values, letters.is_not_null().to_numpy(), digest(column), problems=problems, lengths=lengths)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, SequenceSettings)
        counts, sizes = np.zeros(256, np.int64), np.zeros(LARGEST_LENGTH + 1, np.int64)
        for chunk in chunks:
            assert chunk.lengths is not None
            counts += np.bincount(chunk.values, minlength=256)
            sizes += np.bincount(chunk.lengths[chunk.present], minlength=len(sizes))
        if not sizes.sum():
            raise no_values(name)
        alphabet = likeliest(counts) if settings.alphabet == "auto" else ALPHABETS[settings.alphabet]
        if settings.reverse_complement and not alphabet.pairs:
            raise SettingError(
                f"Setting 'reverse_complement' is for DNA and RNA, and column {name!r} holds {alphabet.noun} of the "
                f"alphabet {alphabet.name!r}",
                remedy="Leave it out; or set alphabet to dna or rna where that is what the letters stand for",
            )
        shares = np.cumsum(sizes) / sizes.sum()
        low, high, nearly_all = (int(np.argmax(shares >= share)) for share in (0.05, 0.95, WHOLE_SEQUENCES))
        length = settings.sequence_length or min(nearly_all, LONGEST)
        return SequenceField(name, alphabet, alphabet.symbols(counts), length, (low, high), settings.reverse_complement)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        return SequenceField.from_state(name, content, arrays)


def _without_space(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(_SPACE, "")


def _are_molecules(cells: pl.Series) -> bool:
    carbon = int(cells.str.count_matches(_CARBON).sum())
    molecules = int((cells.str.contains(_MOLECULE) & cells.str.contains(_BONDS)).sum())
    return 2 * molecules > len(cells) and carbon >= LEAST_CARBON * int(cells.str.len_chars().sum())


kinds.register(SequenceKind.name)(SequenceKind())
