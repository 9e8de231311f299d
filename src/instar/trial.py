"""One trial: fields fitted on some rows, a network built for them and trained, and its answers for other rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from instar.answering import answers_for, truths_for
from instar.answers import type_of
from instar.batches import Batches
from instar.columns import Columns, Fitted, shapes_of
from instar.errors import InterruptionError
from instar.fields import Field
from instar.prepared import BLOCK_BYTES, Examples
from instar.seeds import seed_for
from instar.training.settings import TrainingSettings, resolve

if TYPE_CHECKING:
    import torch

    from instar.networks.assemble import Network
    from instar.networks.plans import Plan
    from instar.training.loop import Outcome

Inputs = dict[str, "torch.Tensor"]

# Training rows from which a network sets what depends on the data (bin edges, say).
INITIALIZING_ROWS = 16_384
# Examples of which a network makes together what it never makes again.
FIXED_TOGETHER = 64

logger = logging.getLogger("instar")


@dataclass(frozen=True)
class Material:
    """What every trial of a run shares: the columns, what is built for them, the settings of training, and the seed."""

    columns: Columns
    network: Plan
    settings: Mapping[str, Any]
    seed: int

    def settings_for(self, rows: int) -> TrainingSettings:
        """The settings of learning from so many rows."""
        return resolve(self.settings, self.network.principal.recipe, rows)


@dataclass(frozen=True)
class Trial:
    """Fitted fields and a trained network."""

    inputs: tuple[Field, ...]
    targets: tuple[Field, ...]
    network: Network
    settings: TrainingSettings
    outcome: Outcome
    examples: Examples

    def answer(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Answers for rows of the store, as `instar.answering.answers` gives them."""
        return answers_for(self.network, self.examples, rows)

    def truth(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The right answers for rows of the store, as `instar.answering.truths_for` gives them."""
        return truths_for(self.examples, rows)


def conduct(
    material: Material,
    training: np.ndarray,
    validation: np.ndarray | None,
    *,
    folder: Path,
    stage: str,
    fitted: Fitted,
    epochs: int | None = None,
    seconds: float | None = None,
    should_stop: Callable[[], Any] = lambda: None,
) -> Trial:
    """Build and train on ``training`` rows; ``validation`` rows decide when to stop, else ``epochs`` do.

    Validation rows whose answers nobody knows, or nobody can give, decide nothing; it is as if there were none.

    ``fitted``: the fields, fitted on the training rows.
    """
    from instar.training.loop import train
    from instar.training.machine import choose_device

    inputs, targets = fitted
    examples = Examples(material.columns.store, inputs, targets)
    network = _network_of(material, examples, training, stage)
    if validation is not None:
        validation = _answered(examples, validation)
    settings = material.settings_for(len(training))

    assert settings.batch is not None  # `resolve` leaves nothing open
    size = network.rows_at_a_time()  # the batch that suits learning may be a single row
    learned, began = examples, time.monotonic()
    if network.has_fixed:
        logger.info("Reading %s examples with what the network knows already.", f"{len(training):,}")
        network.to(choose_device(settings.device))
        learned = Examples(material.columns.store, inputs, targets, _fixed_by(network, should_stop))
    batches = Batches(learned, training, size=settings.batch, seed=material.seed, augment=True)
    watched = None
    if validation is not None:
        watched = Batches(learned, validation, size=size, seed=material.seed, shuffle=False, watched=True)
    outcome = train(
        network,
        batches,
        watched,
        settings,
        folder=folder,
        seed=material.seed,
        epochs=epochs,
        seconds=None if seconds is None else max(0.0, seconds - (time.monotonic() - began)),
        should_stop=should_stop,
        stage=stage,
    )
    return Trial(inputs, targets, network, settings, outcome, examples)


def _network_of(material: Material, examples: Examples, training: np.ndarray, stage: str) -> Network:
    """A network for the ``examples``, its weights drawn for the ``stage``, and set from some of the training rows."""
    import torch

    from instar.networks.assemble import Network

    generator = np.random.default_rng(seed_for(material.seed, "sample"))
    # A picture is as large as thousands of numbers.
    most = min(len(training), INITIALIZING_ROWS, max(1, BLOCK_BYTES // examples.seen_bytes))
    sample = np.sort(generator.choice(training, most, replace=False))
    # Modules draw from torch's own generator, which whoever called us may be drawing from too.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_for(material.seed, f"weights of {stage}"))
        network = Network(*shapes_of(examples.inputs, examples.targets), material.network)
        batch = examples.watched(sample, seed_for(material.seed, "patches of the sample"), BLOCK_BYTES)
        network.initialize(batch.inputs, batch.targets)
    return network


def _fixed_by(network: Network, should_stop: Callable[[], Any]) -> Callable[[Inputs], Inputs]:
    """`Network.fixed`, a few rows at a time, where the network is. Raises InterruptionError where asked to stop."""
    import torch

    def fix(inputs: Inputs) -> Inputs:
        device = next(network.parameters()).device
        rows = max(map(len, inputs.values()))
        parts: list[Inputs] = []
        for start in range(0, max(1, rows), FIXED_TOGETHER):
            if should_stop():
                raise InterruptionError("Stopped while examples were read", remedy="Run the same command again")
            some = {name: each[start : start + FIXED_TOGETHER].to(device) for name, each in inputs.items()}
            parts.append({name: each.cpu() for name, each in network.fixed(some).items()})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    return fix


def _answered(examples: Examples, rows: np.ndarray) -> np.ndarray | None:
    """The rows of which a target is known and has been learned of; None where there are none."""
    known = np.zeros(len(rows), bool)
    for start in range(0, len(rows), examples.block_rows):
        part = slice(start, start + examples.block_rows)
        truths = truths_for(examples, rows[part])
        for target in examples.targets:
            known[part] |= type_of(target.answer).learnable(truths[target.name])
    return rows[known] if known.any() else None
