"""One class out of several: predictions are probabilities (n, classes), and the largest is the answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from instar.answers.base import MISTAKES, AnswerType, Details, Exhibit, Mistake
from instar.fields import Field
from instar.resampling import RANKED_CLASSES, Groups, Values, mean_areas, precision_area, rank, roc_area
from instar.shapes import NO_ANSWER, UNKNOWN_CLASS, Choice

# A matrix of more classes than these is no longer read by anyone.
CONFUSED_CLASSES = 100
# Rows that are looked at for the names of classes that were never learned, and names that are said.
NAMED_ROWS, NAMED_CLASSES = 1_000, 3
# Classes that are counted at a time in all resamples, which are a number each for every class.
_BLOCK_CLASSES = 512

OWN_PROBABILITY = (
    "A confidence is the network's own probability and has not been calibrated; compare confidences with each other "
    "rather than take them at their word."
)


class ChoiceType(AnswerType[Choice]):
    task = "classification"
    claim = OWN_PROBABILITY

    def main_metric(self, answer: Choice) -> str:
        return "accuracy"

    def width(self, answer: Choice) -> int:
        return answer.classes

    def known(self, answer: Choice, truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return np.asarray((truth.reshape(-1) != NO_ANSWER) & ~np.isnan(prediction.reshape(-1, answer.classes)[:, 0]))

    def learnable(self, truth: np.ndarray) -> np.ndarray:
        return truth >= 0

    def to_learn(self, answer: Choice, truth: np.ndarray) -> np.ndarray:
        return truth

    def measure(
        self, answer: Choice, truth: np.ndarray, prediction: np.ndarray, groups: Groups, *, probabilities: bool
    ) -> dict[str, Values]:
        truth, prediction = truth.reshape(-1).astype(np.int64), prediction.reshape(-1, answer.classes)
        measured = _measure_classes(answer.classes, truth, prediction.argmax(axis=1), groups)
        if probabilities:
            measured |= _measure_probabilities(truth, prediction, groups)
        if answer.classes <= RANKED_CLASSES:
            measured |= _measure_ranking(answer, truth, prediction, groups)
        return measured

    def details(self, exhibit: Exhibit[Choice]) -> Details:
        codes, usable = exhibit.truth.reshape(-1), exhibit.usable
        # Of all rows, since picking rows would copy all their probabilities.
        said = exhibit.prediction.argmax(axis=1)[usable]
        strange = usable[codes[usable] == UNKNOWN_CLASS]
        names = dict.fromkeys(exhibit.name_truth(int(index)) for index in strange[:NAMED_ROWS])
        return Details(
            _mistakes(exhibit, codes, said),
            _confusion(codes[usable], said, exhibit.answer.classes, len(strange)),
            len(strange),
            list(names)[:NAMED_CLASSES],
        )

    def columns(
        self, field: Field, given: np.ndarray, *, residuals: np.ndarray, coverage: float, probabilities: bool
    ) -> dict[str, Any]:
        return class_columns(field, given, given.max(axis=1), probabilities)


def class_columns(field: Field, given: np.ndarray, confidence: np.ndarray, probabilities: bool) -> dict[str, Any]:
    """Decoded answers, how sure each is, and the ``probabilities`` of each class if they are asked for."""
    known = ~np.isnan(given).any(axis=1)
    values = field.decode(np.where(known[:, None], given, 0))
    columns: dict[str, Any] = {
        "prediction": [value if there else None for value, there in zip(values, known, strict=True)],
        "confidence": confidence,
    }
    if probabilities:
        columns |= {f"probability_{label}": given[:, code] for code, label in enumerate(field.classes or ())}
    return columns


def _measure_classes(classes: int, truth: np.ndarray, answered: np.ndarray, groups: Groups) -> dict[str, Values]:
    # After the classes comes the one of rows that are of none of them, and then one into which misses fall.
    other, missed = classes, classes + 1
    true = np.where(truth == UNKNOWN_CLASS, other, truth)
    tables = [groups.table(cells, classes + 2) for cells in (np.where(answered == true, true, missed), true, answered)]
    # Right answers, rows, and then for recall and F1 the sum over classes and of how many classes it is.
    exact, resampled = np.zeros(6), np.zeros((groups.weights.shape[1], 6))
    for start in range(0, missed, _BLOCK_CLASSES):
        parts = [table[start : min(start + _BLOCK_CLASSES, missed)] for table in tables]
        exact += _class_sums(*(np.asarray(part.sum(axis=1)) for part in parts))
        resampled += _class_sums(*(groups.resample_table(part) for part in parts))
    places = {"accuracy": 0, "balanced_accuracy": 2, "macro_f1": 4}
    return {
        name: (float(exact[place] / exact[place + 1]), resampled[:, place] / resampled[:, place + 1])
        for name, place in places.items()
    }


def _class_sums(hit: np.ndarray, true: np.ndarray, said: np.ndarray) -> np.ndarray:
    """What class metrics are made of, from counts (..., classes) of some of the classes: (..., 6)."""
    sums = [hit.sum(axis=-1), true.sum(axis=-1)]
    for shares in (hit / true, 2 * hit / (true + said)):
        defined = np.isfinite(shares)
        sums += [np.where(defined, shares, 0).sum(axis=-1), defined.sum(axis=-1)]
    return np.stack(sums, axis=-1)


def _measure_probabilities(truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> dict[str, Values]:
    stated = prediction[np.arange(len(truth)), np.maximum(truth, 0)].astype(np.float64)
    stated[truth == UNKNOWN_CLASS] = 0
    surprise = -np.log(np.clip(stated, np.finfo(np.float64).eps, 1))
    distance = np.einsum("ij,ij->i", prediction, prediction, dtype=np.float64) - 2 * stated + 1
    if prediction.shape[1] == 2:
        distance = distance / 2
    columns = np.stack([surprise, distance, np.ones(len(truth))], axis=1)
    exact, resampled = columns.mean(axis=0), groups.resample(columns)
    return {name: (exact[i], resampled[:, i] / resampled[:, 2]) for i, name in enumerate(("log_loss", "brier"))}


def _measure_ranking(answer: Choice, truth: np.ndarray, prediction: np.ndarray, groups: Groups) -> dict[str, Values]:
    """Areas of each class against the rest, averaged; of two classes the rarer one says all."""
    ranked = [int(answer.counts[1] <= answer.counts[0])] if answer.classes == 2 else range(answer.classes)
    areas = {"roc_auc": roc_area, "average_precision": precision_area}
    found = [rank(truth == code, prediction[:, code], groups, areas, among=len(ranked)) for code in ranked]
    return mean_areas(found, areas)


def _confusion(truth: np.ndarray, said: np.ndarray, classes: int, unknown: int) -> list[list[int]] | None:
    if classes > CONFUSED_CLASSES:
        return None
    rows = classes + (1 if unknown else 0)
    cells = np.where(truth == UNKNOWN_CLASS, classes, truth) * classes + said
    counts: list[list[int]] = np.bincount(cells, minlength=rows * classes).reshape(rows, classes).tolist()
    return counts


def _mistakes(exhibit: Exhibit[Choice], codes: np.ndarray, said: np.ndarray) -> list[Mistake]:
    """Of wrongly answered rows those of which the network was surest; ``said`` are the codes of usable rows."""
    if exhibit.show is None:
        return []
    usable, labels = exhibit.usable, exhibit.classes
    wrong = np.flatnonzero(codes[usable] != said)
    confidence = exhibit.prediction[usable[wrong], said[wrong]]
    mistakes = []
    for at in np.argsort(-confidence, kind="stable")[:MISTAKES]:
        row, answered = int(usable[wrong[at]]), int(said[wrong[at]])
        place, inputs = exhibit.show(row)
        truth = labels[codes[row]] if codes[row] != UNKNOWN_CLASS else exhibit.name_truth(row)
        mistakes.append(Mistake(place, inputs, truth, labels[answered], float(confidence[at])))
    return mistakes
