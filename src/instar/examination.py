"""How the network that is saved is trained, and how it is examined: on rows set apart, by folds, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from instar.columns import Fitted
from instar.conformal import sorted_residuals
from instar.division import TEST, TRAINING, VALIDATION, Division, Exam
from instar.fields import Field
from instar.run import Run
from instar.shapes import Amounts
from instar.trial import Material, Trial, conduct

if TYPE_CHECKING:
    from instar.training.loop import Outcome


@dataclass(frozen=True)
class Examined:
    """The network that is saved, and what it, or the procedure that made it, answered for rows not learned from.

    rows: row numbers of the store, int64; empty where nothing was examined.
    truth, answers: by target, as `Trial.truth` and `Trial.answer` give them.
    notes: sentences about the course of training; seconds: how long it took in all, interruptions left out.
    residuals: sorted absolute residuals of rows not learned from, by target that is an amount.
    """

    trial: Trial
    rows: np.ndarray
    truth: Mapping[str, np.ndarray]
    answers: Mapping[str, np.ndarray]
    residuals: Mapping[str, np.ndarray]
    notes: Sequence[str]
    seconds: float


@dataclass(frozen=True)
class Limits:
    """When to end: ``seconds`` of training in all (None: no limit), and whether somebody asked to stop."""

    seconds: float | None
    should_stop: Callable[[], bool]

    def share(self, spent: float = 0.0, stages: int = 1) -> float | None:
        """Seconds for the next of so many stages that are left, where earlier ones took ``spent``."""
        return None if self.seconds is None else max(0.0, self.seconds - spent) / stages


def train_and_examine(material: Material, division: Division, run: Run, limits: Limits, fitted: Fitted) -> Examined:
    """Train as the division says. A run that was interrupted goes on.

    ``fitted``: fields that were fitted on the division's training rows.
    """
    if division.exam is Exam.FOLDS:
        return _by_folds(material, division, run, limits, fitted)
    training, validation, test = (division.part(part) for part in (TRAINING, VALIDATION, TEST))
    trial = conduct(
        material,
        training,
        validation if len(validation) else None,
        folder=run.folder,
        stage="train",
        fitted=fitted,
        seconds=limits.share(),
        should_stop=limits.should_stop,
    )
    truth, answers = trial.truth(test), trial.answer(test)
    held_out = validation if len(validation) else test
    if len(held_out):
        residuals = _residuals(trial.targets, trial.truth(held_out), trial.answer(held_out))
    else:
        nothing = {each.name: np.empty((0, 1)) for each in trial.targets}
        residuals = _residuals(trial.targets, nothing, nothing)
    outcome = trial.outcome
    notes = _notes(outcome.stopped_by, outcome.notes, "Training")
    return Examined(trial, test, truth, answers, residuals, notes, outcome.seconds)


def _by_folds(material: Material, division: Division, run: Run, limits: Limits, fitted: Fitted) -> Examined:
    """Every row is examined by a network that never saw it; the network that is saved learns from all rows.

    It trains for the median of the folds' best lengths, since nothing is left to tell it when to stop.
    """
    targets = fitted[1]
    rows: list[np.ndarray] = []
    answers: dict[str, list[np.ndarray]] = {each.name: [] for each in targets}
    lengths: list[int] = []
    notes: list[str] = []
    spent, stages = 0.0, 2 * division.settings.folds + 1
    for number, (training, validation, examined) in enumerate(division.folds(), start=1):
        kept = run.kept(f"fold-{number}")
        if kept is None:
            within = Limits(limits.share(spent, stages), limits.should_stop)
            outcome, second = _fold(material, (training, validation), division.rows, number, run, within)
            given = second.answer(examined)
            seconds = outcome.seconds + second.outcome.seconds
            content = {**asdict(outcome), "notes": [*outcome.notes, *second.outcome.notes], "seconds": seconds}
            if second.outcome.stopped_by == "time":
                content["stopped_by"] = "time"
            kept = {str(place): given[each.name] for place, each in enumerate(targets)}, content
            run.keep(f"fold-{number}", *kept)
        arrays, content = kept
        rows.append(examined)
        lengths.append(int(content["best_epoch"]))
        notes += _notes(content["stopped_by"], content["notes"], f"Fold {number}")
        spent, stages = spent + content["seconds"], stages - 2
        for place, each in enumerate(targets):
            answers[each.name].append(arrays[str(place)])
    trial = conduct(
        material,
        division.rows,
        None,
        folder=run.folder,
        stage="train",
        fitted=fitted,
        epochs=max(1, round(float(np.median(lengths)))),
        seconds=limits.share(spent, stages),
        should_stop=limits.should_stop,
    )
    examined = np.concatenate(rows)
    joined = {name: np.concatenate(parts) for name, parts in answers.items()}
    truth = trial.truth(examined)
    notes += _notes(trial.outcome.stopped_by, trial.outcome.notes, "The last training")
    seconds = spent + trial.outcome.seconds
    return Examined(trial, examined, truth, joined, _residuals(targets, truth, joined), notes, seconds)


def _fold(
    material: Material, parts: tuple[np.ndarray, np.ndarray], labelled: np.ndarray, number: int, run: Run, each: Limits
) -> tuple[Outcome, Trial]:
    """How the training went that found the best length, and the network that learned for so long from both parts.

    The network that is saved learns from all rows as well, and so do the rivals: early stopping only tells for how
    long (Goodfellow, Bengio & Courville 2016, algorithm 7.2). ``each``: the limits of each of the two trainings.
    """
    training, validation = parts
    first = conduct(
        material,
        training,
        validation,
        folder=run.folder,
        stage=f"fold {number}",
        fitted=material.columns.fit(training, labelled=labelled),
        seconds=each.share(),
        should_stop=each.should_stop,
    )
    if not len(validation):
        return first.outcome, first
    both = np.union1d(training, validation)
    second = conduct(
        material,
        both,
        None,
        folder=run.folder,
        stage=f"fold {number} whole",
        fitted=material.columns.fit(both, labelled=labelled),
        epochs=max(1, first.outcome.best_epoch),
        seconds=each.share(),
        should_stop=each.should_stop,
    )
    return first.outcome, second


def _notes(stopped_by: str, notes: Sequence[str], who: str) -> list[str]:
    """What a person should know of a training's course."""
    cut = [f"{who} was ended by --time before the network had stopped to improve."] if stopped_by == "time" else []
    return [*cut, *notes]


def _residuals(
    targets: Sequence[Field], truth: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {
        each.name: sorted_residuals(truth[each.name], answers[each.name])
        for each in targets
        if isinstance(each.answer, Amounts)
    }
