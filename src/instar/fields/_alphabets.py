"""Alphabets of sequences: which letters mean the same, which pair with each other, and which one some letters are of.

The letters and their ambiguity codes are those of IUPAC-IUB (Cornish-Bowden 1985 for nucleotides; 1984 for proteins).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Letters are visible ASCII characters.
FIRST_LETTER, LAST_LETTER = 33, 126
# At least this share of the letters are of a nucleotide's alphabet, and so many of its four bases occur.
NUCLEOTIDES, FEWEST_BASES = 0.98, 3
# Codes for what could not be told apart are fewer than the bases themselves.
LEAST_BASES = 0.5
# Words of any language have more of the letters that stand for no amino acid, and fewer letters show nothing.
RESIDUES, FEWEST_RESIDUES, TELLING_LETTERS = 0.97, 15, 100
# Times that a letter occurs in training rows to be a symbol; and the share of all letters that an ambiguity code has.
LEAST_USES, LEAST_SHARE = 2, 1e-3

_GAPS = "-."
_AMBIGUOUS, _PAIRED = "RYSWKMBDHVNX-", "YRSWMKVHDBNX-"


@dataclass(frozen=True)
class Alphabet:
    """What the letters of a column stand for.

    letters: what the alphabet consists of; empty where every letter is one. others: codes that stand for several of
        these, and signs. written: letters with another way of writing them. pairs: the complements of ``letters`` and
        ``others``, in their order; empty where there are none. least: letters of a typical sequence without which a
        column is rather one of words or codes.
    """

    name: str
    noun: str
    least: int
    letters: str = ""
    others: str = ""
    written: tuple[tuple[str, str], ...] = ()
    pairs: str = ""

    @cached_property
    def folded(self) -> np.ndarray:
        """uint8 (256,): each letter as the alphabet writes it."""
        folded = np.arange(256, dtype=np.uint8)
        if self.letters:
            folded[ord("a") : ord("z") + 1] = np.arange(ord("A"), ord("Z") + 1)
            for one, other in self.written:
                folded[[ord(one), ord(one.lower())]] = ord(other)
        return folded

    @cached_property
    def complements(self) -> np.ndarray | None:
        """uint8 (256,): what each letter pairs with, itself where it pairs with none; None where none does."""
        if not self.pairs:
            return None
        complements = np.arange(256, dtype=np.uint8)
        complements[_places(self.letters + self.others)] = _places(self.pairs)
        return complements

    def symbols(self, counts: np.ndarray) -> np.ndarray:
        """The letters with a place of their own, uint8 in their order, by how often each occurs in rows (256,).

        A letter that has a complement may be read from either strand, so both are counted, and bases are always there.
        """
        counts = np.bincount(self.folded, counts, 256)
        if self.complements is not None:
            counts = counts + counts[self.complements]
        known = counts >= max(LEAST_USES, LEAST_SHARE * counts.sum() if self.letters else 0)
        letters = _places(self.letters)
        known[letters] = (counts[letters] >= LEAST_USES) | bool(self.pairs)
        known[:FIRST_LETTER], known[LAST_LETTER + 1 :] = False, False
        return np.flatnonzero(known).astype(np.uint8)


def _places(letters: str) -> list[int]:
    return list(letters.encode())


DNA = Alphabet("dna", "DNA sequences", 6, "ACGT", _AMBIGUOUS, (("U", "T"), (".", "-")), "TGCA" + _PAIRED)
RNA = Alphabet("rna", "RNA sequences", 6, "ACGU", _AMBIGUOUS, (("T", "U"), (".", "-")), "UGCA" + _PAIRED)
PROTEIN = Alphabet("protein", "protein sequences", 7, "ACDEFGHIKLMNPQRSTVWY", "BJOUXZ*-", ((".", "-"),))
LETTERS = Alphabet("letters", "sequences", 12)
ALPHABETS = {each.name: each for each in (DNA, RNA, PROTEIN, LETTERS)}


def likeliest(counts: np.ndarray) -> Alphabet:
    """What the letters are of, by how often each occurs (256,)."""
    upper = np.bincount(PROTEIN.folded, counts, 256)
    upper[_places(_GAPS + "*")] = 0
    total = upper.sum()
    bases = upper[_places("ACGTU")]
    several = np.count_nonzero([*bases[:3], bases[3:].sum()]) >= FEWEST_BASES and bases.sum() > LEAST_BASES * total
    if several and bases.sum() + upper[_places("NX")].sum() >= NUCLEOTIDES * total:
        return RNA if bases[4] > bases[3] else DNA
    residues = upper[_places(PROTEIN.letters)]
    told = total - upper[ord("X")]
    if np.count_nonzero(residues) >= FEWEST_RESIDUES and residues.sum() >= max(RESIDUES * told, TELLING_LETTERS):
        return PROTEIN
    return LETTERS
