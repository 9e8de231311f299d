"""Four sets of short texts with the mean of twenty people's scores from -4 to 4 (Hutto & Gilbert 2014; MIT license).

Tweets, snippets of film reviews, of product reviews and of newspapers' opinions, from the package `vaderSentiment`.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import polars as pl

from data_sets.fetch import DATA, making, source_package

PACKAGE = "vaderSentiment==3.3.2"
SETS = {
    "tweets": "tweets",
    "film": "movieReviewSnippets",
    "product": "amazonReviewSnippets",
    "news": "nytEditorialSnippets",
}
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


def sentiment(name: str) -> Path:
    """A CSV file of ``text``, each one once, ``score`` and ``part``."""
    place = DATA / "texts"
    if not place.exists():
        with source_package(PACKAGE) as content, making(place) as folder:
            (inner,) = content.rglob("hutto_ICWSM_2014.tar.gz")
            with tarfile.open(inner) as packed:
                for each, inside in SETS.items():
                    (member,) = (one for one in packed if one.name.endswith(f"{inside}_GroundTruth.txt"))
                    lines = packed.extractfile(member).read().decode(errors="replace").splitlines()
                    _divided(lines).write_csv(folder / f"{each}.csv")
    return place / f"{name}.csv"


def _divided(lines: list[str]) -> pl.DataFrame:
    cells = [line.split("\t", 2)[1:] for line in lines if line.count("\t") >= 2]
    frame = pl.DataFrame(cells, schema={"score": pl.Float64, "text": pl.String}, orient="row", strict=False)
    frame = frame.unique("text", keep="first", maintain_order=True)
    parts = np.repeat(list(SHARES), [round(share * len(frame)) + 1 for share in SHARES.values()])[: len(frame)]
    return frame.with_columns(pl.Series("part", np.random.default_rng(0).permutation(parts)))
