"""Series: numbers over time in one or several channels, of equal or unequal lengths, steps missing here and there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError
from instar.fields._lists import LEAST_NUMBERS, Cell, ListError, are_unordered, is_list, parse
from instar.fields._numbers import FARTHEST, written
from instar.fields._series import as_steps, cells_of, spread, steps_come_first, survey_cells, understood
from instar.fields._series_grid import LONGEST, Preparation, Variation
from instar.fields._state import array, expect, whole
from instar.fields._statistics import Counter, Moments
from instar.fields._steps import at_length, interpolated, moments_of_rows
from instar.fields.base import Arrays, Field, Kind, Prepared, Problem, State, kinds, no_values
from instar.fields.digest import MISSING, digest, digest_numbers
from instar.settings import Settings, setting
from instar.shapes import Curves, Grid, Text, View
from instar.sources import Column, FileColumn
from instar.words import counted

# Cells looked at for their kind.
SNIFFED_CELLS = 32
# Rows of arrays that are at least so many times as long as wide are series, others pictures.
LEAST_PROPORTION = 2
MOST_CHANNELS = 1 << 16
# Numbers of one prepared series: a quarter of a gigabyte.
LARGEST_GRID = 1 << 26
# Where so little of the numbers' variance lies within series, a common scale would show straight lines.
LEAST_SHARE_WITHIN = 0.1
# A few series that are far longer than the others do not decide the length of all.
LONG_QUANTILE, FAR_LONGER = 0.95, 1.5
# Of the channel's spread: a series that varies less is a constant, and rounding is not to be made large.
LEAST_SPREAD = 1e-6
# Bytes for each number of a cell while it is read: its digits, a Python number, a float64 and a float32.
BYTES_OF_A_NUMBER = 64
SHOWN_CHANNELS, SHOWN_STEPS = 6, 240


@dataclass(frozen=True)
class SeriesSettings(Settings):
    """How series are read, scaled and brought to one length, and how training series are varied."""

    series_layout: str = setting(
        "auto",
        "what the first axis of a row is, or its outer lists: channels or steps; auto takes the axis that differs in "
        "length, else the longer one, for the steps",
        choices=("auto", "channels", "steps"),
    )
    maximum_steps: int = setting(1 << 20, "steps of a series beyond which it is refused", minimum=1)
    series_scale: str = setting(
        "auto",
        "mean and spread by which series are scaled: the channel's, or each example's own; auto takes its own "
        f"where less than {LEAST_SHARE_WITHIN:.0%} of the variance lies within the series",
        choices=("auto", "channel", "example"),
    )
    series_length: int | None = setting(None, "steps that a network sees", minimum=1, maximum=LONGEST)
    series_limit: int = setting(
        1024, "most steps that a network sees where their number is chosen from the data", minimum=1, maximum=LONGEST
    )
    series_fit: str = setting(
        "resample",
        "what is done to longer series: all are resampled at one rate, or their ends are cut off",
        choices=("resample", "cut"),
    )
    series_noise: float = setting(
        0.0, "spread of the noise added to training series, in their own spreads", minimum=0.0, maximum=10.0
    )
    series_gain: float = setting(
        0.0, "most by which training series grow or shrink in size, as a fraction", minimum=0.0, maximum=1.0
    )
    series_shift: float = setting(
        0.0, "farthest shift of training series in time, as a fraction of the length", minimum=0.0, maximum=1.0
    )


class SeriesField(Field):
    """Series as an input: each channel with mean 0 and variance 1, at one length, gaps filled by interpolation.

    mean, scale: (channels,), on training rows.
    """

    kind = "series"
    answer = None

    def __init__(
        self, name: str, mean: np.ndarray, scale: np.ndarray, preparation: Preparation, variation: Variation
    ) -> None:
        self.name, self.mean, self.scale = name, mean, scale
        self.preparation, self.variation = preparation, variation
        self.shape: Grid = Grid(len(mean) + preparation.flagged, (preparation.length,))

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        assert arrays.lengths is not None
        how, values = self.preparation, arrays.values.astype(np.float64)
        scaled = self._scaled(values, arrays.lengths)
        if how.flagged:
            scaled = np.concatenate([scaled, (~np.isnan(values)).mean(axis=1, keepdims=True)], axis=1)
        grid = at_length(scaled, arrays.lengths, how.length, how.rate, how.cut)
        steps_last = np.ascontiguousarray(grid.transpose(0, 2, 1), np.float32)
        return {"grid": torch.from_numpy(steps_last), "present": torch.from_numpy(np.array(arrays.present))}

    def _scaled(self, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(total, channels), 0 where a channel has no number in the whole series."""
        mean, scale = self.mean, self.scale
        if self.preparation.own_scale:
            mean, squares, counts = moments_of_rows(values, lengths)
            spread = np.sqrt(squares / np.maximum(counts, 1))
            scale = np.where(spread > LEAST_SPREAD * self.scale, spread, self.scale)
            mean, scale = np.repeat(mean, lengths, axis=0), np.repeat(scale, lengths, axis=0)
        return np.nan_to_num(np.clip((interpolated(values, lengths) - mean) / scale, -FARTHEST, FARTHEST), nan=0.0)

    def augment(self, prepared: Prepared, generator: Any) -> Prepared:
        import torch

        if self.variation == Variation():
            return prepared
        grid, present = prepared["grid"], prepared["present"]
        channels = len(self.mean)
        content = grid[:, channels:] if self.preparation.flagged else torch.ones_like(grid[:, :1])
        varied = self.variation(grid[:, :channels], content, generator)[:, : grid.shape[1]]
        return {"grid": varied * present[:, None, None], "present": present}

    def show(self, arrays: Arrays, row: int) -> View:
        if not arrays.present[row]:
            return Text("missing")
        steps = arrays.of_row(row)
        shown = steps[:: -(-len(steps) // SHOWN_STEPS), :SHOWN_CHANNELS].astype(np.float64)
        text = f"{_size(steps.shape[1], len(steps), len(steps))}, beginning with {written(steps[:, 0])}"
        return Curves(tuple(map(tuple, shown.T.tolist())), text)

    def describe(self) -> str:
        how = self.preparation
        scaled = ", each scaled by its own mean and spread" if how.own_scale else ""
        seen = how.length if how.rate < 1 or how.cut else how.longest
        resized = f", seen as {how.length:,}" if seen < how.longest else ""
        return f"series of {_size(len(self.mean), how.shortest, how.longest)}{resized}{scaled}"

    def state(self) -> State:
        content = {"preparation": asdict(self.preparation), "variation": asdict(self.variation)}
        return content, {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SeriesField:
        mean = array(arrays, "mean", np.float64, None)
        expect(1 <= len(mean) <= MOST_CHANNELS, "channels")
        scale = array(arrays, "scale", np.float64, len(mean))
        expect(bool((scale > 0).all()), "scale")
        preparation = Preparation.from_json(content["preparation"])
        expect(len(mean) * preparation.length <= LARGEST_GRID, "length")
        return cls(name, mean, scale, preparation, Variation.from_json(content["variation"]))


class Series(Kind):
    name = "series"
    meaning = "numbers over time, in one or several channels"
    settings = SeriesSettings

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """Arrays of three axes are series where rows are twice as long as wide, or steps are missing; else pictures."""
        if target or isinstance(sample, FileColumn):
            return 0.0
        if isinstance(sample, np.ndarray):
            if sample.ndim != 3 or sample.dtype.kind not in "iuf":
                return 0.1 if sample.ndim == 2 else 0.0
            shorter, longer = sorted(sample.shape[1:])
            gaps = sample.dtype.kind == "f" and bool(np.isnan(sample).any())
            bytes_of_pictures = sample.dtype == np.uint8
            return 0.9 if not bytes_of_pictures and (gaps or longer >= LEAST_PROPORTION * shorter) else 0.3
        if sample.dtype != pl.String and not isinstance(sample.dtype, pl.List | pl.Array):
            return 0.0
        if isinstance(sample.dtype, pl.List | pl.Array) and isinstance(sample.dtype.inner, pl.List | pl.Array):
            return 0.98  # a source that brought steps together knows what they are, however few
        cells = spread(cells_of(sample), SNIFFED_CELLS)
        sizes = [values.size for values in understood(cells)[0]]
        if not sizes or np.median(sizes) < LEAST_NUMBERS:
            return 0.0
        share = len(sizes) / len(cells)
        return 0.5 * share if sample.dtype == pl.String and are_unordered(sample) else 0.97 * share

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        cells = []
        for row in range(rows):
            steps = np.arange(int(generator.integers(12, 31)))
            waves = [np.sin(steps * generator.uniform(0.2, 1.0)), generator.normal(size=len(steps))]
            channels: list[list[float | None]] = [[round(float(value), 3) for value in wave] for wave in waves]
            gap = [*channels[row % 2][:3], None, *channels[row % 2][4:]]
            channels[row % 2] = gap if row % 5 == 2 else channels[row % 2]
            cells.append(None if row % 19 == 7 else json.dumps(channels))
        return pl.Series(cells, dtype=pl.String)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        assert isinstance(settings, SeriesSettings)
        if isinstance(sample, np.ndarray):
            if sample.ndim not in (2, 3):
                raise _no_series("Rows of this shape")
            outer, inner = sample.shape[1:] if sample.ndim == 3 else (1, sample.shape[1])
            first = sample.ndim == 3 and steps_come_first([outer], [inner], settings.series_layout)
            channels, steps = (inner, outer) if first else (outer, inner)
        else:
            channels, steps, first = survey_cells(_series_cells(sample), settings.series_layout)
        if channels > MOST_CHANNELS:
            raise ColumnError(
                f"Series of {channels:,} channels are too wide, {MOST_CHANNELS:,} are the most",
                remedy="Say with --set series_layout=steps if these are the steps",
            )
        return {
            "channels": channels,
            "steps": steps,
            "steps_first": first,
            "maximum_steps": settings.maximum_steps,
        }

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        return BYTES_OF_A_NUMBER * plan["channels"] * plan["steps"]

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: float32 (total steps, channels), NaN where a step is missing; a series ends with its last known."""
        rows: Iterable[np.ndarray | None]
        problems: list[Problem]
        if isinstance(column, np.ndarray):
            rows, digests, problems = _array_rows(column, plan["steps_first"]), digest(column), []
        else:
            rows, digests, problems = _cell_rows(column, plan["steps_first"])
        nothing = np.zeros((0, plan["channels"]), np.float32)
        found = [nothing] * len(column)
        for number, row in enumerate(rows):
            if row is None:
                continue
            try:
                found[number] = as_steps(row, plan["channels"], plan["maximum_steps"])
            except ListError as failure:
                problems.append(Problem(number, str(failure)))
        lengths = np.array([len(each) for each in found], np.int64)
        values = np.concatenate(found) if found else nothing
        problems.sort(key=lambda problem: problem.row)
        return Arrays(values, lengths > 0, digests, problems=problems, lengths=lengths)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, SeriesSettings)
        moments, within, lengths = Moments(plan["channels"]), np.zeros(plan["channels"]), Counter()
        for chunk in chunks:
            assert chunk.lengths is not None
            values = chunk.values.astype(np.float64)
            moments.add(values)
            within += moments_of_rows(values, chunk.lengths)[1].sum(axis=0)
            lengths.add(chunk.lengths[chunk.present].astype(np.uint64))
        if not moments.count.any():
            raise no_values(name)
        spread = moments.standard_deviation
        known, counts = lengths.most_common()
        order = np.argsort(known)
        preparation = _preparation(
            known[order].astype(np.int64),
            counts[order],
            plan["channels"],
            settings,
            gaps=bool((moments.count < moments.rows).any()),
            own_scale=_has_own_scale(within, moments.count * spread**2, settings.series_scale),
        )
        variation = Variation(settings.series_noise, settings.series_gain, settings.series_shift)
        return SeriesField(name, moments.mean, np.where(spread > 0, spread, 1.0), preparation, variation)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        return SeriesField.from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, SeriesField)
        expect(whole(plan, "channels", 1, MOST_CHANNELS) == len(field.mean), "channels")
        whole(plan, "steps", 1, 1 << 40)
        whole(plan, "maximum_steps", 1, 1 << 62)
        expect(isinstance(plan["steps_first"], bool), "steps_first")


def _no_series(what: str) -> ColumnError:
    return ColumnError(
        f"{what} cannot be read as series", remedy="Give arrays (rows, channels, steps), or a list of numbers in a cell"
    )


def _array_rows(column: np.ndarray, steps_first: bool) -> np.ndarray:
    """(n, steps, channels)."""
    if column.ndim not in (2, 3):
        raise _no_series("Rows of this shape")
    return column[:, :, None] if column.ndim == 2 else column if steps_first else column.transpose(0, 2, 1)


def _cell_rows(column: Column, steps_first: bool) -> tuple[list[np.ndarray | None], np.ndarray, list[Problem]]:
    """Each cell as (steps, channels), float64, None where it is missing or none; their digests; what is wrong."""
    cells = _series_cells(column)
    assert isinstance(column, pl.Series)
    rows: list[np.ndarray | None] = [None] * len(cells)
    digests, others, problems = np.full(len(cells), MISSING), [], []
    for number, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            values, nested = parse(cell)
        except ListError as failure:
            problems.append(Problem(number, str(failure)))
            others.append(number)
            continue
        rows[number] = values if nested and steps_first else values.T
        if is_list(cell, values):
            digests[number] = digest_numbers(values)
        else:
            others.append(number)
    if others:
        digests[others] = digest(column.gather(others))
    return rows, digests, problems


def _series_cells(column: Column) -> list[Cell | None]:
    if not isinstance(column, pl.Series):
        raise _no_series("A column of files")
    return cells_of(column)


def _has_own_scale(within: np.ndarray, total: np.ndarray, asked: str) -> bool:
    """Whether each series is scaled by itself: as ``asked``, or by how much of the variance lies within series."""
    if asked != "auto":
        return asked == "example"
    varied = total > 0
    return bool(varied.any()) and float(np.median(within[varied] / total[varied])) < LEAST_SHARE_WITHIN


def _preparation(
    lengths: np.ndarray, counts: np.ndarray, channels: int, settings: SeriesSettings, *, gaps: bool, own_scale: bool
) -> Preparation:
    """``lengths`` are those of training series, in order, and ``counts`` how many are so long."""
    longest = int(lengths[-1])
    long = int(lengths[np.searchsorted(np.cumsum(counts), LONG_QUANTILE * counts.sum())])
    wanted = longest if longest <= FAR_LONGER * long else long
    length = min(settings.series_length or min(wanted, settings.series_limit), LARGEST_GRID // channels)
    cut = settings.series_fit == "cut"
    return Preparation(
        length=length,
        rate=1.0 if cut else min(1.0, length / wanted),
        cut=cut,
        own_scale=own_scale,
        flagged=gaps or len(lengths) > 1 or length > longest,
        shortest=int(lengths[0]),
        longest=longest,
    )


def _size(channels: int, shortest: int, longest: int) -> str:
    steps = counted(longest, "step")
    return f"{counted(channels, 'channel')} and {steps if shortest == longest else f'{shortest:,} to {steps}'}"


kinds.register(Series.name)(Series())
