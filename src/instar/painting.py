"""Answers that are pictures or masks as files, each at the size of what it is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np

from instar.errors import FolderError
from instar.fields import Field, kinds
from instar.fields.digest import in_threads
from instar.files import write_bytes, writing
from instar.shapes import Mapped, mapped_from
from instar.sources import Chunk, FileColumn, FileReference
from instar.sources.paths import without_suffix


def paints(targets: Sequence[Field]) -> bool:
    """Whether any of the answers is a picture or a mask."""
    return any(isinstance(each.answer, Mapped) for each in targets)


class Painter:
    """Writes answers into a folder, under the names of the files that they are made of.

    Raises FolderError where the folder holds anything, which might be the only copy of a picture, or cannot be written.
    """

    def __init__(self, folder: Path, inputs: Sequence[Field], targets: Sequence[Field]) -> None:
        self.folder = folder
        with writing(folder):
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise FolderError("The folder is not empty", where=str(folder), remedy="Give a new folder")
            folder.mkdir(parents=True, exist_ok=True)
        fields = {each.name: each for each in inputs}
        shapes = {name: each.shape for name, each in fields.items() if each.shape is not None}
        asked = [each for each in targets if isinstance(each.answer, Mapped)]
        self.targets = {each: fields[mapped_from(shapes, each.answer) or inputs[0].name] for each in asked}  # type: ignore[arg-type]
        self.several = len(asked) > 1
        self.taken: set[Path] = set()

    def paint(self, chunk: Chunk, answers: Mapping[str, np.ndarray], readable: np.ndarray) -> dict[str, np.ndarray]:
        """By target the path of each row's file, (n,) objects; None where a row is not ``readable`` (n,)."""
        return {
            target.name: self._paint(target, leader, chunk, answers[target.name], readable)
            for target, leader in self.targets.items()
        }

    def _paint(
        self, target: Field, leader: Field, chunk: Chunk, answers: np.ndarray, readable: np.ndarray
    ) -> np.ndarray:
        column = chunk.columns[leader.name]
        frames = kinds[leader.kind].frames(column)
        folder = self.folder / _plain(target.name) if self.several else self.folder
        rows = np.flatnonzero(readable).tolist()
        stems = {}
        for row in rows:
            file = column.files[row] if isinstance(column, FileColumn) else None
            stems[row] = self._free(folder / (f"{chunk.start + row + 1:06d}" if file is None else _inner(file)))

        def write(row: int) -> str:
            suffix, content = target.written(answers[row], frames[row])
            path = stems[row].with_name(stems[row].name + suffix)
            with writing(self.folder):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
            return str(path)

        paths = np.full(len(answers), None, object)
        paths[rows] = list(in_threads(write, rows))
        return paths

    def _free(self, path: Path) -> Path:
        """The path, with a number where two files are called alike."""
        free, number = path, 1
        while free in self.taken:
            number += 1
            free = path.with_name(f"{path.name}-{number}")
        self.taken.add(free)
        return free


def _inner(file: FileReference) -> PurePath:
    """A file's name without its suffix, as one within a folder: of one from elsewhere the last part alone."""
    path = PurePath(file.name)
    inside = not path.is_absolute() and ".." not in path.parts and path.name
    path = path if inside else PurePath(path.name or "picture")
    return path if file.is_folder else without_suffix(path)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "answers"
