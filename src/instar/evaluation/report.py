"""Everything that a run found out, as one value: for the terminal, as JSON, as a page and as a model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from instar.answers import Mistake
from instar.evaluation import card, page
from instar.evaluation.results import TargetResult
from instar.evaluation.verdict import rows_note, verdict, written, written_interval
from instar.files import write_text
from instar.metrics import METRICS, Score
from instar.shapes import Grid, Mask, Shape, Tokens, Vector
from instar.words import counted

# The file in a model's folder that has a report's facts.
FACTS = "report.json"
# Labels whose scores a terminal shows, those that most rows have; the page shows more.
_LISTED_LABELS = 12
# The oddest rows that it shows, and letters of what makes each odd.
_LISTED_ODD, _LISTED_LETTERS = 5, 60

Protocol = Literal["exam", "folds", "none", "elsewhere", "play"]


@dataclass(frozen=True)
class InputColumn:
    """An input as the report lists it: its kind, what was found in it, in a phrase, and its shape."""

    name: str
    kind: str
    about: str
    shape: Shape

    def to_json(self) -> dict[str, Any]:
        if isinstance(self.shape, Vector):
            shape: dict[str, Any] = {"width": self.shape.width, "cardinalities": list(self.shape.cardinalities)}
        elif isinstance(self.shape, Tokens):
            shape = {
                "vocabulary": self.shape.vocabulary,
                "length": self.shape.length,
                "subwords": self.shape.subwords,
            }
        else:
            extent = list(self.shape.extent)
            shape = {"channels": self.shape.channels, "extent": extent, "timed": self.shape.timed}
        return {"name": self.name, "kind": self.kind, "about": self.about, "shape": shape}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> InputColumn:
        given = content["shape"]
        shape: Shape
        if "channels" in given:
            shape = Grid(given["channels"], tuple(given["extent"]), given["timed"])
        elif "vocabulary" in given:
            shape = Tokens(given["vocabulary"], given["length"], given["subwords"])
        else:
            shape = Vector(given["width"], tuple(given["cardinalities"]))
        return cls(content["name"], content["kind"], content["about"], shape)


@dataclass(frozen=True)
class Report:
    """What a run found out.

    title: what was learned, short, for example the source's name.
    source: where the examples came from.
    rows: how many there were; parts: how many of them were used for what, by name, in order.
    targets: one result per target.
    protocol: ``exam``, rows that were set apart; ``folds``, each row examined by networks that never saw it, so that
        the score is the procedure's; ``none``, too few rows to examine any; ``elsewhere``, examples other than those of
        the training; ``play``, episodes of an environment that are never learned from (rows are steps then).
    inputs, findings: the columns, and sentences on what is odd in the data.
    network: its name; about: its idea and paper in a sentence; why: why it was chosen; parameters: how many it has.
    history: the lines of ``metrics.jsonl``.
    notes: further sentences that a person should read.
    samples: what the network wrote, where it continues texts.
    timings: seconds by what they were spent on.
    settings: those that are not at their default, by name.
    versions: of what the numbers depend on, by name.
    folder: the model's folder, for the commands that are shown.
    """

    title: str
    source: str
    rows: int
    targets: Sequence[TargetResult]
    parts: Mapping[str, int] = field(default_factory=dict)
    protocol: Protocol = "exam"
    inputs: Sequence[InputColumn] = ()
    findings: Sequence[str] = ()
    network: str = ""
    about: str = ""
    why: str = ""
    parameters: int = 0
    history: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    samples: Sequence[str] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None

    @property
    def metrics(self) -> dict[str, Any]:
        """Scores by metric; with several targets a dictionary of these by target."""
        found: dict[str, dict[str, Score]] = {each.name: dict(each.metrics) for each in self.targets}
        return found[self.targets[0].name] if len(self.targets) == 1 else found

    @property
    def unit(self) -> str:
        """What `rows` counts."""
        return "steps" if self.protocol == "play" else "rows"

    def verdict(self, result: TargetResult) -> list[str]:
        """How good the answers for a target are, in sentences; where a rival wins, that is the first."""
        return verdict(result, folds=self.protocol == "folds", unseen=self.protocol != "elsewhere")

    def summary(self) -> list[str]:
        """Lines for a terminal: for each target the verdict, the metrics, the most frequent labels and the rivals."""
        lines: list[str] = []
        for result in self.targets:
            if lines:
                lines.append("")
            if len(self.targets) > 1:
                lines.append(f"{result.name}:")
            lines += [*self.verdict(result), *_score_lines(result), *_label_lines(result), *_rival_lines(result)]
            lines += _oddest_lines(result)
        return lines + ([""] if self.notes else []) + list(self.notes)

    def __str__(self) -> str:
        return "\n".join(self.summary())

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures, as strict JSON, with ``verdict`` and ``metrics`` for whoever reads only this."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            "verdict": {result.name: self.verdict(result) for result in self.targets},
            "metrics": self._metrics_as_json(),
            **plain,
            "targets": [each.to_json() for each in self.targets],
            "inputs": [each.to_json() for each in self.inputs],
            **{name: dict(plain[name]) for name in ("parts", "timings", "settings", "versions")},
            "history": [dict(line) for line in self.history],
            "findings": list(self.findings),
            "notes": list(self.notes),
            "samples": list(self.samples),
        }

    def _metrics_as_json(self) -> dict[str, Any]:
        found = {each.name: {name: score.to_json() for name, score in each.metrics.items()} for each in self.targets}
        return found[self.targets[0].name] if len(self.targets) == 1 else found

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Report:
        """The report whose `to_json` this is, without the pictures. Raises KeyError or TypeError where it is none."""
        plain = {each.name: content[each.name] for each in fields(cls)}
        plain["targets"] = [TargetResult.from_json(each) for each in content["targets"]]
        plain["inputs"] = [InputColumn.from_json(each) for each in content["inputs"]]
        return cls(**plain)

    def html(self) -> str:
        """The whole page: one file, with nothing in it that has to be fetched."""
        return page.page(self)

    def write_html(self, path: Path) -> None:
        """Write `html` to a file. Raises FolderError."""
        write_text(path, self.html())

    def model_card(self) -> str:
        """The model card as Markdown, with front matter as Hugging Face reads it."""
        return card.model_card(self)

    def _repr_html_(self) -> str:
        return page.excerpt(self)


def _score_lines(result: TargetResult) -> list[str]:
    if not result.metrics:
        return []
    rows = [
        (METRICS[name].title, written(name, score.value), written_interval(name, score))
        for name, score in result.metrics.items()
    ]
    return ["", *_aligned([("", "value", "95 % interval"), *rows])]


def _label_lines(result: TargetResult) -> list[str]:
    ordered = sorted(result.details.labels, key=lambda each: -each.rows)[:_LISTED_LABELS]
    name, title = ("dice", "Dice by class") if isinstance(result.answer, Mask) else ("f1", "F1 by label")
    rows = [
        (each.name, written("macro_f1", score.value), written_interval("macro_f1", score), counted(each.rows))
        for each in ordered
        if (score := each.metrics.get(name)) is not None
    ]
    return ["", *_aligned([(title, "value", "95 % interval", ""), *rows])] if rows else []


def _rival_lines(result: TargetResult) -> list[str]:
    if not result.rivals or result.score is None:
        return []
    name = result.main
    rows = [("this network", written(name, result.score.value), written_interval(name, result.score), "")]
    for rival in result.ranked():
        score = rival.metrics[name]
        rows.append((rival.title, written(name, score.value), written_interval(name, score), rows_note(result, rival)))
    absent = [(each.title, "-", "", each.note or "") for each in result.rivals if name not in each.metrics]
    return ["", *_aligned([(METRICS[name].title, "value", "95 % interval", ""), *rows, *absent])]


def _oddest_lines(result: TargetResult) -> list[str]:
    rows = [
        (each.place, each.truth, f"odd in {each.answer}: {_shown(each)}")
        for each in result.details.oddest[:_LISTED_ODD]
    ]
    return ["", *_aligned([("the oddest rows", "", ""), *rows])] if rows else []


def _shown(odd: Mistake) -> str:
    """What stands in the first input that makes a row odd."""
    text = next(iter(odd.inputs.values())).text
    return text if len(text) <= _LISTED_LETTERS else text[: _LISTED_LETTERS - 1] + "…"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), others[0].rjust(widths[1])]
        cells += [cell.ljust(width) for cell, width in zip(others[1:], widths[2:], strict=True)]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines
