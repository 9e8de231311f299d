"""How the learning rate moves while a network learns: each schedule is a factor of the rate.

Some schedules need to know how long training will be, and some do not. Where patience decides the length, ``plateau``
is the one that both keeps the rate high while that helps and lowers it when it no longer does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

# A rate on its plateau is divided by 5 each time that a third of the patience has passed in vain, so that the last
# third runs at 1/25 of the rate, where the noise of the steps no longer hides small gains.
PLATEAU_FACTOR = 0.2
PLATEAU_STAGES = 3
PLATEAU_LEAST = 1e-3
# The share of its loss that a network has to gain before patience begins anew. Less of it is kept all the same, but
# each thousandth would buy a whole patience, for hours on a large table.
LEAST_GAIN = 0.01
# And so much of what a constant answer loses: else a network that has learned all would go on halving nearly nothing.
LEAST_LOSS = 1e-4


@dataclass(frozen=True)
class Schedule:
    """A factor of the rate by the part of training that is done, from 0 to 1.

    sized: whether it falls towards the last epoch, and so needs the length of training to be settled in advance.
    """

    factor: Callable[[float], float]
    sized: bool
    source: str


def _step(done: float) -> float:
    return 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01


def _trapezoid(done: float) -> float:
    return min(1.0, (1.0 - done) / 0.2)


def _one_cycle(done: float) -> float:
    start, peak = 0.04, 0.3
    if done < peak:
        return start + (1.0 - start) * (1.0 - math.cos(math.pi * done / peak)) / 2
    return (1.0 + math.cos(math.pi * (done - peak) / (1.0 - peak))) / 2


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(lambda done: 1.0, False, "Robbins & Monro 1951"),
    "plateau": Schedule(lambda done: 1.0, False, "as in He et al. 2016, section 3.4"),
    "linear": Schedule(lambda done: 1.0 - done, True, "Defazio et al. 2023"),
    "cosine": Schedule(lambda done: (1.0 + math.cos(math.pi * done)) / 2, True, "Loshchilov & Hutter 2017"),
    "step": Schedule(_step, True, "He et al. 2016"),
    "exponential": Schedule(lambda done: 0.01**done, True, "Senior et al. 2013"),
    "one-cycle": Schedule(_one_cycle, True, "Smith & Topin 2018"),
    "trapezoid": Schedule(_trapezoid, True, "Zhai et al. 2022; Haegele et al. 2024"),
}


def rate_factor(schedule: str, step: int, steps: int, warmup: int = 0, spent: float = 0.0) -> float:
    """The factor of the rate at ``step`` (from 0) of ``steps`` in all, the first ``warmup`` of them rising linearly.

    ``spent``: which share of the time is over, where it is limited: a rate falls with what ends sooner.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = max(spent, (step - warmup) / max(1, steps - warmup))
    return SCHEDULES[schedule].factor(min(1.0, done))


def renews_patience(loss: float, before: float | None) -> bool:
    """Whether ``loss`` is so much lower than ``before``, that after which patience last began, that it begins anew."""
    return before is None or loss < before - max(LEAST_GAIN * before, LEAST_LOSS)


def lowers_rate(waits: int, patience: int) -> bool:
    """Whether the rate is to be lowered, now that ``waits`` evaluations have passed since patience began."""
    stage = max(1, math.ceil(patience / PLATEAU_STAGES))
    return waits > 0 and waits < patience and waits % stage == 0
