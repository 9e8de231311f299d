"""From an examined network to its report: rivals on the same rows, measured answers, the worst mistakes, the facts."""

from __future__ import annotations

import json
import logging
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from instar.answering import bytes_of_an_answer
from instar.answers import type_of
from instar.configuration import Configuration
from instar.division import TEST, TRAINING, VALIDATION, Division, Exam
from instar.errors import InterruptionError
from instar.evaluation.measuring import input_columns, measure_targets
from instar.evaluation.report import FACTS, Protocol, Report
from instar.evaluation.rivals._arrays import write_inputs
from instar.evaluation.rivals.base import Inputs, coarse
from instar.evaluation.rivals.run import RivalExam, RivalResult, RivalTask, affordable_rows, run_rivals
from instar.evaluation.settings import EvaluationSettings
from instar.examination import Examined
from instar.files import write_json, write_text, writing
from instar.generation import stream, writes
from instar.prepared import Examples
from instar.run import Run
from instar.seeds import seed_for
from instar.shapes import Choice, Grid, Mapped, Tokens, Vector
from instar.sources import Source
from instar.trial import Material, Trial
from instar.version import VERSION

logger = logging.getLogger("instar")

PROTOCOLS: dict[Exam, Protocol] = {Exam.SEPARATE: "exam", Exam.FOLDS: "folds", Exam.NONE: "none"}
PAGE, CARD = "report.html", "README.md"
# Training rows that are enough to see that a network failed to learn them.
LIMITATION_ROWS = 20_000
# Texts that a report shows where the network writes such, how long they are, and how bold.
SAMPLES, SAMPLE_LENGTH, SAMPLE_TEMPERATURE = 3, 400, 0.8


def compete(
    material: Material,
    division: Division,
    examined: Examined,
    settings: EvaluationSettings,
    run: Run,
    should_stop: Callable[[], bool],
) -> dict[str, list[RivalResult]]:
    """Simpler methods on the same rows, by target. Raises InterruptionError where it was asked to stop.

    Nothing tells a rival when to stop, so it learns from the validation rows as well.
    """
    if not settings.rivals or division.exam is Exam.NONE or not len(examined.rows):
        return {}
    columns = material.columns
    if division.exam is Exam.FOLDS:
        pairs = [
            (np.union1d(training, validation), np.intersect1d(rows, examined.rows))
            for training, validation, rows in division.folds()
        ]
        views = [Examples(columns.store, *columns.fit(learned, labelled=division.rows)) for learned, _ in pairs]
    else:
        pairs = [(np.union1d(division.part(TRAINING), division.part(VALIDATION)), examined.rows)]
        views = [examined.trial.examples]
    answered = sum(bytes_of_an_answer(each, columns.store) for each in examined.trial.targets)
    run.results.mkdir(exist_ok=True)
    for left in run.results.glob(".inputs-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    with writing(run.results), TemporaryDirectory(prefix=".inputs-", dir=run.results) as folder:
        flattened = [
            tuple(
                _flat(view, rows, answered, material.seed, Path(folder), f"{number}-{part}")
                for part, rows in enumerate(pair)
            )
            for number, (view, pair) in enumerate(zip(views, pairs, strict=True))
        ]
        return _compete(material, examined, flattened, settings, run, should_stop)


def _compete(
    material: Material,
    examined: Examined,
    flattened: Sequence[tuple[tuple[Inputs, np.ndarray], ...]],
    settings: EvaluationSettings,
    run: Run,
    should_stop: Callable[[], bool],
) -> dict[str, list[RivalResult]]:
    """As `compete`, on the inputs and row numbers of what is learned from and what is asked in every exam."""
    columns = material.columns
    results = {}
    logger.info("Simpler methods learn from the same rows, for at most %.0f s.", settings.rival_time)
    for target in examined.trial.targets:
        assert target.answer is not None
        column = columns.store.column(target.name)
        exams = [
            RivalExam(
                learned,
                target.truth(column.arrays(learned_rows)),
                asked,
                target.truth(column.arrays(asked_rows)),
            )
            for (learned, learned_rows), (asked, asked_rows) in flattened
        ]
        results[target.name] = run_rivals(
            RivalTask(target.answer, exams),
            time_limit=float(settings.rival_time),
            seed=seed_for(material.seed, "rivals") % 2**32,
            should_stop=should_stop,
            folder=run.results,
        )
        if should_stop():
            raise InterruptionError(
                "Stopped; the trained network is saved", remedy="Run the same command again to go on"
            )
    return results


def _flat(
    view: Examples, rows: np.ndarray, answered: int, seed: int, folder: Path, name: str
) -> tuple[Inputs, np.ndarray]:
    """Prepared inputs of as many of the rows as rivals can use, in files in ``folder``, and which rows those are.

    ``answered``: how many bytes an answer takes beside them.
    """
    shapes = [each.shape for each in view.inputs]
    mapped = any(isinstance(each.answer, Mapped) for each in view.targets)
    vector = sum((shape for shape in shapes if isinstance(shape, Vector)), Vector())
    # Of what is answered cell by cell every cell must be seen, and of what is continued every step.
    grids = [shape if mapped or shape.ahead else coarse(shape) for shape in shapes if isinstance(shape, Grid)]
    sequences = [shape for shape in shapes if isinstance(shape, Tokens)]
    cells = sum(grid.size for grid in grids) + sum(sequence.length for sequence in sequences)
    most = affordable_rows(vector.width + len(vector.cardinalities) + cells + answered // 4)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed_for(seed, "rivals' rows")).choice(rows, most, replace=False))
    inputs = write_inputs(folder, name, len(rows), view.flat(rows, grids), vector.cardinalities, sequences, grids)
    return inputs, rows


def report_on(
    material: Material,
    division: Division,
    examined: Examined,
    rivals: Mapping[str, Sequence[RivalResult]],
    *,
    source: Source,
    settings: Configuration,
    findings: Sequence[str],
    run: Run,
    timings: Mapping[str, float],
) -> Report:
    """Everything that the run found out."""
    trial = examined.trial
    network = trial.network.plan.principal
    return Report(
        title=f"{source.name}: {', '.join(each.name for each in trial.targets)}",
        source=source.place,
        rows=len(material.columns.store),
        targets=measure_targets(
            trial.examples,
            examined.rows,
            examined.truth,
            examined.answers,
            source=source,
            rivals=rivals,
            seed=material.seed,
        ),
        parts=_parts(division),
        protocol=PROTOCOLS[division.exam],
        inputs=input_columns(trial.inputs),
        findings=findings,
        network=network.name,
        about=f"{network.idea} ({network.paper})",
        why=trial.network.plan.why,
        parameters=sum(each.numel() for each in trial.network.parameters()),
        history=[json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()],
        notes=[*division.notes, *examined.notes, *_limitation(trial, division), *_promises(examined, division)],
        samples=_samples(trial),
        timings={"training": round(examined.seconds, 3), **timings},
        settings=settings.changed(),
        versions=versions(),
        folder=str(run.folder),
    )


def _samples(trial: Trial) -> list[str]:
    """What the network writes from nothing, where it can."""
    if not writes(trial.targets):
        return []
    return [
        "".join(stream(trial.network, trial.targets, length=SAMPLE_LENGTH, temperature=SAMPLE_TEMPERATURE, seed=seed))
        for seed in range(SAMPLES)
    ]


def versions(*others: str) -> dict[str, str]:
    """The versions of what numbers depend on, and of the distributions ``others``."""
    import torch

    return {
        "instar": VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "polars": pl.__version__,
        **{name: version(name) for name in others},
        "python": platform.python_version(),
    }


def _parts(division: Division) -> dict[str, int]:
    if division.exam is Exam.FOLDS:
        return {f"in {division.settings.folds} folds": len(division.rows)}
    names = {TRAINING: "training", VALIDATION: "validation", TEST: "test"}
    return {name: len(division.part(part)) for part, name in names.items() if len(division.part(part))}


def _promises(examined: Examined, division: Division) -> list[str]:
    """Where too few rows were examined for what is promised by them; and how that held.

    The latter can only be said where other rows than the examined ones said what is usual.
    """
    sentences = []
    others = division.exam is Exam.SEPARATE and len(division.part(VALIDATION))
    for each in examined.trial.targets:
        kind, residuals = type_of(each.answer), examined.residuals.get(each.name)
        if residuals is None:
            continue
        short = kind.shortfall(each, residuals)
        if short is not None:
            sentences.append(short)
        elif others:
            sentences += kind.promise(each, residuals, examined.truth[each.name], examined.answers[each.name])
    return sentences


def _limitation(trial: Trial, division: Division) -> list[str]:
    """What the network cannot learn, where there are training rows that it did not learn."""
    limitation = trial.network.plan.principal.limitation
    rows = division.part(TRAINING)[:LIMITATION_ROWS]
    if limitation is None or not len(rows):
        return []
    truth, answers = trial.truth(rows), trial.answer(rows)
    wrong = 0
    for each in trial.targets:
        if not isinstance(each.answer, Choice):
            return []
        known = truth[each.name] >= 0
        wrong += int((answers[each.name].argmax(axis=1) != truth[each.name])[known].sum())
    if not wrong:
        return []
    return [f"{wrong:,} of {len(rows):,} training rows are answered wrongly. {limitation}."]


def write_report(report: Report, folder: Path) -> None:
    """The page, the same facts as JSON, and the model card. Raises FolderError."""
    report.write_html(folder / PAGE)
    write_text(folder / CARD, report.model_card())
    write_json(folder / FACTS, report.to_json())
