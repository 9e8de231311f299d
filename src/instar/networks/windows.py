"""A window that slides over grids of which a network sees a patch at a time: from what is said of each, one answer."""

from __future__ import annotations

from collections.abc import Callable
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


def at(patches: Patches, inputs: Inputs, place: Place) -> dict[str, Tensor]:
    """The inputs with no more than one patch."""
    cut = {f"grid/{name}": inputs[f"grid/{name}"][place] for name in patches.grids}
    return {**inputs, **cut}


def joined(patches: Patches, inputs: Inputs, outputs_of: Callable[[Inputs], dict[str, Any]]) -> dict[str, Tensor]:
    """The raw outputs for whole grids: each cell's are the weighted mean of what is said of it within each patch.

    All other outputs are the mean over patches. ``outputs_of`` gives those of inputs with one patch, by target.
    """
    places = patches.everywhere()
    weight: Tensor | None = None
    joint: dict[str, Tensor] = {}
    for place in places:
        for target, outputs in outputs_of(at(patches, inputs, place)).items():
            if target not in patches.answers:
                joint[target] = joint[target] + outputs if target in joint else outputs
                continue
            if weight is None:
                weight = _weight(patches.patch, outputs)
            if target not in joint:
                joint[target] = outputs.new_zeros((*outputs.shape[:2], *patches.extent))
            joint[target][place] += outputs * weight
    if weight is not None:
        total = weight.new_zeros(patches.extent)
        for place in places:
            total[place] += weight
    return {target: each / (total if target in patches.answers else len(places)) for target, each in joint.items()}


def _weight(patch: tuple[int, ...], like: Tensor) -> Tensor:
    """(*patch): how much outputs count at each cell, by a Gaussian about the middle."""
    weight = like.new_ones(())
    for size in patch:
        distance = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
        weight = weight[..., None] * torch.exp(-0.5 * (distance / (SPREAD * size)) ** 2)
    return weight
