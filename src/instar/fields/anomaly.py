"""How odd a row is: asked of every row, and said by none. A column only says for the exam which rows are odd."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError, did_you_mean
from instar.fields._state import expect, whole
from instar.fields.base import Arrays, Field, Kind, Prepared, State, kinds, quote
from instar.fields.digest import MISSING, digest, words
from instar.settings import Settings, setting
from instar.shapes import Anomaly, Shape, Text, Tokens, Vector
from instar.sources import Column, FileColumn
from instar.words import counted, percent

# Codes of what is said of a row.
USUAL, ODD, UNSAID = 0, 1, 2
LARGEST_BOTTLENECK = 16_384
# A sequence of symbols, or a grid, is counted as so many numbers at most where the bottleneck is sized.
_SEQUENCE_NUMBERS, _GRID_NUMBERS = 64, 1_024
_NAMED = 3


@dataclass(frozen=True)
class AnomalySettings(Settings):
    """Through how little a row has to pass to be rebuilt, and from when on it is called odd."""

    odd_value: str | None = setting(
        None, "value of the column of --odd that says that a row is odd; the rarer of its two values by default"
    )
    false_alarms: float = setting(
        0.05,
        "share of rows like those learned from that are called odd",
        minimum=0.0001,
        maximum=0.5,
        source="Vovk, Gammerman & Shafer 2005",
    )
    bottleneck: int | None = setting(
        None,
        "numbers through which a row has to pass to be rebuilt",
        minimum=1,
        maximum=LARGEST_BOTTLENECK,
        source="Rumelhart, Hinton & Williams 1986",
    )


class AnomalyField(Field):
    """Which rows are odd, as far as a column says it; a network learns nothing of that.

    odd: the value that says so, None where no row says anything.
    """

    kind = "anomaly"
    shape = None

    def __init__(self, name: str, odd: str | None, said: tuple[int, int], settings: AnomalySettings) -> None:
        self.name, self.odd, self.said, self.settings = name, odd, said, settings
        self.answer: Anomaly = Anomaly((), 1, settings.false_alarms)

    def asked_of(self, inputs: Sequence[Field]) -> AnomalyField:
        shapes = {each.name: each.shape for each in inputs if each.shape is not None}
        asked = AnomalyField(self.name, self.odd, self.said, self.settings)
        width = self.settings.bottleneck or max(1, round(math.sqrt(sum(map(_numbers, shapes.values())))))
        asked.answer = Anomaly(tuple(shapes), width, self.settings.false_alarms)
        return asked

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        return {"target": torch.zeros(len(arrays), 0)}

    def truth(self, arrays: Arrays) -> np.ndarray:
        codes = np.asarray(arrays.values)
        return np.where(codes == UNSAID, np.nan, (codes == ODD).astype(np.float64))

    def decode(self, answers: np.ndarray) -> np.ndarray:
        return np.asarray(answers)

    def show(self, arrays: Arrays, row: int) -> Text:
        return Text(("usual", "odd", "missing")[int(arrays.values[row])])

    def describe(self) -> str:
        asked = f"a network is asked to rebuild each row from {counted(self.answer.width, 'number')}"
        usual, odd = self.said
        if self.odd is None:
            return f"{asked}, and nobody says which rows are odd"
        share = percent(odd / max(1, usual + odd))
        return f"{asked}; what is {quote(self.odd)} is odd, {share} of the training rows"

    def state(self) -> State:
        answer = self.answer
        rebuilt = {"parts": list(answer.parts), "width": answer.width}
        return {"odd": self.odd, "said": list(self.said), "false_alarms": answer.false_alarms, **rebuilt}, {}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> AnomalyField:
        odd, said, parts = content["odd"], content["said"], content["parts"]
        expect(odd is None or isinstance(odd, str), "odd")
        expect(isinstance(said, list) and len(said) == 2, "said")
        expect(all(type(count) is int and 0 <= count < 1 << 62 for count in said), "said")
        expect(isinstance(parts, list) and all(isinstance(part, str) for part in parts), "parts")
        expect(len(set(parts)) == len(parts), "parts")
        rate = content["false_alarms"]
        expect(type(rate) is float and 0 < rate < 1, "false_alarms")
        width = whole(content, "width", 1, LARGEST_BOTTLENECK)
        field = cls(name, odd, (said[0], said[1]), AnomalySettings(false_alarms=rate, bottleneck=width))
        field.answer = Anomaly(tuple(parts), width, rate)
        return field


def _numbers(shape: Shape) -> int:
    if isinstance(shape, Vector):
        return shape.width + len(shape.cardinalities)
    return min(shape.length, _SEQUENCE_NUMBERS) if isinstance(shape, Tokens) else min(shape.size, _GRID_NUMBERS)


class AnomalyKind(Kind):
    name = "anomaly"
    meaning = "how odd a row is, learned without answers; a column of two values may say it for the exam"
    settings = AnomalySettings
    can_be_target = True
    unanswered = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """Whether answers are known is no matter of a column's content: where they are not, no other kind is asked."""
        return 0.0

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        odd = generator.random(rows) < 0.1
        said = [None if row % 11 == 4 else "odd" if each else "usual" for row, each in enumerate(odd)]
        return pl.Series(said, dtype=pl.String)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        """Which value is the odd one, and which the usual one, None where all others are."""
        assert isinstance(settings, AnomalySettings)
        counted = words(_cells(sample)).alias("value").drop_nulls().value_counts(sort=True, name="count")
        values = counted.to_series(0).to_list()
        named = settings.odd_value
        if named is not None:
            # Nothing odd may be among the rows at all where only usual ones were collected to learn from.
            if len(values) > 1 and not (digest(pl.Series(values)) == digest(pl.Series([named]))).any():
                raise ColumnError(f"No row says {quote(named)}", remedy=did_you_mean(named, map(str, values)))
            return {"odd": named, "usual": None}
        if not values:
            return {"odd": None, "usual": None}
        if len(values) != 2 or counted["count"].n_unique() == 1:
            raise _undecided(values)
        return {"odd": str(values[1]), "usual": str(values[0])}

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: uint8 (n,), whether a row is usual, odd, or nothing is said. Every row can be asked."""
        series = _cells(column)
        digests = digest(series)
        values = np.full(len(series), USUAL, np.uint8)
        if plan["odd"] is not None:
            odd, usual = digest(pl.Series([plan["odd"], plan["usual"]], dtype=pl.String))
            values[digests == odd] = ODD
            strange = np.flatnonzero((digests != odd) & (digests != usual) & (digests != MISSING))
            if plan["usual"] is not None and len(strange):
                raise _undecided([plan["usual"], plan["odd"], words(series)[int(strange[0])]])
        values[digests == MISSING] = UNSAID
        return Arrays(values, np.ones(len(series), bool), digests)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, AnomalySettings)
        counts = np.zeros(3, np.int64)
        for chunk in chunks:
            counts += np.bincount(chunk.values, minlength=3)
        return AnomalyField(name, plan["odd"], (int(counts[USUAL]), int(counts[ODD])), settings)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        return AnomalyField.from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, AnomalyField)
        expect(all(plan[each] is None or isinstance(plan[each], str) for each in ("odd", "usual")), "plan")
        expect(plan["odd"] == field.odd, "odd")


def _cells(column: Column) -> pl.Series:
    if isinstance(column, FileColumn) or (isinstance(column, np.ndarray) and math.prod(column.shape[1:]) != 1):
        raise ColumnError(
            "Files and arrays say of no row whether it is odd", remedy="Name a column of words with --odd"
        )
    return pl.Series(column.reshape(-1)) if isinstance(column, np.ndarray) else column


def _undecided(values: Sequence[Any]) -> ColumnError:
    """Where values say too little, or too much, for one of them to be the odd one."""
    named = ", ".join(quote(value) for value in values[:_NAMED]) + (", ..." if len(values) > _NAMED else "")
    what = "only " if len(values) == 1 else "as often " if len(values) == 2 else ""
    verb = "is" if len(values) == 1 else "are"
    return ColumnError(
        f"It cannot be told which value says that a row is odd: there {verb} {what}{named}",
        remedy="Say which one: --odd COLUMN=VALUE",
    )


kinds.register(AnomalyKind.name)(AnomalyKind())
