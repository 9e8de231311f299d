"""How every network learns: read it from top to bottom.

One epoch after another, and after each a look at rows that are not trained on. The weights that did best there are
kept; when they have not been bettered for a while, training ends. What is written down on the way lets it go on after
a kill at any moment, and end with the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from instar.errors import DivergenceError, FolderError, InterruptionError
from instar.seeds import seed_for
from instar.training.checkpoint import checkpoint_path, read_checkpoint, write_checkpoint
from instar.training.log import Log
from instar.training.machine import choose_device, choose_threads, computing, describe_machine
from instar.training.optimizers import OPTIMIZERS
from instar.training.parameters import FlatParameters, has_convolutions
from instar.training.regularization import WeightAverage, mixable, mixup, regularize_gradient, regularize_weights
from instar.training.schedules import PLATEAU_FACTOR, lowers_rate, rate_factor
from instar.training.settings import TrainingSettings
from instar.training.state import Progress, TrainingState

if TYPE_CHECKING:
    from instar.batches import Batch, Batches
    from instar.networks.assemble import Network

# A long epoch is evaluated in parts of about so many steps: an epoch of millions of rows is too long to wait for.
EVALUATION_STEPS = 2000
# Seconds between checkpoints, at least; and how many times longer than writing one, so that it costs little.
CHECKPOINT_SECONDS, CHECKPOINT_SHARE = 2.0, 20
# Seconds between lines of the log within an epoch.
LINE_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    best_epoch: the epoch, from 1, after or in which the weights that the network now has were measured.
    best_loss: their validation loss; None without validation rows.
    epochs, steps: how many were begun, and finished.
    seconds: of training, interruptions left out.
    stopped_by: ``epochs``, ``patience`` or ``time``.
    notes: sentences that a person should read.
    """

    best_epoch: int
    best_loss: float | None
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
    deadline: float | None = None,
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
    epochs: how many at most, instead of the settings'; exactly so many where ``validation`` is None.
    deadline: `time.monotonic()` at which training ends with the best weights so far.
    should_stop: asked before each step; where it says yes, a checkpoint is written and InterruptionError raised.
    stage: names this training within the folder (``train``, or a fold).

    Raises DivergenceError where the loss or its gradient is not finite, before that reaches the weights;
    InterruptionError; FolderError where the folder cannot be written or holds the checkpoint of another training.
    """
    device = choose_device(settings.device)
    with computing(settings.threads or choose_threads(network, settings.batch or 1)), Log(folder, stage) as log:
        parameters = FlatParameters(network.to(device))
        try:
            optimizers = OPTIMIZERS[settings.optimizer].build(parameters, settings.momentum, settings.nesterov)
            average = WeightAverage(parameters, settings.average) if settings.average else None
            state = TrainingState(parameters, optimizers, average)
            run = _Run(network, training, validation, settings, state, log, folder, seed, epochs, stage, device)
            run.begin()
            if not state.progress.stopped_by:
                run.learn(deadline, should_stop)
                run.finish()
            state.restore_best()
            return run.outcome()
        finally:
            parameters.release()
            network.to("cpu").eval()


class _Run:
    """What the parts of one training share."""

    def __init__(
        self,
        network: Network,
        training: Batches,
        validation: Batches | None,
        settings: TrainingSettings,
        state: TrainingState,
        log: Log,
        folder: Path,
        seed: int,
        epochs: int | None,
        stage: str,
        device: torch.device,
    ) -> None:
        self.network, self.training, self.validation, self.settings = network, training, validation, settings
        self.state, self.log, self.seed, self.stage, self.device = state, log, seed, stage, device
        self.path = checkpoint_path(folder, stage)
        self.epochs = epochs or settings.epochs or 1
        # Without validation rows nothing says when the rate is too high, so it falls where it usually would have.
        unguided = validation is None and settings.schedule == "plateau"
        self.schedule = "trapezoid" if unguided else settings.schedule
        self.rate = settings.rate or 0.0
        self.channels_last = has_convolutions(network)
        self.mixup, self.stochastic = settings.mixup, network.stochastic
        self.machine = describe_machine(device)
        self.identity: dict[str, Any] = {
            "seed": seed,
            "layout": state.parameters.layout,
            "settings": {**settings.as_json(), "threads": None, "device": None},
            "epochs": self.epochs,
            "steps": training.steps,
            "validated": validation is not None,
        }
        self.saved_at, self.saving_took = -math.inf, 0.0
        self.begun = time.monotonic()

    @property
    def progress(self) -> Progress:
        return self.state.progress

    def begin(self) -> None:
        """Start, or go on from the checkpoint."""
        found = read_checkpoint(self.path)
        if found is None:
            self.save()
            self.write_start()
            return
        plain, tensors = found
        if plain["identity"] != self.identity:
            raise FolderError(
                "The checkpoint in this folder belongs to another training",
                where=str(self.path),
                remedy="Choose another folder with --out",
            )
        self.state.unpack(plain, tensors)
        if self.progress.stopped_by:
            return
        self.begun -= self.progress.seconds
        self.log.cut(plain["log"])
        differing = [f"{name} {plain['machine'][name]}, now {now}" for name, now in self.machine.items()
                     if plain["machine"][name] != now]  # fmt: skip
        if differing:
            self.progress.note(
                "Training went on from a checkpoint of other circumstances (" + "; ".join(differing) + "), so the "
                "weights may differ in their last digits from those of an uninterrupted training."
            )
        if self.progress.step == 0:
            self.write_start()
        else:
            self.log.write("resume", step=self.progress.step, notes=self.progress.notes)

    def write_start(self) -> None:
        self.log.write(
            "start",
            settings=self.settings.as_json(),
            parameters=sum(each.numel() for each in self.network.parameters()),
            steps=self.training.steps,
            epochs=self.epochs,
            notes=self.progress.notes,
            **self.machine,
        )

    def learn(self, deadline: float | None, should_stop: Callable[[], bool]) -> None:
        """Step after step, until `Progress.stopped_by` says why it is over."""
        progress, steps = self.progress, self.training.steps
        line_at = time.monotonic() + LINE_SECONDS
        while not progress.stopped_by:
            if progress.step >= self.epochs * steps:
                progress.stopped_by = "epochs"
                break
            self.network.train()
            for batch in self.training.epoch(progress.step // steps, first_step=progress.step % steps):
                now = time.monotonic()
                progress.seconds = now - self.begun
                if should_stop():
                    self.save()
                    raise InterruptionError("Stopped, and saved", remedy="Run the same command again to go on")
                if deadline is not None and now >= deadline:
                    progress.stopped_by = "time"
                    break
                if now >= self.saved_at + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * self.saving_took):
                    self.save()
                loss, norm, rate = self.step(batch)
                progress.step += 1
                progress.loss_sum += loss * len(batch.rows)
                progress.loss_rows += len(batch.rows)
                if evaluation_is_due(progress.step, steps):
                    self.evaluate(norm, rate)
                    self.network.train()
                elif now >= line_at:
                    line_at = now + LINE_SECONDS
                    self.write_line("progress", norm, rate)
                if progress.stopped_by:
                    break

    def step(self, batch: Batch) -> tuple[float, float, float]:
        """One step down the gradient. Returns the loss, the gradient's norm and the rate."""
        step, parameters = self.progress.step, self.state.parameters
        inputs, targets, weight = self.place(batch)
        if self.mixup:
            inputs, targets = self.mix(inputs, targets)
        if self.stochastic:
            self.draw_from(seed_for(self.seed, f"{self.stage}/step", step))
        loss = self.network.loss(inputs, targets, weight)
        parameters.gradient.zero_()
        loss.backward()
        value, norm = loss.item(), torch.linalg.vector_norm(parameters.gradient).item()
        if not math.isfinite(value + norm):
            raise self.diverged("The loss" if not math.isfinite(value) else "The gradient of the loss")
        total = self.epochs * self.training.steps
        rate = self.rate * self.progress.factor * rate_factor(self.schedule, step, total, self.settings.warmup)
        with torch.no_grad():
            regularize_gradient(parameters, self.settings, norm)
            regularize_weights(parameters, self.settings, rate)
            for optimizer in self.state.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
            if self.state.average is not None:
                self.state.average.update(step + 1)
        return value, norm, rate

    @torch.no_grad()
    def evaluate(self, norm: float, rate: float) -> None:
        """Measure the validation loss, keep the weights if it is the lowest so far, and judge what it means."""
        progress = self.progress
        if self.validation is None:
            self.write_line("epoch", norm, rate, validation_loss=None)
        else:
            with self.state.average.in_place() if self.state.average is not None else nullcontext():
                loss = self.validation_loss(self.validation)
                better = math.isfinite(loss) and (progress.best_loss is None or loss < progress.best_loss)
                if better:
                    progress.best_loss, progress.best_step, progress.waits = loss, progress.step, 0
                    self.state.keep_best()
                else:
                    progress.waits += 1
            patience = self.settings.patience or 1
            self.write_line("epoch", norm, rate, validation_loss=loss, best=better, waits=progress.waits)
            if self.schedule == "plateau" and lowers_rate(progress.waits, patience):
                progress.factor *= PLATEAU_FACTOR
            if progress.waits >= patience:
                progress.stopped_by = "patience"
        progress.loss_sum, progress.loss_rows = 0.0, 0

    def validation_loss(self, validation: Batches) -> float:
        """The mean loss of the validation rows, without anything that is drawn."""
        self.network.eval()
        total, rows = 0.0, 0
        for batch in validation.epoch(0):
            total += self.network.loss(*self.place(batch)).item() * len(batch.rows)
            rows += len(batch.rows)
        return total / max(1, rows)

    @torch.no_grad()
    def finish(self) -> None:
        """Settle what the best weights are, and write down that training is over."""
        progress = self.progress
        if self.validation is None:
            with self.state.average.in_place() if self.state.average is not None else nullcontext():
                progress.best_step = progress.step
                self.state.keep_best()
        elif progress.best_loss is None:
            # Time was up before the first evaluation; or no evaluation gave a number.
            self.evaluate(math.nan, math.nan)
            if progress.best_loss is None:
                raise self.diverged("The validation loss")
        progress.seconds = time.monotonic() - self.begun
        outcome = self.outcome()
        self.log.write("end", **{name: getattr(outcome, name) for name in outcome.__dataclass_fields__})
        self.save()

    def outcome(self) -> Outcome:
        progress, steps = self.progress, self.training.steps
        return Outcome(
            best_epoch=math.ceil(progress.best_step / steps),
            best_loss=progress.best_loss,
            epochs=math.ceil(progress.step / steps),
            steps=progress.step,
            seconds=progress.seconds,
            stopped_by=progress.stopped_by,
            notes=tuple(progress.notes),
        )

    def save(self) -> None:
        started = time.monotonic()
        plain, tensors = self.state.pack()
        plain |= {"identity": self.identity, "machine": self.machine, "log": self.log.length()}
        write_checkpoint(self.path, plain, tensors)
        self.saved_at = time.monotonic()
        self.saving_took = self.saved_at - started

    def write_line(self, event: str, norm: float, rate: float, **content: Any) -> None:
        progress = self.progress
        self.log.write(
            event,
            epoch=math.ceil(progress.step / self.training.steps),
            step=progress.step,
            loss=progress.loss_sum / max(1, progress.loss_rows),
            rate=rate,
            gradient_norm=norm,
            seconds=round(progress.seconds, 3),
            **content,
        )

    def place(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """The batch where the network is, pictures with the channel last in memory where it has convolutions."""
        if self.device.type == "cpu" and not self.channels_last:
            return batch.inputs, batch.targets, batch.weight

        def move(each: Tensor) -> Tensor:
            if self.channels_last and each.ndim == 4:
                each = each.contiguous(memory_format=torch.channels_last)
            return each.to(self.device, non_blocking=True)

        inputs = {name: move(each) for name, each in batch.inputs.items()}
        targets = {name: move(each) for name, each in batch.targets.items()}
        return inputs, targets, None if batch.weight is None else move(batch.weight)

    def mix(self, inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        if not mixable(inputs):
            self.mixup = 0.0
            self.progress.note("Mixup was left out: categories cannot be mixed, there is nothing between two words.")
            return inputs, targets
        draw = seed_for(self.seed, f"{self.stage}/mixup", self.progress.step)
        return mixup(inputs, self.network.soften(targets), self.settings.mixup, draw)

    def draw_from(self, seed: int) -> None:
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # torch.manual_seed seeds every device there could be: 60 us
        else:
            torch.manual_seed(seed)

    def diverged(self, what: str) -> DivergenceError:
        self.state.restore_best()
        return DivergenceError(
            f"{what} is no finite number after {self.progress.step} steps",
            where=f"{self.stage}, epoch {self.progress.step // self.training.steps + 1}",
            remedy=f"Lower the rate (--rate {self.rate / 10:g}), or look for extreme values in the inputs",
        )


def evaluation_is_due(step: int, steps: int) -> bool:
    """Whether to evaluate after ``step`` steps, where an epoch has ``steps``: at its end, and within long ones."""
    parts = math.ceil(steps / EVALUATION_STEPS)
    within = (step - 1) % steps + 1
    return within * parts // steps > (within - 1) * parts // steps
