"""The parts of the page that belong to one target, as HTML."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from instar.answers import LabelResult, Mistake, type_of
from instar.evaluation.plots import curves_plot, scatter_plot
from instar.evaluation.results import TargetResult
from instar.evaluation.verdict import capital, rows_note, written, written_interval
from instar.metrics import METRICS, Score
from instar.shapes import Curves, Image, View

# A matrix is shown with its counts up to the first number of classes, and up to the second as colors alone.
_COUNTED_CLASSES, _SHOWN_CLASSES = 12, 40
# With so few classes there is room for their names above the columns.
_NAMED_CLASSES = 5
_CONFUSED_PAIRS = 12
_SHOWN_LABELS = 60
_LABEL_SCORES = {"f1": "F1", "average_precision": "average precision", "iou": "IoU", "dice": "Dice"}
_SHOWN_INPUTS = 6
_SHOWN_LETTERS = 200


def contenders_panel(result: TargetResult) -> str:
    """The network among its rivals, the best first: a dot and an interval each, on one axis; empty without rivals."""
    if result.score is None or not result.rivals:
        return ""
    name, own = result.main, result.score
    rows = [("This network", own, "own", "")]
    rows += [
        (each.title, each.metrics[name], "baseline" if each.baseline else "", rows_note(result, each))
        for each in result.ranked()
    ]
    sign = -1 if METRICS[name].higher_is_better else 1
    rows.sort(key=lambda row: sign * row[1].value)
    # What answers without looking is usually far off; on its scale the others could not be told apart.
    low, high = _axis([score for _, score, style, _ in rows if style != "baseline"], name)

    def at(value: float) -> float:
        return min(100.0, max(0.0, 100 * (value - low) / (high - low)))

    band = f"--from:{at(own.low):.2f}%;--to:{at(own.high):.2f}%"
    drawn = []
    for title, score, style, note in rows:
        beyond = " below" if score.value < low else " above" if score.value > high else ""
        track = (
            f'<span class="bar" style="left:{at(score.low):.2f}%;right:{100 - at(score.high):.2f}%"></span>'
            f'<span class="point{beyond}" style="left:{at(score.value):.2f}%"></span>'
        )
        drawn.append(
            f'<div class="row {style}"><span class="who">{escape(capital(title))}<small>{escape(note)}</small></span>'
            f'<span class="track">{track}</span><span class="score">{escape(written(name, score.value))}'
            f"<small>{escape(written_interval(name, score))}</small></span></div>"
        )
    absent = [each for each in result.rivals if name not in each.metrics]
    reasons = "".join(f"<li>{escape(each.title)}: {escape(each.note or 'no score')}</li>" for each in absent)
    meaning = f"{capital(METRICS[name].title)}, with its 95 % interval. The band is this network's interval."
    scale = (
        f'<div class="scale"><span>{escape(written(name, low))}</span><span>{escape(written(name, high))}</span></div>'
    )
    notes = f'<ul class="absent">{reasons}</ul>' if reasons else ""
    legend = f'<p class="note">{escape(meaning)}</p>'
    return f'{legend}<div class="contenders" style="{band}">{"".join(drawn)}{scale}</div>{notes}'


def _axis(scores: Sequence[Score], name: str) -> tuple[float, float]:
    metric = METRICS[name]
    low, high = min(score.low for score in scores), max(score.high for score in scores)
    best = max(score.value for score in scores)
    if metric.higher_is_better and metric.maximum == 1:
        low = max(low, best - 1)  # one that is absurdly bad must not squeeze the others together
    pad = 0.06 * (high - low) or 0.05
    return max(metric.minimum, low - pad), min(metric.maximum, high + pad)


def metrics_table(result: TargetResult) -> str:
    rows = "".join(
        f"<tr><td>{escape(METRICS[name].title)}<small>{escape(METRICS[name].meaning)}</small></td>"
        f'<td class="figure">{escape(written(name, score.value))}'
        f"<small>{escape(written_interval(name, score))}</small></td></tr>"
        for name, score in result.metrics.items()
    )
    head = '<tr><th>score</th><th class="figure">value, 95 % interval</th></tr>'
    return f'<table class="scores">{head}{rows}</table>' if rows else ""


def confusion_panel(result: TargetResult) -> str:
    """The confusion matrix of few classes; of many, the pairs that are confused most."""
    matrix = result.details.confusion
    if matrix is None or not result.examined:
        return ""
    if len(matrix) > _SHOWN_CLASSES:
        return _confused_pairs(result, matrix)
    counted = len(matrix) <= _COUNTED_CLASSES
    labels = [escape(label) for label in result.true_classes]
    answered = labels[: len(result.classes)]
    heads = "".join(f'<th class="column" title="{label}"><span>{label}</span></th>' for label in answered)
    rows = []
    for place, (label, counts) in enumerate(zip(labels, matrix, strict=True)):
        total = sum(counts)
        cells = "".join(
            _cell(count, count / total if total else 0.0, counted, "right" if place == other else "wrong")
            for other, count in enumerate(counts)
        )
        rows.append(f'<tr><th class="line" title="{label}"><span>{label}</span></th>{cells}</tr>')
    kind = "matrix roomy" if len(matrix) <= _NAMED_CLASSES else "matrix" if counted else "matrix dense"
    note = "A row per true class, a column per answer; the deeper the color, the larger the share of the row."
    table = f'<table class="{kind}"><tr><th></th>{heads}</tr>{"".join(rows)}</table>'
    return f'<p class="note">{note}</p><div class="wide">{table}</div>'


def _cell(count: int, share: float, counted: bool, side: str) -> str:
    deep = " deep" if share > 0.5 else ""
    return f'<td class="{side}{deep}" style="--share:{share:.3f}">{count if counted and count else ""}</td>'


def _confused_pairs(result: TargetResult, matrix: Sequence[Sequence[int]]) -> str:
    pairs = [
        (count, result.true_classes[true], result.classes[said])
        for true, row in enumerate(matrix)
        for said, count in enumerate(row)
        if true != said and count
    ]
    pairs.sort(key=lambda pair: -pair[0])
    rows = "".join(
        f'<tr><td>{escape(true)}</td><td>{escape(said)}</td><td class="figure">{count:,}</td></tr>'
        for count, true, said in pairs[:_CONFUSED_PAIRS]
    )
    head = '<tr><th>truth</th><th>answer</th><th class="figure">rows</th></tr>'
    return f'<table class="plain">{head}{rows}</table>' if rows else ""


def labels_panel(result: TargetResult) -> str:
    """The scores of each label by itself, those that most rows have first; empty where there are none."""
    if not result.metrics:
        return ""
    ordered = sorted(result.details.labels, key=lambda each: -each.rows)
    told = {name: title for name, title in _LABEL_SCORES.items() if any(name in each.metrics for each in ordered)}
    rows = "".join(
        f'<tr><td>{escape(each.name)}</td><td class="figure">{each.rows:,}</td>'
        + "".join(f'<td class="figure">{_label_score(each, name)}</td>' for name in told)
        + "</tr>"
        for each in ordered[:_SHOWN_LABELS]
    )
    heads = "".join(f'<th class="figure">{title}</th>' for title in ("rows", *told.values()))
    hidden = len(ordered) - _SHOWN_LABELS
    noun, nouns = type_of(result.answer).part
    note = f'<p class="note">{hidden:,} rarer {nouns} are not shown; report.json has them.</p>' if hidden > 0 else ""
    table = f'<div class="wide"><table class="plain"><tr><th>{noun}</th>{heads}</tr>{rows}</table></div>{note}'
    return table if rows else ""


def _label_score(label: LabelResult, name: str) -> str:
    score = label.metrics.get(name)
    if score is None:
        return "-"
    return f"{escape(written('macro_f1', score.value))}<small>{escape(written_interval('macro_f1', score))}</small>"


def scatter_panel(result: TargetResult) -> str:
    plot = scatter_plot(result.details.pairs, x="truth", y="answer", title=f"Answers against truths of {result.name}")
    if not plot:
        return ""
    note = f"{len(result.details.pairs):,} examined rows; on the line, answer and truth agree."
    return f'<p class="note">{note}</p><div class="figures"><figure>{plot}</figure></div>'


def mistakes_panel(result: TargetResult) -> str:
    """A gallery where there are pictures or curves, a table otherwise."""
    if any(each.drawn for each in result.details.mistakes):
        return _drawn_panel(result.details.mistakes)
    return _mistakes(result.details.mistakes, "answered", "answer")


def oddest_panel(result: TargetResult) -> str:
    """The rows that are most unlike those learned from, and the inputs that make them so, the oddest first."""
    rows = _mistakes(result.details.oddest, "odd in", "odd in")
    note = (
        "The most unlike those that were learned from, the oddest first, and the inputs that make each so. "
        "What is unlike the rest need not be wrong."
    )
    return f'<p class="note">{note}</p>{rows}' if rows else ""


def _mistakes(mistakes: Sequence[Mistake], answered: str, head_of_answers: str) -> str:
    if not mistakes:
        return ""
    if any(isinstance(view, Image | Curves) for each in mistakes for view in each.inputs.values()):
        return f'<div class="gallery">{"".join(_card(each, answered) for each in mistakes)}</div>'
    names = list(mistakes[0].inputs)
    shown = names[:_SHOWN_INPUTS]
    certain = any(each.confidence is not None for each in mistakes)
    told = any(each.truth for each in mistakes)
    heads = [*(["truth"] if told else []), head_of_answers, *(["confidence"] if certain else []), *shown, "row"]
    rows = []
    for each in mistakes:
        sure = [f"{100 * each.confidence:.0f} %" if each.confidence is not None else ""] if certain else []
        cells = [
            *([each.truth] if told else []),
            each.answer,
            *sure,
            *(_words(each.inputs[name]) for name in shown),
            each.place,
        ]
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    hidden = len(names) - len(shown)
    note = f'<p class="note">{hidden} more inputs are not shown.</p>' if hidden > 0 else ""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    return f'<div class="wide"><table class="plain">{"<tr>" + head + "</tr>"}{"".join(rows)}</table></div>{note}'


def typical_panel(result: TargetResult) -> str:
    """Rows that are answered as well as most, where answers are pictures."""
    return _drawn_panel(result.details.typical)


def _drawn_panel(mistakes: Sequence[Mistake]) -> str:
    """A line of pictures for each row: inputs, truth and answer; a report that was read back has none."""
    lines = [_line_of_pictures(each) for each in mistakes if each.drawn]
    return f'<div class="rows-of-pictures">{"".join(lines)}</div>' if lines else ""


def _line_of_pictures(mistake: Mistake) -> str:
    views: list[tuple[str, View]] = [
        *((name, view) for name, view in mistake.inputs.items() if _image(view)),
        *mistake.drawn.items(),
    ]
    pictures = "".join(
        f'<figure class="mistake">{_image(view)}<figcaption>{escape(name)}</figcaption></figure>'
        for name, view in views
    )
    words = "".join(
        f"<br>{escape(name)}: {escape(_words(view))}" for name, view in mistake.inputs.items() if not _image(view)
    )
    caption = f"<p><b>{escape(mistake.answer)}</b><small>{escape(mistake.place)}</small>{words}</p>"
    return f'<div class="line-of-pictures"><div class="gallery">{pictures}</div>{caption}</div>'


def _card(mistake: Mistake, answered: str) -> str:
    images = "".join(_image(view) for view in mistake.inputs.values())
    sure = f" ({100 * mistake.confidence:.0f} % sure)" if mistake.confidence is not None else ""
    return (
        f'<figure class="mistake">{images}<figcaption>{answered} <b>{escape(mistake.answer)}</b>{escape(sure)}<br>'
        f"truth <b>{escape(mistake.truth) or '-'}</b><small>{escape(mistake.place)}</small></figcaption></figure>"
    )


def _image(view: View) -> str:
    """A picture or a plot; nothing of what is words alone."""
    if isinstance(view, Image):
        return f'<img alt="{escape(view.text)}" src="data:image/png;base64,{b64encode(view.png).decode()}">'
    return curves_plot(view.curves, title=view.text) if isinstance(view, Curves) else ""


def _words(view: View) -> str:
    return view.text if len(view.text) <= _SHOWN_LETTERS else view.text[:_SHOWN_LETTERS] + " ..."
