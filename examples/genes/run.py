"""Genes: four tumors of childhood, and a motif in DNA.

First 63 children, 2,308 genes each, and one of four tumors that look alike under a microscope; 20 more are the exam, as
published (Khan et al. 2001; from the package `ISLP`, BSD-2). Then 2,000 strings of 120 letters, half of which hold a
binding site that reads GGTCANNNTGACC but for one letter, made with that law; the others hold its letters in any order.

The figures are right answers: of the 20 children, and of the strings that nothing was learned from.
"""

import instar
from data_sets.genes import khan, motif
from examples.gallery import Shown, bars, canvas, with_rivals


def run() -> Shown:
    tumors = instar.train(khan(), target="tumor", split="part")
    binds = instar.train(motif(), target="binds", network="text-cnn", windows=[13], epochs=20)

    drawing, (left, right) = canvas(8.4, 2.8, columns=2)
    scores = [with_rivals(model, metric="accuracy") for model in (tumors, binds)]
    for axes, title, values in zip((left, right), ("20 children, 2,308 genes", "a motif in DNA"), scores, strict=True):
        bars(axes, values, form="{:.0%}")
        axes.set_title(title)
    best = [next((name, value) for name, value in each.items() if name != "Instar") for each in scores]
    return Shown(
        f"{scores[0]['Instar']:.0%} of the tumors, {scores[1]['Instar']:.1%} of the motifs",
        f"{best[0][0]} {best[0][1]:.0%}, {best[1][0]} {best[1][1]:.1%}",
        drawing,
        [tumors, binds],
    )
