"""Categories: words, truth values, codes; as a target also whole numbers of which there are few."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError
from instar.fields._state import array, expect, word
from instar.fields._statistics import Counter
from instar.fields.base import Arrays, Field, Kind, Prepared, State, kinds, no_values, quote
from instar.fields.digest import MISSING, as_floats, digest, parse_numbers, words
from instar.fields.number import LEAST_SHARE, has_codes
from instar.settings import Settings, setting
from instar.shapes import NO_ANSWER, UNKNOWN_CLASS, Choice, Text, Vector
from instar.sources import Column, FileColumn
from instar.words import percent

# Codes of an input that are no category's.
ABSENT, UNSEEN = 0, 1
# Whole numbers up to this many different ones, each in five rows on average, are a target's classes.
MOST_NUMBERED_CLASSES, LEAST_ROWS_PER_CLASS = 20, 5
# Beyond this a head no longer learns from a column; it is an identifier.
MOST_CLASSES = 1 << 16
# Words that are nearly all different tell nothing of new rows; fewer cells than this cannot show it.
TELLING_CELLS = 20
LONGEST_TEXT = 200
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True)
class CategorySettings(Settings):
    """Which categories of an input have a place of their own."""

    minimum_count: int = setting(
        2, "training rows that a category needs for a place of its own; rarer ones train the unseen", minimum=1
    )
    maximum_categories: int = setting(
        4096,
        "most categories of a column with a place of their own, the most frequent ones",
        minimum=1,
        maximum=1 << 20,
    )


class CategoryField(Field):
    """A category as an input: code 0 where missing, 1 where unseen or rare, then the most frequent first.

    digests: uint64 (categories,), and ``texts`` what they stand for, in the order of the codes.
    """

    kind = "category"
    answer = None

    def __init__(self, name: str, digests: np.ndarray, texts: Sequence[str]) -> None:
        self.name, self.digests, self.texts = name, digests, tuple(texts)
        self.shape: Vector = Vector(0, (len(digests) + 2,))
        self._lookup = Lookup(digests)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        places = self._lookup(arrays.values)
        codes = np.where(places < 0, UNSEEN, places + 2)
        codes[~arrays.present] = ABSENT
        return {"codes": torch.from_numpy(codes[:, None])}

    def show(self, arrays: Arrays, row: int) -> Text:
        return _show(arrays, row, dict(zip(self.digests.tolist(), self.texts, strict=True)))

    def describe(self) -> str:
        if not self.texts:
            return "words of which none comes back"
        return f"{len(self.texts)} categories, the most frequent {quote(self.texts[0])}"

    def state(self) -> State:
        return {"role": "input", "texts": list(self.texts)}, {"digests": self.digests}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> CategoryField:
        texts = content["texts"]
        expect(isinstance(texts, list) and all(isinstance(text, str) for text in texts), "texts")
        return cls(name, distinct(array(arrays, "digests", np.uint64, len(texts))), texts)


class ClassField(Field):
    """A category as a target.

    classes: the labels in their order (numbers and truth values by size, words by letter), in the type that they were
        written in; ``digests``, uint64 (classes,), is what each is recognized by.
    """

    kind = "category"
    shape = None
    classes: tuple[bool | int | float | str, ...]

    def __init__(
        self, name: str, classes: Sequence[bool | int | float | str], digests: np.ndarray, counts: Sequence[int]
    ) -> None:
        self.name, self.classes, self.digests = name, tuple(classes), digests
        self.answer: Choice = Choice(tuple(counts))
        self._lookup = Lookup(digests)
        types = {type(label) for label in classes}
        self._labels = np.array(classes) if types in ({bool}, {int}, {float}) else np.array(classes, object)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        # A class that was never learned teaches nothing, so it is as good as missing.
        return {"target": torch.from_numpy(np.maximum(self.truth(arrays), NO_ANSWER))}

    def truth(self, arrays: Arrays) -> np.ndarray:
        places = self._lookup(arrays.values)
        places[places < 0] = UNKNOWN_CLASS
        places[~arrays.present] = NO_ANSWER
        return places

    def recounted(self, chunks: Iterable[Arrays]) -> ClassField:
        counts = np.zeros(len(self.classes), np.int64)
        for chunk in chunks:
            codes = self.truth(chunk)
            counts += np.bincount(codes[codes >= 0], minlength=len(counts))
        return ClassField(self.name, self.classes, self.digests, counts.tolist())

    def decode(self, answers: np.ndarray) -> np.ndarray:
        """The likeliest labels (n,) of probabilities (n, classes)."""
        likeliest: np.ndarray = self._labels[np.asarray(answers).argmax(axis=1)]
        return likeliest

    def show(self, arrays: Arrays, row: int) -> Text:
        return _show(arrays, row, dict(zip(self.digests.tolist(), map(str, self.classes), strict=True)))

    def describe(self) -> str:
        largest = max(range(len(self.classes)), key=lambda each: self.answer.counts[each])
        share = self.answer.counts[largest] / max(1, sum(self.answer.counts))
        share_in_words = f"{quote(self.classes[largest])} with {percent(share)} of the rows"
        return f"{len(self.classes)} classes, the largest {share_in_words}"

    def state(self) -> State:
        content = {"role": "target", "classes": list(self.classes), "counts": list(self.answer.counts)}
        return content, {"digests": self.digests}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ClassField:
        classes, counts = content["classes"], content["counts"]
        expect(isinstance(classes, list) and 2 <= len(classes) <= MOST_CLASSES, "classes")
        expect({type(each) for each in classes} in ({bool}, {int}, {float}, {str}), "classes")
        expect(len(set(classes)) == len(classes), "classes")
        expect(not isinstance(classes[0], int | float) or all(abs(each) < 1 << 63 for each in classes), "classes")
        expect(isinstance(counts, list) and len(counts) == len(classes), "counts")
        expect(all(type(count) is int and 0 <= count < 1 << 62 for count in counts), "counts")
        return cls(name, classes, distinct(array(arrays, "digests", np.uint64, len(classes))), counts)


class Category(Kind):
    """Values are digests of the cells' canonical content, so they are the same whatever a file calls its types."""

    name = "category"
    meaning = "words, truth values or codes out of a limited number"
    settings = CategorySettings
    can_be_target = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """The rule for numbers stands here and nowhere else.

        As an input a column of numbers stays one, however few they are: networks embed numbers in steps anyway, and
        an order is not thrown away. Text with leading zeros is a code. As a target, whole numbers are classes where
        there are 2, or at most 20 with five rows each on average.
        """
        if isinstance(sample, np.ndarray) and sample.ndim == 2 and sample.shape[1] == 1:
            sample = sample[:, 0]
        if isinstance(sample, FileColumn) or (isinstance(sample, np.ndarray) and sample.ndim > 1):
            return 0.0
        series = pl.Series(sample)
        if series.dtype in (pl.Boolean, pl.Categorical, pl.Enum):
            return 0.95
        if series.dtype == pl.Null or series.dtype.is_temporal() or series.dtype.is_nested():
            return 0.1
        texts = words(series).drop_nulls()
        if not len(texts):
            return 0.1
        if series.dtype == pl.String and has_codes(series):
            return 0.6
        numbers = parse_numbers(series.filter(series.is_not_null()))
        if numbers.is_finite().sum() >= LEAST_SHARE * len(texts):
            return 0.95 if target and _few_whole(as_floats(numbers)) else 0.2
        distinct = texts.n_unique()
        if distinct == 2:
            return 0.95
        if len(texts) < TELLING_CELLS:
            return 0.5
        return 0.1 if distinct > 0.9 * len(texts) else 0.8 if distinct <= 0.5 * len(texts) else 0.5

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        drawn = generator.choice(["ash", "birch", "cedar", "Dattelpalme"], rows, p=[0.4, 0.3, 0.2, 0.1])
        return pl.Series([None if row % 17 == 3 else str(tree) for row, tree in enumerate(drawn)], dtype=pl.String)

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: uint64 (n,), digests of the words, which ``texts`` spell."""
        if isinstance(column, FileColumn) or (isinstance(column, np.ndarray) and math.prod(column.shape[1:]) != 1):
            what = "files" if isinstance(column, FileColumn) else "arrays"
            raise ColumnError(f"A column of {what} cannot be read as categories", remedy="Give a column of words")
        series = pl.Series(column.reshape(-1)) if isinstance(column, np.ndarray) else column
        digests = digest(series)
        found, first = np.unique(digests, return_index=True)
        known = found != MISSING
        spelled = words(series.gather(first[known])).str.slice(0, LONGEST_TEXT)
        texts = dict(zip(found[known].tolist(), spelled.to_list(), strict=True))
        return Arrays(digests, digests != MISSING, digests, texts)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, CategorySettings)
        counter = Counter()
        texts: Mapping[int, str] = {}
        spelled: dict[int, str] = {}
        for chunk in chunks:
            counter.add(chunk.values[chunk.present])
            if chunk.texts is not texts:
                texts = chunk.texts
                spelled.update(texts)
        digests, counts = counter.most_common()
        if not len(digests):
            raise no_values(name)
        if target:
            return _fit_classes(name, digests, counts, spelled)
        kept = digests[counts >= settings.minimum_count][: settings.maximum_categories]
        return CategoryField(name, kept, [_spell(spelled, value) for value in kept.tolist()])

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        role = word(content, "role", "input", "target")
        return (CategoryField if role == "input" else ClassField).from_state(name, content, arrays)


class Lookup:
    """Places of values in an array of different ones, -1 where they are not in it."""

    def __init__(self, digests: np.ndarray) -> None:
        self._order = np.argsort(digests).astype(np.int64)
        self._sorted = digests[self._order]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        if not len(self._sorted):
            return np.full(len(values), -1, np.int64)
        near = np.searchsorted(self._sorted, values)
        near[near == len(self._sorted)] = 0
        return np.where(self._sorted[near] == values, self._order[near], -1)


def _fit_classes(name: str, digests: np.ndarray, counts: np.ndarray, spelled: Mapping[int, str]) -> ClassField:
    if len(digests) == 1:
        raise ColumnError(
            f"Column {name!r} has one class only, {quote(_spell(spelled, int(digests[0])))}: there is nothing to learn",
            remedy="Choose another --target, or add examples of another class",
        )
    if len(digests) > MOST_CLASSES or (len(digests) > TELLING_CELLS and counts[0] == 1):
        raise ColumnError(
            f"Column {name!r} has {len(digests):,} classes for {int(counts.sum()):,} rows: it looks like an identifier",
            remedy="Choose another --target",
        )
    labels = _typed([_spell(spelled, value) for value in digests.tolist()])
    order = sorted(range(len(labels)), key=labels.__getitem__)
    return ClassField(name, [labels[each] for each in order], digests[order], [int(counts[each]) for each in order])


def _typed(texts: Sequence[str]) -> list[bool] | list[int] | list[float] | list[str]:
    """Labels as truth values, whole numbers, numbers or words: the first of these that all of them are."""
    if all(text in _TRUTH for text in texts):
        return [_TRUTH[text] for text in texts]
    if all(_WHOLE.fullmatch(text) for text in texts):
        return [int(text) for text in texts]
    numbers = as_floats(parse_numbers(pl.Series(texts, dtype=pl.String)))
    if np.isfinite(numbers).all() and not has_codes(pl.Series(texts)):
        return [float(number) for number in numbers]
    return list(texts)


def _few_whole(numbers: np.ndarray) -> bool:
    known = numbers[np.isfinite(numbers)]
    distinct = len(np.unique(known))
    few = distinct <= 2 or (distinct <= MOST_NUMBERED_CLASSES and len(known) >= LEAST_ROWS_PER_CLASS * distinct)
    return few and bool((known == np.round(known)).all())


def _spell(texts: Mapping[int, str], value: int) -> str:
    return texts.get(value) or f"#{value:016x}"


def _show(arrays: Arrays, row: int, known: Mapping[int, str]) -> Text:
    value = int(arrays.values[row])
    if not arrays.present[row]:
        return Text("missing")
    return Text(arrays.texts.get(value) or _spell(known, value))


def distinct(digests: np.ndarray) -> np.ndarray:
    expect(len(np.unique(digests)) == len(digests), "a category twice")
    return digests


kinds.register(Category.name)(Category())
