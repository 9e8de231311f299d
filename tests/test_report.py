"""The report says the truth first, in every form, and nothing in it can run, fetch or break out."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from instar.answers import measure
from instar.evaluation.plots import Line, line_plot, scatter_plot, ticks
from instar.evaluation.report import InputColumn, Report
from instar.evaluation.results import examine
from instar.evaluation.rivals.run import RivalResult
from instar.evaluation.settings import EvaluationSettings
from instar.evaluation.verdict import verdict
from instar.metrics import Score
from instar.settings import Duration
from instar.shapes import Amounts, Choice, Grid, Image, Several, Text, Vector

HOSTILE = "<script>alert('x')</script>\"&|`\n---\nlicense: evil"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def accuracy(value, rows=500, **options):
    score = Score(value, value - 0.02, min(1.0, value + 0.02), rows)
    return RivalResult(metrics={"accuracy": score}, rows=2000, examined=rows, seconds=1.0, **options)


def choices(share=0.9, rows=500, classes=("no", "yes"), **options):
    """A result whose accuracy is ``share``."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, len(classes), rows)
    said = np.where(np.arange(rows) < share * rows, truth, (truth + 1) % len(classes))
    prediction = np.full((rows, len(classes)), 0.2 / (len(classes) - 1))
    prediction[np.arange(rows), said] = 0.8
    answer = Choice(tuple(np.bincount(truth, minlength=len(classes)).tolist()))
    return examine("bought", answer, truth, prediction, classes=classes, **options)


def amounts(rows=300, noise=0.3, **options):
    generator = np.random.default_rng(0)
    truth = generator.normal(size=(rows, 1)) * 50_000 + 200_000
    return examine("price", Amounts(), truth, truth + noise * 50_000 * generator.normal(size=(rows, 1)), **options)


def several(names=("small", "round", "rare"), rows=300, strange=0, **options):
    """A result of which a tenth of all decisions are wrong."""
    generator = np.random.default_rng(0)
    has = generator.random((rows, len(names))) < np.linspace(0.5, 0.05, len(names))
    said = has != (generator.random(has.shape) < 0.1)
    truth = np.hstack([has, np.zeros((rows, 1))])
    truth[:strange, -1] = 1
    answer = Several(tuple(has.sum(axis=0).tolist()), rows)
    return examine("tags", answer, truth, np.where(said, 0.8, 0.1), classes=names, **options)


def history():
    lines = [{"event": "start", "stage": "train", "steps": 10}]
    for epoch in range(1, 9):
        values = {"loss": 1 / epoch, "validation_loss": 1.1 / epoch, "rate": 0.01}
        lines.append({"event": "epoch", "stage": "train", "epoch": epoch, "step": 10 * epoch, **values})
    return [*lines, {"event": "end", "stage": "train", "best_epoch": 8}]


def report(*targets, **options):
    return Report(**{"title": "shop", "source": "shop.csv", "rows": 2500, "targets": targets, **options})


BASELINE = accuracy(0.55, name="majority", title="always answering the most frequent class", baseline=True)
FOREST = {"name": "forest", "title": "random forest"}


@pytest.mark.parametrize(
    ("rivals", "first"),
    [
        ([], "The network is right on 90.0 % of 500 rows"),
        ([BASELINE, accuracy(0.8, **FOREST)], "The network is right on 90.0 %"),
        ([BASELINE, accuracy(0.91, **FOREST)], "A random forest does as well: 91.0 % against the network's 90.0 %"),
        ([BASELINE, accuracy(0.97, **FOREST)], "A random forest does better on this data: 97.0 %"),
        ([accuracy(0.97, name="boosting", title="boosted trees")], "Boosted trees do better on this data"),
        ([accuracy(0.9, **FOREST)], "A random forest does exactly as well (90.0 %), and is simpler."),
        ([RivalResult("svm", "support vector machine", note="it failed")], "The network is right on 90.0 %"),
    ],
)
def test_the_first_sentence_is_the_verdict(rivals, first):
    assert verdict(choices(rivals=rivals))[0].startswith(first)


def test_a_lead_within_the_interval_is_not_called_certain():
    assert "not certain" in " ".join(verdict(choices(rivals=[accuracy(0.89, **FOREST)])))
    assert "not certain" not in " ".join(verdict(choices(rivals=[accuracy(0.7, **FOREST)])))


def test_a_network_that_learned_nothing_is_told_so():
    chance = accuracy(0.9, name="majority", title="always answering the most frequent class", baseline=True)
    assert verdict(choices(0.8, rivals=[chance]))[0].startswith("The network is worse than always answering")
    assert verdict(choices(0.9, rivals=[chance]))[0].startswith("It is not certain that the network is better")


def test_the_verdict_on_labels_says_how_many_are_found_and_right():
    result = several()
    found, right = (result.metrics[name].value for name in ("label_recall", "label_precision"))
    first = verdict(result)[0]
    assert first.startswith(
        f"The network finds {100 * found:.1f} % of the labels of 300 rows that it had not seen, and"
    )
    assert f"and {100 * right:.1f} % of what it answers is right (macro F1 0." in first
    assert verdict(result, folds=True)[0].startswith("Networks trained in this way find ")
    silent = examine("tags", Several((9,), 30), np.eye(30)[:, [0, 5]] * [1, 0], np.zeros((30, 1)), classes=["a"])
    assert "0.0 % of the labels of 30 rows" in verdict(silent)[0] and "is right" not in verdict(silent)[0]


def test_labels_are_shown_one_by_one_and_mistakes_with_all_of_theirs():
    result = several(
        show=lambda row: (f"line {row}", {"size": Text(str(row))}), strange=7, name_truth=lambda row: "new"
    )
    assert [each.name for each in result.details.labels] == ["small", "round", "rare"]
    assert [each.rows for each in result.details.labels] == list(result.answer.counts)
    assert result.details.unknown == 7
    assert "7 examined rows have labels of 'tags' that are not learned; they count as missed." in verdict(result)
    assert len(result.details.mistakes) == 12
    strange = several(show=lambda row: (f"line {row}", {}), strange=300, name_truth=lambda row: "new")
    assert {each.truth for each in strange.details.mistakes} == {"new"}
    known = several(show=lambda row: (f"line {row}", {})).details.mistakes
    assert all(each.truth != each.answer and each.confidence == pytest.approx(0.8) for each in known)
    assert any(", " in each.truth for each in known) and any(each.truth == "no label" for each in known)
    full = report(result, several(names=[f"label {place}" for place in range(130)]))
    page = full.html()
    Page(page)
    assert "Label by label" in page and "70 rarer labels are not shown" in page
    assert "F1 by label" in "\n".join(full.summary())
    assert any("Little is known about the label rare of tags" in line for line in page.split("<li>"))
    again = Report.from_json(json.loads(json.dumps(full.to_json(), allow_nan=False)))
    assert again.summary() == full.summary() and again.targets[0].details.labels == result.details.labels
    assert again.targets[0].answer == result.answer


def test_no_score_below_twenty_rows():
    result = choices(rows=12)
    assert result.metrics == {} and "only 12 rows could be examined" in verdict(result)[0]
    small = report(result)
    assert small.metrics == {} and "only 12 rows" in small.html() and "only 12 rows" in small.model_card()
    assert verdict(choices(rows=0))[0].startswith("No score is given: no row")


def test_the_score_of_folds_is_called_the_procedures():
    folded = report(amounts(), protocol="folds", parts={"examined in 5 folds": 300})
    assert folded.summary()[0].startswith("Networks trained in this way explain")
    assert "procedure" in folded.html() and "procedure" in folded.model_card()


def test_metrics_are_a_dictionary_by_name_and_by_target_where_there_are_several():
    one, two = choices(), amounts()
    assert report(one).metrics["accuracy"]["value"] == 0.9
    assert report(one, two).metrics["price"]["r2"].rows == 300
    truth = np.arange(30) % 2
    assert report(one).metrics.keys() == measure(one.answer, truth, np.eye(2)[truth]).keys()


def test_json_is_strict_and_comes_back():
    rivals = [BASELINE, RivalResult("svm", "support vector machine", note="out of time")]
    shown = {"photo": Image(PNG, "a photo"), "size": Text("3")}
    full = report(
        choices(rivals=rivals, show=lambda row: (f"line {row}", shown)),
        amounts(),
        history=history(),
        inputs=[InputColumn("size", "number", "1 to 9", Vector(1)), InputColumn("photo", "image", "", Grid(3, (8, 8)))],
        settings={"hidden": (64, 64)},
        timings={"training": 1.5},
    )
    text = json.dumps(full.to_json(), allow_nan=False)
    again = Report.from_json(json.loads(text))
    assert again.metrics == full.metrics and again.summary() == full.summary()
    assert json.dumps(again.to_json()) == text


class Page(HTMLParser):
    """Collects elements and attributes, and complains of an element that is closed out of turn."""

    VOID = frozenset({"meta", "img", "br", "line", "circle", "polyline"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def hostile():
    shown = {HOSTILE: Image(PNG, HOSTILE), "b": Text(HOSTILE)}
    return report(
        choices(classes=(HOSTILE, "b", "c"), show=lambda row: (HOSTILE, shown), rivals=[BASELINE]),
        several((HOSTILE, "b"), show=lambda row: (HOSTILE, shown)),
        amounts(show=lambda row: (HOSTILE, {HOSTILE: Text(HOSTILE)})),
        title=HOSTILE,
        source=HOSTILE,
        findings=[HOSTILE],
        notes=[HOSTILE],
        network=HOSTILE,
        why=HOSTILE,
        history=history(),
        inputs=[InputColumn(HOSTILE, "image", HOSTILE, Grid(1, (8, 8)))],
        settings={HOSTILE: HOSTILE},
        folder=HOSTILE,
    )


def test_the_page_is_whole_fetches_nothing_and_escapes_everything(hostile):
    text = hostile.html()
    page = Page(text)
    assert "script" not in page.tags and not any(name.startswith("on") for name, _ in page.attributes)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text)
    assert all(value.startswith("data:image/png;base64,") for name, value in page.attributes if name in ("src", "href"))
    assert {"svg", "table", "img", "pre"} <= set(page.tags)
    assert 'name="viewport"' in text
    Page(hostile._repr_html_())


def test_the_card_stays_in_its_place(hostile):
    card = hostile.model_card()
    front, body = card.removeprefix("---\n").split("\n---\n", 1)
    keys = [line.split(":")[0] for line in front.splitlines()]
    assert keys == ["library_name", "tags", "metrics", "model-index"]
    assert all(json.loads(line.split(": ", 1)[1]) for line in front.splitlines())
    assert "license: evil" not in re.findall(r"(?m)^.*$", body)
    assert not re.search(r"(?<!\\)<", body.split("## How to use it")[0])


@pytest.mark.parametrize(
    ("inputs", "target", "tag"),
    [
        ({"number": Vector(1), "category": Vector(0, (3,))}, choices, "tabular-classification"),
        ({"number": Vector(1)}, amounts, "tabular-regression"),
        ({"number": Vector(1)}, several, "tabular-classification"),
        ({"image": Grid(3, (32, 32))}, choices, "image-classification"),
        ({"image": Grid(3, (32, 32))}, amounts, None),
        ({"image": Grid(3, (32, 32)), "number": Vector(1)}, choices, None),
        ({"audio": Grid(1, (64, 200))}, choices, "audio-classification"),
        ({"series": Grid(1, (99,))}, choices, None),
    ],
)
def test_the_card_names_the_task_where_there_is_one(inputs, target, tag):
    inputs = [InputColumn(kind, kind, "", shape) for kind, shape in inputs.items()]
    found = re.search(r'(?m)^pipeline_tag: "(.*)"$', report(target(), inputs=inputs).model_card())
    assert (found and found[1]) == tag


def test_the_worst_mistakes_come_first():
    result = amounts(show=lambda row: (f"line {row}", {}))
    errors = [
        abs(float(one.truth.replace(",", "")) - float(one.answer.replace(",", ""))) for one in result.details.mistakes
    ]
    assert errors == sorted(errors, reverse=True) and len(errors) == 12
    wrong = choices(0.99, show=lambda row: (f"line {row}", {})).details.mistakes
    assert len(wrong) == 5 and all(one.truth != one.answer and one.confidence == 0.8 for one in wrong)


def test_rows_of_a_class_that_was_never_learned_stand_in_a_row_of_their_own():
    truth = np.arange(60) % 2
    prediction = np.eye(2)[truth] * 0.8 + 0.1
    truth[:5] = -2
    shown = {"size": Text("3")}
    result = examine(
        "bought",
        Choice((30, 30)),
        truth,
        prediction,
        classes=("no", "yes"),
        show=lambda row: (f"line {row}", shown),
        name_truth=lambda row: f"perhaps {row}",
    )
    assert result.examined == 60 and result.details.unknown == 5
    assert result.details.confusion == [[27, 0], [0, 28], [3, 2]]
    assert result.metrics["accuracy"].value == 55 / 60
    assert [(each.truth, each.answer) for each in result.details.mistakes[:2]] == [
        ("perhaps 0", "no"),
        ("perhaps 1", "yes"),
    ]
    sentence = (
        "5 examined rows have a class of 'bought' that no training row has ('perhaps 0', 'perhaps 1', 'perhaps 2')"
    )
    assert verdict(result)[-1] == f"{sentence}; they count as wrong."
    full = report(result)
    assert "(other)" in full.html() and "they count as wrong" in full.html() and "count as wrong" in full.model_card()
    assert any("count as wrong" in line for line in full.summary())
    assert Report.from_json(json.loads(json.dumps(full.to_json()))).summary() == full.summary()
    many = examine("x", Choice((2,) * 60), np.full(60, -2), np.eye(60), classes=[str(code) for code in range(60)])
    assert "<td>(other)</td>" in report(many).html()


@pytest.mark.parametrize("classes", [2, 12, 30, 60, 150])
def test_any_number_of_classes_makes_a_page(classes):
    result = choices(classes=tuple(f"class {code}" for code in range(classes)))
    assert (result.details.confusion is None) == (classes > 100)
    Page(report(result).html())


def test_what_rivals_missed_is_said():
    rivals = [BASELINE, RivalResult("svm", "support vector machine", note="it was ended after 90 s")]
    text = "\n".join(report(choices(rivals=rivals)).summary())
    assert "learned from 2,000 rows" in text and "it was ended after 90 s" in text


def test_a_file_is_written_whole(tmp_path):
    report(choices(), history=history(), folder="runs/shop").write_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").endswith("</html>\n")


def test_plots_of_little_or_equal_values():
    assert line_plot([Line("a", "one", [(1.0, 2.0)])], x="x", y="y", title="t") == ""
    assert "polyline" in line_plot([Line("a", "one", [(1.0, 2.0), (2.0, 2.0)])], x="x", y="y", title="t")
    assert scatter_plot([(1.0, float("nan")), (1.0, 1.0)], x="x", y="y", title="t") == ""
    assert scatter_plot([(3.0, 3.0), (3.0, 3.0)], x="x", y="y", title="t")
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_settings():
    assert EvaluationSettings(rival_time="90s").rival_time == Duration(90)
    assert {each.name: each.common for each in EvaluationSettings.declared()} == {"rivals": True, "rival_time": False}
