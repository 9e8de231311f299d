"""Games of Gymnasium, learned with the default settings and examined on 100 reserved episodes each.

Bars: CartPole-v1 a mean return of at least 475, what its page calls solved, within 2 minutes of training on 2 cores;
MountainCarContinuous-v0 at least 90, what its page calls solved. Pendulum-v1 has no such bound: its figure is beside
the others', and so are those of games with few and late rewards.
"""

from __future__ import annotations

import argparse

from benchmarks.common import heading, instar, read_report, scores, table, workshop

BARS = {"CartPole-v1": 475.0, "MountainCarContinuous-v0": 90.0}
OTHERS = ("Acrobot-v1", "MountainCar-v0", "Pendulum-v1")
TIME, SECONDS = "2m", 120


def examine(name: str, seed: int, time: str, settings: list[str]) -> tuple[object, ...]:
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as folder:
        out = folder / "model"
        done = instar(
            *("train", f"gym:{name}", "--out", out, "--seed", str(seed), "--time", time, *given),
            cache=folder / "cache",
        ).must_succeed()
        report, score = read_report(out), scores(out)["mean_return"]
    rivals = {each["name"]: each["metrics"]["mean_return"]["value"] for each in report["targets"][0]["rivals"]}
    rounds = sum(line["event"] == "round" for line in report["history"])
    training, bar = report["timings"]["training"], BARS.get(name)
    # A network that is at work when the time is over ends its step first.
    reached = "-" if bar is None else score["value"] >= bar and training <= SECONDS + 5
    interval = f"{score['low']:.1f} to {score['high']:.1f}"
    return (
        *(name, seed, score["value"], interval, rivals["chance"], rivals["constant"], rounds),
        *(report["rows"], training, done.seconds, "-" if bar is None else bar, reached),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join((*BARS, *OTHERS)), help="names separated by commas; default: all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--time", default=TIME, help="longest training")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("Games")
    rows = [
        examine(name, seed, arguments.time, arguments.set)
        for name in arguments.only.split(",")
        for seed in range(arguments.seeds)
    ]
    table(
        (
            *("game", "seed", "mean return", "95 % interval", "by chance", "best constant action", "rounds"),
            *("steps played", "seconds of training", "whole process", "bar", "reached"),
        ),
        rows,
    )


if __name__ == "__main__":
    main()
