"""Reasoning in words.

"Jack is 12 years old. Jane is 10. Kate is older than Jane, and younger than Jack. How old is Kate?" 30,000 such
stories, made with a known law (`data_sets/writing.py`), told in four ways, with other people and sentences that do not
matter. The names of the exam's people occur in no story that was learned from, so they are read in parts of words.

The figure is the share of right answers. The rival answers as the most similar story did.
"""

import textwrap

import polars as pl

import instar
from data_sets.writing import asked_and_answered
from examples.gallery import OTHERS, OURS, WRONG, Shown, best_rival, canvas


def run() -> Shown:
    stories = asked_and_answered("story")
    model = instar.train(stories, "answer", kind=["asked=text", "answer=text"], split="part", symbols="bpe")
    rival, score = best_rival(model)

    new = pl.read_csv(stories).filter(pl.col("part") == "test").head(3)
    answers = model.predict(new.select("asked"))["prediction"]
    drawing, (axes,) = canvas(7.4, 2.1)
    for place, (story, truth, answer) in enumerate(zip(new["asked"], new["answer"], answers, strict=True)):
        axes.text(0, -place, "\n".join(textwrap.wrap(story, 76)), va="top", color=OTHERS)
        axes.text(1, -place, answer, size=16, va="top", ha="right", color=OURS if answer == str(truth) else WRONG)
    axes.set(xlim=(0, 1), ylim=(-3, 0))
    axes.axis("off")
    return Shown(f"{model.report.metrics['exact_match'].value:.1%} right", f"{rival} {score:.1%}", drawing, [model])
