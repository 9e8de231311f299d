"""A window that slides over grids of which a network sees a patch at a time: from what is said of each, one answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from instar.networks.base import Inputs
from instar.patches import Patches, Place

# Of a patch: the standard deviation by which outputs count less towards its edges, beyond which a network sees nothing
# (Isensee et al. 2021).
SPREAD = 1 / 8


def exceeded(patches: Patches, inputs: Inputs) -> bool:
    """Whether the prepared inputs hold whole grids and no patches."""
    return inputs[f"grid/{patches.grids[0]}"].shape[2:] != patches.patch


def at(patches: Patches, inputs: Inputs, places: Sequence[Place]) -> dict[str, Tensor]:
    """The inputs (B, ...), of all rows a patch at the first of the places, then at the next: (places * B, ...)."""
    cut = {f"grid/{name}" for name in patches.grids}
    return {
        name: torch.cat([tensor[place] if name in cut else tensor for place in places])
        for name, tensor in inputs.items()
    }


def joined(
    patches: Patches, inputs: Inputs, outputs_of: Callable[[Inputs], dict[str, Any]], rows_at_a_time: int
) -> dict[str, Tensor]:
    """The raw outputs for whole grids: each cell's are the weighted mean of what is said of it within each patch.

    All other outputs are the mean over patches. ``outputs_of`` gives those of inputs with one patch, by target; of
    these it is given no more than ``rows_at_a_time``, or one of each row.
    """
    places, rows = patches.everywhere(), len(inputs[f"grid/{patches.grids[0]}"])
    weight: Tensor | None = None
    joint: dict[str, Tensor] = {}
    for some in _grouped(places, max(1, rows_at_a_time // rows)):
        for target, outputs in outputs_of(at(patches, inputs, some)).items():
            each = outputs.unflatten(0, (len(some), rows))
            if target not in patches.answers:
                joint[target] = joint[target] + each.sum(0) if target in joint else each.sum(0)
                continue
            if weight is None:
                weight = _weight(patches.patch, outputs)
            if target not in joint:
                joint[target] = outputs.new_zeros((*each.shape[1:3], *patches.extent))
            for place, said in zip(some, each, strict=True):
                joint[target][place] += said * weight
    if weight is not None:
        total = weight.new_zeros(patches.extent)
        for place in places:
            total[place] += weight
    return {target: each / (total if target in patches.answers else len(places)) for target, each in joint.items()}


def _grouped(places: list[Place], size: int) -> list[list[Place]]:
    return [places[first : first + size] for first in range(0, len(places), size)]


def _weight(patch: tuple[int, ...], like: Tensor) -> Tensor:
    """(*patch): how much outputs count at each cell, by a Gaussian about the middle."""
    weight = like.new_ones(())
    for size in patch:
        distance = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
        weight = weight[..., None] * torch.exp(-0.5 * (distance / (SPREAD * size)) ** 2)
    return weight
