"""Texts: truths and predictions are texts (n,), compared as a whole, by words (BLEU) and by letters (chrF).

BLEU (Papineni et al. 2002) and chrF (Popovic 2015) are of the whole set: both are made of counts that are summed over
rows, which is what their intervals are resampled from.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from instar.answers.base import MISTAKES, AnswerType, Details, Exhibit, Mistake
from instar.fields import Field
from instar.resampling import Groups, Values
from instar.shapes import NO_TEXT, Symbols

# Answers of no more symbols than these are right or wrong; of longer ones it counts how near they come.
SHORT_ANSWER = 16
_SHOWN_CHARACTERS = 400
_LARGEST_WORD_GROUP, _LARGEST_LETTER_GROUP = 4, 6
# How many times as much as its precision the recall of groups of letters counts (Popovic 2017).
_RECALL_WEIGHT = 2


class SymbolsType(AnswerType[Symbols]):
    task = "generation"
    claim = "An answer is written symbol by symbol, each the likeliest then; nothing says how sure the whole is."
    nothing = NO_TEXT

    def main_metric(self, answer: Symbols) -> str:
        return "exact_match" if answer.length <= SHORT_ANSWER else "chrf"

    def width(self, answer: Symbols) -> int:
        return answer.length

    def in_own_units(self, field: Field, given: np.ndarray) -> np.ndarray:
        return np.asarray(field.decode(given))

    def known(self, answer: Symbols, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return np.asarray((truth != NO_TEXT) & (prediction != NO_TEXT))

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return np.asarray(truth != NO_TEXT)

    def to_learn(self, answer: Symbols, truth: np.ndarray) -> np.ndarray:
        return truth

    def measure(
        self, answer: Symbols, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        pairs = list(zip(truth.tolist(), prediction.tolist(), strict=True))
        columns = np.array(
            [[text == said, 1, *_word_counts(text, said), *_letter_counts(text, said)] for text, said in pairs]
        )
        exact, drawn = columns.sum(axis=0), groups.resample(columns.astype(np.float64))
        words = slice(2, 2 + 2 * _LARGEST_WORD_GROUP + 2)
        return {
            "exact_match": (float(exact[0] / exact[1]), drawn[:, 0] / drawn[:, 1]),
            "chrf": (float(_chrf(exact[words.stop :])), _chrf(drawn[:, words.stop :])),
            "bleu": (_bleu(exact[words]), np.array([_bleu(row) for row in drawn[:, words]])),
        }

    def details(self, exhibit: Exhibit[Symbols]) -> Details:
        if exhibit.show is None:
            return Details()
        truth, said = exhibit.truth, exhibit.prediction
        wrong = exhibit.usable[truth[exhibit.usable] != said[exhibit.usable]]
        near = np.array([_chrf(np.array(_letter_counts(str(truth[row]), str(said[row])))) for row in wrong])
        mistakes = []
        for row in wrong[np.argsort(near, kind="stable")[:MISTAKES]].tolist():
            place, inputs = exhibit.show(row)
            mistakes.append(Mistake(place, inputs, _shown(truth[row]), _shown(said[row])))
        return Details(mistakes)

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        return {"prediction": [None if text == NO_TEXT else text for text in given.tolist()]}


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _word_counts(truth: str, said: str) -> list[int]:
    """What BLEU is made of: groups of 1 to 4 words that both have, how many were said, and both lengths in words."""
    import sacrebleu

    scored = _BLEU.setdefault("scorer", sacrebleu.BLEU(effective_order=True)).sentence_score(said, [truth])
    return [*scored.counts, *scored.totals, scored.sys_len, scored.ref_len]


_BLEU: dict[str, Any] = {}


def _bleu(counts: np.ndarray) -> float:
    """From 0 to 1, of summed counts; NaN where no text has a group of four words."""
    import sacrebleu

    if not counts[2 * _LARGEST_WORD_GROUP - 1]:
        return math.nan
    right, said = (counts[:_LARGEST_WORD_GROUP], counts[_LARGEST_WORD_GROUP : 2 * _LARGEST_WORD_GROUP])
    said_length, true_length = (round(float(count)) for count in counts[-2:])
    return float(sacrebleu.BLEU.compute_bleu(list(right), list(said), said_length, true_length).score) / 100


def _letter_counts(truth: str, said: str) -> list[int]:
    """What chrF is made of: of groups of 1 to 6 letters, blanks left out, those said, those true, and those in both."""
    texts = ["".join(text.split()) for text in (said, truth)]
    counts = []
    for size in range(1, _LARGEST_LETTER_GROUP + 1):
        given, true = (Counter(text[at : at + size] for at in range(len(text) - size + 1)) for text in texts)
        counts += [given.total(), true.total(), (given & true).total()]
    return counts


def _chrf(counts: np.ndarray) -> Any:
    """(..., 18) summed counts to (...,), from 0 to 1; groups longer than every text are left out."""
    said, true, both = np.moveaxis(counts.reshape(*counts.shape[:-1], _LARGEST_LETTER_GROUP, 3), -1, 0)
    there = (said > 0) & (true > 0)
    with np.errstate(all="ignore"):
        precision, recall = (np.where(there, both / total, 0).sum(-1) / there.sum(-1) for total in (said, true))
        weighed = (1 + _RECALL_WEIGHT**2) * precision * recall / (_RECALL_WEIGHT**2 * precision + recall)
    return np.nan_to_num(weighed)
