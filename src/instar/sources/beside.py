"""Folders side by side whose files belong together by name: ``images/cat.jpg`` and ``masks/cat.png``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import polars as pl

from instar.errors import SourceError
from instar.sources.base import Chunk, Column, FileColumn, FileReference, Schema, Source, sources
from instar.sources.columns import ROWS_OF_A_CHUNK, check_columns
from instar.sources.folder import METADATA, SPLIT, entries, is_folder, split_folders, walk
from instar.sources.paths import as_path, existing, plain_name, stamp, without_suffix

# What such folders are customarily called: what is given, and what is to be answered.
GIVEN = frozenset({"images", "image", "imgs", "img", "photos", "scans", "volumes", "inputs", "input", "imagestr"})
ANSWERS = frozenset({"masks", "mask", "labels", "labelstr", "annotations", "segmentations", "targets", "target"})


@sources.register("folders")
class FoldersSource(Source):
    """Each folder is a column of files; those of one name, whatever its suffix, are a row.

    It is meant where ``--target`` names one of the folders, where a model knows them, or where there are two that are
    called as ``images`` and ``masks`` are. ``train``, ``validation`` and ``test`` may each hold such folders.
    """

    precedence = 1

    def __init__(self, folder: Path, target: Sequence[str]) -> None:
        self.name, self.place = plain_name(folder), str(folder)
        parts = split_folders(folder) or {"": folder}
        self._columns = tuple(sorted({name for path in parts.values() for name in _folders(path)}))
        self._target = _customary(self._columns) if not target else None
        self._rows: list[tuple[str, dict[str, Path]]] = []
        for split, path in parts.items():
            rows = self._matched(path)
            self._rows += [(split, rows[stem]) for stem in sorted(rows)]
        self._split = "" not in parts
        if len(self._columns) > 1 and not any(len(files) > 1 for _, files in self._rows):
            raise SourceError(
                f"No file of one of the folders {', '.join(self._columns)} is called as one of another",
                where=self.place,
                remedy="Give files that belong together one name, such as images/1.jpg and masks/1.png",
            )

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        path = as_path(given)
        if path is None or not path.is_dir() or (path / METADATA).is_file():
            return False
        places = list(split_folders(path).values()) or [path]
        names = {name for place in places for name in _folders(place)}
        asked = {*(options.get("target") or ()), *(options.get("files") or ())}
        return bool(names & asked) or _customary(sorted(names)) is not None

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        return cls(existing(given), options.get("target") or ())

    def schema(self) -> Schema:
        columns = (*self._columns, *((SPLIT,) if self._split else ()))
        return Schema(columns, rows=len(self._rows), target=self._target, given_split=SPLIT if self._split else None)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self.schema())
        for start in range(0, len(self._rows), ROWS_OF_A_CHUNK):
            rows = self._rows[start : start + ROWS_OF_A_CHUNK]
            yield Chunk(start, {name: self._column(name, rows) for name in names})

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for _, files in self._rows:
            for path in files.values():
                digest.update(stamp(path).encode())
        return digest.hexdigest()

    def locate_row(self, row: int) -> str:
        return str(next(iter(self._rows[row][1].values())))

    def _column(self, name: str, rows: Sequence[tuple[str, Mapping[str, Path]]]) -> Column:
        if name == SPLIT and self._split:
            return pl.Series(SPLIT, [split for split, _ in rows], dtype=pl.String)
        paths = [files.get(name) for _, files in rows]
        root = Path(self.place)
        return FileColumn(
            [None if path is None else FileReference(os.path.relpath(path, root), path=path) for path in paths]
        )

    def _matched(self, place: Path) -> dict[str, dict[str, Path]]:
        """The files of each name without its suffix, by column."""
        rows: dict[str, dict[str, Path]] = {}
        for name in self._columns:
            if not (place / name).is_dir():
                continue
            for file in walk(place / name):
                found = rows.setdefault(str(without_suffix(PurePath(file))), {})
                if name in found:
                    raise SourceError(
                        f"Two files of {name!r} have one name: {found[name].name} and {PurePath(file).name}",
                        where=self.place,
                        remedy="Rename one of them",
                    )
                found[name] = place / name / file
        return rows


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in entries(folder) if is_folder(entry)]


def _customary(names: Sequence[str]) -> str | None:
    """Which of two folders holds answers, by what they are called."""
    given, answers = ([name for name in names if name.lower() in known] for known in (GIVEN, ANSWERS))
    return answers[0] if len(names) == 2 and len(given) == len(answers) == 1 else None
