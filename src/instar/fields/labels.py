"""Labels: any number of words at once, such as ``red;round`` or ``["red", "round"]``.

An empty cell is missing: nobody knows its labels. ``[]`` is known to have none, whatever way the others are written in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError
from instar.fields._labels import LIST, NOTHING, SEPARATORS, find_separator, move, parts_of
from instar.fields._state import array, expect, whole, word
from instar.fields._statistics import Counter
from instar.fields.base import Arrays, Field, Kind, Prepared, State, kinds, no_values, quote
from instar.fields.category import LONGEST_TEXT, TELLING_CELLS, Lookup, distinct
from instar.fields.digest import as_floats, digest, parse_numbers, words
from instar.settings import Settings, setting
from instar.shapes import ANSWERED_FROM, Several, Text, Vector
from instar.sources import Column, FileColumn
from instar.words import percent

# Each label stands in so many cells on average where it is certain that these are labels.
LEAST_CELLS_OF_A_LABEL = 3
# Of cells that cannot be read, and of labels that a cell has twice.
MOST_ODD = 0.05
MOST_LABELS = 1 << 14


@dataclass(frozen=True)
class LabelsSettings(Settings):
    """Which labels are learned, and how they are written."""

    label_minimum: int = setting(
        2, "training rows that a label of an input needs for a place of its own; rarer ones share one", minimum=1
    )
    label_limit: int = setting(
        256, "most labels of a column that are learned, the most frequent ones", minimum=1, maximum=MOST_LABELS
    )
    label_separator: str | None = setting(
        None, "what stands between the labels of a cell, or that cells are lists", choices=(*SEPARATORS, LIST)
    )


class LabelsField(Field):
    """Labels as an input: 1 for each that the row has, 0 for the others, the most frequent first.

    digests: uint64 (labels,), and ``texts`` what they stand for. Where training rows show it, there follow a place for
    having any other label (``unknown``), and one for a row whose labels are ``missing``.
    """

    kind = "labels"
    answer = None

    def __init__(self, name: str, digests: np.ndarray, texts: Sequence[str], unknown: bool, missing: bool) -> None:
        self.name, self.digests, self.texts, self.unknown, self.missing = name, digests, tuple(texts), unknown, missing
        self.shape: Vector = Vector(len(digests) + unknown + missing)
        self._lookup = Lookup(digests)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        numbers = np.zeros((len(arrays), self.shape.width), np.float32)
        rows, places = _found(arrays, self._lookup)
        numbers[rows[places >= 0], places[places >= 0]] = 1
        if self.unknown:
            numbers[rows[places < 0], len(self.digests)] = 1
        if self.missing:
            numbers[~arrays.present, -1] = 1
        return {"numbers": torch.from_numpy(numbers)}

    def show(self, arrays: Arrays, row: int) -> Text:
        return _show(arrays, row, dict(zip(self.digests.tolist(), self.texts, strict=True)))

    def describe(self) -> str:
        if not self.texts:
            return "labels of which none comes back"
        rarer = ", and rarer ones" if self.unknown else ""
        return f"{len(self.texts)} labels, the most frequent {quote(self.texts[0])}{rarer}"

    def state(self) -> State:
        content = {"role": "input", "texts": list(self.texts), "unknown": self.unknown, "missing": self.missing}
        return content, {"digests": self.digests}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LabelsField:
        texts, unknown, missing = content["texts"], content["unknown"], content["missing"]
        _expect_labels(texts, "texts")
        expect(isinstance(unknown, bool) and isinstance(missing, bool), "places")
        expect(len(texts) + unknown + missing > 0, "no places")
        return cls(name, distinct(array(arrays, "digests", np.uint64, len(texts))), texts, unknown, missing)


class SeveralField(Field):
    """Labels as a target.

    classes: the labels, numbers by size and words by letter; ``digests``, uint64 (labels,), is what each is recognized
        by. ``separator`` is the way in which answers are written, and ``others`` how many labels are too rare to be
        learned.
    """

    kind = "labels"
    shape = None
    classes: tuple[str, ...]

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        digests: np.ndarray,
        counts: Sequence[int],
        rows: int,
        separator: str,
        others: int = 0,
    ) -> None:
        self.name, self.classes, self.digests = name, tuple(classes), digests
        self.separator, self.others = separator, others
        self.answer: Several = Several(tuple(counts), rows)
        self._lookup = Lookup(digests)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        return {"target": torch.from_numpy(self.truth(arrays)[:, :-1].astype(np.float32))}

    def truth(self, arrays: Arrays) -> np.ndarray:
        truth = np.zeros((len(arrays), len(self.classes) + 1))
        rows, places = _found(arrays, self._lookup)
        truth[rows[places >= 0], places[places >= 0]] = 1
        truth[:, -1] = np.bincount(rows[places < 0], minlength=len(arrays))
        truth[~arrays.present] = np.nan
        return truth

    def recounted(self, chunks: Iterable[Arrays]) -> SeveralField:
        counts, rows = np.zeros(len(self.classes), np.int64), 0
        for chunk in chunks:
            places = self._lookup(chunk.values)
            counts += np.bincount(places[places >= 0], minlength=len(counts))
            rows += int(chunk.present.sum())
        return SeveralField(self.name, self.classes, self.digests, counts.tolist(), rows, self.separator, self.others)

    def decode(self, answers: np.ndarray) -> np.ndarray:
        """Cells (n,) with the labels whose probability, of (n, labels), is at least a half, as the column has them.

        They are joined by the column's separator, or are the text of a JSON list; without any label ``[]``.
        """
        cells = np.empty(len(answers), object)
        for row, answered in enumerate(np.asarray(answers) >= ANSWERED_FROM):
            labels = [self.classes[place] for place in np.flatnonzero(answered)]
            written = self.separator == LIST or not labels
            cells[row] = json.dumps(labels, ensure_ascii=False) if written else SEPARATORS[self.separator].join(labels)
        return cells

    def show(self, arrays: Arrays, row: int) -> Text:
        return _show(arrays, row, dict(zip(self.digests.tolist(), self.classes, strict=True)))

    def describe(self) -> str:
        largest = max(range(len(self.classes)), key=lambda each: self.answer.counts[each])
        share = percent(self.answer.counts[largest] / max(1, self.answer.rows))
        found = f"{len(self.classes)} labels, the most frequent {quote(self.classes[largest])} in {share} of the rows"
        return found + (f", and {self.others:,} rarer ones that are not learned" if self.others else "")

    def state(self) -> State:
        content = {
            "role": "target",
            "classes": list(self.classes),
            "counts": list(self.answer.counts),
            "rows": self.answer.rows,
            "separator": self.separator,
            "others": self.others,
        }
        return content, {"digests": self.digests}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SeveralField:
        classes, counts = content["classes"], content["counts"]
        _expect_labels(classes, "classes")
        expect(bool(classes) and isinstance(counts, list) and len(counts) == len(classes), "counts")
        rows = whole(content, "rows", 0, 1 << 62)
        expect(all(type(count) is int and 0 <= count <= rows for count in counts), "counts")
        separator = word(content, "separator", *SEPARATORS, LIST)
        digests = distinct(array(arrays, "digests", np.uint64, len(classes)))
        return cls(name, classes, digests, counts, rows, separator, whole(content, "others", 0, 1 << 62))


class Labels(Kind):
    """Values are digests of the labels' canonical content, those of a row one after another and each once."""

    name = "labels"
    meaning = "several words or codes at once: red;round, a|b, lists"
    settings = LabelsSettings
    can_be_target = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        if not isinstance(sample, pl.Series) or not (sample.dtype == pl.String or isinstance(sample.dtype, pl.List)):
            return 0.0
        if isinstance(sample.dtype, pl.List) and sample.dtype.inner.is_nested():
            return 0.0
        texts = words(sample).drop_nulls()
        separator = find_separator(texts)
        parts, problems = parts_of(texts, separator)
        if not len(parts) or len(problems) > MOST_ODD * len(texts):
            return 0.0
        alone = parts.unique(maintain_order=True)
        if len(alone) < (1 - MOST_ODD) * len(parts):
            return 0.0
        labels = alone["label"].unique()
        recurring = LEAST_CELLS_OF_A_LABEL * len(labels) <= len(texts) and len(texts) >= TELLING_CELLS
        if separator == LIST:
            # Lists of fractions are measurements, and those of whole numbers may be.
            fractions = ~np.isnan(numbers := as_floats(parse_numbers(labels))) & (numbers != np.floor(numbers))
            codes = not np.isnan(numbers).all()
            return 0.0 if fractions.any() or (codes and not recurring) else 0.97 if recurring and not codes else 0.6
        return 0.92 if recurring and move(alone, labels, texts) else 0.0

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        labels = ("dry", "hot", "sour", "sweet")
        drawn = generator.random((rows, len(labels))) < (0.3, 0.2, 0.4, 0.5)
        cells = [";".join(label for label, has in zip(labels, row, strict=True) if has) or NOTHING for row in drawn]
        return pl.Series([None if row % 17 == 3 else cell for row, cell in enumerate(cells)], dtype=pl.String)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        assert isinstance(settings, LabelsSettings)
        return {"separator": settings.label_separator or find_separator(words(_series(sample)).drop_nulls())}

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: uint64 (sum of lengths,), digests of the labels, which ``texts`` spell."""
        series = _series(column)
        texts = words(series)
        present = texts.is_not_null().to_numpy(writable=True)
        parts, problems = parts_of(texts, plan["separator"])
        present[[problem.row for problem in problems]] = False
        digests = digest(parts["label"])
        found, first = np.unique(digests, return_index=True)
        spelled = dict(zip(found.tolist(), parts["label"].gather(first).to_list(), strict=True))
        each = pl.DataFrame({"row": parts["row"], "digest": digests}).unique(maintain_order=True)
        lengths = np.bincount(each["row"], minlength=len(series)).astype(np.int64)
        values = each["digest"].to_numpy().astype(np.uint64)
        return Arrays(values, present, digest(series), spelled, problems, lengths)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, LabelsSettings)
        counter, present, rows = Counter(), 0, 0
        spelled: dict[int, str] = {}
        texts: Mapping[int, str] = {}
        for chunk in chunks:
            counter.add(chunk.values)
            present, rows = present + int(chunk.present.sum()), rows + len(chunk)
            if chunk.texts is not texts:
                texts = chunk.texts
                spelled.update(texts)
        if not present:
            raise no_values(name)
        digests, counts = counter.most_common()
        if target:
            return _fit_target(name, digests, counts, present, spelled, plan["separator"], settings.label_limit)
        kept = digests[counts >= settings.label_minimum][: settings.label_limit]
        missing = present < rows
        # What no training row has is not learned, and what stands for it would say anything.
        unknown = len(kept) < len(digests) or not (len(kept) or missing)
        return LabelsField(name, kept, [_spell(spelled, value) for value in kept.tolist()], unknown, missing)

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        role = word(content, "role", "input", "target")
        return (LabelsField if role == "input" else SeveralField).from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        separator = word(plan, "separator", *SEPARATORS, LIST)
        expect(not isinstance(field, SeveralField) or field.separator == separator, "separator")


def _series(column: Column) -> pl.Series:
    if isinstance(column, FileColumn | np.ndarray):
        what = "files" if isinstance(column, FileColumn) else "arrays"
        raise ColumnError(f"A column of {what} cannot be read as labels", remedy="Give cells such as red;round")
    return column


def _found(arrays: Arrays, lookup: Lookup) -> tuple[np.ndarray, np.ndarray]:
    """Of each label of the rows: which row has it, and its place, -1 where it has none."""
    assert arrays.lengths is not None
    return np.repeat(np.arange(len(arrays)), arrays.lengths), lookup(arrays.values)


def _fit_target(
    name: str, digests: np.ndarray, counts: np.ndarray, rows: int, spelled: Mapping[int, str], separator: str, most: int
) -> SeveralField:
    kept, counts = digests[:most], counts[:most]
    if (counts == rows).all():
        what = f"the same {len(kept):,} labels" if len(kept) else "no label"
        raise ColumnError(
            f"Column {name!r} has {what} in every row: there is nothing to learn",
            remedy="Choose another --target, or say with --set label_separator=... what stands between labels",
        )
    texts = [_spell(spelled, value) for value in kept.tolist()]
    numbers = as_floats(parse_numbers(pl.Series(texts, dtype=pl.String)))
    by_size = np.isfinite(numbers).all()
    order = sorted(range(len(texts)), key=lambda each: (numbers[each] if by_size else 0, texts[each]))
    classes = [texts[each] for each in order]
    return SeveralField(
        name, classes, kept[order], counts[order].tolist(), rows, separator, others=len(digests) - len(kept)
    )


def _spell(texts: Mapping[int, str], value: int) -> str:
    return texts.get(value) or f"#{value:016x}"


def _show(arrays: Arrays, row: int, known: Mapping[int, str]) -> Text:
    if not arrays.present[row]:
        return Text("missing")
    labels = [arrays.texts.get(value) or _spell(known, value) for value in arrays.of_row(row).tolist()]
    return Text(", ".join(labels) or "no label")


def _expect_labels(texts: Any, what: str) -> None:
    expect(isinstance(texts, list) and len(texts) <= MOST_LABELS, what)
    expect(all(isinstance(text, str) and 0 < len(text) <= LONGEST_TEXT for text in texts), what)
    expect(len(set(texts)) == len(texts), what)


kinds.register(Labels.name)(Labels())
