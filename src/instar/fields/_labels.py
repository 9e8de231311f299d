"""Labels as people write them into cells: ``red;round``, ``a|b``, lists of JSON or of Python."""

from __future__ import annotations

import ast
import json
import warnings
from typing import Any

import polars as pl

from instar.fields.base import Problem, quote
from instar.fields.category import LONGEST_TEXT
from instar.fields.digest import words

LIST = "list"
# Between labels; a list is one of JSON, as nested cells become, or as Python writes it.
SEPARATORS = {"semicolon": ";", "bar": "|", "comma": ",", "slash": "/", "space": " "}
# Those that are looked for: a slash and a space stand in ordinary words and between them.
LIKELY = ("semicolon", "bar", "comma")
NOTHING = "[]"
# So many cells have several labels at least where it is certain that these are labels.
LEAST_SEVERAL = 0.1
# Labels stand before and behind others. The parts of "Boston, MA" have their places.
LEAST_MOVING = 0.3
# Beyond this many letters a cell is no list that Python wrote.
LONGEST_CELL = 1 << 16


def find_separator(texts: pl.Series) -> str:
    """What stands between the labels of cells: the first of `LIKELY` that many of them have, else what most have."""
    if texts.str.starts_with("[").sum() > len(texts) / 2:
        return LIST
    having = {name: int(texts.str.contains(SEPARATORS[name], literal=True).sum()) for name in LIKELY}
    many = [name for name, count in having.items() if count >= LEAST_SEVERAL * len(texts) and count]
    return many[0] if many else max(LIKELY, key=having.__getitem__)


def parts_of(texts: pl.Series, separator: str) -> tuple[pl.DataFrame, list[Problem]]:
    """The labels of every cell that can be read, with their ``row``; and why others cannot be."""
    cells = pl.DataFrame({"row": pl.arange(len(texts), eager=True), "label": texts}).drop_nulls()
    reasons: dict[int, str] = {}
    if separator == LIST:
        listed = {text: _listed(text) for text in cells["label"].unique()}
        reasons = {
            row: f"{quote(text)} is no list of labels" for row, text in cells.iter_rows() if listed[text] is None
        }
        lists = [listed[text] or [] for text in cells["label"]]
        cells = cells.with_columns(pl.Series("label", lists, dtype=pl.List(pl.String)))
    else:
        split = pl.col("label").str.split(SEPARATORS[separator])
        cells = cells.filter(pl.col("label") != NOTHING).with_columns(split)
    parts = cells.explode("label")
    parts = parts.with_columns(words(parts["label"])).drop_nulls()
    long = parts.filter(pl.col("label").str.len_chars() > LONGEST_TEXT)
    for row, label in long.iter_rows():
        reasons.setdefault(row, f"{quote(label)} is longer than a label, which has {LONGEST_TEXT} letters at most")
    parts = parts.filter(~pl.col("row").is_in(list(reasons)))
    return parts, [Problem(row, reasons[row]) for row in sorted(reasons)]


def _listed(text: str) -> list[str] | None:
    """The labels of a list as JSON or Python writes it, or of a lone word; None where it is neither."""
    if not text.startswith("["):
        return [text]
    for understand in (json.loads, _literal):
        try:
            labels = understand(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(labels, list) and all(isinstance(each, str | int | float | None) for each in labels):
            # Halves of characters, which JSON can write, are none.
            return [str(each).encode("utf-8", "replace").decode() for each in labels if each is not None]
    return None


def _literal(text: str) -> Any:
    if len(text) > LONGEST_CELL:
        raise ValueError(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes that are none
        return ast.literal_eval(text)


def move(parts: pl.DataFrame, labels: pl.Series, texts: pl.Series) -> bool:
    """Whether parts of cells are put together freely, are words, and stand now before and now behind others."""
    several = parts["row"].value_counts().filter(pl.col("count") > 1)
    if len(several) < LEAST_SEVERAL * len(texts) or texts.n_unique() <= len(labels):
        return False
    if labels.str.contains(r"\p{L}").sum() < len(labels) / 2:
        return False
    first = parts.unique("row", keep="first", maintain_order=True)["label"]
    later = parts.filter(pl.col("row").is_in(several["row"].implode())).join(
        parts.unique("row", keep="first", maintain_order=True), on=["row", "label"], how="anti"
    )
    moving = parts["label"].is_in(first.implode()) & parts["label"].is_in(later["label"].implode())
    return bool(moving.sum() >= LEAST_MOVING * len(parts))
