"""The model folder: data, and nothing that runs.

    model.safetensors   the network's tensors (``network/...``) and the fields' arrays (``fields/NAME/...``)
    instar.json         format, versions, fields, network, claims, and a manifest of hashes
    split.safetensors   the record that freezes the split (see `instar.split.Record`)
    README.md, report.html, report.json, metrics.jsonl, run.json

A folder may come from a stranger. What it declares is checked before anything is allocated: the sizes of both files,
the safetensors header, the number, names, types and shapes of tensors against those that the declared network and
fields must have, and the hash of the bytes. There is no pickle. Nothing in here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from instar.errors import ColumnError, ModelError, printable
from instar.files import write_json, write_tensors
from instar.metrics import METRICS
from instar.words import counted

FORMAT = 1
DECLARATION, TENSORS = "instar.json", "model.safetensors"

# Far above what any network here needs, far below what would exhaust a laptop. A table of some 30,000 columns fits.
MAXIMUM_DECLARATION_BYTES = 16 * 2**20
MAXIMUM_DEPTH = 100
MAXIMUM_HEADER_BYTES = 16 * 2**20
MAXIMUM_TENSORS = 200_000
MAXIMUM_AXES = 16
MAXIMUM_TENSOR_FILE_BYTES = 4 * 2**30

# The element types that Instar writes, by numpy's and torch's name: safetensors' name of each, and its bytes.
TYPE_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "int64": "I64",
    "int32": "I32",
    "uint64": "U64",
    "uint8": "U8",
    "bool": "BOOL",
}
# The share of these bounds that columns may take before there is a network, and a tensor's entry beside its name.
SHARE_OF_COLUMNS, BYTES_OF_AN_ENTRY = 0.9, 100
_BYTES = {name: np.dtype(numpy).itemsize for numpy, name in TYPE_NAMES.items()}


@dataclass(frozen=True)
class TensorHeader:
    """One tensor as a file or a network declares it; ``type`` is safetensors' name of the element type."""

    type: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return _BYTES[self.type] * math.prod(self.shape)

    @classmethod
    def of(cls, array: np.ndarray) -> TensorHeader:
        return cls(TYPE_NAMES[array.dtype.name], tuple(array.shape))


def field_prefix(name: str) -> str:
    """What the names of a field's tensors start with. ``km`` is no part of ``km/h``."""
    return f"fields/{_quoted(name)}/"


def residuals_prefix(name: str) -> str:
    """What the names of a target's residuals start with."""
    return f"residuals/{_quoted(name)}/"


def _quoted(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")


def write_model(folder: Path, declaration: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write both files, the declaration last: a folder without it is no model yet. Raises FolderError."""
    path = folder / TENSORS
    write_tensors(path, tensors)
    manifest = {TENSORS: {"sha256": file_hash(path), "bytes": path.stat().st_size}}
    write_json(folder / DECLARATION, {"format": FORMAT, **declaration, "files": manifest})


def check_columns_fit(columns: Sequence[Mapping[str, Any]], tensors: Iterable[str]) -> None:
    """Raises ColumnError where a model that declares these ``columns``, with these tensors, could not be loaded again.

    To be asked before anything is trained.
    """
    names = list(tensors)
    taken = {
        "tensors": (len(names), MAXIMUM_TENSORS),
        "bytes of tensors' names": (sum(map(len, names)) + BYTES_OF_AN_ENTRY * len(names), MAXIMUM_HEADER_BYTES),
        "bytes of declaration": (len(json.dumps(columns, indent=2).encode()), MAXIMUM_DECLARATION_BYTES),
    }
    for what, (needed, most) in taken.items():
        if needed > SHARE_OF_COLUMNS * most:
            raise ColumnError(
                f"A model of {len(columns):,} columns such as these needs {needed:,} {what}, and could not be loaded "
                f"again: at most {most:,} are read",
                remedy="Leave columns out with --exclude, or join rare categories into one",
            )


def is_model(folder: Path) -> bool:
    return (folder / DECLARATION).is_file()


def read_declaration(folder: Path) -> dict[str, Any]:
    """The content of ``instar.json``, its format checked. Raises ModelError."""
    path = folder / DECLARATION
    if not folder.is_dir():
        raise ModelError(
            "There is no such model folder", where=str(folder), remedy="Give the folder that training made"
        )
    if not path.is_file():
        raise ModelError(
            f"The folder is no finished model: it has no {DECLARATION}",
            where=str(folder),
            remedy="Run the training command again, it goes on where it stopped",
        )
    content = _read_json(path)
    declared = content.get("format")
    if isinstance(declared, int) and not isinstance(declared, bool) and declared > FORMAT:
        raise ModelError(
            f"The model has format {declared}, and this version of Instar reads formats up to {FORMAT}",
            where=str(path),
            remedy="Update Instar: pip install --upgrade instar",
        )
    if declared != FORMAT or isinstance(declared, bool):
        raise damaged(path, f"its format is {declared!r}")
    return content


def check_regular(path: Path) -> None:
    """Raises ModelError for a pipe or a device, which may never end."""
    if path.exists() and not path.is_file():
        raise damaged(path, "it is no regular file")


def _read_json(path: Path) -> dict[str, Any]:
    check_regular(path)
    try:
        if path.stat().st_size > MAXIMUM_DECLARATION_BYTES:
            raise damaged(path, f"it is larger than {MAXIMUM_DECLARATION_BYTES} bytes")
        content = json.loads(path.read_bytes())
        json.dumps(content, ensure_ascii=False).encode()  # halves of characters, which nothing could print
    except (ValueError, RecursionError) as failure:
        raise damaged(path, "it is not JSON") from failure
    except OSError as failure:
        raise ModelError(f"The file cannot be read ({failure.strerror})", where=str(path)) from failure
    if not isinstance(content, dict):
        raise damaged(path, "it is not a JSON object")
    level: list[Any] = [content]
    for _ in range(MAXIMUM_DEPTH):
        level = [part for each in level for part in _parts(each)]
    if level:
        raise damaged(path, "it is nested too deeply")
    return content


def _parts(content: Any) -> Iterable[Any]:
    return content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()


def damaged(path: Path, reason: str) -> ModelError:
    """The error for a folder that is not what Instar wrote."""
    return ModelError(
        f"The file is not as Instar wrote it: {reason}", where=str(path), remedy="Use a fresh copy of the model folder"
    )


def read_headers(folder: Path) -> dict[str, TensorHeader]:
    """What ``model.safetensors`` declares, nothing of it allocated. Raises ModelError."""
    path = folder / TENSORS
    check_regular(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(MAXIMUM_HEADER_BYTES, size - 8) or size > MAXIMUM_TENSOR_FILE_BYTES:
                raise damaged(path, "its size or its header's is out of bounds")
            content = json.loads(stream.read(length))
    except OSError as failure:
        raise ModelError(f"The file cannot be read ({failure.strerror})", where=str(path)) from failure
    except (ValueError, RecursionError) as failure:
        raise damaged(path, "its header is not JSON") from failure
    try:
        content.pop("__metadata__", None)
        headers = {
            name: TensorHeader(str(entry["dtype"]), tuple(int(extent) for extent in entry["shape"]))
            for name, entry in content.items()
        }
        # Before they are multiplied: thousands of thousand-digit extents would keep a processor busy for hours.
        bounded = all(
            len(header.shape) <= MAXIMUM_AXES and all(0 <= extent <= size for extent in header.shape)
            for header in headers.values()
        )
        fitting = bounded and sum(header.bytes for header in headers.values()) == size - 8 - length
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as failure:
        raise damaged(path, "its header does not describe tensors") from failure
    if len(headers) > MAXIMUM_TENSORS or not fitting:
        raise damaged(path, "its header does not fit its size")
    return headers


def _part(name: str) -> str:
    """The prefix under which a tensor is read: ``network/``, or ``fields/NAME/`` and ``residuals/NAME/``."""
    cut = name.find("/") + 1
    if name[:cut] in ("fields/", "residuals/"):
        cut = name.find("/", cut) + 1
    return name[:cut]


class TensorFile:
    """``model.safetensors``, found to be unchanged and well formed; read a part at a time. Raises ModelError."""

    def __init__(self, folder: Path, declaration: Mapping[str, Any]) -> None:
        self.path = folder / TENSORS
        self.headers = read_headers(folder)
        self._unread = set(self.headers)
        # Sorted once into parts: there are as many as columns, and each would have to look through all the others.
        self._parts: dict[str, dict[str, TensorHeader]] = {}
        for name, header in self.headers.items():
            self._parts.setdefault(_part(name), {})[name.removeprefix(_part(name))] = header
        manifest = declaration.get("files")
        entry = manifest.get(TENSORS) if isinstance(manifest, dict) else None
        if not isinstance(entry, dict) or entry.get("sha256") != file_hash(self.path):
            raise damaged(self.path, "its hash is another")
        with self._understood():
            self._stream = safe_open(self.path, framework="numpy")

    def read(self, prefix: str, expected: Mapping[str, TensorHeader]) -> dict[str, np.ndarray]:
        """The tensors whose names start with ``prefix``, after they are found to be exactly those ``expected``.

        ``expected`` and the result go by names without the prefix.
        """
        present = self._parts.get(prefix, {})
        if present != dict(expected):
            names = sorted(set(present) ^ set(expected)) or sorted(n for n in present if present[n] != expected[n])
            raise damaged(self.path, f"the tensor {prefix + names[0]!r} is not as {DECLARATION} declares it")
        with self._understood():
            found = {name: self._stream.get_tensor(prefix + name) for name in present}
        self._unread -= {prefix + name for name in found}
        return found

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except Exception as failure:  # safetensors raises its own class for what its header check refuses
            raise damaged(self.path, str(failure)) from failure

    def check_read(self) -> None:
        """Raises ModelError where the file holds more than was asked for."""
        if self._unread:
            raise damaged(self.path, f"nothing needs its tensor {min(self._unread)!r}")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hex digits. Raises ModelError."""
    check_regular(path)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as failure:
        raise ModelError(f"The file cannot be read ({failure.strerror})", where=str(path)) from failure


def summarize(declaration: Mapping[str, Any], folder: Path) -> list[str]:
    """A model's declaration as lines for a terminal. Raises ModelError where it is not one."""
    path = folder / DECLARATION
    try:
        lines = [f"Model in {folder}, written by Instar {declaration['instar']}"]
        for role in ("inputs", "targets"):
            lines.append(f"{role.capitalize()}:")
            lines += [f"  {each['name']} ({each['kind']})" for each in declaration[role]]
        if declaration.get("layout") is not None:
            lines.append(f"Layout: {declaration['layout']['described']}")
        lines.append(f"Network: {declaration['network']['why']}")
        for target, metrics in declaration["claims"]["metrics"].items():
            lines.append(f"Claims for {target}, {declaration['claims']['examined']}:")
            lines += [
                f"  {name} {score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f}) on "
                f"{counted(score['rows'], METRICS[name].of if name in METRICS else 'row')}"
                for name, score in metrics.items()
            ]
        headers = read_headers(folder)
        count = sum(math.prod(header.shape) for name, header in headers.items() if name.startswith("network/"))
        size = declaration["files"][TENSORS]["bytes"]
        lines.append(f"Weights: {count:,} numbers in {len(headers):,} tensors, {size:,} bytes")
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as failure:
        raise damaged(path, f"a part is missing or malformed ({type(failure).__name__}: {failure})") from failure
    return [printable(line) for line in lines]
