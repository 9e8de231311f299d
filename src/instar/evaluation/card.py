"""The model card: README.md with front matter as Hugging Face reads it (Mitchell et al. 2019)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from instar.answers import type_of
from instar.evaluation.claims import claims
from instar.evaluation.verdict import written, written_interval
from instar.fields import kinds
from instar.metrics import METRICS
from instar.shapes import Vector

if TYPE_CHECKING:
    from instar.evaluation.report import Report
    from instar.evaluation.results import TargetResult


def model_card(report: Report) -> str:
    """The card as Markdown."""
    parts = [_front_matter(report), f"# {_line(report.title)}", _paragraph(report)]
    for result in report.targets:
        parts += [f"## How good it is: {_line(result.name)}", *_target(report, result)]
    if report.network:
        parts += ["## The network", _network(report)]
    parts += ["## What this may claim, and what not", _bullets([*claims(report), *report.notes])]
    if report.findings:
        parts += ["## What was found in the data", _bullets(report.findings)]
    if report.inputs:
        parts += ["## Inputs", _table(["input", "kind", "found"], [[i.name, i.kind, i.about] for i in report.inputs])]
    parts += ["## How to use it", _usage(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


# Endings that Hugging Face has for tables; and for every modality that there is here, or that only one modality gives.
_TABULAR_TASKS = ("classification", "regression")
_KNOWN_TASKS = ("classification", "segmentation", "to-image")


def pipeline_tag(report: Report) -> str | None:
    """The Hugging Face task that the model's inputs and answers amount to, if there is one."""
    if report.protocol == "play":
        return "reinforcement-learning"
    shapes = [each.shape for each in report.inputs]
    if not shapes or len(report.targets) != 1:
        return None
    task = type_of(report.targets[0].answer).task
    if all(isinstance(shape, Vector) for shape in shapes):
        return f"tabular-{task}" if task in _TABULAR_TASKS else None
    modalities = {kinds[each.kind].modality for each in report.inputs}
    known = task in _KNOWN_TASKS and len(modalities) == 1 and None not in modalities
    return f"{modalities.pop()}-{task}" if known else None


def _front_matter(report: Report) -> str:
    """YAML whose every value is JSON, which YAML includes, so that no name in the data can break out of its place."""
    tag = pipeline_tag(report)
    content: dict[str, Any] = {"library_name": "instar", "tags": ["instar", "pytorch"]}
    if tag is not None:
        content["pipeline_tag"] = tag
    metrics = dict.fromkeys(name for result in report.targets for name in result.metrics)
    if metrics:
        content["metrics"] = list(metrics)
        results = [_model_index(report, result, tag) for result in report.targets if result.metrics]
        content["model-index"] = [{"name": report.title, "results": results}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=True, allow_nan=False)}" for key, value in content.items()]
    return "\n".join(["---", *lines, "---"])


def _model_index(report: Report, result: TargetResult, tag: str | None) -> dict[str, Any]:
    return {
        "task": {"type": tag or type_of(result.answer).task, "name": result.name},
        "dataset": {
            "name": report.title,
            "type": re.sub(r"[^a-z0-9]+", "-", report.title.lower()).strip("-") or "data",
        },
        "metrics": [
            {"type": name, "name": METRICS[name].title, "value": score.value} for name, score in result.metrics.items()
        ],
    }


def _paragraph(report: Report) -> str:
    parts = ", ".join(f"{count:,} {name}" for name, count in report.parts.items())
    return _line(f"Learned from {report.source}: {report.rows:,} {report.unit}" + (f" ({parts})." if parts else "."))


def _target(report: Report, result: TargetResult) -> list[str]:
    rows = [
        [METRICS[name].title, written(name, score.value), written_interval(name, score), METRICS[name].meaning]
        for name, score in result.metrics.items()
    ]
    parts = [_line(" ".join(report.verdict(result)))]
    if rows:
        parts.append(_table(["score", "value", "95 % interval", "meaning"], rows))
    ranked = result.ranked()
    if ranked:
        name = result.main
        scored = [(each.title, each.metrics[name], each.rows) for each in ranked]
        cells = [[t, written(name, s.value), written_interval(name, s), f"{n:,}"] for t, s, n in scored]
        parts.append(_table(["rival", METRICS[name].title, "95 % interval", f"{report.unit} learned from"], cells))
    return parts


def _network(report: Report) -> str:
    size = f", {report.parameters:,} parameters" if report.parameters else ""
    return _line(f"{report.network}{size}. {report.about} {report.why}".strip())


def _usage(report: Report) -> str:
    if report.protocol == "play":
        return '```python\nimport instar\n\ninstar.play("path/to/this/folder", episodes=20)\n```'
    return '```python\nimport instar\n\nmodel = instar.load("path/to/this/folder")\nmodel.predict("new.csv")\n```'


def _bullets(sentences: list[str] | Any) -> str:
    return "\n".join(f"- {_line(sentence)}" for sentence in sentences)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_line(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _line(text: str) -> str:
    """Text from the data as one line of Markdown that cannot become a table, a link, code or HTML."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
