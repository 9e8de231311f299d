"""What `read` gave, in memory-mapped arrays, so that content is read once and memory does not grow with it.

An entry of the cache holds a manifest and raw arrays: per column ``values``, ``present`` and ``digests``, appended a
chunk at a time. Arrays that are not large are then packed into one file, because thousands of columns would need
thousands of open files. Words lie beside them as lines of JSON. A change in the source reads everything again:
telling which rows changed would need a second kind of digest, of files by time and size, for a rare gain.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from instar import cache
from instar.errors import ColumnError, ContentError, InstarError, SourceError
from instar.fields import Arrays, Problem, kinds
from instar.keys import row_keys
from instar.settings import Settings
from instar.sources import Chunk, Column, FileColumn, Source, bounded
from instar.version import VERSION

FORMAT = 3
# A column of another kind than expected is unreadable in most rows, a dirty one in a few per cent; in between lies a
# loss that should not pass in silence. One or two rows are a slip however small the table is.
TOLERATED_SHARE, TOLERATED_ROWS = 0.1, 2
# Where nobody knows how many rows there will be, they are judged from here on, not at the end of a hundred gigabytes.
JUDGED_FROM = 10_000
# Enough to see what is wrong; a million of them would only fill memory.
KEPT_PROBLEMS = 100
# Words beyond this many are not kept, which bounds memory (about 20 MB a column): they are read, but nameless.
KEPT_TEXTS = 200_000
# Larger arrays stay files of their own, since packing them would write them twice.
PACKED_BYTES = 64 * 2**20
# Arrays start at a multiple of this many bytes, so that any dtype can be viewed in place.
ALIGNMENT = 64
# How much a column's rows take in memory at a time where a kind is fitted; and all columns' where they are read.
CHUNK_BYTES, READ_BYTES = 16 * 2**20, 64 * 2**20

Report = Callable[[int, int | None], None]


@dataclass(frozen=True)
class ColumnPlan:
    """How a column is read: by which kind, with what its `survey` found."""

    kind: str
    plan: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def survey(cls, name: str, kind: str, sample: Column, settings: Settings, place: str) -> ColumnPlan:
        """The plan that a kind makes of a sample. Raises ColumnError with the column's name where it cannot."""
        try:
            return cls(kind, kinds[kind].survey(sample, settings))
        except ColumnError as failure:
            what, remedy = failure.what, failure.remedy
        except InstarError:
            raise
        except Exception as failure:  # a plug-in's kind may raise anything
            what, remedy = f"It cannot be read as {kind} ({type(failure).__name__}: {failure})", None
        remedy = remedy or f"Name another kind (--kind {name}=KIND), or leave the column out (--exclude {name})"
        raise ColumnError(what, where=f"{place}, column {name!r}", remedy=remedy)

    def read(self, name: str, chunk: Chunk, source: Source, start: int) -> Arrays:
        """What the kind makes of a chunk of ``source`` whose first row is number ``start``.

        Raises an InstarError with the place, also where the kind fails in a way that it should not.
        """
        kind, column = kinds[self.kind], chunk.columns[name]
        try:
            read = kind.read(column, self.plan)
            elsewhere = kind.misplaced(column, self.plan, chunk.columns)
            return read.without(elsewhere) if elsewhere else read
        except ColumnError as failure:
            what, remedy = failure.what, failure.remedy
            raise ColumnError(what, where=_place(source, start, name), remedy=remedy) from failure
        except InstarError:
            raise
        except Exception as failure:  # a plug-in's kind may raise anything
            raise ContentError(
                f"It cannot be read as {self.kind} ({type(failure).__name__}: {failure})",
                where=f"{_place(source, start, name)} or the {len(chunk) - 1:,} rows after it",
                remedy=f"Name another kind (--kind {name}=KIND), or leave the column out (--exclude {name})",
            ) from failure


def _place(source: Source, row: int, name: str) -> str:
    return f"{source.locate_row(row)}, column {name!r}"


def describe_problem(source: Source, name: str, problem: Problem, start: int = 0) -> str:
    """A sentence with the place of a value that could not be read; ``start`` is the number of its chunk's first row."""
    return f"{_place(source, start + problem.row, name)}: {problem.reason}"


def rows_at_a_time(plans: Iterable[ColumnPlan]) -> int | None:
    """How many rows are read together, so that what is made of them fits in memory; None: as many as there are."""
    size = sum(kinds[each.kind].bytes_of_a_row(each.plan) for each in plans)
    return max(1, READ_BYTES // size) if size else None


@dataclass(frozen=True)
class StorePlan:
    """How a source is read; columns that are not in it are not read."""

    columns: Mapping[str, ColumnPlan]

    def identifier(self, fingerprint: str) -> str:
        """Names the store of a source with this fingerprint, read this way by this version."""
        columns = sorted([name, column.kind, dict(column.plan)] for name, column in self.columns.items())
        content = json.dumps([FORMAT, VERSION, fingerprint, columns], sort_keys=True)
        return sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class StoredColumn:
    """One column: ``values`` (n, ...), ``present`` (n,) bool and ``digests`` (n,) uint64, read-only and mapped.

    Where rows have ``lengths`` (n,), ``values`` is (their sum, ...), as in `Arrays`.

    ``problems`` are the first values that could not be read (rows counted in the source, and absent here), and
    ``problem_count`` is how many there were.
    """

    name: str
    kind: str
    plan: Mapping[str, Any]
    values: np.ndarray
    present: np.ndarray
    digests: np.ndarray
    problems: tuple[Problem, ...]
    problem_count: int
    texts_file: Path
    lengths: np.ndarray | None = None

    @cached_property
    def texts(self) -> dict[int, str]:
        """What each number in ``values`` stands for, where numbers stand for words."""
        try:
            with self.texts_file.open(encoding="utf-8") as lines:
                return dict(json.loads(line) for line in lines)
        except FileNotFoundError:
            return {}

    def arrays(self, rows: np.ndarray | slice) -> Arrays:
        """The rows (int64, or a slice) in their order; a copy, unless they are a slice."""
        return self._whole.rows(rows)

    @cached_property
    def _whole(self) -> Arrays:
        return Arrays(self.values, self.present, self.digests, self.texts, lengths=self.lengths)

    def chunks(self, rows: np.ndarray) -> Iterator[Arrays]:
        """The rows a bounded number of bytes at a time, as `Kind.fit` takes them."""
        row_bytes = self.values.nbytes // max(1, len(self.present)) + 9  # of rows that have lengths, the mean
        size = max(1, CHUNK_BYTES // row_bytes)
        for start in range(0, len(rows), size):
            yield self.arrays(rows[start : start + size])


class Store:
    """All columns of a source as they were read: ``rows`` by name of column, held in the cache while this lives.

    ``content_digest`` is equal for equal content, whatever the order of rows and columns.
    """

    def __init__(self, held: cache.Held) -> None:
        self._held = held
        manifest = json.loads((held.folder / "manifest.json").read_text(encoding="utf-8"))
        self.identifier: str = manifest["identifier"]
        self.content_digest: str = manifest["content_digest"]
        self._rows: int = manifest["rows"]
        files = {name: _mapped(held.folder / name) for name in manifest["files"]}
        self.columns = {about["name"]: self._restore(about, files) for about in manifest["columns"]}

    def __len__(self) -> int:
        return self._rows

    def column(self, name: str) -> StoredColumn:
        return self.columns[name]

    def close(self) -> None:
        """Let others remove the entry; arrays that were taken stay usable."""
        self._held.release()

    def _restore(self, about: dict[str, Any], files: Mapping[str, np.ndarray]) -> StoredColumn:
        arrays = {}
        for part, place in about["arrays"].items():
            dtype, shape = np.dtype(place["dtype"]), (place["length"], *place["shape"])
            stop = place["start"] + dtype.itemsize * int(np.prod(shape))
            arrays[part] = files[place["file"]][place["start"] : stop].view(dtype).reshape(shape)
        return StoredColumn(
            name=about["name"],
            kind=about["kind"],
            plan=about["plan"],
            problems=tuple(Problem(row, reason) for row, reason in about["problems"]),
            problem_count=about["problem_count"],
            texts_file=self._held.folder / about["texts"],
            **arrays,
        )

    @classmethod
    def find(cls, source: Source, plan: StorePlan, fingerprint: str | None = None) -> Store | None:
        """The store of this source if it was read before: as it is now, or was when its ``fingerprint`` was taken."""
        return cls._open(cache.find(plan.identifier(fingerprint or source.fingerprint())))

    @classmethod
    def build(
        cls,
        source: Source,
        plan: StorePlan,
        report: Report = lambda rows, total: None,
        fingerprint: str | None = None,
    ) -> Store:
        """Read every chunk of ``source`` once; ``report`` is told (rows so far, all rows where known).

        ``fingerprint`` is the source's, where it is known already.

        A value that cannot be read is absent, and counted. Raises ContentError where those are too many in a column,
        SourceError where there are no rows or the source changed meanwhile, FolderError where the cache fails.
        """
        fingerprint = fingerprint or source.fingerprint()
        identifier = plan.identifier(fingerprint)

        def fill(folder: Path) -> None:
            _read(source, plan, identifier, folder, report)
            if source.fingerprint() != fingerprint:
                raise SourceError("It changed while it was read", where=source.place, remedy="Run the command again")

        store = cls._open(cache.build(identifier, source.name, source.place, fill))
        if store is None:
            raise SourceError("What was read cannot be read back", where=str(cache.store_directory()))
        return store

    @classmethod
    def _open(cls, held: cache.Held | None) -> Store | None:
        if held is None:
            return None
        try:
            return cls(held)
        except (OSError, ValueError, KeyError, TypeError):
            cache.discard(held)
            return None


def _mapped(path: Path) -> np.ndarray:
    """A file's bytes, read-only, mapped where there are any."""
    if path.stat().st_size == 0:
        return np.zeros(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, mode="r"))


def _read(source: Source, plan: StorePlan, identifier: str, folder: Path, report: Report) -> None:
    """Fill ``folder`` with the source's content."""
    writers = [_ColumnWriter(name, column, folder, place) for place, (name, column) in enumerate(plan.columns.items())]
    # A column knows nothing of the others, and most of the work is numpy's and polars', which share the processors.
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        rows, sums = _append_all(source, writers, pool, report)
    finally:
        pool.shutdown(cancel_futures=True)  # nobody writes into the folder once it is given up
    if not rows:
        raise SourceError("There are no examples in it", where=source.place, remedy="Name a source that has rows")
    for writer in writers:
        writer.check(source, rows, rows)
    files = _pack(folder, [place for writer in writers for place in writer.arrays.values()])
    content = [rows, *(int(each) for each in sums), sorted(plan.columns)]
    manifest = {
        "identifier": identifier,
        "rows": rows,
        "content_digest": sha256(json.dumps(content).encode()).hexdigest(),
        "files": files,
        "columns": [writer.manifest() for writer in writers],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _append_all(
    source: Source, writers: Sequence[_ColumnWriter], pool: ThreadPoolExecutor, report: Report
) -> tuple[int, np.ndarray]:
    """Read and append every chunk: the number of rows, and two sums of their keys, whatever their order."""
    total = source.schema().rows
    rows, sums = 0, np.zeros(2, np.uint64)
    few = rows_at_a_time(writer.column for writer in writers)
    for chunk in bounded(source.chunks([writer.name for writer in writers]), few):
        jobs = [pool.submit(writer.append, chunk, source, rows) for writer in writers]
        keys = row_keys({writer.name: job.result() for writer, job in zip(writers, jobs, strict=True)})
        rows += len(chunk)
        for writer in writers:
            writer.check(source, rows, total)
        # The second sum is not linear in the keys, so that no two rows can make up for each other in both.
        sums += np.array([keys.sum(dtype=np.uint64), (keys * (keys >> np.uint64(32))).sum(dtype=np.uint64)])
        report(rows, total)
    return rows, sums


class _ColumnWriter:
    """Appends one column's chunks to files. A file is open only while it is appended to: there may be thousands."""

    def __init__(self, name: str, column: ColumnPlan, folder: Path, place: int) -> None:
        self.name, self.column, self.folder, self.place = name, column, folder, place
        self.arrays: dict[str, dict[str, Any]] = {}
        self.known: set[int] = set()
        self.problems: list[tuple[int, str]] = []
        self.problem_count = 0
        self.files = False

    def append(self, chunk: Chunk, source: Source, start: int) -> np.ndarray:
        """Read a chunk whose first row is number ``start``, and return its digests."""
        self.files = isinstance(chunk.columns[self.name], FileColumn)
        read = self.column.read(self.name, chunk, source, start)
        # Where rows have lengths, their values lie one after another.
        self._append_array("values", read.values, len(chunk) if read.lengths is None else int(read.lengths.sum()))
        for part in ("present", "digests", *(() if read.lengths is None else ("lengths",))):
            self._append_array(part, getattr(read, part), len(chunk))
        self._append_texts(read.texts)
        room = KEPT_PROBLEMS - len(self.problems)
        self.problems += [(start + problem.row, problem.reason) for problem in read.problems[:room]]
        self.problem_count += len(read.problems)
        return read.digests

    def _append_array(self, part: str, array: np.ndarray, rows: int) -> None:
        name = f"{self.place}.{part}"
        about = {"file": name, "start": 0, "dtype": array.dtype.str, "shape": list(array.shape[1:])}
        known = self.arrays.setdefault(part, {**about, "length": 0})
        if {**about, "length": known["length"]} != known or len(array) != rows:
            raise TypeError(f"kind {self.column.kind!r} read {part} of another dtype or shape than before")
        known["length"] += rows
        if array.size:
            with (self.folder / name).open("ab", buffering=0) as stream:
                _write(stream, array)
        else:
            (self.folder / name).touch()

    def _append_texts(self, texts: Mapping[int, str]) -> None:
        new = [number for number in texts if number not in self.known][: KEPT_TEXTS - len(self.known)]
        if new:
            self.known.update(new)
            lines = [json.dumps([int(number), texts[number]], ensure_ascii=False) + "\n" for number in new]
            with (self.folder / f"{self.place}.texts").open("a", encoding="utf-8") as stream:
                stream.writelines(lines)

    def check(self, source: Source, rows: int, total: int | None) -> None:
        """Raise ContentError as soon as it is certain that too many of the column's values cannot be read.

        Where the ``total`` is not known, the rows so far stand for it once they are enough.
        """
        count = self.problem_count
        if total is None and rows >= JUDGED_FROM:
            total = rows
        if total is None or count <= TOLERATED_SHARE * total or (count <= TOLERATED_ROWS and count < total):
            return
        first = "; ".join(f"{source.locate_row(row)}: {reason}" for row, reason in self.problems[:3])
        choice = "Repair or remove these files" if self.files else f"Name its kind (--kind {self.name}=KIND)"
        raise ContentError(
            f"{count:,} of {rows:,} values cannot be read as {self.column.kind} ({first})",
            where=f"{source.place}, column {self.name!r}",
            remedy=f"{choice}, or leave the column out (--exclude {self.name})",
        )

    def manifest(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.column.kind,
            "plan": dict(self.column.plan),
            "arrays": self.arrays,
            "texts": f"{self.place}.texts",
            "problems": self.problems,
            "problem_count": self.problem_count,
        }


def _write(stream: Any, array: np.ndarray) -> None:
    """All bytes of the array: an unbuffered write may take only a part (2 GiB on Linux)."""
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    while len(content):
        content = content[stream.write(content) :]


def _pack(folder: Path, places: list[dict[str, Any]]) -> list[str]:
    """Move the arrays that are not large into one file, changing their places; all files that hold arrays."""
    large = []
    with (folder / "packed").open("wb") as packed:
        for place in places:
            path = folder / place["file"]
            if path.stat().st_size >= PACKED_BYTES:
                large.append(place["file"])
                continue
            packed.write(b"\0" * (-packed.tell() % ALIGNMENT))
            place.update(file="packed", start=packed.tell())
            packed.write(path.read_bytes())
            path.unlink()
    return ["packed", *large]
