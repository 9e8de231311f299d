"""How people write numbers into text: thousands separators, decimal commas, currency and percent signs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from instar.fields.digest import parse_numbers, words

# Thousands and decimal marks, likeliest first: where several explain a sample equally well the first one wins, so
# that "1,234" alone is read as a thousand, and only "1,23" beside it makes the comma a decimal mark.
_MARKS = ((",", "."), ("", "."), ("", ","), (".", ","), (" ", "."), (" ", ","), ("'", "."))
_SIGN = r"[$€£¥₹₽₩%]|USD|EUR|GBP|CHF|JPY"

# What `parse` takes for the way that computers write numbers.
PLAIN: dict[str, Any] = {}


def find_writing(sample: pl.Series) -> tuple[dict[str, Any], float]:
    """The way of writing that makes numbers of most cells of a text sample, and of which share of those present."""
    texts = words(sample).drop_nulls()
    if not len(texts):
        return PLAIN, 0.0
    best, most = PLAIN, _finite(parse(texts, PLAIN))
    for thousands, decimal in _MARKS:
        if most == len(texts):
            break
        writing = {"thousands": thousands, "decimal": decimal}
        if (count := _finite(parse(texts, writing))) > most:
            best, most = writing, count
    return best, most / len(texts)


def is_writing(content: Any) -> bool:
    """Whether this is something that `find_writing` gives."""
    known = [PLAIN, *({"thousands": thousands, "decimal": decimal} for thousands, decimal in _MARKS)]
    return content in known


def parse(texts: pl.Series, writing: Mapping[str, Any]) -> pl.Series:
    """Float64: the cells that are numbers in that way of writing, null where they are not."""
    if not writing:
        return parse_numbers(texts)
    thousands, decimal = str(writing["thousands"]), re.escape(str(writing["decimal"]))
    mark = r"\s" if thousands == " " else re.escape(thousands)
    grouped = rf"\d{{1,3}}(?:{mark}\d{{3}})+(?:{decimal}\d+)?|" if thousands else ""
    body = rf"(?:{grouped}\d+(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
    pattern = rf"^\s*(?P<sign>[+-]?)\s*(?:{_SIGN})?\s*(?P<body>[+-]?{body})\s*(?:{_SIGN})?\s*$"
    groups = texts.str.extract_groups(pattern).struct
    numbers = groups.field("body")
    if thousands:
        numbers = numbers.str.replace_all(mark, "")
    numbers = numbers.str.replace(decimal, ".")
    # Two signs are none: "-$-5" is left unread.
    return (groups.field("sign") + numbers).cast(pl.Float64, strict=False).rename(texts.name)


def _finite(numbers: pl.Series) -> int:
    return int(numbers.is_finite().sum())
