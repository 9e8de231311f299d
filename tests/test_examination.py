"""What a run examines, and on which rows: set apart, by folds, or none; and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch

import instar

QUICK = {"epochs": 2, "rivals": False, "network": "linear"}


def table(rows: int, seed: int = 0) -> dict[str, pl.Series]:
    """Two numbers, and a class that follows from them."""
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(2, rows))
    answer = np.where(first + second > 0, "up", "down")
    return {
        "first": pl.Series("first", first),
        "second": pl.Series("second", second),
        "answer": pl.Series("answer", answer),
    }


def test_learning_leaves_the_random_numbers_of_its_caller_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    instar.train(table(60), "answer", out=tmp_path / "run", **QUICK)
    assert torch.equal(torch.rand(4), expected)
