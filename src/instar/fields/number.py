"""Numbers: one a row, or a row of numbers (a matrix is one field, of the width of its rows)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError
from instar.fields._lists import are_unordered, matrix_of, width_of
from instar.fields._numbers import AmountField, NumberField, as_rows
from instar.fields._state import expect, word
from instar.fields._statistics import Moments, Reservoir
from instar.fields._written import PLAIN, find_writing, is_writing, parse
from instar.fields.base import Arrays, Field, Kind, Problem, kinds, no_values, quote
from instar.fields.digest import as_floats, digest, parse_numbers, words
from instar.settings import Settings, setting
from instar.sources import Column, FileColumn

# A column of which fewer of the present cells are numbers is one of words.
LEAST_SHARE = 0.9
# A tenth of the ZIP codes of the United States begin with a zero.
LEAST_SHARE_OF_CODES = 0.02
# Quantiles of 200,000 rows are within 0.3 % of rank of the whole column's; of wide matrices fewer rows are kept.
SAMPLED_ROWS, SAMPLED_NUMBERS = 200_000, 4_000_000
QUANTILES = 1_000


@dataclass(frozen=True)
class NumberSettings(Settings):
    """How numbers are scaled."""

    scaling: str = setting(
        "robust",
        "how input numbers are scaled: by their middle half and smoothly bounded, by mean and spread, or by rank",
        choices=("robust", "standard", "quantile"),
        source="robust: RealMLP (Holzmüller, Grinsztajn & Steinwart 2024)",
    )
    target_scale: str = setting(
        "linear",
        "scale on which a target number is learned; auto takes the logarithm of positive, very skewed targets",
        choices=("linear", "log", "auto"),
    )


class Number(Kind):
    name = "number"
    meaning = "numbers, one a row or a row of numbers"
    settings = NumberSettings
    can_be_target = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        if isinstance(sample, FileColumn):
            return 0.0
        if isinstance(sample, np.ndarray):
            return 0.9 if sample.ndim <= 2 and sample.dtype.kind in "buif" else 0.2
        if sample.dtype.is_numeric():
            return 0.9
        if sample.dtype != pl.String:
            return 0.2 if sample.dtype in (pl.Boolean, pl.Null) else 0.0
        if has_codes(sample):
            return 0.3
        if not target and are_unordered(sample):
            return 0.9
        share = find_writing(sample)[1]
        return 0.9 * share if share >= LEAST_SHARE else 0.2 * share

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        values = np.round(generator.lognormal(3.0, 1.0, rows), 2)
        return pl.Series(
            [None if row % 13 == 5 else float(value) for row, value in enumerate(values)], dtype=pl.Float64
        )

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        if isinstance(sample, np.ndarray) and sample.ndim > 1:
            single = sample.dtype.itemsize <= 4 if sample.dtype.kind == "f" else sample.dtype.itemsize <= 2
            return {"width": int(np.prod(sample.shape[1:])), "single": single}
        if isinstance(sample, pl.Series) and sample.dtype == pl.String:
            width = width_of(sample)
            if width is not None:
                return {"width": width, "single": False}
            return {"width": None, "writing": find_writing(sample)[0]}
        return {"width": None, "writing": PLAIN}

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: float64 (n,), or (n, width) of a matrix, float32 where its numbers fit; NaN where absent."""
        if isinstance(column, FileColumn):
            raise ColumnError("A column of files cannot be read as numbers", remedy="Give a column of numbers")
        if isinstance(column, np.ndarray) and (column.ndim > 1 or plan["width"] is not None):
            return _read_matrix(column, plan)
        if plan["width"] is not None and isinstance(column, pl.Series) and column.dtype == pl.String:
            return _read_lists(column, plan["width"])
        if plan["width"] is not None:
            raise ColumnError(
                "A column of single cells cannot be read as rows of numbers",
                remedy=f"Give an array with {plan['width']} numbers a row",
            )
        series = pl.Series(column)
        texts = series.dtype == pl.String
        if series.dtype == pl.Boolean:
            values = as_floats(series.cast(pl.Float64))
        else:
            values = as_floats(parse(series, plan["writing"]) if texts else parse_numbers(series))
        doubtful = np.flatnonzero(~np.isfinite(values))
        values[doubtful] = np.nan
        odd = words(series.gather(doubtful))
        problems = [
            Problem(int(row), f"{quote(text)} is no finite number")
            for row, text in zip(doubtful, odd, strict=True)
            if text is not None
        ]
        return Arrays(values, ~np.isnan(values), digest(series), problems=problems)

    def glance(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        width = plan["width"]
        if not isinstance(column, np.ndarray) or column.dtype.kind not in "iuf":
            return self.read(column, plan)
        if column.shape[1:] != (() if width is None else (width,)):
            return self.read(column, plan)
        values = column.astype(np.float32 if width is not None and plan["single"] else np.float64)
        values[~np.isfinite(values)] = np.nan
        present = ~np.isnan(values)
        return Arrays(values, present if values.ndim == 1 else present.any(axis=1), np.zeros(len(values), np.uint64))

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, NumberSettings)
        width = plan["width"] or 1
        moments = Moments(width)
        reservoir = Reservoir(max(1_000, min(SAMPLED_ROWS, SAMPLED_NUMBERS // width)), width)
        for chunk in chunks:
            values = as_rows(chunk.values)
            moments.add(values)
            reservoir.add(values)
        if not moments.count.any():
            raise no_values(name)
        fit = _fit_target if target else _fit_input
        return fit(name, moments, reservoir.rows, settings)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        role = word(content, "role", "input", "target")
        return (NumberField if role == "input" else AmountField).from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, NumberField | AmountField)
        width = plan["width"]
        expect((1 if width is None else width) == len(field.center) and type(width) is not bool, "width")
        expect(is_writing(plan["writing"]) if width is None else isinstance(plan["single"], bool), "plan")


def has_codes(sample: pl.Series) -> bool:
    """Whether text holds codes such as the ZIP code ``00501``: figures that begin with a zero. Numbers have none."""
    texts = words(sample).drop_nulls()
    return len(texts) > 0 and int(texts.str.contains(r"^0\d+$").sum()) >= LEAST_SHARE_OF_CODES * len(texts)


def _read_matrix(column: np.ndarray, plan: Mapping[str, Any]) -> Arrays:
    width = int(np.prod(column.shape[1:]))
    if width != plan["width"]:
        raise ColumnError(
            f"A row has {width} numbers where {plan['width'] or 1} are expected",
            remedy="Give rows as wide as those that were learned from",
        )
    values = column.reshape(len(column), width).astype(np.float32 if plan["single"] else np.float64)
    infinite = np.isinf(values)
    rows = np.flatnonzero(infinite.any(axis=1))
    problems = [Problem(int(row), f"number {int(infinite[row].argmax()) + 1} of the row is infinite") for row in rows]
    values[infinite] = np.nan
    return Arrays(values, ~np.isnan(values).all(axis=1), digest(column), problems=problems)


def _read_lists(column: pl.Series, width: int) -> Arrays:
    values, reasons = matrix_of(column, width)
    infinite = np.isinf(values)
    reasons |= {int(row): "a number of the list is infinite" for row in np.flatnonzero(infinite.any(axis=1))}
    values[infinite] = np.nan
    problems = [Problem(row, reasons[row]) for row in sorted(reasons)]
    return Arrays(values, ~np.isnan(values).all(axis=1), digest(column), problems=problems)


def _fit_input(name: str, moments: Moments, sample: np.ndarray, settings: NumberSettings) -> NumberField:
    flagged = np.flatnonzero(moments.count < moments.rows).astype(np.int64)
    levels = min(QUANTILES, max(2, len(sample))) if settings.scaling == "quantile" else 0
    known = _quantiles(sample, np.concatenate([[0.25, 0.5, 0.75], np.linspace(0, 1, levels)]))
    (lower, middle, upper), quantiles = known[:3], np.ascontiguousarray(known[3:])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        reach = moments.maximum - moments.minimum
        if settings.scaling == "standard":
            center, factor = moments.mean, 1.0 / moments.standard_deviation
        else:
            # A column that is mostly one value has no middle half: its whole reach is 2 then (RealMLP).
            center, factor = middle, np.where(upper > lower, 1.0 / (upper - lower), 2.0 / reach)
    varied = np.isfinite(factor) & (moments.maximum > moments.minimum)
    # Where the mean or spread overflows, the middle and the reach still are numbers.
    center = np.where(np.isfinite(center), center, middle)
    return NumberField(name, settings.scaling, center, np.where(varied, factor, 0.0), flagged, quantiles)


def _fit_target(name: str, moments: Moments, sample: np.ndarray, settings: NumberSettings) -> AmountField:
    if not moments.count.all():
        raise no_values(name)
    positive = bool((moments.minimum > 0).all())
    if settings.target_scale == "log" and not positive:
        raise ColumnError(
            f"Column {name!r} has amounts that are not positive, which have no logarithm",
            remedy="Leave target_scale at linear",
        )
    logarithmic = settings.target_scale == "log" or (settings.target_scale == "auto" and positive and _skewed(sample))
    low, high = moments.minimum, moments.maximum
    center, scale = moments.mean, moments.standard_deviation
    if logarithmic:
        logs = Moments(sample.shape[1])
        logs.add(np.log(sample))
        center, scale, low, high = logs.mean, logs.standard_deviation, np.log(low), np.log(high)
    if not (np.isfinite(center).all() and np.isfinite(scale).all()):
        raise ColumnError(f"Column {name!r} has amounts too large to learn from", remedy="Divide them all, or use logs")
    return AmountField(name, logarithmic, center, np.where(scale > 0, scale, 1.0), low, high)


def _quantiles(sample: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(levels, width) of the columns' present values; 0 where a column has none."""
    found = np.zeros((len(levels), sample.shape[1]))
    gaps = bool(np.isnan(sample).any())
    with np.errstate(over="ignore", invalid="ignore"):
        if not gaps:
            found = np.quantile(sample, levels, axis=0)
        for column, values in enumerate(sample.T if gaps else ()):
            known = values[~np.isnan(values)]
            if len(known):
                found[:, column] = np.quantile(known, levels)
    return np.nan_to_num(found)


def _skewed(sample: np.ndarray) -> bool:
    """Whether every column has a long upper tail that the logarithm halves at least."""

    def skewness(values: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            away = values - np.nanmean(values, axis=0)
            return np.nanmean(away**3, axis=0) / np.nanmean(away**2, axis=0) ** 1.5

    straight, logged = skewness(sample), skewness(np.log(sample))
    return bool(((straight > 1.0) & (np.abs(logged) < straight / 2)).all())


kinds.register(Number.name)(Number())
