"""The report as one self-contained HTML page: nothing in it is fetched, and every word from the data is escaped."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from instar.answers import type_of
from instar.evaluation.claims import claims
from instar.evaluation.curves import learning_curves
from instar.evaluation.panels import (
    confusion_panel,
    contenders_panel,
    labels_panel,
    metrics_table,
    mistakes_panel,
    oddest_panel,
    scatter_panel,
    typical_panel,
)
from instar.evaluation.verdict import written, written_interval
from instar.metrics import METRICS
from instar.shapes import Mapped

if TYPE_CHECKING:
    from instar.evaluation.report import Report
    from instar.evaluation.results import TargetResult


def page(report: Report) -> str:
    """The whole page."""
    body = _header(report) + "".join(_target(report, each) for each in report.targets)
    body += _samples(report) + _learning(report) + _data(report) + _claims(report) + _usage(report) + _footer(report)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(report.title)}: report</title>\n{_style()}\n</head>\n"
        f'<body class="instar-body">\n<main class="instar">{body}</main>\n</body>\n</html>\n'
    )


def excerpt(report: Report) -> str:
    """The verdict and the contenders, for a notebook."""
    panels = "".join(contenders_panel(each) for each in report.targets)
    return f'{_style()}<div class="instar">{_header(report)}{panels}</div>'


def _style() -> str:
    folder = files("instar.evaluation")
    rules = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("colors.css", "page.css"))
    return f"<style>{rules}</style>"


def _header(report: Report) -> str:
    cards = "".join(_verdict_card(report, each) for each in report.targets)
    parts = " · ".join(f"{count:,} {escape(name)}" for name, count in report.parts.items())
    source = f"{escape(report.source)} · {report.rows:,} {report.unit}" + (f" · {parts}" if parts else "")
    return f'<header><h1>{escape(report.title)}</h1><p class="source">{source}</p></header>{cards}'


def _verdict_card(report: Report, result: TargetResult) -> str:
    first, *others = report.verdict(result)
    number = ""
    if result.score is not None:
        name, score = result.main, result.score
        number = (
            f'<div class="number"><span class="value">{escape(written(name, score.value))}</span>'
            f'<span class="unit">{escape(METRICS[name].title)}<br>{escape(written_interval(name, score))}</span></div>'
        )
    words = f'<p class="first">{escape(first)}</p>' + "".join(f"<p>{escape(each)}</p>" for each in others)
    return f'<section class="verdict"><h2>{escape(result.name)}</h2>{number}<div class="words">{words}</div></section>'


def _target(report: Report, result: TargetResult) -> str:
    several, part = f": {result.name}" if len(report.targets) > 1 else "", type_of(result.answer).part[0]
    panels = [
        (f"Beside simpler methods{several}", contenders_panel(result)),
        (f"All scores{several}", metrics_table(result)),
        (f"What is taken for what{several}", confusion_panel(result)),
        (f"{part.capitalize()} by {part}{several}", labels_panel(result)),
        (f"Answers and truths{several}", scatter_panel(result)),
        (f"The worst mistakes{several}", mistakes_panel(result)),
        (f"The oddest examined rows{several}", oddest_panel(result)),
        (f"Answered as well as most{several}", typical_panel(result)),
    ]
    return "".join(_section(title, content) for title, content in panels)


def _learning(report: Report) -> str:
    words = []
    if report.network:
        size = f", with {report.parameters:,} parameters" if report.parameters else ""
        words.append(f"<p><strong>{escape(report.network)}</strong>{size}. {escape(report.about)}</p>")
    if report.why:
        words.append(f"<p>{escape(report.why)}</p>")
    settings = {name: _plain(value) for name, value in report.settings.items()}
    timings = {name: f"{seconds:,.1f} s" for name, seconds in report.timings.items()}
    words.append(_facts("Settings that were changed", settings) + _facts("Time", timings))
    return _section("How the network learned", learning_curves(report.history) + "".join(words))


def _data(report: Report) -> str:
    content = _list(report.findings)
    if report.inputs:
        rows = "".join(
            f"<tr><td>{escape(each.name)}</td><td>{escape(each.kind)}</td><td>{escape(each.about)}</td></tr>"
            for each in report.inputs
        )
        table = f'<table class="plain"><tr><th>input</th><th>kind</th><th>found</th></tr>{rows}</table>'
        many = len(report.inputs) > 12
        content += f"<details><summary>{len(report.inputs)} inputs</summary>{table}</details>" if many else table
    return _section("What was found in the data", content)


def _claims(report: Report) -> str:
    return _section("What this may claim, and what not", _list([*claims(report), *report.notes]))


def _samples(report: Report) -> str:
    return _section("What it writes", "".join(f'<pre class="sample">{escape(text)}</pre>' for text in report.samples))


def _usage(report: Report) -> str:
    if report.folder is None:
        return ""
    folder = shlex.quote(report.folder)
    if report.protocol == "play":
        play = f"instar play {folder} --video episode.gif\n\nimport instar\ninstar.play({report.folder!r}, episodes=20)"
        return _section("How to use it", f"<pre>{escape(play)}</pre>")
    out = " --out NEW_FOLDER" if any(isinstance(result.answer, Mapped) for result in report.targets) else ""
    commands = (f"instar generate {folder} --prompt TEXT\n" if report.samples else "") + (
        f"instar predict {folder} NEW_EXAMPLES{out}\ninstar evaluate {folder} NEW_EXAMPLES_WITH_ANSWERS\n\n"
        f"import instar\nmodel = instar.load({report.folder!r})\nmodel.predict(frame)"
    )
    return _section("How to use it", f"<pre>{escape(commands)}</pre>")


def _footer(report: Report) -> str:
    versions = " · ".join(f"{escape(name)} {escape(version)}" for name, version in report.versions.items())
    return f"<footer>Made by Instar. {versions}</footer>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _list(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _facts(title: str, facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    items = "".join(f"<span>{escape(name)} <b>{escape(value)}</b></span>" for name, value in facts.items())
    return f'<p class="facts"><em>{escape(title)}</em>{items}</p>'


def _plain(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)
