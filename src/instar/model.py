"""The trained thing: how its columns are read, its fitted fields, its network, and what it may claim."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from instar.answering import answers_for, examinable, truths_for
from instar.conformal import COVERAGE
from instar.declaration import Content, read_content
from instar.division import usable_rows
from instar.errors import ContentError, FolderError, UsageError
from instar.evaluation.measuring import input_columns, measure_targets
from instar.evaluation.report import FACTS, Report
from instar.fields import Field, kinds
from instar.folder import damaged
from instar.frames import frame_like
from instar.generation import LENGTH, stream
from instar.predicting import Predictions, answer, as_columns
from instar.prepared import Examples
from instar.shapes import Choice, Several
from instar.sources import Source
from instar.sources.locate import locate
from instar.sources.matching import match, require
from instar.sources.steps import Layout, in_series_again
from instar.store import ColumnPlan, Store, StorePlan
from instar.unanswered import with_column
from instar.version import VERSION

if TYPE_CHECKING:
    from instar.networks.assemble import Network

logger = logging.getLogger("instar")


class Model:
    """A network together with everything that is needed to use it on content as people have it.

    Made by `instar.train` and `instar.load`. ``network`` is an ordinary ``torch.nn.Module``.
    """

    def __init__(
        self,
        plans: Mapping[str, ColumnPlan],
        inputs: Sequence[Field],
        targets: Sequence[Field],
        network: Network,
        residuals: Mapping[str, np.ndarray],
        claims: Mapping[str, Any],
        folder: Path | None = None,
        layout: Layout | None = None,
    ) -> None:
        self.plans, self.inputs, self.targets = dict(plans), tuple(inputs), tuple(targets)
        self.network = network
        self.residuals, self.claims, self.folder = dict(residuals), dict(claims), folder
        self.layout = layout

    @property
    def classes(self) -> Any:
        """The classes or labels in the order of `predict_proba`'s columns; a dictionary by target if there are several.

        None for a target that is an amount.
        """
        return self._by_target({each.name: each.classes for each in self.targets})

    @property
    def report(self) -> Report | None:
        """The report of the training, or None where the model's folder holds none."""
        known = self.folder is not None and (self.folder / FACTS).is_file()
        return read_report(self.folder) if self.folder is not None and known else None

    def predict(
        self,
        source: Any,
        *,
        coverage: float = COVERAGE,
        allow_outside: bool = False,
        out: str | Path | None = None,
    ) -> Any:
        """A frame with a row per example.

        Columns ``prediction`` and ``confidence`` (probability of the predicted class) for a category; ``prediction``,
        a cell with every label whose probability is at least a half, written as in training (``red;round``, or a list
        in JSON, and ``[]`` for none), and ``confidence`` (that the label most in doubt is right) for labels;
        ``prediction``, ``low`` and ``high`` for a number; prefixed by ``TARGET_`` where there are several targets.
        ``low`` and ``high`` hold the truth with probability ``coverage`` (split-conformal, Lei et al. 2018). For a
        picture or a mask ``prediction`` is an array of numbers or of classes' codes at the network's size; or, where
        ``out`` is given, the path of a file of the size of what it is made of. Of a model without a target
        ``prediction`` is whether the row is odd, ``anomaly`` the share of rows like those learned from that are less
        odd, ``error`` how badly the network tells it (1: as badly as one that always answers the same), and ``oddest``
        the input that is most odd. Where the steps of a series are rows,
        there is one row for each series, which begins with the series' name; and where they are forecast, one for each
        step after the last with a target, which begins with the series' name and the time of the step.

        Parameters
        ----------
        source: whatever `instar.train` takes, and lists of files. A pandas, polars or Arrow frame gets its own type
            back, everything else a polars frame.
        coverage: between 0 and 1.
        allow_outside: let cells name files outside their table's folder, or a frame's outside the working folder. Below
            it they may name any, so whoever answers for strangers works in a folder of their files alone.
        out: a new folder, into which answers that are pictures or masks are written as files.

        Raises ColumnError where a column is missing or of another kind than in training, FolderError where ``out``
        holds anything or cannot be written.
        """
        predictions = self.answer(self.open(source, allow_outside=allow_outside), out=out)
        for sentence in predictions.told():
            logger.warning("%s", sentence)
        return frame_like(source, self.columns(predictions, coverage=coverage))

    def embed(self, source: Any, *, allow_outside: bool = False) -> Any:
        """A frame with a row per example: the numbers ``embedding_0``, ... that stand for it, all null where it could
        not be read. Rows that are alike have numbers that are near each other.

        Raises UsageError where the model was not trained without a target, which alone makes such numbers, and what
        `predict` raises.
        """
        predictions = self.answer(self.open(source, allow_outside=allow_outside), embedding=True)
        return frame_like(source, predictions.embedding_columns())

    def predict_proba(self, source: Any, *, allow_outside: bool = False) -> Any:
        """Probabilities (n, classes), or of each label by itself, in the order of `classes`.

        A dictionary by target where there are several.
        """
        chosen = [each for each in self.targets if isinstance(each.answer, Choice | Several)]
        if not chosen:
            raise UsageError("The model answers no classes, which alone have probabilities", remedy="Use predict")
        answers = self.answer(self.open(source, allow_outside=allow_outside)).answers
        if len(self.targets) == 1:
            return answers[chosen[0].name]
        return {each.name: answers[each.name] for each in chosen}

    def evaluate(self, source: Any, *, target: Sequence[str] = (), allow_outside: bool = False) -> Report:
        """How good the model is on other examples with answers.

        ``target`` is needed only where the source takes the answers from a file of their own (IDX).
        Returns a report whose ``metrics`` is a dictionary by name, each with ``value``, ``low``, ``high``, ``rows``.
        Raises ColumnError where a target's column is missing, ContentError where no row has an answer.
        """
        opened = self.open(source, allow_outside=allow_outside, target=target, answered=True)
        for each in self.targets:
            if kinds[each.kind].unanswered:
                opened = with_column(opened, each.name)
        fields = {each.name: each for each in (*self.inputs, *self.targets)}
        require(opened, fields, "Evaluation needs")
        plan = StorePlan({name: self.plans[name] for name in fields})
        store = Store.find(opened, plan) or Store.build(opened, plan)
        examples = Examples(store, self.inputs, self.targets)
        asked = tuple(each.name for each in self.targets)
        rows, notes = usable_rows(store, tuple(each.name for each in self.inputs), asked)
        if not len(rows):
            raise ContentError(
                f"No row has an answer in the column {', '.join(map(repr, asked))} to compare with, and inputs",
                where=opened.place,
                remedy="Give examples with the right answers, or use predict",
            )
        rows, drawn = examinable(self.targets, store, rows, 0)
        truth, given = truths_for(examples, rows), answers_for(self.network, examples, rows)
        network = self.network.plan.principal
        return Report(
            title=f"{opened.name}: {', '.join(each.name for each in self.targets)}",
            source=opened.place,
            rows=len(store),
            targets=measure_targets(examples, rows, truth, given, source=opened),
            protocol="elsewhere",
            inputs=input_columns(self.inputs),
            network=network.name,
            about=f"{network.idea} ({network.paper})",
            parameters=sum(each.numel() for each in self.network.parameters()),
            versions={"instar": VERSION},
            notes=[*notes, *drawn],
            folder=None if self.folder is None else str(self.folder),
        )

    def generate(self, prompt: str = "", **settings: Any) -> str:
        """A text that goes on after ``prompt``; `stream` says what the ``settings`` are."""
        return "".join(self.stream(prompt, **settings))

    def stream(
        self,
        prompt: str = "",
        *,
        length: int = LENGTH,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """What `generate` gives, piece by piece, as it is written.

        Parameters
        ----------
        length: in characters; the last piece may go beyond it.
        temperature: by which logits are divided (Ackley, Hinton & Sejnowski 1985): below 1 what is likely becomes
            likelier; 0 always takes the likeliest symbol.
        top_p: symbols are drawn from the fewest that have this probability together (nucleus sampling: Holtzman, Buys,
            Du, Forbes & Choi 2020).
        seed: the same one writes the same text.

        Raises UsageError where the model has not learned from texts how they go on, or a value cannot be.
        """
        return stream(
            self.network,
            self.targets,
            prompt=prompt,
            length=length,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
        )

    def open(
        self, source: Any, *, target: Sequence[str] = (), allow_outside: bool = False, answered: bool = False
    ) -> Source:
        """The source behind what a person gave, with a lone nameless column under the name that the model knows.

        answered: whether it is to be compared with answers that are in it.
        """
        files = [name for name, plan in self.plans.items() if kinds[plan.kind].names_files(plan.plan)]
        opened = locate(source, target=target, allow_outside=allow_outside, files=files, alone=True)
        needed = [each.name for each in self.inputs]
        return match(in_series_again(opened, self.layout, needed, answered=answered), needed)

    def answer(self, source: Source, *, out: str | Path | None = None, embedding: bool = False) -> Predictions:
        """The network's answers for every record of ``source``, in its order, and the ``embedding`` if it is asked for.

        Where ``out`` is given, pictures and masks are written into that new folder as they come, and their answers are
        the paths of these files, None where a row could not be read.
        """
        return answer(source, self.plans, self.inputs, self.targets, self.network, out=out, embedding=embedding)

    def columns(
        self, predictions: Predictions, *, coverage: float = COVERAGE, probabilities: bool = False
    ) -> dict[str, Any]:
        """Predictions as named columns, a value per row; see `predict`. ``probabilities`` adds a column per class.

        Raises UsageError for a ``coverage`` that does not lie between 0 and 1.
        """
        return as_columns(predictions, self.targets, self.residuals, coverage=coverage, probabilities=probabilities)

    def save(self, folder: str | Path) -> Path:
        """Write the model folder: data only, every file whole or not at all. Raises FolderError.

        Saves over a model of the same folder, and refuses any other folder that is not empty.
        """
        path = Path(folder)
        own = self.folder is not None and path.resolve() == self.folder.resolve()
        if path.exists() and not own and (not path.is_dir() or any(path.iterdir())):
            raise FolderError("The folder is not empty", where=str(path), remedy="Give a new folder")
        self.write(path)
        return path

    def write(self, folder: Path) -> None:
        """Write what loading needs into a folder, whatever else lies there."""
        content = Content(self.plans, self.inputs, self.targets, self.network, self.residuals, self.claims, self.layout)
        content.write(folder)

    def _by_target(self, values: dict[str, Any]) -> Any:
        return values if len(values) > 1 else next(iter(values.values()))

    def __repr__(self) -> str:
        asked = ", ".join(each.name for each in self.targets)
        return f"<instar.Model of {asked} from {len(self.inputs)} inputs{f' in {self.folder}' if self.folder else ''}>"

    def _repr_html_(self) -> str:
        from html import escape

        row = "<tr><td>{}</td><td>{value:.4f}</td><td>{low:.4f} – {high:.4f}</td></tr>"
        rows = "".join(
            row.format(escape(name), **score)
            for metrics in self.claims.get("metrics", {}).values()
            for name, score in metrics.items()
        )
        report = self.report
        said = [] if report is None else [line for each in report.targets for line in report.verdict(each)]
        said += [] if report is None else report.findings
        words = "".join(f"<p>{escape(line)}</p>" for line in said)
        head = "<tr><th>metric</th><th>value</th><th>95 % interval</th></tr>"
        return f"<p>{escape(repr(self))}</p>{words}<table>{head}{rows}</table>"


def load(folder: str | Path) -> Model:
    """The model in a folder. Runs no code from it, and allocates nothing that its network does not need.

    Raises ModelError for a folder that is damaged, newer or no model, or where a plug-in that it needs is missing.
    """
    path = Path(folder)
    content = read_content(path)
    return Model(
        content.plans,
        content.inputs,
        content.targets,
        content.network,
        content.residuals,
        content.claims,
        path,
        content.layout,
    )


def read_report(folder: Path) -> Report:
    """The report of a finished run, without its pictures. Raises ModelError where it cannot be read."""
    path = folder / FACTS
    try:
        return Report.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as failure:
        raise damaged(path, f"it is no report ({type(failure).__name__})") from failure
