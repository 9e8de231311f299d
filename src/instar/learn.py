"""The whole way, once: locate, recognize, store, divide, train, examine, save. Read `learn` from top to bottom."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from instar.columns import Columns, Fitted, shapes_of
from instar.configuration import Configuration, LearnSettings
from instar.declaration import check_loadable
from instar.division import TRAINING, VALIDATION, Division, as_recorded, divide, examines
from instar.errors import ColumnError, DataError, InterruptionError, ModelError, UsageError
from instar.evaluation.report import Report
from instar.evaluation.settings import EvaluationSettings
from instar.examination import Examined, Limits, train_and_examine
from instar.fields import Field, kinds
from instar.findings import constant_columns, giveaways, look
from instar.games import learn_to_play
from instar.model import Model, load, read_report
from instar.prepared import Examples
from instar.recognition import Recognition, Roles, recognize
from instar.reporting import compete, report_on, write_report
from instar.restoring import to_restore
from instar.run import Request, Run, exam_of
from instar.shapes import Grid
from instar.sources import Source
from instar.sources.environment import Environment
from instar.sources.locate import locate
from instar.sources.matching import require
from instar.sources.steps import Layout, in_series, in_windows, layout_of
from instar.sources.window_table import ForecastSettings
from instar.split import Record, SplitSettings
from instar.store import Store, StorePlan
from instar.trial import Material
from instar.unanswered import without_target

logger = logging.getLogger("instar")

# How many records, spread over the whole source, decide the kinds of its columns.
SAMPLED_ROWS = 10_000
# Seconds between lines that say how far reading is.
READING_INTERVAL = 5.0

# What a model's claims rest on, by the report's protocol.
EXAMINED = {
    "exam": "on rows that were set apart",
    "folds": "of the procedure, examined by folds",
    "none": "not examined",
}

Watch = Callable[[Path], AbstractContextManager[Any]]


def train(
    source: Any,
    target: str | list[str] | tuple[str, ...] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Model:
    """Learn from examples and return the trained `Model`; its folder holds the report.

    Parameters
    ----------
    source: a path (table, folder, IDX or .npz file), ``example:NAME``, ``gym:ID`` (a game to play), a pandas, polars
        or Arrow frame, a dictionary of columns, a list of dictionaries, numpy arrays or torch tensors, or a pair
        (inputs, target).
    target: the column with the right answers, or several; not needed where the source says it itself.
    out: the folder of the model; named after source and settings otherwise.
    settings: every setting that the command line knows, by the same name (``instar settings`` lists them), for
        example ``seed=1``, ``network="mlp"``, ``time="5m"``, ``rivals=False``.

    The same call again goes on where it was interrupted; a finished one gives its model. Raises an
    `instar.InstarError`: DataError, SettingError, FolderError, DivergenceError.
    """
    given = {"target": target, "out": out, **settings}
    given = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in given.items()}
    return learn(source, given)[0]


def learn(
    source: Any,
    given: Mapping[str, Any],
    *,
    should_stop: Callable[[], bool] = lambda: False,
    watch: Watch = lambda log: nullcontext(),
) -> tuple[Model, Report]:
    """What `train` does, for whoever also wants the report, a way to stop it, and to watch its log."""
    settings = Configuration.of(given)
    asked = settings.group(LearnSettings)
    located = source_of(source, settings)
    request = Request(located.name, located.place, located.fingerprint(), settings.changed())
    run = Run(request.default_folder() if asked.out is None else Path(asked.out))
    recorded = run.recorded()
    untouched = recorded is not None and run.check(recorded, request)
    if untouched and run.finished:
        return result_of(run)
    run.check_writable()
    if isinstance(located, Environment):
        return learn_to_play(located, settings, run, request, should_stop=should_stop, watch=watch)
    if asked.unanswered:  # only now, since this looks at columns, for which steps may have to be counted
        located = without_target(located, asked.odd, asked.target)

    splitting = settings.group(SplitSettings)
    frozen = run.frozen() or borrowed(splitting, located)
    recognition = recognize_columns(located, settings, frozen if splitting.exam_of else None)
    store = read(located, recognition, should_stop, request.fingerprint)
    if recorded is not None and not untouched:
        run.refuse_changed_data(recorded, "content", store.content_digest)
        if run.finished:
            return result_of(run)
    inputs, roles = recognition.inputs, recognition.roles
    division = divide(store, inputs, roles, splitting, source=located, recorded=frozen)
    if recorded is not None:
        run.refuse_changed_data(recorded, "order", division.order_digest)
    material, fitted, findings = prepare(located, recognition, store, division, settings)
    refuse_to_go_on(should_stop)

    with run.working():
        run.begin(request, store.content_digest, division.order_digest)
        run.freeze(division.record)
        with watch(run.log):
            examined = train_and_examine(material, division, run, Limits(asked.time, should_stop), fitted)
        began = time.monotonic()
        rivals = compete(material, division, examined, settings.group(EvaluationSettings), run, should_stop)
        report = report_on(
            material,
            division,
            examined,
            rivals,
            source=located,
            settings=settings,
            findings=findings,
            run=run,
            timings={"rivals": round(time.monotonic() - began, 3)},
        )
        model = model_of(material, examined, recognition, report, run.folder, layout_of(located))
        write_report(report, run.folder)
        model.write(run.folder)
        run.clean()
    return model, report


def source_of(given: Any, settings: Configuration) -> Source:
    """The source that was given, its records made as was asked: of series, of windows into them, of spoiled pictures.

    Raises UsageError, ColumnError, SourceError.
    """
    asked, forecast = settings.group(LearnSettings), settings.group(ForecastSettings).checked()
    source = locate(given, target=asked.target, allow_outside=asked.allow_outside)
    if forecast is None:
        source = in_series(source, asked.series, asked.steps, asked.exclude)
    else:
        source = in_windows(source, forecast, asked.series, asked.steps, asked.target, asked.exclude)
    return to_restore(source, asked.restore, asked.target)


def borrowed(settings: SplitSettings, source: Source) -> Record | None:
    """The record of the split of the model whose exam is asked for, if it is. Raises ModelError, ColumnError."""
    if settings.exam_of is None:
        return None
    record = exam_of(Path(settings.exam_of))
    if not examines(record):
        raise ModelError(
            "The model was not examined on rows set apart",
            where=settings.exam_of,
            remedy="Leave out the setting exam_of, or name another model",
        )
    require(source, record.content["keys"], f"The exam of {settings.exam_of} tells rows apart by")
    return record


def recognize_columns(source: Source, settings: Configuration, frozen: Record | None) -> Recognition:
    """Every column's kind, from a sample of the whole source; ``frozen``: another model's split to go by, if any."""
    roles = roles_of(source, settings)
    return recognize(
        source.sample(SAMPLED_ROWS),
        source.schema(),
        roles if frozen is None else as_recorded(roles, frozen, settings.group(SplitSettings)),
        place=source.place,
        overrides=settings.overrides,
        settings=settings.groups,
    )


def prepare(
    source: Source, recognition: Recognition, store: Store, division: Division, settings: Configuration
) -> tuple[Material, Fitted, list[str]]:
    """What is trained, the fields fitted on its training rows, and what was found in the data, which is said here."""
    from instar.networks.planning import plan

    constant = constant_columns(store, recognition.inputs)
    varying = tuple(name for name in recognition.inputs if name not in constant)
    if not varying:
        raise ColumnError("Every input has the same value in all rows", where=source.place, remedy="Add other columns")
    asked = settings.group(LearnSettings)
    columns = Columns(store, varying, recognition.roles.targets, settings.groups)
    training = division.part(TRAINING)
    if not len(training):
        raise DataError(
            "The way in which the rows are divided leaves none to learn from",
            where=source.place,
            remedy="Divide them otherwise (--group, --time-order, --split), or bring more rows",
        )
    fitted = columns.fit(training)
    check_loadable([*fitted[0], *fitted[1]], recognition.plans)
    findings = look_around(columns, division, fitted, {**recognition.dropped, **constant}, source)
    enlarging = {each.name: name for each in fitted[0] if (name := enlarging_setting(each)) is not None}
    network = plan(*shapes_of(*fitted), asked.network, settings.network, len(training), enlarging)
    logger.info("Network: %s", network.why)
    return Material(columns, network, settings.training, asked.seed), fitted, findings


def enlarging_setting(field: Field) -> str | None:
    """The setting of the longest extent of what a network sees of an input at a time, if there is one."""
    kind = kinds[field.kind]
    return kind.patch_setting if isinstance(field.shape, Grid) and field.shape.patch else kind.extent_setting


def refuse_to_go_on(should_stop: Callable[[], bool]) -> None:
    """Raises InterruptionError where somebody asked to stop before there is anything to save."""
    if should_stop():
        raise InterruptionError("Stopped before training began", remedy="Run the same command again")


def look_around(
    columns: Columns, division: Division, fitted: Fitted, dropped: Mapping[str, str], source: Source
) -> list[str]:
    """Say what was found in the data; the sentences for the report."""
    inputs, targets = fitted
    counted = Counter(each.kind for each in inputs)
    described = ", ".join(f"{count} of kind {kind}" for kind, count in counted.most_common())
    logger.info("%s: %s rows; inputs: %s", source.place, f"{len(columns.store):,}", described)
    for each in targets:
        logger.info("Target %s (%s): %s", each.name, each.kind, each.describe())
    findings = [f"Column {name!r} is left out: {reason}." for name, reason in dropped.items()]
    found = look(columns.store, columns.inputs, targets, division.rows, division.keys, source.locate_row)
    training = division.part(TRAINING)
    held_out = division.part(VALIDATION)
    if not len(held_out):
        training, held_out = training[::2], training[1::2]
    findings += [*source.schema().notes, *map(str, found)]
    findings += [f"Column {each.name!r} {each.advice}." for each in inputs if each.advice]
    for sentence in (*findings, *division.notes):
        logger.info("- %s", sentence)
    leaks = [str(each) for each in giveaways(Examples(columns.store, inputs, targets), training, held_out)]
    for sentence in leaks:
        logger.warning("- %s", sentence)  # which Python shows too, where nobody asked to see more
    return findings + leaks


def model_of(
    material: Material,
    examined: Examined,
    recognition: Recognition,
    report: Report,
    folder: Path,
    layout: Layout | None,
) -> Model:
    trial = examined.trial
    claims = {
        "examined": EXAMINED[report.protocol],
        "source": report.source,
        "seed": material.seed,
        "training": trial.settings.as_json(),
        "versions": dict(report.versions),
        "metrics": {
            each.name: {name: score.to_json() for name, score in each.metrics.items()} for each in report.targets
        },
    }
    plans = {each.name: recognition.plans[each.name] for each in (*trial.inputs, *trial.targets)}
    return Model(plans, trial.inputs, trial.targets, trial.network, examined.residuals, claims, folder, layout)


def roles_of(source: Source, settings: Configuration) -> Roles:
    """What the columns are for. Raises ColumnError, which lists the columns, where no target is known."""
    schema, split = source.schema(), settings.group(SplitSettings)
    asked = settings.group(LearnSettings)
    targets = source.targets(asked.target)
    if not targets:
        raise ColumnError(
            "It is not said which column holds the right answers",
            where=source.place,
            remedy=(
                f"Name it with --target; the columns are: {', '.join(schema.columns)}"
                if len(schema.columns) > 1
                else "Put the examples into a folder for each class, or their answers into a table beside them"
            )
            + ". To learn what they are like and find odd ones, give --no-target",
        )
    if schema.span is None:
        given_split = split.split or schema.given_split
        return Roles(targets, split.group, split.time_order, given_split, asked.exclude, unanswered=asked.unanswered)
    flags = {"--group": split.group, "--time-order": split.time_order, "--split": split.split}
    for flag in (flag for flag, column in flags.items() if column is not None):
        raise UsageError(
            f"What is forecast is divided by time, and not by {flag}",
            where=source.place,
            remedy=f"Leave out {flag}: the latest steps are the exam",
        )
    begins, ends = schema.span
    # What is excluded is so of the steps, of which records are made, and no column of these any more.
    return Roles(targets, time_order=begins, until=ends)


def read(source: Source, recognition: Recognition, should_stop: Callable[[], bool], fingerprint: str) -> Store:
    """The store of the source, whose ``fingerprint`` was taken already; read now if it was not before."""
    plan = StorePlan(recognition.plans)
    found = Store.find(source, plan, fingerprint)
    if found is not None:
        return found
    started = time.monotonic()
    said = started

    def report(rows: int, total: int | None) -> None:
        nonlocal said
        refuse_to_go_on(should_stop)
        if time.monotonic() - said > READING_INTERVAL:
            said = time.monotonic()
            logger.info("Reading: %s%s rows", f"{rows:,}", "" if total is None else f" of {total:,}")

    store = Store.build(source, plan, report, fingerprint)
    logger.debug("Read %s rows in %.1f s.", f"{len(store):,}", time.monotonic() - started)
    return store


def result_of(run: Run) -> tuple[Model, Report]:
    """The result of a run that has finished."""
    logger.info("This was learned before; here is its result.")
    run.tidy()
    return load(run.folder), read_report(run.folder)
