"""What is known between play and learning, in one file: a kill at any moment leaves the old state or the new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from instar.errors import FolderError
from instar.playing.examples import PlayedSteps
from instar.training.checkpoint import checkpoint_path, read_checkpoint, write_checkpoint
from instar.training.log import Log

STAGE = "rounds"


@dataclass
class Progress:
    """How far a game is learned.

    round: the round under way, from 1, or the last; learning: whether its episodes are played and chosen from;
        learns: whether any step of them became an example; lessons: how many rounds were learned from.
    best, best_round: the mean total by which networks are chosen, and the round in which it was reached.
    waits: rounds since then. episodes, steps: how many were played to learn from.
    spread: by part of the action, how far its amounts stray; holds: how often chance holds how long.
    mean, threshold: of the totals of the round under way, and the least of those that became examples.
    chosen: the mean total of the round's network on the episodes by which networks are chosen.
    stopped_by: ``rounds``, ``patience`` or ``time`` when it is over, and empty before.
    bound: how many episodes only our own limit ended; log: how many bytes of the log belong to it.
    """

    round: int = 1
    learning: bool = False
    learns: bool = False
    lessons: int = 0
    best: float | None = None
    best_round: int = 0
    waits: int = 0
    episodes: int = 0
    steps: int = 0
    spread: dict[str, list[float]] = field(default_factory=dict)
    holds: list[float] = field(default_factory=list)
    mean: float = 0.0
    threshold: float | None = None
    chosen: float | None = None
    seconds: float = 0.0
    stopped_by: str = ""
    bound: int = 0
    log: int = 0

    def line(self) -> dict[str, Any]:
        """What the log says of a round."""
        names = ("round", "episodes", "steps", "best", "waits", "spread")
        return {
            "mean_return": self.mean,
            "elite_threshold": self.threshold,
            "chosen_return": self.chosen,
            **{name: getattr(self, name) for name in names},
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class State:
    """Progress, the fields as `Student.declare` gives them, weights, the best weights, and the examples by round."""

    progress: Progress
    fields: tuple[Sequence[Mapping[str, Any]], Mapping[str, np.ndarray]]
    weights: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    examples: Sequence[PlayedSteps]


class Ledger:
    """The file, and the rounds' lines in ``metrics.jsonl``. ``identity`` is what else must be equal to go on."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder, self.identity = folder, dict(identity)
        self.path = checkpoint_path(folder, STAGE)

    def read(self) -> State | None:
        """The state, if there is one; lines that were written after it are gone. Raises FolderError."""
        found = read_checkpoint(self.path)
        if found is None:
            return None
        content, tensors = found
        if content["identity"] != self.identity:
            raise FolderError(
                "The checkpoint in this folder belongs to another training",
                where=str(self.path),
                remedy="Choose another folder with --out",
            )
        progress = Progress(**content["progress"])
        if not self.lesson(progress.round).exists():  # which cuts the log itself, where it goes on
            with Log(self.folder, STAGE) as log:
                log.cut(progress.log)
        arrays = {name: each.numpy() for name, each in _part(tensors, "fields/").items()}
        examples = [
            PlayedSteps.from_tensors(
                {name: each.numpy() for name, each in _part(tensors, f"examples/{number}/").items()}
            )
            for number in range(content["examples"])
        ]
        fields = content["fields"], arrays
        return State(progress, fields, _part(tensors, "network/"), _part(tensors, "best/"), examples)

    def write(self, state: State) -> None:
        """Put the state in the place of the one before. Raises FolderError."""
        with Log(self.folder, STAGE) as log:
            state.progress.log = log.length()
        tensors = {f"network/{name}": each for name, each in state.weights.items()}
        tensors |= {f"best/{name}": each for name, each in state.best.items()}
        tensors |= {f"fields/{name}": torch.from_numpy(each) for name, each in state.fields[1].items()}
        for number, steps in enumerate(state.examples):
            tensors |= {f"examples/{number}/{name}": torch.from_numpy(each) for name, each in steps.tensors().items()}
        content = {
            "identity": self.identity,
            "progress": asdict(state.progress),
            "fields": state.fields[0],
            "examples": len(state.examples),
        }
        write_checkpoint(self.path, content, tensors)

    def say(self, event: str, **content: Any) -> None:
        """A line about a round."""
        with Log(self.folder, STAGE) as log:
            log.write(event, **content)

    def lesson(self, number: int) -> Path:
        """The checkpoint of what is learned in a round, which only an unfinished round needs."""
        return checkpoint_path(self.folder, stage_of(number))


def stage_of(number: int) -> str:
    return f"round {number}"


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
