"""The course of a training as lines of JSON, for whoever draws it: ``metrics.jsonl``.

Each line has ``event`` and ``stage`` (``train``, ``trial`` where one comes first to find for how long, or a fold), and

========== ====================================================================================================
event      what else
========== ====================================================================================================
start      settings, parameters, steps (in an epoch), epochs, threads, device, torch, notes
progress   within a long epoch: epoch, step, loss, rate, gradient_norm, seconds
epoch      an evaluation: the same, and validation_loss (null without validation rows), best, waits
resume     step, notes; what was written after the checkpoint is gone
round      of a game: round, mean_return, elite_threshold, chosen_return, best, waits, episodes, steps, spread, seconds
end        the outcome: best_epoch, best_loss, last_loss, epochs, steps, seconds, stopped_by, notes
========== ====================================================================================================

``epoch`` counts the epoch under way or just ended from 1, ``step`` the finished steps of all epochs; losses are means
over rows since the line before of the same event, ``seconds`` are of training, interruptions left out.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from instar.files import writing

NAME = "metrics.jsonl"


class Log:
    """Appends lines to ``metrics.jsonl`` in ``folder``. Raises FolderError where it cannot."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.path, self.stage = folder / NAME, stage
        with writing(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("ab")

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self.path):  # what a full disk did not take before is tried again here
            self._stream.close()

    def write(self, event: str, **content: Any) -> None:
        """One line, in the file when this returns. Numbers that are not finite become null."""
        line = {"event": event, "stage": self.stage, **{name: _finite(value) for name, value in content.items()}}
        with writing(self.path):
            self._stream.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            self._stream.flush()

    def length(self) -> int:
        """How many bytes there are, all of them on the disk."""
        with writing(self.path):
            os.fsync(self._stream.fileno())
            return self._stream.tell()

    def cut(self, length: int) -> None:
        """Forget what was written after the first ``length`` bytes."""
        with writing(self.path):
            self._stream.truncate(min(length, self.path.stat().st_size))
            self._stream.seek(0, os.SEEK_END)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
