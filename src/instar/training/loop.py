"""How every network learns: read it from top to bottom.

One epoch after another, and after each a look at rows that are not trained on. The weights that did best there are
kept; when they have not been bettered for a while, training ends. What is written down on the way lets it go on after
a kill at any moment, and end with the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from instar.errors import DivergenceError, InterruptionError
from instar.seeds import seed_for
from instar.training.checkpoint import recorded_threads
from instar.training.log import Log
from instar.training.machine import choose_device, choose_threads, computing, describe_machine
from instar.training.optimizers import OPTIMIZERS
from instar.training.parameters import FlatParameters
from instar.training.record import Record
from instar.training.regularization import WeightAverage, mixable, mixup, regularize_gradient, regularize_weights
from instar.training.schedules import PLATEAU_FACTOR, PLATEAU_LEAST, lowers_rate, rate_factor, renews_patience
from instar.training.settings import TrainingSettings
from instar.training.state import TrainingState

if TYPE_CHECKING:
    from instar.batches import Batches
    from instar.networks.assemble import Network
    from instar.prepared import Batch

# A long epoch is evaluated in parts of about so many steps: an epoch of millions of rows is too long to wait for.
EVALUATION_STEPS = 2000


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    best_epoch: the epoch, from 1, after or in which the weights that the network now has were measured.
    best_loss: their validation loss; last_loss: that of the last evaluation. None without validation rows.
    epochs, steps: how many were begun, and finished.
    seconds: of training, interruptions left out.
    stopped_by: ``epochs``, ``patience`` or ``time``.
    notes: sentences that a person should read.
    """

    best_epoch: int
    best_loss: float | None
    last_loss: float | None
    epochs: int
    steps: int
    seconds: float
    stopped_by: str
    notes: tuple[str, ...] = ()


def train(
    network: Network,
    training: Batches,
    validation: Batches | None,
    settings: TrainingSettings,
    *,
    folder: Path,
    seed: int,
    epochs: int | None = None,
    seconds: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    stage: str = "train",
) -> Outcome:
    """Let ``network`` learn from ``training``, and leave the best weights in it, on the CPU, in evaluation mode.

    Parameters
    ----------
    settings: as `resolve` gives them.
    folder: gets ``metrics.jsonl`` and ``checkpoint/``; a checkpoint of this stage that is there is gone on from, and
        one of a stage that is over gives its result at once.
    seed: every draw of a step comes from it, the stage and the step.
    epochs: how many at most, instead of the settings'; exactly so many where ``validation`` is None. A rate that falls
        towards an end falls as if training went on to the settings' last epoch: what comes after is left out.
    seconds: of training, before and after interruptions, after which it ends with the best weights so far.
    should_stop: asked before each step; where it says yes, a checkpoint is written and InterruptionError raised.
    stage: names this training within the folder (``train``, or a fold).

    Raises DivergenceError where the loss or its gradient is not finite, before that reaches the weights;
    InterruptionError; FolderError where the folder cannot be written or holds the checkpoint of another training.
    """
    device = choose_device(settings.device)
    threads = settings.threads or recorded_threads(folder, stage) or choose_threads(network, settings.batch or 1)
    with computing(threads, device), Log(folder, stage) as log:
        parameters = FlatParameters(network.to(device))
        try:
            optimizers = OPTIMIZERS[settings.optimizer].build(parameters, settings.momentum, settings.nesterov)
            average = WeightAverage(parameters, settings.average) if settings.average else None
            state = TrainingState(parameters, optimizers, average)
            epochs = epochs or settings.epochs or 1
            about = {
                "settings": settings.as_json(),
                "parameters": sum(each.numel() for each in network.parameters()),
                "steps": training.steps,
                "epochs": epochs,
            }
            private = {"seed": seed, "layout": parameters.layout, "validated": validation is not None}
            record = Record(folder, stage, state, log, about, private, describe_machine(device))
            record.begin()
            learner = _Learner(network, training, validation, settings, state, record, epochs, seed, stage, device)
            if not state.progress.stopped_by:
                learner.learn(seconds, should_stop)
                learner.finish()
            state.restore_best()
            return learner.outcome()
        finally:
            parameters.release()
            network.to("cpu").eval()


@dataclass
class _Learner:
    """The loop and what is done in it."""

    network: Network
    training: Batches
    validation: Batches | None
    settings: TrainingSettings
    state: TrainingState
    record: Record
    epochs: int
    seed: int
    stage: str
    device: torch.device

    def __post_init__(self) -> None:
        self.progress = self.state.progress
        self.stochastic = self.network.stochastic
        self.mixup = self.settings.mixup
        # Without validation rows nothing says when the rate is too high, so it falls where it usually would have.
        unguided = self.validation is None and self.settings.schedule == "plateau"
        self.schedule = "trapezoid" if unguided else self.settings.schedule
        self.planned = self.epochs if unguided else max(self.epochs, self.settings.epochs or 1)

    def learn(self, seconds: float | None, should_stop: Callable[[], bool]) -> None:
        """Step after step, until `Progress.stopped_by` says why it is over."""
        progress, steps = self.progress, self.training.steps
        norm = rate = math.nan
        while not progress.stopped_by:
            if progress.step >= self.epochs * steps:
                progress.stopped_by = "epochs"
                break
            self.network.train()
            for batch in self.training.epoch(progress.step // steps, first_step=progress.step % steps):
                self.record.tick()
                if should_stop():
                    self.record.save()
                    raise InterruptionError("Stopped, and saved", remedy="Run the same command again to go on")
                spent = 0.0 if seconds is None else progress.seconds / seconds if seconds else 1.0
                if spent >= 1:
                    if progress.loss_rows:
                        self.evaluate(norm, rate)
                    progress.stopped_by = "time"
                    break
                loss, norm, rate = self.step(batch, spent)
                progress.step += 1
                progress.loss_sum += loss * len(batch.rows)
                progress.loss_rows += len(batch.rows)
                if evaluation_is_due(progress.step, steps):
                    self.evaluate(norm, rate)
                    self.network.train()
                else:
                    self.record.progress_line(norm, rate)
                if progress.stopped_by:
                    break

    def step(self, batch: Batch, spent: float) -> tuple[float, float, float]:
        """One step down the gradient, where ``spent`` of the time is over: loss, norm of the gradient, rate."""
        settings, step, parameters = self.settings, self.progress.step, self.state.parameters
        batch = self.place(batch)
        inputs, targets = self.mix(batch) if self.mixup else (batch.inputs, batch.targets)
        if self.stochastic:
            self.draw_from(seed_for(self.seed, f"{self.stage}/step", step))
        loss = self.network.loss(inputs, targets, batch.weight)
        parameters.gradient.zero_()
        loss.backward()
        value, norm = loss.item(), torch.linalg.vector_norm(parameters.gradient).item()
        if not math.isfinite(value + norm):
            raise self.diverged("The loss" if not math.isfinite(value) else "The gradient of the loss")
        factor = rate_factor(self.schedule, step, self.planned * self.training.steps, settings.warmup, spent)
        rate = (settings.rate or 0.0) * self.progress.factor * factor
        with torch.no_grad():
            regularize_gradient(parameters, settings, norm)
            for optimizer in self.state.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
            regularize_weights(parameters, settings, rate)
            if self.state.average is not None:
                self.state.average.update(step + 1)
        return value, norm, rate

    @torch.no_grad()
    def evaluate(self, norm: float, rate: float) -> None:
        """Measure the validation loss, keep the weights if it is the lowest so far, and judge what it means."""
        progress, patience = self.progress, self.settings.patience or 1
        if self.validation is None:
            self.record.line("epoch", norm, rate, validation_loss=None)
        else:
            with self.averaged():
                loss = self.validation_loss(self.validation)
                progress.last_loss = loss if math.isfinite(loss) else None
                better = math.isfinite(loss) and (progress.best_loss is None or loss < progress.best_loss)
                if better:
                    progress.best_loss, progress.best_step = loss, progress.step
                    self.state.keep_best()
                progress.waits += 1
                if better and renews_patience(loss, progress.renewing_loss):
                    progress.renewing_loss, progress.waits = loss, 0
            self.record.line("epoch", norm, rate, validation_loss=loss, best=better, waits=progress.waits)
            lowers = self.schedule == "plateau" and lowers_rate(progress.waits, patience)
            if lowers:
                progress.factor *= PLATEAU_FACTOR
            # Below the least rate weights hardly move, and each tiny gain would buy patience anew.
            if progress.waits >= patience or (lowers and progress.factor < PLATEAU_LEAST):
                progress.stopped_by = "patience"
        progress.loss_sum, progress.loss_rows = 0.0, 0

    def validation_loss(self, validation: Batches) -> float:
        """The mean loss of the validation rows, without anything that is drawn."""
        self.network.eval()
        total, rows = 0.0, 0
        for batch in map(self.place, validation.epoch(0)):
            total += self.network.loss(batch.inputs, batch.targets, batch.weight).item() * len(batch.rows)
            rows += len(batch.rows)
        return total / max(1, rows)

    @torch.no_grad()
    def finish(self) -> None:
        """Settle what the best weights are, and write down that training is over."""
        progress = self.progress
        if not progress.step:
            progress.note("The time was over before the first step: the network has learned nothing.")
        if self.validation is None:
            with self.averaged():
                progress.best_step = progress.step
                self.state.keep_best()
        elif progress.best_loss is None:
            # Time was up before the first evaluation; or no evaluation gave a number.
            self.evaluate(math.nan, math.nan)
            if progress.best_loss is None:
                raise self.diverged("The validation loss")
        self.record.log.write("end", **asdict(self.outcome()))
        self.record.save()

    def outcome(self) -> Outcome:
        progress, steps = self.progress, self.training.steps
        return Outcome(
            best_epoch=math.ceil(progress.best_step / steps),
            best_loss=progress.best_loss,
            last_loss=progress.last_loss,
            epochs=math.ceil(progress.step / steps),
            steps=progress.step,
            seconds=progress.seconds,
            stopped_by=progress.stopped_by,
            notes=tuple(progress.notes),
        )

    def averaged(self) -> AbstractContextManager[None]:
        """Within the block the network has the averaged weights, where an average is kept."""
        return nullcontext() if self.state.average is None else self.state.average.in_place()

    def place(self, batch: Batch) -> Batch:
        """The batch where the network is."""
        return batch if self.device.type == "cpu" else batch.to(self.device)

    def mix(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        if not mixable(batch.inputs):
            self.mixup = 0.0
            self.progress.note("Mixup was left out: categories cannot be mixed, there is nothing between two words.")
            return batch.inputs, batch.targets
        draw = seed_for(self.seed, f"{self.stage}/mixup", self.progress.step)
        return mixup(batch.inputs, self.network.soften(batch.targets), self.mixup, draw)

    def draw_from(self, seed: int) -> None:
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # torch.manual_seed seeds every device there could be: 60 us
        else:
            torch.manual_seed(seed)

    def diverged(self, what: str) -> DivergenceError:
        self.state.restore_best()
        lower = (self.settings.rate or 0.0) / 10
        return DivergenceError(
            f"{what} is no finite number after {self.progress.step} steps",
            where=f"{self.stage}, epoch {self.progress.step // self.training.steps + 1}",
            remedy=f"Lower the rate (--rate {lower:g}), or look for extreme values in the inputs",
        )


def evaluation_is_due(step: int, steps: int) -> bool:
    """Whether to evaluate after ``step`` steps, where an epoch has ``steps``: at its end, and within long ones."""
    parts = math.ceil(steps / EVALUATION_STEPS)
    within = (step - 1) % steps + 1
    return within * parts // steps > (within - 1) * parts // steps
