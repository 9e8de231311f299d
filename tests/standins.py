"""The smallest source and kinds that the rooms between sources and networks can be tested with."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl

from instar.fields import Arrays, Field, Kind, Problem
from instar.shapes import Amounts, Choice, Grid, Vector
from instar.sources import Chunk, Schema, Source


class MemorySource(Source):
    """Columns in memory, handed out ``size`` rows at a time; ``readings`` counts the passes."""

    name, place = "memory", "memory"

    def __init__(self, columns, size=100, know_rows=True):
        self.columns, self.size, self.know_rows, self.readings = dict(columns), size, know_rows, 0

    @classmethod
    def recognizes(cls, given, options):
        return False

    @classmethod
    def open(cls, given, options):
        return cls(given)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def schema(self):
        return Schema(tuple(self.columns), rows=len(self) if self.know_rows else None)

    def chunks(self, columns=None):
        self.readings += 1
        for start in range(0, len(self), self.size):
            part = slice(start, start + self.size)
            yield Chunk(start, {name: self.columns[name][part] for name in columns or self.columns})

    def fingerprint(self):
        content = repr([(name, list(map(str, column))) for name, column in self.columns.items()])
        return hashlib.sha256(content.encode()).hexdigest()


def _digests(cells):
    return np.array(
        [int.from_bytes(hashlib.blake2b(cell, digest_size=8).digest(), "little") for cell in cells], np.uint64
    )


class Scaled(Field):
    kind = "standin_number"

    def __init__(self, name, mean, target):
        self.name, self.mean = name, mean
        self.shape, self.answer = (None, Amounts(1)) if target else (Vector(1), None)

    def prepare(self, arrays):
        import torch

        values = np.where(arrays.present, arrays.values - self.mean, np.nan if self.answer else 0).astype(np.float32)
        return {"target" if self.answer else "numbers": torch.from_numpy(values[:, None])}

    def show(self, arrays, row):
        raise NotImplementedError

    def state(self):
        return {"mean": self.mean}, {}

    @classmethod
    def from_state(cls, name, content, arrays):
        return cls(name, content["mean"], False)


class NumberKind(Kind):
    name, meaning, can_be_target = "standin_number", "a number", True

    def sniff(self, sample, *, target=False):
        return 0.0

    def sample(self, generator, rows=64):
        return pl.Series(generator.normal(size=rows))

    def read(self, column, plan):
        cells = column.cast(pl.String).to_list()
        values, problems = np.zeros(len(cells)), []
        present = np.array([cell is not None for cell in cells])
        for row, cell in enumerate(cells):
            try:
                values[row] = float(cell) if cell is not None else 0
            except ValueError:
                present[row] = False
                problems.append(Problem(row, f"{cell!r} is no number"))
        return Arrays(values, present, _digests([str(cell).encode() for cell in cells]), problems=problems)

    def fit(self, name, chunks, plan, settings, *, target):
        values = np.concatenate([chunk.values[chunk.present] for chunk in chunks])
        return Scaled(name, float(values.mean()), target)

    def restore(self, name, content, arrays):
        return Scaled.from_state(name, content, arrays)


class Coded(Field):
    kind = "standin_word"

    def __init__(self, name, words, target, counts=()):
        self.name, self.words = name, words
        self.shape, self.answer = (None, Choice(counts)) if target else (Vector(0, (len(words) + 2,)), None)

    def prepare(self, arrays):
        import torch

        place = {word: code for code, word in enumerate(self.words)}
        codes = np.array([place.get(arrays.texts.get(int(value)), -1) for value in arrays.values], np.int64)
        codes[~arrays.present] = -1 if self.answer else -2
        return {"target": torch.from_numpy(codes)} if self.answer else {"codes": torch.from_numpy(codes[:, None] + 2)}

    def decode(self, answers):
        return [self.words[code] for code in answers.argmax(1)]

    def show(self, arrays, row):
        raise NotImplementedError

    def state(self):
        return {"words": self.words}, {}

    @classmethod
    def from_state(cls, name, content, arrays):
        return cls(name, content["words"], False)


class WordKind(Kind):
    name, meaning, can_be_target = "standin_word", "a word", True

    def sniff(self, sample, *, target=False):
        return 0.0

    def sample(self, generator, rows=64):
        return pl.Series(generator.choice(["a", "b"], rows))

    def read(self, column, plan):
        cells = column.to_list()
        digests = _digests([str(cell).encode() for cell in cells])
        values = (digests >> np.uint64(1)).astype(np.int64)
        texts = {int(value): cell for value, cell in zip(values, cells, strict=True) if cell is not None}
        return Arrays(values, np.array([cell is not None for cell in cells]), digests, texts)

    def fit(self, name, chunks, plan, settings, *, target):
        counts = {}
        for chunk in chunks:
            for value in chunk.values[chunk.present]:
                word = chunk.texts[int(value)]
                counts[word] = counts.get(word, 0) + 1
        words = sorted(counts)
        return Coded(name, words, target, tuple(counts[word] for word in words))

    def restore(self, name, content, arrays):
        return Coded.from_state(name, content, arrays)


class Raster(Field):
    kind = "standin_grid"
    answer = None

    def __init__(self, name, shape):
        self.name, self.shape = name, Grid(shape[-1], shape[:-1])

    def prepare(self, arrays):
        import torch

        grid = torch.from_numpy(arrays.values).movedim(-1, 1).float() / 255
        return {"grid": grid.contiguous(), "present": torch.from_numpy(arrays.present)}

    def augment(self, prepared, generator):
        import torch

        noise = torch.rand(len(prepared["grid"]), 1, 1, 1, generator=generator)
        return {"grid": prepared["grid"] + noise, "present": prepared["present"]}

    def show(self, arrays, row):
        raise NotImplementedError

    def state(self):
        return {}, {}

    @classmethod
    def from_state(cls, name, content, arrays):
        raise NotImplementedError


class GridKind(Kind):
    name, meaning = "standin_grid", "small pictures"

    def sniff(self, sample, *, target=False):
        return 0.0

    def sample(self, generator, rows=64):
        return generator.integers(0, 256, (rows, 6, 5, 3), dtype=np.uint8)

    def read(self, column, plan):
        return Arrays(column, np.ones(len(column), bool), _digests([cell.tobytes() for cell in column]))

    def fit(self, name, chunks, plan, settings, *, target):
        return Raster(name, next(iter(chunks)).values.shape[1:])

    def restore(self, name, content, arrays):
        raise NotImplementedError


STANDINS = {kind.name: kind for kind in (NumberKind(), WordKind(), GridKind())}
