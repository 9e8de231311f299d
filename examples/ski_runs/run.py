"""Ski runs: four kinds of customers and the snow so far, and what will be skied.

3,000 days of a resort, made with a known law (`data_sets/ski_runs.py`): how many beginners, families, racers and
freeriders came and how much snow had fallen give how often green, blue, red and black runs are skied. Four targets are
four counts at once, by one network.

The figures are R² of the four on days that nothing was learned from. No one can do better than the law itself, since
the counts are drawn by chance around it.
"""

import numpy as np
import polars as pl

import instar
from data_sets.ski_runs import CUSTOMERS, RUNS, expected, ski_runs
from examples.gallery import Shown, canvas


def run() -> Shown:
    model = instar.train(ski_runs(), target=list(RUNS), epochs=100)

    days = pl.read_csv(ski_runs())
    skied = days.select(RUNS).to_numpy()
    residuals = skied - expected(days.select(CUSTOMERS).to_numpy(), days["snow"].to_numpy())
    possible = 1 - residuals.var(0) / skied.var(0)
    ours = [result.score.value for result in model.report.targets]
    rivals = [result.ranked()[0].metrics["r2"].value for result in model.report.targets]

    # One Saturday's crowd, with ever more snow.
    snow = np.linspace(0, 200, 81)
    crowd = np.tile([90, 120, 30, 45], (len(snow), 1))
    law = expected(crowd, snow)
    answers = model.predict(pl.DataFrame(dict(zip(CUSTOMERS, crowd.T, strict=True)) | {"snow": snow}))
    drawing, (axes,) = canvas(6.8, 3)
    for place, (name, color) in enumerate(zip(RUNS, ("#2b8a3e", "#1971c2", "#e03131", "#212529"), strict=True)):
        axes.plot(snow, law[:, place], color=color, linewidth=5, alpha=0.25)
        axes.plot(snow, answers[f"{name}_prediction"], color=color, linewidth=1.5, label=name)
    axes.set_xlabel("centimeters of snow, for the same crowd; lines: Instar; broad: the law")
    axes.set_ylabel("runs skied")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return Shown(
        f"R² {min(ours):.3f} to {max(ours):.3f}",
        f"the law itself {min(possible):.3f} to {max(possible):.3f}, the best rivals {min(rivals):.3f} to "
        f"{max(rivals):.3f}",
        drawing,
        [model],
    )
