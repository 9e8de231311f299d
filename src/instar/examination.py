"""How the network that is saved is trained, and how it is examined: on rows set apart, by folds, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from instar.answering import answers, examinable
from instar.answers import type_of
from instar.columns import Fitted
from instar.division import TEST, TRAINING, VALIDATION, Division, Exam
from instar.fields import Field
from instar.run import Run
from instar.training.schedules import SCHEDULES
from instar.trial import Material, Trial, conduct


@dataclass(frozen=True)
class Examined:
    """The network that is saved, and what it, or the procedure that made it, answered for rows not learned from.

    rows: row numbers of the store, int64; empty where nothing was examined.
    truth, answers: by target, as `Trial.truth` and `Trial.answer` give them.
    notes: sentences about the course of training; seconds: how long it took in all, interruptions left out.
    residuals: what is kept of rows not learned from, sorted, by target whose type of answer keeps any.
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

    def share(self, spent: float = 0.0, stages: float = 1) -> float | None:
        """Seconds for the next of so many stages that are left, where earlier ones took ``spent``."""
        return None if self.seconds is None else max(0.0, self.seconds - spent) / stages


def train_and_examine(material: Material, division: Division, run: Run, limits: Limits, fitted: Fitted) -> Examined:
    """Train as the division says. A run that was interrupted goes on.

    ``fitted``: fields that were fitted on the division's training rows.
    """
    if division.exam is Exam.FOLDS:
        return _by_folds(material, division, run, limits, fitted)
    training, validation, test = (division.part(part) for part in (TRAINING, VALIDATION, TEST))
    test, drawn = examinable(fitted[1], material.columns.store, test, material.seed)
    # A tenth of few rows is too little to decide by and too much to lose: it only says for how long to learn, if that.
    few = material.settings_for(len(training)).relearn_below
    if len(validation) and len(training) + len(validation) < few:
        trials = _learn_from_both(material, (training, validation), run, limits, ("trial", "train"))
        notes = [f"With fewer than {few:,} rows to learn from, the network learned from the validation rows too."]
    else:
        trials = [
            conduct(
                material,
                training,
                validation if len(validation) else None,
                folder=run.folder,
                stage="train",
                fitted=fitted,
                seconds=limits.share(),
                should_stop=limits.should_stop,
            )
        ]
        notes = []
    trial, course = trials[-1], _Course.of(trials)
    # The first of two has not learned from the validation rows.
    residuals = _residuals(trials[0], validation if len(validation) else test)
    notes += [*course.told("Training"), *drawn]
    return Examined(trial, test, trial.truth(test), trial.answer(test), residuals, notes, course.seconds)


def _by_folds(material: Material, division: Division, run: Run, limits: Limits, fitted: Fitted) -> Examined:
    """Every row is examined by a network that never saw it; the network that is saved learns from all rows.

    It trains for the median of the folds' epochs, since nothing is left to tell it when to stop.
    """
    targets = fitted[1]
    rows: list[np.ndarray] = []
    answers: dict[str, list[np.ndarray]] = {each.name: [] for each in targets}
    courses: list[_Course] = []
    notes: list[str] = []
    spent, stages = 0.0, division.settings.folds + 0.5  # the last is one training, and the others are two
    for number, (training, validation, examined) in enumerate(division.folds(), start=1):
        examined, drawn = examinable(targets, material.columns.store, examined, material.seed, division.settings.folds)
        kept = run.kept(f"fold-{number}")
        if kept is None:
            within = Limits(limits.share(spent, stages), limits.should_stop)
            names = f"fold {number}", f"fold {number} whole"
            trials = _learn_from_both(material, (training, validation), run, within, names, labelled=division.rows)
            given = trials[-1].answer(examined)
            kept = {str(place): given[each.name] for place, each in enumerate(targets)}, asdict(_Course.of(trials))
            run.keep(f"fold-{number}", *kept)
        arrays, content = kept
        course = _Course(**content)
        rows.append(examined)
        courses.append(course)
        notes += [*course.told(f"Fold {number}"), *drawn]
        spent, stages = spent + course.seconds, stages - 1
        for place, each in enumerate(targets):
            answers[each.name].append(arrays[str(place)])
    trial = conduct(
        material,
        division.rows,
        None,
        folder=run.folder,
        stage="train",
        fitted=fitted,
        epochs=max(1, round(float(np.median([each.length for each in courses])))),
        seconds=limits.share(spent),
        should_stop=limits.should_stop,
    )
    examined = np.concatenate(rows)
    joined = {name: np.concatenate(parts) for name, parts in answers.items()}
    truth = trial.truth(examined)
    course = _Course.of([trial])
    notes += course.told("The last training")
    residuals = _residuals_of(targets, truth, joined)
    return Examined(trial, examined, truth, joined, residuals, notes, spent + course.seconds)


def _learn_from_both(
    material: Material,
    parts: tuple[np.ndarray, np.ndarray],
    run: Run,
    limits: Limits,
    stages: tuple[str, str],
    labelled: np.ndarray | None = None,
) -> list[Trial]:
    """Training and validation rows are learned from, by the last of the trials; the one before it found for how long.

    Rivals learn from both too; early stopping only tells for how long (Goodfellow, Bengio & Courville 2016, algorithm
    7.2). Without validation rows nothing does, and there is one trial.
    """
    training, validation = parts
    trials: list[Trial] = []
    if len(validation):
        first = conduct(
            material,
            training,
            validation,
            folder=run.folder,
            stage=stages[0],
            fitted=material.columns.fit(training, labelled=labelled),
            seconds=limits.share(stages=2),
            should_stop=limits.should_stop,
        )
        trials.append(first)
    both = np.union1d(training, validation)
    second = conduct(
        material,
        both,
        None,
        folder=run.folder,
        stage=stages[1],
        fitted=material.columns.fit(both, labelled=labelled),
        epochs=_length(trials[0], len(validation)) if trials else None,
        seconds=limits.share(trials[0].outcome.seconds if trials else 0.0),
        should_stop=limits.should_stop,
    )
    return [*trials, second]


def _length(trial: Trial, rows: int) -> int:
    """For how many epochs to learn as the trial did, which so many validation ``rows`` watched.

    While a rate is high, it is chance which epoch is best, and most is gained where the rate has fallen. So training
    goes to the end of a schedule, unless the network was plainly worse there than one that always answers the same,
    whose loss is 1: by two standard errors of a mean over rows whose losses differ about as much as they are large.
    """
    outcome = trial.outcome
    ended = SCHEDULES[trial.settings.schedule].sized and outcome.stopped_by == "epochs"
    if ended and outcome.last_loss is not None and outcome.last_loss <= 1 + 2 * rows**-0.5:
        return outcome.epochs
    return max(1, outcome.best_epoch)


@dataclass(frozen=True)
class _Course:
    """How one or two trainings for one network went, as JSON.

    length: epochs of the last; seconds: of all.
    """

    length: int
    stopped_by: str
    notes: Sequence[str]
    seconds: float

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> _Course:
        outcomes = [each.outcome for each in trials]
        ends = [each.stopped_by for each in outcomes]
        return cls(
            outcomes[-1].epochs,
            "time" if "time" in ends else ends[0],
            [note for each in outcomes for note in each.notes],
            sum(each.seconds for each in outcomes),
        )

    def told(self, who: str) -> list[str]:
        """What a person should know of it."""
        cut = [f"{who} was ended by --time before the network had stopped to improve."]
        return [*(cut if self.stopped_by == "time" else []), *self.notes]


def _residuals(trial: Trial, rows: np.ndarray) -> dict[str, np.ndarray]:
    if len(rows) and any(type_of(each.answer).residual_width(each.answer) for each in trial.targets):
        return _residuals_of(trial.targets, trial.truth(rows), trial.answer(rows))
    nothing = answers(trial.network, trial.targets, ())
    return _residuals_of(trial.targets, trial.truth(rows[:0]), nothing)


def _residuals_of(
    targets: Sequence[Field], truth: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    return {
        each.name: type_of(each.answer).residuals(truth[each.name], answers[each.name])
        for each in targets
        if type_of(each.answer).residual_width(each.answer)
    }
