"""A training's whole state in one file, so that a kill at any moment leaves the old state or the new one.

``checkpoint/STAGE.safetensors`` holds the tensors, and in its header everything else as JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from instar.errors import FolderError
from instar.files import write_tensors

FOLDER = "checkpoint"


def checkpoint_path(folder: Path, stage: str) -> Path:
    return folder / FOLDER / f"{stage}.safetensors"


def recorded_threads(folder: Path, stage: str) -> int | None:
    """With how many threads a training that can be gone on from was begun: other ones would give other bits."""
    found = read_checkpoint(checkpoint_path(folder, stage))
    return None if found is None else int(found[0]["machine"]["threads"])


def write_checkpoint(path: Path, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Put the state in the place of the one before. Raises FolderError."""
    arrays = {name: each.detach().cpu().numpy() for name, each in tensors.items()}
    write_tensors(path, arrays, {"state": json.dumps(state, allow_nan=False)})


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """The state and its tensors, or None where there is no checkpoint. Raises FolderError where it is damaged."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            state = json.loads(stored.metadata()["state"])
            return state, {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as failure:
        raise FolderError(
            "The checkpoint cannot be read",
            where=str(path),
            remedy="Delete the folder of the run to train from the beginning",
        ) from failure
