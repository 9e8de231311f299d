"""More examples, or a better network?

10,600 snippets of film reviews, each with the mean of twenty people's scores from -4 to 4 (Hutto & Gilbert 2014; MIT
license), from the package `vaderSentiment`. A fifth is the exam; the network and its rivals learn from 1 %, from 10 %
and from all of the others.

The figure is R² for each share. Where curves still rise together, more examples help more than another method would;
where they lie far apart, it is the other way round.
"""

import polars as pl

import instar
from data_sets.sentiment import sentiment
from examples.gallery import OTHERS, OURS, Shown, canvas

EVERY = (100, 10, 1)


def run() -> Shown:
    reviews = pl.read_csv(sentiment("film"))
    exam, others = (reviews.filter((pl.col("part") == "test") == is_exam) for is_exam in (True, False))
    models, curves = [], {}
    for every in EVERY:
        known = others.gather_every(every)
        frame = pl.concat([known, exam])
        models.append(instar.train(frame, "score", split="part", out=f"runs/film-{len(known)}"))
        result = models[-1].report.targets[0]
        for name, value in [
            ("Instar", result.score.value),
            *((each.title, each.metrics["r2"].value) for each in result.ranked()),
        ]:
            curves.setdefault(name, []).append(value)

    drawing, (axes,) = canvas(6.4, 3)
    learned = [len(others.gather_every(every)) for every in EVERY]
    curves = {name: values for name, values in curves.items() if len(values) == len(EVERY) and values[-1] > 0.1}
    beside = 1.0
    for name, values in sorted(curves.items(), key=lambda curve: -curve[1][-1]):
        beside = min(values[-1], beside - 0.035)  # where names would lie on each other
        color, width = (OURS, 2.5) if name == "Instar" else (OTHERS, 1)
        axes.plot(learned, values, "o-", color=color, linewidth=width, markersize=4)
        axes.text(learned[-1] * 1.15, beside, name, fontsize=8, va="center")
    axes.set(xscale="log", ylim=(-0.2, None), xlabel="examples learned from", ylabel="R²")
    axes.grid(alpha=0.3)
    ours = curves.pop("Instar")
    best = [max(values) for values in zip(*curves.values(), strict=True)]
    return Shown(
        f"R² {', '.join(f'{value:.2f}' for value in ours)} from {', '.join(map(str, learned))} examples",
        f"the best rivals {', '.join(f'{value:.2f}' for value in best)}",
        drawing,
        models,
    )
