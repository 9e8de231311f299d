"""Series over time, beside their published accuracies.

The season by a day's demand for power, motions by what a watch measures, men by how they say a vowel, and trees by the
outlines of their leaves: four sets of the archives of UCR and UEA (Dau et al. 2019; Bagnall et al. 2018), which the
package `aeon` ships (BSD-3), with the exam that the archives give.

The figures are right answers, beside those that Ismail Fawaz et al. (2020) publish for InceptionTime, which is five
networks that vote. Instar learns with one of the five, for far fewer passes.
"""

import instar
from data_sets.series import archive
from examples.gallery import OTHERS, OURS, Shown, canvas

# Of the authors' tables.
PUBLISHED = {"ItalyPowerDemand": 0.965, "BasicMotions": 1.0, "JapaneseVowels": 0.992, "OSULeaf": 0.942}


def run() -> Shown:
    models = [instar.train(archive(name), rivals=False, epochs=25) for name in PUBLISHED]
    reached = [model.report.metrics["accuracy"].value for model in models]

    drawing, (axes,) = canvas(6.4, 2.4)
    for place, (name, ours) in enumerate(zip(PUBLISHED, reached, strict=True)):
        axes.plot(PUBLISHED[name], -place, "o", color=OTHERS, markersize=12, alpha=0.6)
        axes.plot(ours, -place, "o", color=OURS, markersize=7)
        axes.annotate(f"{ours:.1%}", (ours, -place), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=8)
    axes.set_yticks([-place for place in range(len(PUBLISHED))], PUBLISHED)
    axes.set(xlim=(0.85, 1.005), ylim=(0.5 - len(PUBLISHED), 0.7))
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("right answers: Instar (color), five networks as published (gray)")
    return Shown(
        ", ".join(f"{ours:.1%}" for ours in reached),
        f"as published, with five networks: {', '.join(f'{each:.1%}' for each in PUBLISHED.values())}",
        drawing,
        models,
    )
