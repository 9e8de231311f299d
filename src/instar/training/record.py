"""What a training writes down on its way, the log and the checkpoint, and how it goes on from there."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instar.errors import FolderError
from instar.training.checkpoint import checkpoint_path, read_checkpoint, write_checkpoint
from instar.training.log import Log
from instar.training.state import TrainingState
from instar.words import counted

logger = logging.getLogger("instar")

# Seconds between checkpoints, at least; and how many times longer than writing one, so that it costs little.
CHECKPOINT_SECONDS, CHECKPOINT_SHARE = 2.0, 20
# Seconds between lines of the log within an epoch.
LINE_SECONDS = 1.0


class Record:
    """The written side of one training.

    Parameters
    ----------
    about: what training this is, as JSON, for the log's first line: settings, parameters, steps (in an epoch), epochs.
    private: what else must be equal for a checkpoint to be this training's.
    machine: what should be equal for it to end with the same bits.
    """

    def __init__(
        self,
        folder: Path,
        stage: str,
        state: TrainingState,
        log: Log,
        about: Mapping[str, Any],
        private: Mapping[str, Any],
        machine: Mapping[str, Any],
    ) -> None:
        self.path, self.state, self.log = checkpoint_path(folder, stage), state, log
        self.about, self.machine = dict(about), dict(machine)
        where = dict.fromkeys(("threads", "device"))
        self.identity = {**about, **private, "settings": {**about["settings"], **where}}
        self._save_at = self._line_at = -math.inf
        self._begun = time.monotonic()

    def begin(self) -> None:
        """Start, or go on from the checkpoint. Raises FolderError where that is damaged or of another training."""
        found = read_checkpoint(self.path)
        if found is None:
            # Before the first line of the log, so that every kill leaves a length to cut the log to.
            self.save()
        else:
            plain, tensors = found
            if plain["identity"] != self.identity:
                raise FolderError(
                    "The checkpoint in this folder belongs to another training",
                    where=str(self.path),
                    remedy="Choose another folder with --out",
                )
            self.state.unpack(plain, tensors)
            progress = self.state.progress
            if progress.stopped_by:
                return
            self._begun = time.monotonic() - progress.seconds
            self.log.cut(plain["log"])
            self._compare(plain["machine"])
        if self.state.progress.step:
            logger.info(
                "Going on where it was stopped: %s, %s.", self.log.stage, counted(self.state.progress.step, "step")
            )
            self.log.write("resume", step=self.state.progress.step, notes=self.state.progress.notes)
        else:
            self.log.write("start", **self.about, **self.machine, notes=self.state.progress.notes)
        self._line_at = time.monotonic() + LINE_SECONDS

    def _compare(self, before: Mapping[str, Any]) -> None:
        differing = [f"{name} {before[name]}, now {now}" for name, now in self.machine.items() if before[name] != now]
        if differing:
            self.state.progress.note(
                "Training went on from a checkpoint of other circumstances (" + "; ".join(differing) + "), so the "
                "weights may differ in their last digits from those of an uninterrupted training."
            )

    def tick(self) -> float:
        """Between two steps: count the time, and save where that is due. Returns `time.monotonic()`."""
        now = time.monotonic()
        self.state.progress.seconds = now - self._begun
        if now >= self._save_at:
            self.save()
        return now

    def save(self) -> None:
        """Write the checkpoint."""
        started = time.monotonic()
        plain, tensors = self.state.pack()
        plain |= {"identity": self.identity, "machine": self.machine, "log": self.log.length()}
        write_checkpoint(self.path, plain, tensors)
        now = time.monotonic()
        self._save_at = now + max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (now - started))

    def progress_line(self, norm: float, rate: float) -> None:
        """A line within an epoch, not too often."""
        if time.monotonic() >= self._line_at:
            self.line("progress", norm, rate)

    def line(self, event: str, norm: float, rate: float, **content: Any) -> None:
        """A line about the course of the loss."""
        progress = self.state.progress
        self._line_at = time.monotonic() + LINE_SECONDS
        self.log.write(
            event,
            epoch=math.ceil(progress.step / self.about["steps"]),
            step=progress.step,
            loss=progress.loss_sum / max(1, progress.loss_rows),
            rate=rate,
            gradient_norm=norm,
            seconds=round(progress.seconds, 3),
            **content,
        )
