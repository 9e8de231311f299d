"""Rivals that answer with texts: the most frequent one, that of the most similar row, and a dictionary."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from instar.evaluation.rivals.base import Inputs, rival
from instar.shapes import Answer, Symbols

# Rounds in which a dictionary's probabilities settle, and words of a text that it learns from.
ROUNDS, MOST_WORDS = 5, 64


@rival(
    "frequent_text",
    title="always answering the most frequent text",
    paper="-",
    idea="Answers the text that most training rows have.",
    answers=(Symbols,),
    encoding="ordinal",
    sequences=None,
    cost=0,
    baseline=True,
)
def frequent_text(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.dummy import DummyClassifier

    return [DummyClassifier(strategy="most_frequent")]


@rival(
    "nearest_text",
    title="nearest neighbor's text",
    paper="Nagao 1984",
    idea="Answers the text of the training row with the most similar inputs.",
    answers=(Symbols,),
    sequences="terms",
    maximum_rows=100_000,
    maximum_examined=5_000,
    cost=2,
)
def nearest_text(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    from sklearn.neighbors import KNeighborsClassifier

    return [KNeighborsClassifier(n_neighbors=1)]


@rival(
    "dictionary",
    title="dictionary, word by word",
    paper="Brown, Della Pietra, Della Pietra & Mercer 1993 (model 1)",
    idea="Learns from the pairs which word stands for which, and answers a text's words one by one, in their order.",
    answers=(Symbols,),
    sequences="codes",
    maximum_rows=50_000,
    cost=1,
    suits=lambda inputs: bool(inputs.sequences),
)
def dictionary(inputs: Inputs, answer: Answer, seed: int) -> list[Any]:
    lengths = [shape.length for shape in inputs.sequences]
    longest = lengths.index(max(lengths))
    return [Dictionary(lengths[longest], sum(lengths[longest + 1 :]))]


class Dictionary:
    """``fit`` takes codes of words (n, columns), of which ``length`` are the text's and ``after`` follow, and texts."""

    def __init__(self, length: int, after: int = 0) -> None:
        self.length, self.after = length, after

    def fit(self, codes: np.ndarray, texts: np.ndarray) -> Dictionary:
        words = Counter(word for text in texts.tolist() for word in text.split())
        self.words = list(words)
        places = {word: place for place, word in enumerate(self.words)}
        rows, sources, targets = [], [], []
        for row, (symbols, text) in enumerate(zip(self._symbols(codes), texts.tolist(), strict=True)):
            said = [places[word] for word in text.split()[:MOST_WORDS]]
            read = np.unique(symbols[symbols > 0])[:MOST_WORDS]
            rows.append(np.full(len(read) * len(said), row * MOST_WORDS) + np.repeat(np.arange(len(said)), len(read)))
            sources.append(np.tile(read, len(said)))
            targets.append(np.repeat(said, len(read)))
        place, source, target = (np.concatenate(parts).astype(np.int64) for parts in (rows, sources, targets))
        pairs, pair = np.unique(source * len(self.words) + target, return_inverse=True)
        self._settle(place, pair, pairs // max(1, len(self.words)), pairs % max(1, len(self.words)))
        return self

    def _settle(self, place: np.ndarray, pair: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> None:
        """Expectation and maximization: each word that was said is shared out among the words that were read."""
        likely = np.ones(len(sources))
        for _ in range(ROUNDS):
            shares = likely[pair]
            totals = np.bincount(place, shares)
            counts = np.bincount(pair, shares / np.maximum(totals[place], 1e-300), len(sources))
            likely = counts / np.maximum(np.bincount(sources, counts)[sources], 1e-300)
        order = np.lexsort((-likely, sources))
        first = np.unique(sources[order], return_index=True)[1]
        self.meaning = dict(zip(sources[order][first].tolist(), targets[order][first].tolist(), strict=True))

    def predict(self, codes: np.ndarray) -> np.ndarray:
        answers = []
        for symbols in self._symbols(codes).tolist():
            meant = [self.meaning[symbol] for symbol in symbols if symbol in self.meaning]
            answers.append(" ".join(self.words[word] for word in meant))
        return np.array(answers, dtype=np.str_)

    def _symbols(self, codes: np.ndarray) -> np.ndarray:
        return np.asarray(codes[:, codes.shape[1] - self.after - self.length :][:, : self.length]).astype(np.int64)
