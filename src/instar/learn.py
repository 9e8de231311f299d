"""The whole way, once: locate, recognize, store, divide, train, examine, save. Read `learn` from top to bottom."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instar.configuration import Configuration, LearnSettings
from instar.division import divide
from instar.errors import ColumnError
from instar.model import Model, load
from instar.recognition import Recognition, Roles, recognize
from instar.run import Request, Run
from instar.sources import Source
from instar.sources.locate import locate
from instar.split import SplitSettings
from instar.store import Store, StorePlan
from instar.trial import Material

if TYPE_CHECKING:
    from instar.evaluation.report import Report

logger = logging.getLogger("instar")

# How many records, spread over the whole source, decide the kinds of its columns.
SAMPLED_ROWS = 10_000

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
    source: a path (table, folder, IDX or .npz file), ``example:NAME``, a pandas, polars or Arrow frame, a dictionary
        of columns, numpy arrays or torch tensors, or a pair (inputs, target).
    target: the column with the right answers, or several; not needed where the source says it itself.
    out: the folder of the model; named after source and settings otherwise.
    settings: every setting that the command line knows, by the same name (``instar settings`` lists them), for
        example ``seed=1``, ``network="mlp"``, ``time="5m"``, ``rivals=False``.

    The same call again goes on where it was interrupted; a finished one gives its model. Raises an
    `instar.InstarError`: DataError, SettingError, FolderError, DivergenceError.
    """
    return learn(source, {"target": target, "out": None if out is None else os.fspath(out), **settings})[0]


def learn(
    source: Any,
    given: Mapping[str, Any],
    *,
    should_stop: Callable[[], bool] = lambda: False,
    watch: Watch = lambda log: nullcontext(),
) -> tuple[Model, Report]:
    """What `train` does, for whoever also wants the report, a way to stop it, and to watch its log."""
    started = time.monotonic()
    settings = Configuration.of(given)
    asked = settings.group(LearnSettings)
    located = locate(source, target=asked.target, allow_outside=asked.allow_outside)
    request = Request(located.name, located.place, located.fingerprint(), settings.changed())
    run = Run(Path(asked.out) if asked.out else request.default_folder())
    if run.has_finished(request):
        return run_result(run)
    run.check_writable()

    roles = roles_of(located, settings)
    recognition = recognize(
        located.sample(SAMPLED_ROWS),
        located.schema(),
        roles,
        place=located.place,
        overrides=settings.overrides,
        settings=settings.groups,
    )
    store = read(located, recognition)
    division = divide(store, recognition.inputs, roles, settings.group(SplitSettings), place=located.place)
    ...
