"""The process in which rivals learn: ``python -m instar.evaluation.rivals._worker FOLDER``.

`instar.evaluation.rivals.run` writes the folder, starts this, reads what it leaves there, and may end it at any time.
Arrays travel as .npy and the rest as JSON; nothing is pickled.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from instar.evaluation.rivals._arrays import inputs_of, read_array
from instar.evaluation.rivals.base import Inputs, Rival, failed, rivals
from instar.evaluation.rivals.encoding import Encoder, affordable
from instar.shapes import Amounts, Anomaly, Answer, Continuation, Forecast, Mapped, Several, Symbols, answer_from_json

# The choice among a rival's estimators is made with at most so many rows; few rows are used in four turns.
CHOOSING_ROWS, TURNS_BELOW = 4000, 1000


def work(folder: Path) -> None:
    """Let every rival of the task learn and answer, one after another, and leave each one's result when it is done."""
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    answer = answer_from_json(task["answer"])
    for name in task["rivals"]:
        began = time.monotonic()
        result: dict[str, Any] = {"rows": 0, "probabilities": True, "failure": None}
        try:
            for index, files in enumerate(task["exams"]):
                exam = _read_exam(files)
                rows, prediction, examined, probabilities = _compete(rivals[name], answer, *exam, task["seed"])
                np.save(folder / f"{name}-{index}-prediction.npy", prediction)
                np.save(folder / f"{name}-{index}-rows.npy", examined)
                result["rows"] = max(result["rows"], rows)
                result["probabilities"] = probabilities
        except MemoryError:
            result["failure"] = "there was not enough memory"
        except Exception as failure:
            result["failure"] = failed(failure)
        result["seconds"] = time.monotonic() - began
        part = folder / f"{name}.part"
        part.write_text(json.dumps(result), encoding="utf-8")
        part.replace(folder / f"{name}.json")


def _read_exam(files: Mapping[str, str]) -> tuple[Inputs, np.ndarray, np.ndarray, Inputs]:
    """Training inputs, which of their rows have a truth, the truths of all, and what is examined."""
    arrays = {name: read_array(Path(path)) for name, path in files.items()}
    training, examined = (inputs_of(arrays, part) for part in "te")
    return training, np.array(arrays["t-rows"]), np.array(arrays["t-truth"]), examined


def _compete(
    rival: Rival,
    answer: Answer,
    training: Inputs,
    known: np.ndarray,
    truth: np.ndarray,
    examined: Inputs,
    seed: int,
) -> tuple[int, np.ndarray, np.ndarray, bool]:
    """Returns the rows learned from, the prediction, the rows examined, and whether these are probabilities, or errors
    that are the network's own measure, rather than scores."""
    generator = np.random.default_rng(seed)
    most = affordable(rival, training)
    learned = known[_some(len(known), min(rival.maximum_rows, most), generator)]
    asked = _some(len(examined), min(rival.maximum_examined, most), generator)
    training, truth = training.take(learned), truth[learned]
    encoder = Encoder(rival.encoding, training, sequences=rival.sequences, series=rival.series, seed=seed)
    matrix = encoder(training)
    target = truth[:, 0] if isinstance(answer, Amounts) and answer.width == 1 else truth
    estimators = [_for_several(each, answer) for each in rival.build(training, answer, seed)]
    fitted = _choose(estimators, matrix, target, generator).fit(matrix, target)
    given = encoder(examined.take(asked))
    if isinstance(answer, Amounts):
        return len(learned), fitted.predict(given).reshape(len(asked), -1).astype(np.float64), asked, True
    if isinstance(answer, Several):
        return len(learned), fitted.predict_proba(given), asked, True
    if isinstance(answer, Symbols):
        return len(learned), np.asarray(fitted.predict(given), np.str_), asked, True
    if isinstance(answer, Anomaly):
        return len(learned), np.asarray(fitted.predict(given), np.float64).reshape(-1, 1), asked, fitted.explains
    if isinstance(answer, Mapped | Continuation | Forecast):
        return len(learned), fitted.predict(given), asked, True
    scores, probabilities = _class_scores(fitted, given, answer.classes)
    return len(learned), scores, asked, probabilities


def _for_several(estimator: Any, answer: Answer) -> Any:
    """An estimator of one class or number as one of all labels or numbers."""
    if isinstance(answer, Several):
        from instar.evaluation.rivals._labels import LabelClassifier

        return LabelClassifier(estimator)
    if isinstance(answer, Amounts) and answer.width > 1:
        from sklearn.multioutput import MultiOutputRegressor

        return MultiOutputRegressor(estimator)
    return estimator


def _some(rows: int, most: int, generator: np.random.Generator) -> np.ndarray:
    """All rows, or ``most`` of them at random, in their order."""
    return np.arange(rows) if rows <= most else np.sort(generator.choice(rows, most, replace=False))


def _choose(estimators: Sequence[Any], matrix: Any, target: np.ndarray, generator: np.random.Generator) -> Any:
    """The estimator that scores best on rows of the training part that it did not learn from."""
    from sklearn.base import clone

    if len(estimators) == 1:
        return estimators[0]
    sums = np.zeros(len(estimators))
    for learned, examined in _turns(len(target), generator):
        for index, estimator in enumerate(estimators):
            try:
                fitted = clone(estimator).fit(matrix[learned], target[learned])
                sums[index] += fitted.score(matrix[examined], target[examined])
            except ValueError:  # a class too few among the rows of this turn
                sums[index] -= 1
    return estimators[int(sums.argmax())]


def _turns(rows: int, generator: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    shuffled = generator.permutation(rows)[:CHOOSING_ROWS]
    for turn in range(4 if rows < TURNS_BELOW else 1):
        aside = np.arange(len(shuffled)) % 4 == turn
        yield shuffled[~aside], shuffled[aside]


def _class_scores(fitted: Any, matrix: Any, classes: int) -> tuple[np.ndarray, bool]:
    """Scores (n, classes) in the order of the codes, and whether they are probabilities."""
    probabilities = hasattr(fitted, "predict_proba")
    given = fitted.predict_proba(matrix) if probabilities else fitted.decision_function(matrix)
    if given.ndim == 1:
        given = np.stack([-given, given], axis=1)
    # A class that no training row had is never answered.
    scores = np.full((len(given), classes), 0.0 if probabilities else given.min(initial=0) - 1)
    scores[:, fitted.classes_.astype(int)] = given
    return scores, probabilities


def _end_with_parent(folder: Path) -> None:
    """The parent holds the other end of stdin; when it is gone, so is the reason for this work."""
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    threading.Thread(target=_end_with_parent, args=(place,), daemon=True).start()
    warnings.simplefilter("ignore")
    work(place)
