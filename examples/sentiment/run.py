"""How glad is a tweet? Sentiment as a number.

4,200 tweets, each with the mean of twenty people's scores from -4 (awful) to 4 (wonderful) (Hutto & Gilbert 2014; MIT
license), from the package `vaderSentiment`. The target is a number, so Instar answers with one, and with a range that
holds the truth nine times in ten.

The figure is R² on 838 tweets that nothing was learned from: which share of the scores' variance is told.
"""

import polars as pl

import instar
from data_sets.sentiment import sentiment
from examples.gallery import OURS, Shown, best_rival, canvas


def run() -> Shown:
    tweets = sentiment("tweets")
    model = instar.train(tweets, target="score", split="part")
    rival, score = best_rival(model)

    new = pl.read_csv(tweets).filter((pl.col("part") == "test") & pl.col("text").str.len_chars().is_between(20, 62))
    new = new.sort("score").gather_every(len(new) // 8, offset=3)
    answers = model.predict(new.select("text"))
    drawing, (axes,) = canvas(7.5, 3)
    for place, (text, truth, answer, low, high) in enumerate(
        zip(new["text"], new["score"], *(answers[name] for name in ("prediction", "low", "high")), strict=True)
    ):
        axes.plot([low, high], [place, place], color=OURS, alpha=0.3, linewidth=6, solid_capstyle="round")
        axes.plot(answer, place, "o", color=OURS)
        axes.plot(truth, place, "|", color="black", markersize=12, markeredgewidth=2)
        axes.text(-9.6, place, text, va="center", fontsize=8, parse_math=False)
    axes.set_xlim(-9.6, 4)
    axes.set_xticks([-4, -2, 0, 2, 4])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("answer and range (color), and what people said (|)", loc="right")
    return Shown(f"R² {model.report.metrics['r2'].value:.2f}", f"{rival} {score:.2f}", drawing, [model])
