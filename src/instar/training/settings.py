"""The settings of learning, and how those that nobody set are chosen. Nothing here imports torch."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from instar.settings import Settings, build, setting
from instar.split.settings import SEPARATE_EXAM_ROWS
from instar.training.optimizers import OPTIMIZERS
from instar.training.schedules import SCHEDULES


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How a network learns. ``None`` means chosen from the number of training rows and from other settings."""

    epochs: int | None = setting(
        None, "passes over the training rows, at most where patience ends training", minimum=1, common=True
    )
    batch: int | None = setting(None, "rows in a step", minimum=1)
    least_steps: int = setting(
        0,
        "steps that training has at least, of few rows too: by smaller batches, and where these do not suffice by more "
        "epochs, unless a person says batch or epochs",
        minimum=0,
    )
    patience: int | None = setting(
        None,
        "evaluations that lower the validation loss by less than a hundredth of it, or than a ten-thousandth of what a "
        "constant answer loses, after which training ends (early stopping)",
        minimum=1,
        common=True,
        source="Morgan & Bourlard 1990; Prechelt 1998",
    )
    relearn_below: int = setting(
        SEPARATE_EXAM_ROWS,
        "training and validation rows below which the network learns once more, from both, for as long as the "
        "validation rows have shown to be best",
        minimum=0,
        source="Goodfellow, Bengio & Courville 2016, algorithm 7.2",
    )
    optimizer: str = setting("adamw", "the rule that turns gradients into steps", choices=tuple(OPTIMIZERS))
    rate: float | None = setting(None, "the learning rate, the size of a step", minimum=0.0, maximum=1e6, common=True)
    rate_batch: int | None = setting(
        None,
        "the batch that the rate suits; for smaller ones it falls with the square root of their share of it",
        minimum=1,
        source="Malladi, Lyu, Panigrahi & Arora 2022",
    )
    schedule: str = setting("plateau", "how the rate decays", choices=tuple(SCHEDULES), source="see instar.training")
    warmup: int = setting(0, "steps over which the rate rises from zero", minimum=0, source="Goyal et al. 2017")
    momentum: float = setting(
        0.9, "how much of the last step is repeated, with sgd", minimum=0.0, maximum=0.9999, source="Polyak 1964"
    )
    nesterov: bool = setting(
        True, "whether momentum looks ahead, with sgd", source="Nesterov 1983; Sutskever et al. 2013"
    )
    l1: float = setting(
        0.0,
        "pull of every weight towards exactly zero by this much times the rate",
        minimum=0.0,
        source="Tibshirani 1996",
    )
    l2: float = setting(
        0.0, "half of this times the squared weights is added to the loss", minimum=0.0, source="Hoerl & Kennard 1970"
    )
    weight_decay: float | None = setting(
        None,
        "share of every weight that is taken away in a step, times the rate",
        minimum=0.0,
        source="Hanson & Pratt 1988; Loshchilov & Hutter 2019",
    )
    clip: float = setting(
        0.0, "longest gradient; a longer one is shortened to it; 0 for any", minimum=0.0, source="Pascanu et al. 2013"
    )
    mixup: float = setting(
        0.0, "how strongly pairs of examples are mixed (the Beta distribution's parameter)", minimum=0.0,
        source="Zhang et al. 2018",
    )  # fmt: skip
    average: float = setting(
        0.0, "decay in a step of the average of the weights that is kept and used; 0 for none", minimum=0.0,
        maximum=0.99999, source="Polyak & Juditsky 1992; Tarvainen & Valpola 2017",
    )  # fmt: skip
    threads: int | None = setting(None, "processor threads of torch", minimum=1, maximum=1024)
    device: str = setting("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"))


# What suits one optimizer says nothing about another.
_OF_THE_OPTIMIZER = ("rate", "rate_batch", "momentum", "nesterov", "weight_decay", "warmup", "clip")

# Training is measured in steps where settings are chosen: a small table needs more epochs than a large one.
_LONGEST, _SIZED, _WAITING = 60_000, 15_000, 1_000
# Where there are few rows; a batch of one has no variance for a normalization to use.
_LEAST_BATCH = 2


def resolve(given: Mapping[str, Any], recipe: Mapping[str, Any], rows: int) -> TrainingSettings:
    """Settings without a ``None`` but of ``threads``.

    Parameters
    ----------
    given: what a person set, by name; names that are no training settings are passed over, and so is None.
    recipe: what suits the network; a person's own values win. What it says of its optimizer is left out where the
        person chose another one.
    rows: how many training rows there are.

    Raises SettingError for a value that a setting cannot take.
    """
    names = {declared.name for declared in TrainingSettings.declared()}
    own = {name: value for name, value in given.items() if name in names and value is not None}
    default = {**recipe}
    if "optimizer" in own and own["optimizer"] != default.get("optimizer"):
        default = {name: value for name, value in default.items() if name not in _OF_THE_OPTIMIZER}
    if "rate" in own:
        default.pop("rate_batch", None)
    settings = build((TrainingSettings,), {**default, **own})[TrainingSettings]
    assert isinstance(settings, TrainingSettings)
    return _complete(settings, rows, own)


def _complete(settings: TrainingSettings, rows: int, said: Container[str]) -> TrainingSettings:
    optimizer = OPTIMIZERS[settings.optimizer]
    sized = SCHEDULES[settings.schedule].sized
    in_all, fewest, most = (_SIZED, 15, 150) if sized else (_LONGEST, 60, 500)
    batch = min(settings.batch or default_batch(rows), max(1, rows))
    if settings.least_steps and "batch" not in said:
        batch = _between(rows * (settings.epochs or fewest) // settings.least_steps, min(_LEAST_BATCH, batch), batch)
    steps = math.ceil(max(1, rows) / batch)
    epochs = settings.epochs or _between(in_all / steps, fewest, most)
    if "epochs" not in said:
        epochs = max(epochs, math.ceil(settings.least_steps / steps))
    # A rate that falls towards the last epoch gains most in the end: stopping before would throw that away.
    patience = settings.patience or (epochs * steps if sized else _between(_WAITING / steps, 12, 40))
    rate = optimizer.rate if settings.rate is None else settings.rate
    if settings.rate_batch is not None:
        rate *= math.sqrt(min(1.0, batch / settings.rate_batch))
    return replace(
        settings,
        batch=batch,
        epochs=epochs,
        patience=patience,
        rate=rate,
        rate_batch=batch,
        weight_decay=optimizer.weight_decay if settings.weight_decay is None else settings.weight_decay,
    )


def default_batch(rows: int) -> int:
    """A power of two near rows / 64, from 32 to 1024: enough steps in an epoch, and few enough on millions of rows."""
    return min(1024, max(32, 2 ** round(math.log2(max(1, rows) / 64))))


def _between(value: float, low: int, high: int) -> int:
    return min(high, max(low, math.ceil(value)))
