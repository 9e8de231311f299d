"""Rivals that continue texts: how often each symbol is, and n-grams with back-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Answer, Continuation

# Longest groups of symbols that are counted; and which rows, one of so many, choose how long they are to be.
LONGEST_GROUP, CHOOSING = 10, 10
_NO_CONTEXT = -1


@rival(
    "symbol_frequencies",
    title="the frequencies of symbols",
    paper="-",
    idea="Expects each symbol as often as it is in the training texts, whatever stands before it.",
    answers=(Continuation,),
    encoding="ordinal",
    sequences="codes",
    cost=0,
    baseline=True,
)
def symbol_frequencies(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    assert isinstance(answer, Continuation)
    return [Groups(answer, longest=1)]


@rival(
    "ngrams",
    title="n-gram model with back-off",
    paper="Kneser & Ney 1995; Chen & Goodman 1998",
    idea="Expects what followed the same few symbols before, and where they are rare, what followed fewer of them.",
    answers=(Continuation,),
    encoding="ordinal",
    sequences="codes",
    cost=1,
)
def ngrams(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    assert isinstance(answer, Continuation)
    return [Groups(answer)]


class Groups:
    """Interpolated, modified Kneser-Ney smoothing over groups of up to ``longest`` symbols.

    ``fit`` takes codes (n, length), 0 after a row's end; ``predict`` gives (n, 3) as `instar.shapes` says of a
    Continuation's answer. No group reaches over the beginning of a row, before which nothing is known: a row's first
    symbols are told from as many as there are before them. How long groups are is chosen by rows set apart.
    """

    def __init__(self, answer: Continuation, longest: int = LONGEST_GROUP) -> None:
        self.vocabulary, self.longest = answer.vocabulary, longest
        self.characters = np.array(answer.characters or (0,) + (1,) * (answer.vocabulary - 1))

    def fit(self, codes: np.ndarray, truth: np.ndarray) -> Groups:
        codes = codes.astype(np.int64)
        aside = np.arange(len(codes)) % CHOOSING == 0
        if self.longest > 1 and aside.sum() < len(codes):
            self._count(codes[~aside])
            surprise = [-np.log(self._likely(codes[aside], longest)).sum() for longest in range(1, self.longest + 1)]
            self.longest = 1 + int(np.argmin(surprise))
        self._count(codes)
        return self

    def predict(self, codes: np.ndarray) -> np.ndarray:
        codes = codes.astype(np.int64)
        known = codes != 0
        nats = np.zeros(codes.shape)
        nats[known] = -np.log(self._likely(codes, self.longest))
        return np.stack([nats.sum(axis=1), known.sum(axis=1), self.characters[codes].sum(axis=1)], axis=1)

    def probabilities(self, before: Sequence[int]) -> np.ndarray:
        """(vocabulary,) of what follows the symbols ``before`` at the beginning of a row; 0 is none."""
        rows = np.tile([*before, 0], (self.vocabulary - 1, 1)).astype(np.int64)
        rows[:, -1] = np.arange(1, self.vocabulary)
        likely = self._likely(rows, self.longest).reshape(len(rows), -1)
        return np.concatenate([[0.0], likely[:, -1]])

    def _count(self, codes: np.ndarray) -> None:
        symbols, place = _flat(codes)
        group = np.zeros(len(symbols), np.int64)  # of no symbols, before each
        self.orders: list[_Order] = []
        before: np.ndarray | None = None
        for order in range(self.longest):
            there = place >= order
            keys = np.full(len(symbols), _NO_CONTEXT)
            keys[there] = group[there] * self.vocabulary + symbols[there]
            distinct, ends, counts = np.unique(keys[there], return_inverse=True, return_counts=True)
            ending = np.full(len(symbols), _NO_CONTEXT)
            ending[there] = ends
            contexts = int(group.max(initial=0)) + 1
            self.orders.append(_Order(distinct, distinct // self.vocabulary, counts, contexts))
            if before is not None:
                # How many different symbols stand before each shorter group.
                suffix = np.zeros(len(distinct), np.int64)
                suffix[ends] = before[there]
                self.orders[-2].extend(np.bincount(suffix, minlength=len(self.orders[-2].keys)))
            before = ending
            # The group of the last ``order + 1`` symbols that stands before each.
            group = np.concatenate([[0], ending[:-1]]) if len(ending) else ending

    def _likely(self, codes: np.ndarray, longest: int) -> np.ndarray:
        """The probability of each symbol, in the order of the rows, by groups of at most ``longest`` symbols."""
        symbols, place = _flat(codes)
        likely = np.full(len(symbols), 1 / (self.vocabulary - 1))
        group = np.zeros(len(symbols), np.int64)
        for order, counted in enumerate(self.orders[:longest]):
            there = (place >= order) & (group >= 0)
            last = (place == order) | (order == longest - 1)
            found = np.full(len(symbols), _NO_CONTEXT)
            found[there] = counted.find(group[there] * self.vocabulary + symbols[there])
            for whole in (True, False):
                chosen = there & (last == whole)
                likely[chosen] = counted.smoothed(whole).likely(group[chosen], found[chosen], likely[chosen])
            group = np.concatenate([[0], found[:-1]])
        return likely


class _Order:
    """Groups of one length: their keys (context times vocabulary plus symbol), ascending, and how often each is."""

    def __init__(self, keys: np.ndarray, context: np.ndarray, counts: np.ndarray, contexts: int) -> None:
        self.keys, self._context, self._contexts = keys, context, contexts
        self._whole = _Smoothed.of(counts, context, contexts)
        self._extended: _Smoothed | None = None

    def extend(self, counts: np.ndarray) -> None:
        """After how many different symbols each group was met."""
        self._extended = _Smoothed.of(counts, self._context, self._contexts)

    def smoothed(self, whole: bool) -> _Smoothed:
        return self._whole if whole or self._extended is None else self._extended

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Which group each key is, `_NO_CONTEXT` where it was never met."""
        place = np.minimum(np.searchsorted(self.keys, keys), max(0, len(self.keys) - 1))
        met = self.keys[place] == keys if len(self.keys) else np.zeros(len(keys), bool)
        return np.where(met, place, _NO_CONTEXT)


@dataclass(frozen=True)
class _Smoothed:
    """Discounted counts of groups, and by context their sum and what is left for shorter groups."""

    discounted: np.ndarray
    totals: np.ndarray
    left: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, context: np.ndarray, contexts: int) -> _Smoothed:
        discounts = _discounts(counts)[np.minimum(counts, 3)]
        totals = np.bincount(context, counts, contexts)
        left = np.bincount(context, np.minimum(discounts, counts), contexts)
        return cls(np.maximum(counts - discounts, 0), totals, left)

    def likely(self, context: np.ndarray, group: np.ndarray, shorter: np.ndarray) -> np.ndarray:
        totals = self.totals[context]
        own = np.where(group >= 0, self.discounted[group], 0.0)
        with np.errstate(all="ignore"):
            mixed = (own + self.left[context] * shorter) / totals
        return np.where(totals > 0, mixed, shorter)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken from counts of 0, 1, 2, and 3 or more (Chen & Goodman 1998, equation 17)."""
    often = np.bincount(np.minimum(counts, 5).astype(np.int64), minlength=6)[1:5].astype(np.float64)
    if not often[:2].all():
        return np.array([0.0, 0.5, 0.5, 0.5])
    share = often[0] / (often[0] + 2 * often[1])
    found = [
        size - (size + 1) * share * often[size] / often[size - 1] if often[size - 1] else 0.5 * size
        for size in (1, 2, 3)
    ]
    return np.array([0.0, *(min(max(each, 0.05 * size), 0.95 * size) for size, each in enumerate(found, 1))])


def _flat(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The symbols of all rows one after another, and at which place of its row each stands."""
    known = codes != 0
    return codes[known], np.broadcast_to(np.arange(codes.shape[1]), codes.shape)[known]
