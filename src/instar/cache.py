"""The cache directory: entries that appear whole, are held while in use, and leave when a budget is spent.

It lies where the system keeps caches, or where the environment variable ``INSTAR_CACHE`` says. There is no fallback
where it cannot be written: nothing is written outside the run's folder and the cache, and a temporary directory is
often memory. An entry is a folder; whoever uses one holds a shared lock on its file ``lock``, and whoever removes
one needs that lock alone, so that an entry in use by any process is never removed, and what a killed process left
half-built is known by its lock, which died with it. (Windows has no such lock, and refuses to rename a folder in use.)
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from instar.errors import FolderError, UsageError, did_you_mean
from instar.files import flush_directory, refusal

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

# Room for a dozen of the largest data sets that one machine trains on, and never most of a small disk.
BUDGET_BYTES = 20 * 2**30
BUDGET_SHARE = 0.2
# A new folder without a lock file belongs to a process that is about to make one, unless it is this old (seconds).
ABANDONED_AFTER = 3600


@dataclass(frozen=True)
class Entry:
    """An entry: its source's ``name`` and ``place``, its size, and when it was ``last_used`` (seconds since 1970)."""

    identifier: str
    name: str
    place: str
    bytes: int
    last_used: float
    folder: Path


class Held:
    """An entry's ``folder``, which stays as long as this object lives (or until `release`)."""

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder = folder
        self.release = weakref.finalize(self, os.close, handle)


def store_directory() -> Path:
    """Where entries lie; it need not exist."""
    given = os.environ.get("INSTAR_CACHE")
    return (Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("instar"))) / "store"


def find(identifier: str) -> Held | None:
    """The entry, held and marked as used now, or None where there is none."""
    folder = store_directory() / identifier
    handle = _lock(folder, shared=True)
    if handle is None:
        return None
    try:
        os.utime(folder / "entry.json")
    except FileNotFoundError:
        os.close(handle)
        return None
    except OSError:
        pass  # a cache that may only be read still serves
    return Held(folder, handle)


def build(identifier: str, name: str, place: str, fill: Callable[[Path], None]) -> Held:
    """Let ``fill`` write an entry into a new folder, which appears under its name when it is whole.

    Where another process finished the same entry first, that one is taken. Older entries make room. Raises
    FolderError where the cache cannot be written.
    """
    parent = store_directory()
    with writing_cache(parent):
        parent.mkdir(parents=True, exist_ok=True)
        temporary = parent / f".{identifier}.{secrets.token_hex(4)}.part"
        temporary.mkdir()
        (temporary / "lock").touch()
        held = Held(temporary, _lock(temporary, shared=True))  # type: ignore[arg-type]
    try:
        with writing_cache(parent):
            fill(temporary)
            (temporary / "entry.json").write_text(json.dumps({"name": name, "place": place}), encoding="utf-8")
            _flush(temporary)
            finished = _install(temporary, parent / identifier, held)
    except BaseException:
        held.release()
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    evict(budget())
    return finished


def _install(temporary: Path, final: Path, held: Held) -> Held:
    """Give the finished folder its name, or take what another process put there first."""
    for _ in range(10):
        try:
            temporary.rename(final)
        except OSError:
            if not final.exists():
                raise
        else:
            flush_directory(final.parent)
            held.folder = final
            return held
        other = find(final.name)
        if other is not None:
            held.release()
            shutil.rmtree(temporary, ignore_errors=True)
            return other
        _remove(final)  # it is damaged, or was just being removed
    raise FolderError("A damaged entry of the cache cannot be replaced", where=str(final), remedy="Remove that folder")


def budget() -> int:
    """How many bytes entries may take together."""
    return int(min(BUDGET_BYTES, BUDGET_SHARE * shutil.disk_usage(store_directory()).total))


def entries() -> list[Entry]:
    """All entries, the last used first. Nothing is written."""
    found = []
    for folder in _folders():
        try:
            about = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
            used = (folder / "entry.json").stat().st_mtime
            found.append(Entry(folder.name, about["name"], about["place"], _size(folder), used, folder))
        except (OSError, ValueError, KeyError):
            continue
    return sorted(found, key=lambda entry: -entry.last_used)


def clear(names: Collection[str] = ()) -> tuple[list[Entry], list[Entry]]:
    """Remove the entries of these names (or all): those removed, and those that stay because a process uses them.

    Raises UsageError for a name that no entry has.
    """
    present = entries()
    known = {entry.name for entry in present} | {entry.identifier for entry in present}
    for name in names:
        if name not in known:
            raise UsageError(f"The cache holds nothing called {name!r}", remedy=did_you_mean(name, known))
    chosen = [entry for entry in present if not names or entry.name in names or entry.identifier in names]
    removed = [entry for entry in chosen if _remove(entry.folder)]
    if not names:
        _sweep()
    return removed, [entry for entry in chosen if entry not in removed]


def discard(held: Held) -> None:
    """Remove an entry that turned out to be damaged."""
    held.release()
    _remove(held.folder)


def evict(budget: int) -> None:
    """Remove what killed processes left, and then the least recently used entries until ``budget`` bytes suffice."""
    _sweep()
    present = entries()
    total = sum(entry.bytes for entry in present)
    for entry in reversed(present):
        if total <= budget:
            return
        if _remove(entry.folder):
            total -= entry.bytes


@contextmanager
def writing_cache(place: Path) -> Iterator[None]:
    """As `files.writing`, with what helps where it is the cache that cannot be written."""
    try:
        yield
    except OSError as failure:
        error = refusal(place, failure)
        raise FolderError(
            error.what,
            where=f"the cache in {place}",
            remedy="Make room (see `instar cache --help`), or name another folder in the variable INSTAR_CACHE",
        ) from failure


def _folders(hidden: bool = False) -> list[Path]:
    try:
        children = list(store_directory().iterdir())
    except OSError:
        return []
    return [child for child in children if child.name.startswith(".") == hidden and child.is_dir()]


def _sweep() -> None:
    for folder in _folders(hidden=True):
        _remove(folder)


def _remove(folder: Path) -> bool:
    """Remove an entry unless it is in use; whether it is gone."""
    handle = _lock(folder, shared=False)
    if handle is None:
        if (folder / "lock").exists() or (folder.name.startswith(".") and not _abandoned(folder)):
            return False
        shutil.rmtree(folder, ignore_errors=True)
        return True
    try:
        if fcntl is None:
            os.close(handle)
        gone = folder.with_name(f".{folder.name.strip('.')}.{secrets.token_hex(4)}.gone")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        return True
    except OSError:
        return False
    finally:
        if fcntl is not None:
            os.close(handle)


def _abandoned(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > ABANDONED_AFTER
    except OSError:
        return False


def _lock(folder: Path, *, shared: bool) -> int | None:
    """A handle that holds the entry's lock, or None where the entry is gone (or, for sole use, is in use)."""
    try:
        handle = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return None
    if fcntl is None:
        return handle
    try:
        # Sharing waits for the moment that a removal takes; sole use never waits.
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), (folder / "lock").stat()):
            return handle
    except OSError:
        # A file system without locks: what is there may be used, and is never removed.
        if shared and (folder / "lock").exists():
            return handle
    os.close(handle)
    return None


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _flush(folder: Path) -> None:
    for file in folder.iterdir():
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
    flush_directory(folder)
