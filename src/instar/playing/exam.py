"""The exam: reserved episodes, which are never learned from, played by the network and by who needs none."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from instar.evaluation.rivals.run import RivalResult
from instar.metrics import LEAST_ROWS, Score, scored
from instar.playing.episodes import Arena, Episode, Purpose, seeds_for
from instar.playing.policies import Chance, Constant, Policy
from instar.playing.spaces import Part
from instar.resampling import Groups
from instar.seeds import seed_for

# Constant actions that are tried, and episodes by which the best of them is chosen.
MOST_CONSTANTS, TRIED_EPISODES = 32, 10
RESAMPLES = 1000


def examine_play(arena: Arena, policy: Policy, count: int, seed: int = 0) -> list[Episode]:
    """``count`` reserved episodes with nothing left to chance; ``seed`` says which, and 0 are those of the report."""
    return arena.play(policy, seeds_for(Purpose.EXAM, seed, count))


def measure_play(episodes: Sequence[Episode]) -> dict[str, Score]:
    """Mean return and length of episodes with their intervals; empty below 20."""
    if len(episodes) < LEAST_ROWS:
        return {}
    groups = Groups(len(episodes), 0, RESAMPLES)
    table = np.array([[each.total, each.steps, 1.0] for each in episodes])
    sums = groups.resample(table)
    found = {
        name: scored(name, float(table[:, column].mean()), sums[:, column] / sums[:, 2], len(episodes))
        for column, name in enumerate(("mean_return", "episode_length"))
    }
    return {name: score for name, score in found.items() if score is not None}


def rivals_of(arena: Arena, count: int, seed: int) -> list[RivalResult]:
    """Whoever acts by chance, and whoever always does what serves best, on the reserved episodes of the report."""
    seeds = seeds_for(Purpose.EXAM, 0, count)

    def by_chance() -> list[Episode]:
        return arena.play(Chance(arena.actions), seeds, luck=seed_for(seed, "rival"))

    def constantly() -> list[Episode]:
        tried = seeds_for(Purpose.CHOOSING, seed, TRIED_EPISODES, stage=1)
        best, reached = None, -np.inf
        for values in constants(arena.actions.parts, seed):
            mean = float(np.mean([each.total for each in arena.play(Constant(values), tried)]))
            if mean > reached:
                best, reached = values, mean
        assert best is not None  # there is always something to do
        return arena.play(Constant(best), seeds)

    return [
        _rival("chance", "acting by chance", by_chance),
        _rival("constant", "the best constant action", constantly),
    ]


def _rival(name: str, title: str, play: Callable[[], list[Episode]]) -> RivalResult:
    began = time.monotonic()
    episodes = play()
    seconds = time.monotonic() - began
    note = f"played in {seconds:.1f} s"
    return RivalResult(name, title, measure_play(episodes), 0, len(episodes), seconds, note, baseline=True)


def constants(parts: Sequence[Part], seed: int) -> list[list[Any]]:
    """Actions that could always be done: every code, and low, middle and high of every amount; some where many."""
    choices: list[list[Any]] = []
    for part in parts:
        if part.codes is not None:
            choices.append(list(part.codes))
        else:
            assert part.low is not None and part.high is not None
            low, high = (np.where(np.isfinite(bound), bound, side) for bound, side in ((part.low, -1), (part.high, 1)))
            choices += [[one, (one + other) / 2, other] for one, other in zip(low, high, strict=True)]
    total = int(np.prod([len(each) for each in choices], dtype=float).clip(max=2**31))
    if total <= MOST_CONSTANTS:
        picked = list(itertools.product(*choices))
    else:
        generator = np.random.default_rng(seed_for(seed, "constants"))
        picked = [tuple(each[generator.integers(len(each))] for each in choices) for _ in range(MOST_CONSTANTS)]
    if parts[0].low is None:
        return [list(each) for each in picked]
    return [[np.asarray(each, np.float64)] for each in picked]
