"""``.ts`` files: series as the archives of UEA and UCR (Bagnall et al. 2018) have them, and aeon writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from instar.errors import SourceError
from instar.sources.base import Column, Schema, Source, sources
from instar.sources.joined import JoinedSource
from instar.sources.paths import existing_file, has_suffix, plain_name
from instar.sources.table import TextTable
from instar.sources.text import Block, Position, line_cut

SERIES, CLASS, TARGET, SPLIT = "series", "class", "target", "split"

_TRAINING = re.compile(r"(.+)_(TRAIN)((\.ts)(\.gz)?)", re.IGNORECASE)
_MISSING = "?"


@dataclass(frozen=True)
class Header:
    """What the lines before ``@data`` say: the name of the answers' column, the classes, and where the data begins."""

    answer: str | None
    classes: tuple[str, ...]
    start: Position


class SeriesFile(TextTable):
    """One file: the column ``series``, whose cells have ``;`` between steps and ``:`` between channels; and the answer.

    ``classes`` are those of the whole source, so that the column of classes has one type in all of its files.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, {"files": ()})
        self.classes = self.header.classes

    @cached_property
    def header(self) -> Header:
        return _header(next(self.text.blocks(line_cut)), self.place)

    @property
    def first(self) -> Position:
        return self.header.start

    def schema(self) -> Schema:
        answer = self.header.answer
        return Schema((SERIES, *([answer] if answer else [])), target=answer, nameless=(SERIES,))

    def cut(self, content: bytes) -> int:
        return line_cut(content)

    def parse(self, block: Block) -> pl.DataFrame:
        cells, answers = [], []
        for line, text in _records(block):
            series, answer = self._parts(text, line)
            cells.append(series.replace(",", ";"))
            answers.append(answer)
        frame = pl.DataFrame({SERIES: pl.Series(cells, dtype=pl.String)})
        if self.header.answer is None:
            return frame
        kind = pl.Enum(self.classes) if self.classes and self.header.answer == CLASS else pl.String()
        return frame.with_columns(pl.Series(self.header.answer, answers, dtype=kind))

    def parse_piece(self, content: bytes) -> pl.DataFrame | None:
        try:
            return self.parse(Block(content, self.first))
        except SourceError:  # the whole reading says in which line
            return None

    def lines(self, block: Block) -> Iterator[int]:
        return (line for line, _ in _records(block))

    def _columns(self, frame: pl.DataFrame, start: int | None) -> dict[str, Column]:
        return {series.name: series for series in frame}

    def _parts(self, text: str, line: int) -> tuple[str, str | None]:
        """A record's series and its answer. Raises SourceError."""
        where = f"{self.place}, line {line}"
        if "(" in text:
            raise _timestamps(where)
        if self.header.answer is None:
            return text, None
        series, colon, answer = (part.strip() for part in text.rpartition(":"))
        if not colon or not answer or "," in answer:
            raise SourceError(
                f"The line does not end with a colon and the {self.header.answer}",
                where=where,
                remedy="Write 1.5,2,3:4,5,6:ANSWER, with a colon between channels and before the answer",
            )
        if answer == _MISSING:
            return series, None
        if self.header.classes and answer not in self.header.classes:
            raise SourceError(
                f"The class {answer[:40]!r} is none of those in the header", where=where, remedy="Add it to @classLabel"
            )
        return series, answer


def _records(block: Block) -> Iterator[tuple[int, str]]:
    """The records of a block, each with its line."""
    for line, text in enumerate(block.content.decode().split("\n"), block.position.line):
        text = text.strip()
        if text and not text.startswith("#"):
            yield line, text


def _header(head: Block, place: str) -> Header:
    """Raises SourceError where it is none."""
    offset, answer = head.position.offset, None
    classes: tuple[str, ...] = ()
    for line, raw in enumerate(head.content.split(b"\n"), head.position.line):
        offset += len(raw) + 1
        text = raw.decode().strip()
        if not text or text.startswith("#"):
            continue
        where = f"{place}, line {line}"
        if not text.startswith("@"):
            raise SourceError(
                f"{text[:40]!r} is neither a comment nor a line of the header, and stands before @data",
                where=where,
                remedy="Begin the file with lines such as @univariate true, and write @data before the series",
            )
        key, *values = text[1:].split() or [""]
        match key.lower(), values:
            case "data", _:
                return Header(
                    answer, classes, Position(min(offset, head.position.offset + len(head.content)), line + 1)
                )
            case "timestamps", [said] if said.lower() == "true":
                raise _timestamps(where)
            case (("classlabel" | "targetlabel"), [said, *named]) if said.lower() == "true":
                answer = CLASS if key.lower() == "classlabel" else TARGET
                classes = tuple(dict.fromkeys(named)) if answer == CLASS else ()
            case (("classlabel" | "targetlabel"), ([] | [str(), *_])) if not values or values[0].lower() != "false":
                raise SourceError(f"@{key} says neither true nor false", where=where)
    raise SourceError(
        "There is no line @data in the beginning of the file",
        where=place,
        remedy="Check that it is a .ts file of series as aeon writes them",
    )


def _timestamps(where: str) -> SourceError:
    return SourceError(
        "Series with timestamps cannot be read",
        where=where,
        remedy="Write the values alone, at even distances in time: 1.5,2,?,3 with @timestamps false",
    )


@sources.register("series")
class SeriesSource(JoinedSource):
    """A ``.ts`` file; and where it is ``NAME_TRAIN.ts`` and ``NAME_TEST.ts`` lies beside it, both, divided so."""

    suffixes = (".ts", ".ts.gz")

    def __init__(self, files: Mapping[str, SeriesFile]) -> None:
        first = next(iter(files.values()))
        known = all(file.header.classes for file in files.values())
        classes = dict.fromkeys(name for file in files.values() for name in file.header.classes)
        for file in files.values():
            file.classes = tuple(classes) if known else ()
            if file.header.answer != first.header.answer:
                raise SourceError(
                    f"Its answers are called {file.header.answer}, and those of {first.place} {first.header.answer}",
                    where=file.place,
                    remedy="Give both files the same @classLabel or @targetLabel",
                )
        schema = first.schema()
        if len(files) > 1:
            schema = replace(schema, columns=(*schema.columns, SPLIT), given_split=SPLIT)
        name = re.sub("_train$", "", plain_name(first.path), flags=re.IGNORECASE)
        parts = [(file, {SPLIT: part} if len(files) > 1 else {}) for part, file in files.items()]
        super().__init__(name, first.place, parts, schema)

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return has_suffix(given, cls.suffixes)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        path = existing_file(given)
        paths, training = {"train": path}, _TRAINING.fullmatch(path.name)
        if training is not None and not options.get("alone"):
            word = "TEST" if training[2].isupper() else "test" if training[2].islower() else "Test"
            test = path.with_name(f"{training[1]}_{word}{training[3]}")
            paths |= {"test": existing_file(test)} if test.exists() else {}
        files = {part: SeriesFile(each) for part, each in paths.items()}
        source = cls(files)
        for file in files.values():
            file.checked()
        return source
