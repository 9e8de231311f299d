"""Continuations: how surprised a model was by each text, in bits for each of its characters.

Perplexity and bits per character (Shannon 1951; Jelinek, Mercer, Bahl & Baker 1977) are of the whole set: the nats of
all symbols over how many symbols, or characters, these are. A model that knows more is surprised less.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from instar.answers.base import MISTAKES, AnswerType, Details, Exhibit, Mistake
from instar.fields import Field
from instar.resampling import Groups, Values
from instar.shapes import Continuation
from instar.words import written_amount


class ContinuationType(AnswerType[Continuation]):
    task = "generation"
    claim = "What it writes is drawn symbol by symbol: it sounds like what it has read, whether it is true or not."

    def main_metric(self, answer: Continuation) -> str:
        return "bits_per_character"

    def width(self, answer: Continuation) -> int:
        return 3

    def known(self, answer: Continuation, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return np.asarray(np.isfinite(truth[:, 0]) & np.isfinite(prediction).all(axis=1) & (prediction[:, 1] > 0))

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return np.asarray(np.isfinite(truth[:, 0]))

    def to_learn(self, answer: Continuation, truth: np.ndarray) -> np.ndarray:
        return truth

    def measure(
        self, answer: Continuation, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        columns = prediction.astype(np.float64)
        (nats, symbols, characters), drawn = columns.sum(axis=0), groups.resample(columns).T
        return {
            "bits_per_character": (_bits(nats, characters), _bits(drawn[0], drawn[2])),
            "perplexity": (float(np.exp(nats / symbols)), np.exp(drawn[0] / drawn[1])),
        }

    def details(self, exhibit: Exhibit[Continuation]) -> Details:
        if exhibit.show is None:
            return Details()
        bits = _bits(exhibit.prediction[:, 0], exhibit.prediction[:, 2])
        hardest = exhibit.usable[np.argsort(-bits[exhibit.usable], kind="stable")[:MISTAKES]]
        mistakes = []
        for row in hardest.tolist():
            place, inputs = exhibit.show(row)
            mistakes.append(Mistake(place, inputs, "", f"{written_amount(bits[row])} bits per character"))
        return Details(mistakes)

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        nats, symbols, characters = given.astype(np.float64).T
        with np.errstate(all="ignore"):
            return {"bits_per_character": _bits(nats, characters), "perplexity": np.exp(nats / symbols)}


def _bits(nats: Any, characters: Any) -> Any:
    return nats / (math.log(2) * characters)
