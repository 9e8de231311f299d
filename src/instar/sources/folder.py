"""Files as examples: a folder per class, a folder with ``metadata.csv``, a plain folder, a list of files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any

import polars as pl

from instar.errors import SourceError
from instar.parts import WORDS, part_called
from instar.sources.base import Chunk, Column, FileColumn, FileReference, Schema, Source, sources, thin
from instar.sources.columns import ROWS_OF_A_CHUNK, check_columns
from instar.sources.paths import as_path, existing, has_suffix, plain_name, reading, stamp
from instar.sources.slices import SCANS, holds_slices
from instar.sources.table import DelimitedTable, TableSource

FILE, CLASS, SPLIT = "file", "class", "split"
METADATA, FILE_NAME = "metadata.csv", "file_name"

# Suffixes of recordings that not every Python knows.
_SOUNDS = (".flac", ".ogg", ".oga", ".opus", ".wave", ".caf", ".w64", ".rf64")
_FOREIGN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})


def _is_ours(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _FOREIGN


def entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What lies in a folder, without hidden files and those that systems leave behind, by name."""
    with reading(folder), os.scandir(folder) as found:
        return sorted((entry for entry in found if _is_ours(entry.name)), key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or leads to one; a link that leads to itself is a file, which then cannot be read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def walk(folder: Path | str, prefix: str = "", above: frozenset[str] = frozenset()) -> Iterator[str]:
    """All files in a folder and the folders in it, each after ``prefix``, by name; links that lead ``above`` end.

    A folder that is one example, such as the slices of a scan, stands for itself.
    """
    here = os.path.realpath(folder)
    if here in above:
        return
    for entry in entries(folder):
        if is_folder(entry) and not holds_slices(entry.path):
            yield from walk(entry.path, f"{prefix}{entry.name}/", above | {here})
        else:
            yield prefix + entry.name


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders in ``folder`` that say train, validation or test, if all of its folders do."""
    folders = [Path(entry.path) for entry in entries(folder) if is_folder(entry)]
    if not folders or any(part_called(each.name) is None for each in folders):
        return {}
    found: dict[int, Path] = {}
    for each in folders:
        part = part_called(each.name)
        assert part is not None
        if part in found:
            raise SourceError(
                f"Both {found[part].name!r} and {each.name!r} hold examples for {WORDS[part][0]}",
                where=str(folder),
                remedy="Join the two folders",
            )
        found[part] = each
    return {words[0]: found[part] for part, words in WORDS.items() if part in found}


class _Listed(Source):
    """Files that are known by path from the beginning, and perhaps what their folders say of them."""

    def __init__(self, name: str, place: str, files: Sequence[Path | str], base: Path | None = None) -> None:
        self.name, self.place = name, place
        self._files, self._base = files, base

    def schema(self) -> Schema:
        return Schema((FILE,), rows=len(self._files), nameless=(FILE,))

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self.schema())
        for start in range(0, len(self._files), ROWS_OF_A_CHUNK):
            rows = slice(start, start + ROWS_OF_A_CHUNK)
            yield Chunk(start, {name: self._column(name, rows) for name in names})

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for file in self._files:
            digest.update(stamp(self._path(file)).encode())
        return digest.hexdigest()

    def locate_row(self, row: int) -> str:
        return str(self._path(self._files[row]))

    def _path(self, file: Path | str) -> Path:
        return Path(file) if self._base is None else self._base / file

    def _column(self, name: str, rows: slice) -> Column:
        return FileColumn([FileReference(str(file), path=self._path(file)) for file in self._files[rows]])


def _type_of(path: Path) -> str | None:
    """The media type that a file's name says."""
    # Those that Python itself knows: what a machine adds to them must not decide what is read.
    types = MimeTypes(filenames=())
    for suffix in _SOUNDS:
        types.add_type("audio/basic", suffix)
    return types.guess_type(path.name)[0]


@sources.register("files")
class FilesSource(_Listed):
    """A list of files, or one that is a picture, a recording or a scan by its name; the column ``file``.

    A folder that holds the slices of a scan is one of them. Where it is known that examples lie in files, one text
    file is one of them, and its lines are none.
    """

    precedence = -2

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        if isinstance(given, list | tuple):
            return bool(given) and all(isinstance(each, str | os.PathLike) for each in given)
        if has_suffix(given, SCANS):
            return True
        path = as_path(given)
        kind = None if path is None or path.is_dir() else _type_of(path)
        known = ("image/", "audio/", "text/plain") if options.get("files") else ("image/", "audio/")
        return kind is not None and kind.startswith(known)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        files = [existing(each) for each in (given if isinstance(given, list | tuple) else [given])]
        for file in files:
            if not file.is_file() and not holds_slices(file):
                raise SourceError(
                    "This is no file", where=str(file), remedy="Give either files, or one folder of files"
                )
        if len(files) == 1:
            return cls(plain_name(files[0]), str(files[0]), files)
        return cls("files", f"{len(files)} files", files)


@sources.register("folder")
class FolderSource(_Listed):
    """A folder whose folders are classes, or a plain one; ``train``, ``validation``, ``test`` in it are respected.

    Files in the folders of a class belong to it. Files beside the folders of classes are left out. A folder that holds
    the slices of a scan is one example, and no class.
    """

    precedence = -1

    def __init__(self, folder: Path) -> None:
        splits = split_folders(folder)
        if splits:
            parts = [(split, path.name + "/", _classified(path)) for split, path in splits.items()]
        else:
            parts = [("", "", _classified(folder))]
        found = sorted((prefix + file, split, label) for split, prefix, files in parts for file, label in files)
        super().__init__(plain_name(folder), str(folder), [file for file, _, _ in found], folder)
        self._splits = [split for _, split, _ in found] if splits else None
        labels = [label or None for _, _, label in found]
        self._labels = labels if any(labels) else None

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        path = as_path(given)
        return path is not None and path.is_dir()

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        folder = existing(given)
        if holds_slices(folder):
            return FilesSource.open(folder, options)
        source = cls(folder)
        if not source._files:
            raise SourceError(
                "There is no file in the folder", where=source.place, remedy="Put a folder per class in it"
            )
        if source._labels is None and source._splits is None:
            source._refuse_tables()
        return source

    def schema(self) -> Schema:
        more = [CLASS] if self._labels is not None else []
        more += [SPLIT] if self._splits is not None else []
        return Schema(
            (FILE, *more),
            rows=len(self._files),
            target=CLASS if CLASS in more else None,
            given_split=SPLIT if SPLIT in more else None,
            nameless=(FILE,),
        )

    def _column(self, name: str, rows: slice) -> Column:
        if name == CLASS and self._labels is not None:
            return pl.Series(CLASS, self._labels[rows], dtype=pl.String)
        if name == SPLIT and self._splits is not None:
            return pl.Series(SPLIT, self._splits[rows], dtype=pl.String)
        return super()._column(name, rows)

    def _refuse_tables(self) -> None:
        """Raise SourceError where every file is an example set of its own: one of them was meant."""
        others = [source for source in sources.values() if not issubclass(source, _Listed)]
        known = {"files": (FILE,)}
        if all(any(other.recognizes(self._path(file), known) for other in others) for file in self._files):
            raise SourceError(
                "The folder holds tables or arrays",
                where=self.place,
                remedy=f"Name one of them, for example {self.locate_row(0)}",
            )


def _classified(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file, relative to ``folder``, and its class; the class is empty where there are no folders of classes."""
    classes = [entry for entry in entries(folder) if is_folder(entry)]
    if not classes:
        return ((file, "") for file in walk(folder))
    real = frozenset({os.path.realpath(folder)})
    return (found for each in classes for found in _of_class(each, real))


def _of_class(folder: os.DirEntry[str], above: frozenset[str]) -> Iterator[tuple[str, str]]:
    if holds_slices(folder.path):
        yield folder.name, ""
        return
    for file in walk(folder.path, f"{folder.name}/", above):
        yield file, folder.name


@sources.register("metadata-folder")
class MetadataFolder(Source):
    """A folder with ``metadata.csv``, whose column ``file_name`` names files beside it, as Hugging Face has it.

    The files are the column ``file``; the others are as they are. ``train``, ``validation`` and ``test`` may each
    have a ``metadata.csv`` of their own.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self.name, self.place = plain_name(folder), str(folder)
        places = {"": folder} if (folder / METADATA).is_file() else split_folders(folder)
        named = options.get("files")
        inner = {**options, "files": None if named is None else [name for name in named if name != FILE]}
        self._tables = {
            split: DelimitedTable(path / METADATA, inner, files=[FILE_NAME]).checked() for split, path in places.items()
        }
        first = next(iter(self._tables.values()))
        self._columns = first.schema().columns
        for table in self._tables.values():
            self._check(table)
        self._starts: dict[str, int] = {}

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        path = as_path(given)
        if path is None or not path.is_dir():
            return False
        if (path / METADATA).is_file():
            return True
        splits = split_folders(path).values()
        return bool(splits) and all((split / METADATA).is_file() for split in splits)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        return cls(existing(given), options)

    def schema(self) -> Schema:
        columns = tuple(FILE if name == FILE_NAME else name for name in self._columns)
        if "" in self._tables:
            return Schema(columns, nameless=(FILE,))
        return Schema((*columns, SPLIT), given_split=SPLIT, nameless=(FILE,))

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        names = check_columns(columns, self.schema())
        # A split may be all that is asked for, and the tables do not have it: their files always come along.
        inner = list(dict.fromkeys(FILE_NAME if name in (FILE, SPLIT) else name for name in names))
        start = 0
        for split, table in self._tables.items():
            self._starts[split] = start
            for chunk in table.chunks(inner):
                yield Chunk(start, self._named(chunk, names, split))
                start += len(chunk)

    def sample(self, rows: int) -> Chunk:
        names = self.schema().columns
        share = -(-rows // len(self._tables))
        samples = ((split, table.sample(share)) for split, table in self._tables.items())
        return thin((Chunk(0, self._named(chunk, names, split)) for split, chunk in samples), rows)

    def fingerprint(self) -> str:
        return hashlib.blake2b(
            "".join(table.fingerprint() for table in self._tables.values()).encode(), digest_size=16
        ).hexdigest()

    def locate_row(self, row: int) -> str:
        if len(self._starts) < len(self._tables):
            for _ in self.chunks([FILE]):
                pass
        split = [split for split, start in self._starts.items() if start <= row][-1]
        return self._tables[split].locate_row(row - self._starts[split])

    def _named(self, chunk: Chunk, names: Sequence[str], split: str) -> dict[str, Column]:
        given = {FILE if name == FILE_NAME else name: column for name, column in chunk.columns.items()}
        if SPLIT in names and split:
            given[SPLIT] = pl.Series(SPLIT, [split], dtype=pl.String).new_from_index(0, len(chunk))
        return {name: given[name] for name in names}

    def _check(self, table: TableSource) -> None:
        columns = table.schema().columns
        if FILE_NAME not in columns:
            raise SourceError(
                f"There is no column called {FILE_NAME!r}",
                where=table.place,
                remedy="Add it, with the path of each row's file, relative to this one",
            )
        taken = [name for name in (FILE, *([SPLIT] if "" not in self._tables else [])) if name in columns]
        if taken:
            raise SourceError(f"No column can be called {taken[0]!r} here", where=table.place, remedy="Rename it")
        if columns != self._columns:
            raise SourceError(
                f"The columns are {', '.join(columns)}, and elsewhere {', '.join(self._columns)}",
                where=table.place,
                remedy="Give the tables of all parts the same columns, in the same order",
            )
