"""A folder of FASTA files: a folder for each class, as of photos, or a file for each class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from instar.sources.base import FileColumn, Schema, Source, sources
from instar.sources.fasta import DESCRIPTION, NAME, SEQUENCE, FastaSource
from instar.sources.folder import CLASS, FILE, SPLIT, FolderSource
from instar.sources.joined import JoinedSource
from instar.sources.paths import as_path, existing, plain_name


@sources.register("fasta-folder")
class FastaFolder(JoinedSource):
    """Every record of every file is an example, and its class is that of the file: its folder's, else its own name.

    ``train``, ``validation`` and ``test`` are respected as in a folder of photos. A key that nearly all headers of all
    files have is a column.
    """

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        path = as_path(given)
        if path is None or not path.is_dir():
            return False
        found = False
        for _, folders, files in os.walk(path, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not name.startswith("."):
                    if not name.lower().endswith(FastaSource.suffixes):
                        return False
                    found = True
        return found

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Source:
        folder = existing(given)
        listed = FolderSource(folder)
        words: list[dict[str, str | None]] = []
        files: list[FastaSource] = []
        for chunk in listed.chunks():
            paths = chunk.columns[FILE]
            assert isinstance(paths, FileColumn)
            for reference in paths.files:
                assert reference is not None and reference.path is not None
                files.append(FastaSource(reference.path, options))
                files[-1].checked()
            said = pl.DataFrame({name: column for name, column in chunk.columns.items() if name != FILE})
            words += said.to_dicts() if said.width else [{} for _ in paths.files]
        # Where each part is one file, its name says the part and no class.
        several = max(Counter(each.get(SPLIT) for each in words).values()) > 1
        if several and not any(CLASS in each for each in words):
            words = [{CLASS: plain_name(Path(file.path.name)), **each} for file, each in zip(files, words, strict=True)]
        keys = [key for key in files[0].keys if all(key in file.keys for file in files[1:])]
        for file in files:
            file.keys = tuple(key for key in keys if key not in (CLASS, SPLIT))
        columns = (NAME, DESCRIPTION, SEQUENCE, *files[0].keys, *words[0])
        schema = Schema(
            columns,
            target=CLASS if CLASS in words[0] else None,
            given_split=SPLIT if SPLIT in words[0] else None,
            nameless=(SEQUENCE,),
            left_out={NAME: "it names a record within its file"},
        )
        return cls(plain_name(folder), str(folder), list(zip(files, words, strict=True)), schema)
