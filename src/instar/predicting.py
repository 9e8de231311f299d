"""A network's answers for the records of any source, read a stretch at a time, and as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from instar.answering import answers, embeddings, rows_at_a_time
from instar.answers import type_of
from instar.errors import ContentError, UsageError
from instar.fields import Arrays, Field, kinds
from instar.painting import Painter, paints
from instar.prepared import prepare_inputs
from instar.sources import Chunk, Source, bounded
from instar.sources.matching import require
from instar.store import KEPT_PROBLEMS, ColumnPlan, describe_problem
from instar.store import rows_at_a_time as rows_read_at_a_time

if TYPE_CHECKING:
    import torch

    from instar.networks.assemble import Network

# How many of the values that could not be read are told.
TOLD_PROBLEMS = 20


@dataclass(frozen=True)
class Predictions:
    """Answers for n rows, by target: probabilities (n, classes) or (n, labels), or amounts (n, width) in own units; or
    texts, pictures and masks.

    A row that could not be read has NaN everywhere, or what its type of answer has for it. ``problems`` say why, with
    the place, of the first values that could not be read, and ``problem_count`` is how many there were. ``identifiers``
    tell the rows apart, by the name of their column, where the source says which that is. ``embedding`` (n, width)
    float32 are the numbers that stand for each row, where they were asked for; NaN for one that could not be read.
    """

    answers: Mapping[str, np.ndarray]
    problems: Sequence[str] = ()
    problem_count: int = 0
    identifiers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    embedding: np.ndarray | None = None

    def told(self) -> list[str]:
        """Sentences about values that could not be read: the first of them, and how many more there are."""
        said = list(self.problems[:TOLD_PROBLEMS])
        more = self.problem_count - len(said)
        return [*said, f"... and {more:,} more values that could not be read"] if more else said

    def embedding_columns(self) -> dict[str, np.ndarray]:
        """The embedding as named columns; none where it was not asked for."""
        embedded = self.embedding
        return {} if embedded is None else {f"embedding_{place}": column for place, column in enumerate(embedded.T)}


def answer(
    source: Source,
    plans: Mapping[str, ColumnPlan],
    inputs: Sequence[Field],
    targets: Sequence[Field],
    network: Network,
    *,
    out: str | Path | None = None,
    embedding: bool = False,
) -> Predictions:
    """The answers for every record of ``source``, in its order; the parameters are as those of `Model` and its
    `answer`. Raises ColumnError, ContentError, UsageError, FolderError.
    """
    names = [each.name for each in inputs]
    require(source, names, "The model needs")
    if embedding and not any(kinds[each.kind].unanswered for each in targets):
        raise UsageError(
            "The model has learned answers, and no few numbers that stand for a row",
            remedy="Train one with --no-target",
        )
    if out is not None and not paints(targets):
        raise UsageError("The answers are no pictures, and no files are written of them", remedy="Leave it out")
    painter = None if out is None else Painter(Path(out), inputs, targets)
    problems = _Problems(source, plans, names)
    given: dict[str, list[np.ndarray]] = {each.name: [] for each in targets}
    embedded: list[np.ndarray] = []
    schema = source.schema()
    identifiers: dict[str, list[Any]] = {name: [] for name in (schema.identifier, schema.moments) if name is not None}
    read = list(dict.fromkeys([*names, *identifiers]))
    for chunk in bounded(source.chunks(read), rows_read_at_a_time(plans[name] for name in names)):
        arrays = {name: plans[name].read(name, chunk, source, chunk.start) for name in names}
        problems.note(chunk, arrays)
        for name, cells in identifiers.items():
            cells += list(chunk.columns[name])  # type: ignore[arg-type]
        answered = _answer_arrays(network, inputs, targets, arrays)
        if painter is not None:
            answered |= painter.paint(chunk, answered, _readable(arrays))
        for name, values in answered.items():
            given[name].append(values)
        if embedding:
            embedded.append(_embed_arrays(network, inputs, arrays))
    problems.check()
    joined = {name: np.concatenate(parts) for name, parts in given.items()}
    return Predictions(
        joined, problems.said, problems.count, identifiers, np.concatenate(embedded) if embedding else None
    )


class _Problems:
    """What could not be read of the columns of a source."""

    def __init__(self, source: Source, plans: Mapping[str, ColumnPlan], names: Sequence[str]) -> None:
        self._source, self._plans = source, plans
        self._unreadable, self._firsts, self._rows = dict.fromkeys(names, 0), dict[str, str](), 0
        self.said: list[str] = []

    @property
    def count(self) -> int:
        return sum(self._unreadable.values())

    def note(self, chunk: Chunk, arrays: Mapping[str, Arrays]) -> None:
        self._rows += len(chunk)
        for name, column in arrays.items():
            self._unreadable[name] += len(column.problems)
            first = column.problems[: KEPT_PROBLEMS - len(self.said)]
            self.said += [describe_problem(self._source, name, each, chunk.start) for each in first]
            if column.problems and name not in self._firsts:
                self._firsts[name] = describe_problem(self._source, name, column.problems[0], chunk.start)

    def check(self) -> None:
        """Raises ContentError where there was nothing, or a column of which nothing could be read."""
        for name, count in self._unreadable.items():
            if self._rows and count == self._rows:
                raise ContentError(
                    f"No value of the column {name!r} can be read as {self._plans[name].kind}, as it was in training "
                    f"(the first: {self._firsts[name]})",
                    where=self._source.place,
                    remedy="Give content of the kind that the model was trained on",
                )
        if not self._rows:
            raise ContentError("There are no rows", where=self._source.place, remedy="Give at least one example")


def _answer_arrays(
    network: Network, inputs: Sequence[Field], targets: Sequence[Field], arrays: Mapping[str, Arrays]
) -> dict[str, np.ndarray]:
    """Answers for rows that have been read; NaN for rows of which nothing was present."""
    parts = [answers(network, targets, [prepared]) for prepared in _prepared(network, inputs, arrays)]
    joined = {each.name: np.concatenate([part[each.name] for part in parts]) for each in targets}
    unreadable = ~_readable(arrays)
    for each in targets:
        joined[each.name][unreadable] = type_of(each.answer).nothing
    return joined


def _embed_arrays(network: Network, inputs: Sequence[Field], arrays: Mapping[str, Arrays]) -> np.ndarray:
    embedded = np.concatenate([embeddings(network, prepared) for prepared in _prepared(network, inputs, arrays)])
    embedded[~_readable(arrays)] = np.nan
    return embedded


def _prepared(
    network: Network, inputs: Sequence[Field], arrays: Mapping[str, Arrays]
) -> Iterator[dict[str, torch.Tensor]]:
    """The network's inputs for as many rows at a time as it can take."""
    rows, few = len(next(iter(arrays.values()))), rows_at_a_time(network, inputs)
    for start in range(0, rows, few):
        stretch = {name: column.rows(slice(start, start + few)) for name, column in arrays.items()}
        yield prepare_inputs(inputs, stretch)


def _readable(arrays: Mapping[str, Arrays]) -> np.ndarray:
    """Which rows have something that could be read, or nothing that could not."""
    unread = np.zeros(len(next(iter(arrays.values()))), bool)
    for column in arrays.values():
        for problem in column.problems:
            unread[problem.row] = True
    present: np.ndarray = np.any([column.present for column in arrays.values()], axis=0)
    return ~unread | present


def as_columns(
    predictions: Predictions,
    targets: Sequence[Field],
    residuals: Mapping[str, np.ndarray],
    *,
    coverage: float,
    probabilities: bool,
) -> dict[str, Any]:
    """Predictions as named columns, a value per row; see `instar.model.Model.columns`. Raises UsageError."""
    if not 0 < coverage < 1:
        raise UsageError(f"The coverage must lie between 0 and 1, and is {coverage}", remedy="Try 0.9")
    columns = _identified(predictions.identifiers, type_of(targets[0].answer).moments(targets[0].answer))
    for target in targets:
        prefix = f"{target.name}_" if len(targets) > 1 else ""
        given = predictions.answers[target.name]
        if given.dtype == object:  # paths of files
            columns[f"{prefix}prediction"] = given.tolist()
            continue
        made = type_of(target.answer).columns(
            target,
            given,
            residuals=residuals.get(target.name, np.empty(0)),
            coverage=coverage,
            probabilities=probabilities,
        )
        columns |= {f"{prefix}{name}": values for name, values in made.items()}
    return columns | predictions.embedding_columns()


def _identified(identifiers: Mapping[str, Sequence[Any]], moments: int | None) -> dict[str, Any]:
    """Columns that tell answers apart; where an answer has several ``moments``, each has a row, and lists say when."""
    if moments is None:
        return dict(identifiers)
    columns: dict[str, Any] = {}
    for name, cells in identifiers.items():
        listed = bool(cells) and isinstance(cells[0], Sequence | pl.Series) and not isinstance(cells[0], str)
        columns[name] = [each for cell in cells for each in (cell if listed else [cell] * moments)]
    return columns
