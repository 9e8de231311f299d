"""The run folder: what was asked, so that the same command goes on and another one is refused; and what is done."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from instar.errors import FolderError, ModelError
from instar.files import locked, refusal, write_json, write_tensors, writing
from instar.folder import is_model, read_declaration
from instar.split import Record

RUN, LOG, SPLIT = "run.json", "metrics.jsonl", "split.safetensors"


@dataclass(frozen=True)
class Request:
    """What a person asked for: the source's name, place and fingerprint, and every setting that is not its default."""

    name: str
    place: str
    fingerprint: str
    settings: Mapping[str, Any]

    def default_folder(self) -> Path:
        """``runs/NAME-HASH``, from source and settings: another question is another folder."""
        asked = json.dumps([self.place, dict(self.settings)], sort_keys=True, default=str)
        if not Path(self.place).exists():
            asked += self.fingerprint  # what lies in memory has no place of its own
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-.") or "run"
        return Path("runs") / f"{name}-{hashlib.sha256(asked.encode()).hexdigest()[:6]}"


class Run:
    """A folder in which one request is carried out, once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def finished(self) -> bool:
        return is_model(self.folder) and (self.folder / RUN).is_file()

    def check_writable(self) -> None:
        """Raises FolderError where the folder cannot be made or written, before any work is done for it."""
        place = self.folder
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir():
            raise refusal(place, OSError(errno.ENOTDIR, ""))
        if not os.access(place, os.W_OK | os.X_OK):
            raise refusal(place, OSError(errno.EACCES, ""))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep other processes out of the folder; leave no new one behind where nothing can be gone on from."""
        new = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            with locked(self.folder):
                yield
        finally:
            if new and self.folder.is_dir() and not (self.results.exists() or self.finished):
                shutil.rmtree(self.folder, ignore_errors=True)
                with suppress(OSError):  # somebody else's files may be in them by now
                    for parent in new[1:]:
                        parent.rmdir()

    def clean(self) -> None:
        """Drop what only an unfinished run needs."""
        shutil.rmtree(self.results, ignore_errors=True)

    def tidy(self) -> None:
        """Do what is left of `clean` where a finished run was killed in it."""
        if self.results.exists():
            with locked(self.folder):
                self.clean()

    @property
    def log(self) -> Path:
        return self.folder / LOG

    @property
    def results(self) -> Path:
        """Where the results of finished stages lie until the whole run is finished."""
        return self.folder / "checkpoint"

    def recorded(self) -> dict[str, Any] | None:
        """What an earlier start of this run wrote down, or None. Raises FolderError if that is something else."""
        path = self.folder / RUN
        with writing(self.folder):  # a name can be too long even to look
            begun = self.folder.is_dir()
        if not begun:
            return None
        if not path.is_file():
            others = [item.name for item in self.folder.iterdir() if not item.name.startswith(".")]
            if others:
                raise FolderError(
                    f"The folder holds something else ({others[0]})",
                    where=str(self.folder),
                    remedy="Choose another folder with --out",
                )
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content["settings"], dict):
                raise TypeError(content["settings"])
            content["fingerprint"], content["content"], content["order"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as failure:
            raise FolderError(
                "The record of the run cannot be read", where=str(path), remedy="Choose another folder with --out"
            ) from failure
        return content

    def check(self, recorded: Mapping[str, Any], request: Request) -> bool:
        """Whether the source looks untouched since. Raises FolderError where the settings are others, by name."""
        before, now = recorded["settings"], json.loads(json.dumps(dict(request.settings), default=str))
        changed = [
            f"{name} was {before.get(name, 'the default')} and is {now.get(name, 'the default')}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise FolderError(
                f"The folder holds a run with other settings: {'; '.join(changed)}",
                where=str(self.folder),
                remedy="Use the same settings to go on, or choose another folder with --out",
            )
        return recorded["fingerprint"] == request.fingerprint

    def refuse_changed_data(self, recorded: Mapping[str, Any], name: str, digest: str) -> None:
        """Raises FolderError where the examples' ``content`` or ``order`` is not that of the run's beginning."""
        if recorded[name] != digest:
            what = {"content": "the examples have changed since", "order": "they stand in another order since"}[name]
            raise FolderError(
                f"The folder holds a run on other data: {what}",
                where=str(self.folder),
                remedy="Choose another folder with --out, or delete this one to begin anew",
            )

    def begin(self, request: Request, content: str, order: str) -> None:
        """Write down what was asked, on which examples, and in which order they stand."""
        record = {
            "source": request.place,
            "fingerprint": request.fingerprint,
            "content": content,
            "order": order,
            "settings": dict(request.settings),
        }
        write_json(self.folder / RUN, json.loads(json.dumps(record, default=str)))

    def freeze(self, record: Record | None) -> None:
        """Keep the record of the split for as long as the folder stands; with folds there is none."""
        if record is not None:
            _write(self.folder / SPLIT, record.arrays, record.content)

    def frozen(self) -> Record | None:
        """What `freeze` kept, or None. Raises FolderError where it cannot be read."""
        found = _read(self.folder / SPLIT)
        return None if found is None else Record(found[1], found[0])

    def keep(self, name: str, arrays: Mapping[str, np.ndarray], content: Mapping[str, Any]) -> None:
        """Keep a stage's result, so that a run that is taken up again does not do it twice."""
        _write(self._kept(name), arrays, content)

    def kept(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """What `keep` kept under this name, or None. Raises FolderError where it cannot be read."""
        return _read(self._kept(name))

    def _kept(self, name: str) -> Path:
        return self.results / f"{name}.safetensors"


def exam_of(folder: Path) -> Record:
    """The record by which the examples of the model in ``folder`` were divided. Raises ModelError, FolderError."""
    read_declaration(folder)  # refuses what is no model
    record = Run(folder).frozen()
    if record is None:
        raise ModelError(
            "The model has no record of how its examples were divided; one that is examined by folds keeps none",
            where=str(folder),
            remedy="Leave out the setting exam_of, or name a model that was examined on rows set apart",
        )
    return record


def _write(path: Path, arrays: Mapping[str, np.ndarray], content: Mapping[str, Any]) -> None:
    """Arrays, and JSON in the file's header."""
    # A file of tensors holds no texts: those of fixed width are kept as their code points.
    texts = {name: array for name, array in arrays.items() if array.dtype.kind == "U"}
    points = {name: array.view(np.uint32).reshape(len(array), -1) for name, array in texts.items()}
    # One entry alone: the order of several is another one each time.
    header = json.dumps({"content": dict(content), "texts": list(texts)}, allow_nan=False)
    write_tensors(path, {**arrays, **points}, {"header": header})


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """What `_write` wrote, or None where there is no such file."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as stream:
            header = json.loads(stream.metadata()["header"])
            content, texts = header["content"], header["texts"]
            arrays = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
            return {**arrays, **{name: arrays[name].view(f"U{arrays[name].shape[1]}")[:, 0] for name in texts}}, content
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, RecursionError) as failure:
        raise FolderError(
            "What an earlier start of the run wrote cannot be read", where=str(path), remedy="Choose another --out"
        ) from failure
