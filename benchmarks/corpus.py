"""A character model on a novel by Austen, in ten minutes: how many bits it needs for a character of passages not seen.

The rival, an n-gram model with back-off, learns from the same passages and those that end the training. Beside it: how
many characters a second training learns from, evaluations, checkpoints and log included, and how many a plain loop of
torch around the same network does, on the same batches, one after the other in one process.

Bars: at most 2.3 bits per character, and fewer than the n-gram model; at least 0.85 of the plain loop's characters a
second.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import heading, instar, median, read_report, spread, table, workshop
from data_sets.austen import austen
from instar.batches import Batches
from instar.fields import kinds
from instar.networks import assemble
from instar.prepared import Examples
from instar.sources.locate import locate
from instar.store import ColumnPlan, Store, StorePlan
from instar.training.loop import train
from instar.training.settings import resolve

MOST_BITS, LEAST_RATIO = 2.3, 0.85
ROUNDS = 3


def learn(path: Path, minutes: float, seed: int, settings: list[str]) -> None:
    given = [word for setting in settings for word in ("--set", setting)]
    with workshop() as folder:
        out = folder / "model"
        instar(
            *("train", f"corpus:{path}", "--out", out, "--time", f"{minutes}m", "--seed", str(seed), *given),
            cache=folder / "cache",
        ).must_succeed()
        report = read_report(out)
        (target,) = report["targets"]
        written = instar("generate", out, "--prompt", "Emma ", "--length", "300", "--temperature", "0.7", cache=folder)
    score = target["metrics"]["bits_per_character"]
    rows = [
        (
            report["network"],
            score["rows"],
            f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})",
            target["metrics"]["perplexity"]["value"],
            report["timings"]["training"],
        )
    ]
    others = []
    for rival in target["rivals"]:
        bits = rival["metrics"].get("bits_per_character", {}).get("value", float("nan"))
        perplexity = rival["metrics"].get("perplexity", {}).get("value", float("nan"))
        rows.append((rival["title"], rival["examined"], f"{bits:.3f}", perplexity, rival["seconds"]))
        others.append(bits)
    table(("model", "test passages", "bits per character", "perplexity", "seconds"), rows)
    table(
        ("figure", "measured", "bar", "reached"),
        [
            ("bits per character", score["value"], f"<= {MOST_BITS}", score["value"] <= MOST_BITS),
            ("fewer than the best rival's", min(others) - score["value"], "> 0", score["value"] < min(others)),
        ],
    )
    print("What it writes after 'Emma ' at temperature 0.7:\n")
    print("\n".join(f"    {line}" for line in written.must_succeed().stdout.splitlines()), "\n")


def compare_speed(path: Path) -> None:
    source = locate(f"corpus:{path}")
    (name,) = source.schema().columns
    kind, settings = kinds[source.schema().kinds[name]], kinds[source.schema().kinds[name]].settings()
    column = source.sample(10_000).columns[name]
    store = Store.build(source, StorePlan({name: ColumnPlan.survey(name, kind.name, column, settings, source.place)}))
    rows = np.arange(len(store))
    learned, held_out = rows[rows % 8 != 0], rows[rows % 8 == 0]
    stored = store.column(name)
    read, told = (kind.fit(name, stored.chunks(learned), {}, settings, target=target) for target in (False, True))
    examples = Examples(store, [read], [told])
    assert read.shape is not None and told.answer is not None

    def network() -> torch.nn.Module:
        torch.manual_seed(0)
        return assemble({name: read.shape}, {name: told.answer})

    recipe = network().plan.principal.recipe
    training = resolve({"epochs": 1, "threads": 1, "device": "cpu"}, recipe, len(learned))
    batches = Batches(examples, learned, size=training.batch, seed=0)
    symbols = int(stored.arrays(learned).lengths.sum())
    ours, bare = [], []
    for _ in range(ROUNDS):
        with workshop() as folder:
            validation = Batches(examples, held_out, size=64, seed=0, shuffle=False)
            began = time.perf_counter()
            train(network(), batches, validation, training, folder=folder, seed=0)
            ours.append(symbols / (time.perf_counter() - began))
        bare.append(symbols / plain_loop(network(), batches, training))
    ratio = median(ours) / median(bare)
    table(
        ("characters a second", "measured"),
        [("instar's training", spread(ours)), ("plain loop of torch", spread(bare))],
    )
    table(("figure", "measured", "bar", "reached"), [("ratio", ratio, f">= {LEAST_RATIO}", ratio >= LEAST_RATIO)])


def plain_loop(network, batches, settings) -> float:
    """Seconds of an epoch of torch alone, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    network.train()
    began = time.perf_counter()
    for batch in batches.epoch(0):
        loss = network.loss(batch.inputs, batch.targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
    seconds = time.perf_counter() - began
    torch.set_num_threads(before)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--novel", default="Emma", help="its title")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("bits", "speed"), help="one of the two measurements")
    parser.add_argument("--set", action="append", default=[], help="a setting, to try another than the default")
    arguments = parser.parse_args()
    path = austen() / f"{arguments.novel}.txt"
    heading("A novel, character by character")
    if arguments.only != "speed":
        learn(path, arguments.minutes, arguments.seed, arguments.set)
    if arguments.only != "bits":
        compare_speed(path)


if __name__ == "__main__":
    main()
