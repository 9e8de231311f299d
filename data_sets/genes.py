"""Genes: which of four tumors a child has, by 2,308 genes' activity, and which strings of DNA hold a motif."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from data_sets.fetch import DATA, wheel

PACKAGE = "ISLP==0.6.0"
# The classes 1 to 4 of the package, as Khan et al. call them.
TUMORS = ("Burkitt lymphoma", "Ewing sarcoma", "neuroblastoma", "rhabdomyosarcoma")
# Where a cell's machinery for reading genes binds that heeds estrogen (JASPAR's MA0112): the motif, N being any base.
MOTIF, LETTERS, ROWS = "GGTCANNNTGACC", 120, 2_000


def khan() -> Path:
    """A CSV file of ``tumor``, ``part`` (63 train, 20 test, as published) and 2,308 genes (Khan et al. 2001).

    From the package `ISLP` (BSD-2), which accompanies "An Introduction to Statistical Learning".
    """
    path = DATA / "khan.csv"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        parts = []
        with wheel(PACKAGE) as content:
            for part in ("train", "test"):
                genes = pl.read_csv(content / f"ISLP/data/Khan_x{part}.csv")
                tumors = pl.read_csv(content / f"ISLP/data/Khan_y{part}.csv")["x"]
                named = pl.Series("tumor", [TUMORS[int(number) - 1] for number in tumors])
                parts.append(genes.insert_column(0, pl.Series("part", [part] * len(genes))).insert_column(0, named))
        pl.concat(parts).write_csv(path)
    return path


def motif() -> Path:
    """A CSV file of ``dna``, 120 letters, and ``binds``: whether it holds `MOTIF`, one letter of which may be another.

    What holds none has the same letters in any order, so that counting letters tells nothing.
    """
    path = DATA / "motif.csv"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        generator = np.random.default_rng(0)
        rows = [_strand(generator, binds=number % 2 == 0) for number in range(ROWS)]
        pl.DataFrame(rows, schema=["dna", "binds"], orient="row").write_csv(path)
    return path


def _strand(generator: np.random.Generator, binds: bool) -> tuple[str, str]:
    bases = np.array(list("ACGT"))
    strand = generator.choice(bases, LETTERS)
    site = np.array([generator.choice(bases) if letter == "N" else letter for letter in MOTIF])
    site[generator.integers(len(MOTIF))] = generator.choice(bases)
    start = generator.integers(LETTERS - len(MOTIF))
    strand[start : start + len(MOTIF)] = site if binds else generator.permutation(site)
    return "".join(strand), "yes" if binds else "no"
