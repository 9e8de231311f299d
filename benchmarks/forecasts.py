"""Forecasts of series that ship with R's books on forecasting, beside simpler methods on the same exam.

Bar: a MASE below that of the seasonal naive forecast on three sets. All that is learned from ends before the first
step that examines it.
"""

from __future__ import annotations

import argparse

from benchmarks.common import heading, instar, read_report, table, workshop
from data_sets.forecasts import TASKS, steps_of

RIVALS = ("seasonal_naive", "lagged_ridge", "lagged_boosting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(TASKS), help="sets, separated by commas")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--time", default="5m", help="longest training")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("Forecasts")
    given = [word for setting in arguments.set for word in ("--set", setting)]
    rows = []
    for name in arguments.only.split(","):
        task = TASKS[name]
        flags = ("--target", task.target, "--forecast", str(task.ahead), *task.flags, "--time", arguments.time)
        for seed in range(arguments.seeds):
            with workshop() as folder:
                command = ("train", steps_of(name), *flags, "--out", folder / "m", "--seed", str(seed), *given)
                done = instar(*command, cache=folder / "cache").must_succeed()
                report = read_report(folder / "m")
            (target,) = report["targets"]
            score, likeness = target["metrics"]["mase"], target["metrics"]["smape"]["value"]
            rivals = {each["name"]: each["metrics"]["mase"]["value"] for each in target["rivals"] if each["metrics"]}
            held = next((note.split(" held it in ")[1] for note in report["notes"] if note.startswith("Ranges")), "-")
            interval = f"{score['low']:.3f} to {score['high']:.3f}"
            others = [rivals.get(each, float("nan")) for each in RIVALS]
            times = report["timings"]["training"], done.seconds
            reached = score["value"] < rivals["seasonal_naive"]
            label = f"{name}, {task.ahead} ahead"
            rows.append(
                (
                    label,
                    seed,
                    score["value"],
                    interval,
                    *others,
                    likeness,
                    score["rows"],
                    held.split(" of ")[0],
                    *times,
                    reached,
                )
            )
    table(
        (
            *("set", "seed", "MASE", "95 % interval", "seasonal naive", "ridge on lags", "trees on lags", "sMAPE"),
            *("forecasts", "ranges of 90 %", "seconds of training", "whole process", "reached"),
        ),
        rows,
    )


if __name__ == "__main__":
    main()
