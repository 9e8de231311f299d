"""Four series of the archives of UEA and UCR (Dau et al. 2019; Bagnall et al. 2018), from the package `aeon`
(BSD-3).

JapaneseVowels: 9 men say /ae/, 12 channels, 7 to 29 steps. ItalyPowerDemand: 24 hours of a winter's or a summer's day.
OSULeaf: the outlines of leaves of six trees, 427 steps. BasicMotions: what a watch measures of four motions.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from data_sets.fetch import DATA, wheel

PACKAGE = "aeon==1.6.0"
SERIES = ("JapaneseVowels", "ItalyPowerDemand", "OSULeaf", "BasicMotions")


def archive(name: str) -> Path:
    """NAME_TRAIN.ts, with NAME_TEST.ts beside it: the archives' own split."""
    folder = DATA / "series"
    wanted = [folder / f"{each}_{part}.ts" for each in SERIES for part in ("TRAIN", "TEST")]
    if not all(file.exists() for file in wanted):
        folder.mkdir(parents=True, exist_ok=True)
        with wheel(PACKAGE) as content:
            for file in wanted:
                shutil.copy(content / "aeon/datasets/data" / file.name.rsplit("_", 1)[0] / file.name, file)
    return folder / f"{name}_TRAIN.ts"
