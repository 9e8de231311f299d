"""Where a training computes, with how many threads, and what its last bits depend on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from instar.errors import SettingError
from instar.training.parameters import has_convolutions

# Parameters times rows of a step, below which a second thread brings little, and costs much where processors are busy.
_SMALL = 4_000_000


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU where there is one. Raises SettingError where it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each, is_there in there.items() if is_there)
    if not there[name]:
        raise SettingError(f"There is no {name!r} device on this machine", remedy="Use --set device=auto")
    return torch.device(name)


def choose_threads(network: nn.Module, batch: int) -> int:
    """As many threads as there are processors for this process, or one for a network whose steps are small.

    Of the parameters that a module names in ``looked_up`` a step uses few, and they do not count.
    """
    looked_up = sum(
        getattr(each, name).numel() for each in network.modules() for name in getattr(each, "looked_up", ())
    )
    size = sum(each.numel() for each in network.parameters()) - looked_up
    if size * batch <= _SMALL and not has_convolutions(network):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def computing(threads: int, device: torch.device) -> Iterator[None]:
    """torch uses ``threads`` within the block; threads and the state of its generators are as before afterwards."""
    before = torch.get_num_threads()
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """What equal steps need to end with equal bits."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
