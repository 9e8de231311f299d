"""What words are made of: their groups of letters, so that what was learned of one word serves in its kin."""

from __future__ import annotations

import numpy as np
import polars as pl

from instar.fields._ragged import gather, positions, starts_of
from instar.fields._texts import code_points, split

# Private characters, by which no text means anything: where a word begins and ends.
BEGIN, END = "\ue001", "\ue002"
# A prime below 2**31, and a factor by which hashes of neighbors differ in all their bits (Knuth 1973).
_PRIME, _FACTOR = np.uint64(2**31 - 1), np.uint64(2_654_435_761)


def groups_of_letters(words: pl.Series, shortest: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes, int32 (total,) from 1 on, of the groups of neighboring letters of n words, and int64 (n,) how many each
    has: from ``shortest`` to ``longest`` letters, the word's begin and its end counted (Bojanowski et al. 2017)."""
    letters, lengths = code_points(BEGIN + words + END)
    mixed, found, owners = np.zeros(len(letters), np.uint64), [], []
    starts = starts_of(lengths)
    for size in range(1, longest + 1):
        counts = np.maximum(lengths - (size - 1), 0)
        firsts = positions(starts[:-1], counts)
        mixed[firsts] = (mixed[firsts] * _FACTOR + letters[firsts + (size - 1)]) % _PRIME
        if size >= shortest:
            found.append(mixed[firsts].astype(np.int32))
            owners.append(np.repeat(np.arange(len(words)), counts))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(found)[order] + np.int32(1), np.bincount(owner, minlength=len(words))


def subwords(texts: pl.Series, shortest: int, longest: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """`groups_of_letters` of all words of n texts, ``most`` words of each: int32 (total,), and int64 (n,)."""
    words, counts = split(texts, most)
    different = words.unique()
    # A word is taken apart once, however often it occurs.
    places = words.replace_strict(different, pl.Series(np.arange(len(different))), return_dtype=pl.Int64).to_numpy()
    groups, sizes = groups_of_letters(different, shortest, longest)
    found, sizes_of_words = gather(groups, starts_of(sizes), places)
    return found, np.diff(starts_of(sizes_of_words)[starts_of(counts)])
