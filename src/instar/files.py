"""Files that appear whole or not at all, one process in a folder at a time, and errors that a person understands."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from instar.errors import FolderError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into a FolderError that names the place and the remedy."""
    try:
        yield
    except OSError as failure:
        raise refusal(path, failure) from failure


def refusal(path: Path, failure: OSError) -> FolderError:
    """The FolderError that stands for an operating system's error while writing ``path``."""
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return FolderError(
            "No space is left on the device", where=str(path), remedy="Free some space and run the same command again"
        )
    if failure.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FolderError("This place cannot be written", where=str(path), remedy="Choose another folder with --out")
    if failure.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return FolderError(
            "A file stands where a folder should be", where=str(path), remedy="Choose another folder with --out"
        )
    return FolderError(f"Writing failed ({failure.strerror or failure})", where=str(path), remedy="Try another folder")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file in the same directory, then put it in the place of ``path``.

    The file is flushed to the disk before it is renamed, and the directory after: whoever looks, also after a power
    failure, finds the old file or the new one and never a part. Raises FolderError.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        flush_directory(path.parent)


def flush_directory(folder: Path) -> None:
    """Make the names in ``folder`` last: fsync of the directory, where the system knows it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Strict JSON (no NaN), indented, with sorted keys only where the caller sorted them."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """A safetensors file of arrays by name, whole or not at all. Raises FolderError."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}

    def write(temporary: Path) -> None:
        try:
            save_file(contiguous, temporary, None if metadata is None else dict(metadata))
        except SafetensorError as failure:
            # What the system refused comes as words with a number in them.
            number = re.search(r"os error (\d+)", str(failure))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from failure

    write_atomically(path, write)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of ``folder`` for the time of the block. Raises FolderError if one is in."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
    with writing(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError too, so it is caught before `writing` sees it
            raise FolderError(
                "Another process is working in this folder",
                where=str(folder),
                remedy="Wait for it to end, or choose another folder with --out",
            ) from None
    try:
        yield
    finally:
        lock.release()
