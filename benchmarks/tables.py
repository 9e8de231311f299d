"""The suite of eight tables at default settings, the network beside its rivals on the same split.

Bar: on every table the network's test score is at least the best rival's minus its interval (half its width), and on
at least three it is better than every rival.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.common import heading, instar, read_report, table, workshop
from data_sets.tables import TABLES, file_of
from instar.metrics import better


def compare(report: dict[str, Any]) -> tuple[Any, ...]:
    """The network and the best rival by the report's main metric, and whether the bar holds."""
    (target,) = report["targets"]
    metric = target["main_metric"]
    ahead = 1 if better(metric, 1, 0) else -1
    network = target["metrics"][metric]
    finished = [rival for rival in target["rivals"] if metric in rival["metrics"]]
    best = max(finished, key=lambda rival: ahead * rival["metrics"][metric]["value"])
    score = best["metrics"][metric]
    margin = ahead * (network["value"] - score["value"])
    holds = margin >= -(score["high"] - score["low"]) / 2
    return metric, _interval(network), best["name"], _interval(score), margin, holds, margin > 0


def _interval(score: dict[str, float]) -> str:
    return f"{score['value']:.4g} ({score['low']:.4g} to {score['high']:.4g})"


def examine(name: str, folder: Path, seed: int, settings: list[str]) -> tuple[Any, ...]:
    out = folder / "model"
    given = [word for setting in settings for word in ("--set", setting)]
    done = instar(
        *("train", file_of(name), "--target", TABLES[name].target, "--out", out, "--seed", str(seed), *given),
        cache=folder / "cache",
    ).must_succeed()
    report = read_report(out)
    return name, report["network"], *compare(report), done.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(TABLES), help="names separated by commas; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    heading("Tables")
    rows = []
    for name in arguments.only.split(","):
        with workshop() as folder:
            rows.append(examine(name, folder, arguments.seed, arguments.set))
            print(f"- {name}: {rows[-1]}", flush=True)
    print()
    table(
        (
            *("table", "network", "metric", "network's score", "best rival", "its score", "ahead by"),
            *("within its interval", "better than all", "seconds, whole process"),
        ),
        rows,
    )
    within, better = (sum(row[column] for row in rows) for column in (7, 8))
    table(
        ("figure", "measured", "bar", "reached"),
        [
            ("within the best rival's interval", f"{within} of {len(rows)}", "all", within == len(rows)),
            ("better than every rival", f"{better} of {len(rows)}", ">= 3", better >= 3),
        ],
    )


if __name__ == "__main__":
    main()
