"""Every registered kind, as input and where it can as target, through its whole life: train, save, load, predict,
evaluate.

A kind or a network that a plug-in registers is taken along without a word here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import instar
from instar.fields import kinds
from instar.shapes import Answer, Forecast, Mapped, Shape, Vector
from interruption import learned_twice
from published import PUBLISHED, UNPUBLISHED

INPUTS = [name for name, kind in kinds.items() if not kind.unanswered]
ROWS = 1_100
QUICK = {"epochs": 2, "rivals": False, "batch": 256}
# One training on few rows, where it is not the exam that is looked at.
FEW, BRIEF = 160, {"epochs": 2, "rivals": False, "batch": 32, "test_share": 0, "relearn_below": 0}


def records(name: str, *, target: bool, rows: int = ROWS) -> dict:
    """A column of the kind beside a number; the answer is a class, or the column itself."""
    generator = np.random.default_rng(7)
    content = kinds[name].sample(generator, rows=rows)
    number = pl.Series("number", generator.normal(size=rows))
    if target:
        other = pl.Series("other", generator.normal(size=rows))
        # What is answered cell by cell is made of something that has as many cells, and lies where it lies; what is
        # continued has a course.
        answered, axes = answer_of(name), axes_of(name)
        made_of = {2: {"picture": kinds["image"].sample(generator, rows=rows)}, 3: {"scan": content}}.get(axes, {})
        made_of |= {"course": content} if isinstance(answered, Forecast) else {}
        return {"number": number, "other": other, **made_of, "answer": content}
    answer = pl.Series("answer", np.where(number.to_numpy() > 0, "above", "below"))
    return {"content": content, "number": number, "answer": answer}


def answer_of(name: str) -> Answer | None:
    """What answers the kind's sample."""
    kind = kinds[name]
    content, settings = kind.sample(np.random.default_rng(7)), kind.settings()
    plan = kind.survey(content, settings)
    return kind.fit("c", [kind.read(content, plan)], plan, settings, target=True).answer


def axes_of(name: str) -> int:
    """Of how many axes the cells of the kind's sample are, where it is answered cell by cell."""
    answer = answer_of(name)
    return len(answer.extent) if isinstance(answer, Mapped) else 0


def shape_of(name: str) -> Shape | None:
    """The shape of the kind's sample as an input."""
    kind = kinds[name]
    content, settings = kind.sample(np.random.default_rng(7)), kind.settings()
    plan = kind.survey(content, settings)
    return kind.fit("content", [kind.read(content, plan)], plan, settings, target=False).shape


@pytest.mark.parametrize("name", INPUTS)
def test_every_kind_is_an_input_from_training_to_evaluation(name: str, tmp_path: Path) -> None:
    source = records(name, target=False, rows=FEW)
    model = instar.train(source, "answer", out=tmp_path / "run", kind=[f"content={name}"], **BRIEF)
    assert "content" in [each.name for each in model.inputs]
    before = model.predict_proba(source)
    assert before.shape == (FEW, 2)
    assert np.allclose(before.sum(axis=1), 1, atol=1e-5)
    loaded = instar.load(model.save(tmp_path / "copy"))
    assert np.array_equal(loaded.predict_proba(source), before)
    assert loaded.classes == model.classes
    assert loaded.evaluate(source).metrics["accuracy"].rows == FEW
    few = {column: values[:5] for column, values in source.items()}
    assert np.allclose(loaded.predict_proba(few), before[:5], atol=1e-5)


@pytest.mark.parametrize("name", [name for name, kind in kinds.items() if kind.can_be_target])
def test_every_kind_that_can_be_a_target_is_learned(name: str, tmp_path: Path) -> None:
    # What answers every cell of a volume takes its time.
    rows, few = (160, {"width": 8, "folds": 2}) if axes_of(name) == 3 else (ROWS, {})
    source = records(name, target=True, rows=rows)
    asked = {"odd": "answer"} if kinds[name].unanswered else {"target": "answer", "kind": [f"answer={name}"]}
    model = instar.train(source, out=tmp_path / "run", **asked, **QUICK, **few)
    frame = instar.load(tmp_path / "run").predict(source)
    steps = getattr(answer_of(name), "steps", 1)  # a forecast has a row for each of them
    assert len(frame) == rows * steps
    answered = "bits_per_character" if kinds[name].answers_itself else "prediction"
    assert frame[answered].null_count() == 0
    assert model.evaluate(source).metrics


@pytest.mark.parametrize(
    ("name", "target"),
    [(name, False) for name in INPUTS] + [(name, True) for name, kind in kinds.items() if kind.answers_itself],
)
def test_every_kind_goes_on_after_a_stop_and_ends_with_the_same_bits(name: str, target: bool, tmp_path: Path) -> None:
    source = records(name, target=target, rows=FEW)
    given = {"target": "answer", "kind": [f"{'answer' if target else 'content'}={name}"], **BRIEF}
    learned_twice(source, given, tmp_path, stop_at=4)


@pytest.mark.parametrize("name", INPUTS)
def test_every_kind_is_learned_without_answers_and_goes_on_after_a_stop(name: str, tmp_path: Path) -> None:
    source = records(name, target=False, rows=96)
    source.pop("answer")
    small = {"epochs": 1, "batch": 32, "rebuilding_width": 8, "test_share": 0, "relearn_below": 0}
    given = {"no_target": True, "kind": [f"content={name}"], **QUICK, **small}
    model = learned_twice(source, given, tmp_path, stop_at=3)
    loaded = instar.load(tmp_path / "whole")
    frame = loaded.predict(source)
    assert frame.equals(model.predict(source)) and frame["prediction"].sum() < 96 / 4
    assert set(frame["oddest"].drop_nulls()) <= {"content", "number"}
    assert np.array_equal(loaded.embed(source).to_numpy(), model.embed(source).to_numpy(), equal_nan=True)
    assert loaded.evaluate(source).metrics["explained"].rows == 96


@pytest.mark.parametrize("name", [*UNPUBLISHED, *(pytest.param(name, marks=pytest.mark.slow) for name in PUBLISHED)])
@pytest.mark.parametrize("kind", [name for name in INPUTS if not isinstance(shape_of(name), Vector)])
def test_every_network_trains_on_every_kind_that_it_takes_or_says_why_not(name: str, kind: str, tmp_path: Path) -> None:
    source = records(kind, target=False, rows=FEW)
    try:
        model = instar.train(source, "answer", out=tmp_path / "run", network=name, kind=[f"content={kind}"], **BRIEF)
    except instar.InstarError as refusal:
        assert name in str(refusal)
        assert not (tmp_path / "run").exists()
    else:
        assert model.network.plan.as_json() == instar.load(tmp_path / "run").network.plan.as_json()
