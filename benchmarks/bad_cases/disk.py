"""Disks that are full, and places that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bad_cases.base import FOLDER, HEADER, Case, rows, train, with_column, write_csv
from benchmarks.bad_cases.use import with_model

PLAIN = train("data.csv")[:-1]  # all but the name of the out folder


def _table(folder: Path) -> None:
    write_csv(folder / "data.csv")


def _with(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        _table(folder)
        make(folder)

    return both


def _mounted(name: str, options: str) -> Callable[[Path], None]:
    """A small file system of its own; where mounting is not allowed the case is passed over."""

    def make(folder: Path) -> None:
        (folder / name).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder / name)], check=True)

    return _with(make)


def disk() -> Iterator[Case]:
    for size in (4, 8, 16, 32, 64):
        make = _mounted("full", f"size={size}k")
        yield Case(f"disk/out-of-{size}-KiB", (*PLAIN, "full/model"), FOLDER, ("space", "full"), make, may_go_on=True)
    for size in (4, 16):
        cache = {"INSTAR_CACHE": "full/cache"}
        make = _mounted("full", f"size={size}k")
        name = f"disk/cache-of-{size}-KiB"
        yield Case(name, (*PLAIN, "model"), FOLDER, ("space", "cache"), make, environment=cache)
    yield Case(
        "disk/no-inodes",
        (*PLAIN, "full/model"),
        FOLDER,
        ("space", "full"),
        _mounted("full", "nr_inodes=4"),
        may_go_on=True,
    )
    yield Case("disk/read-only", (*PLAIN, "full/model"), FOLDER, ("full",), _mounted("full", "ro"))
    for limit in (1000, 4096):
        name = f"disk/files-up-to-{limit}-bytes"
        yield Case(name, (*PLAIN, "model"), FOLDER, ("model|cache",), _table, limit, may_go_on=True)
    yield from _places()
    yield from _taken()


def _places() -> Iterator[Case]:
    def closed(folder: Path) -> None:
        (folder / "closed").mkdir(mode=0o500)

    def filed(folder: Path) -> None:
        (folder / "file").write_text("a file")

    for place in ("closed/model", "closed"):
        name = f"place/{place.replace('/', '-')}"
        yield Case(name, (*PLAIN, place), FOLDER, ("closed",), _with(closed), unprivileged=True)
    closed_cache = {"INSTAR_CACHE": "closed/cache"}
    yield Case(
        "place/cache-closed",
        (*PLAIN, "model"),
        FOLDER,
        ("cache",),
        _with(closed),
        unprivileged=True,
        environment=closed_cache,
    )
    yield Case(
        "place/cache-is-a-file",
        (*PLAIN, "model"),
        FOLDER,
        ("cache",),
        _with(filed),
        environment={"INSTAR_CACHE": "file"},
    )
    for place in ("file", "file/model", "/dev/full", "/dev/null/model", "/proc/model", "/sys/model", "a" * 300):
        named = place.strip("/").replace("/", "-")[:30]
        yield Case(f"place/{named}", (*PLAIN, place), FOLDER, (place[:20].removesuffix("/model"),), _with(filed))
    yield Case("place/empty", (*PLAIN, ""), (2, 6), ("out|folder",), _table)

    def private(folder: Path) -> None:
        _table(folder)
        (folder / "data.csv").chmod(0)

    yield Case("place/private-table", (*PLAIN, "model"), (3,), (r"data\.csv", "permission"), private, unprivileged=True)
    for what, create in {"folder": Path.mkdir, "pipe": os.mkfifo}.items():

        def make(folder: Path, create: Callable[[Path], None] = create) -> None:
            create(folder / "data.csv")

        yield Case(f"place/{what}-as-table", (*PLAIN, "model"), (3,), (r"data\.csv",), make)
    yield Case(
        "place/dangling-table", (*PLAIN, "model"), (3,), (r"data\.csv",), lambda f: (f / "data.csv").symlink_to("x")
    )
    yield Case(
        "place/endless-table",
        (*PLAIN, "model"),
        (3,),
        (r"data\.csv",),
        lambda f: (f / "data.csv").symlink_to("/dev/zero"),
    )


def _taken() -> Iterator[Case]:
    """Out folders that hold something else; nothing in them may change."""

    def foreign(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "thesis.txt").write_text("the only copy")

    yield Case("taken/foreign", (*PLAIN, "model"), FOLDER, ("model",), _with(foreign))
    lay = with_model("table", _table)
    yield Case("taken/other-seed", (*PLAIN, "given", "--seed", "9"), FOLDER, ("seed", "given"), lay)
    yield Case("taken/other-epochs", (*PLAIN, "given", "--epochs", "3"), FOLDER, ("epochs", "given"), lay)
    yield Case("taken/other-network", (*PLAIN, "given", "--network", "mlp"), FOLDER, ("network", "given"), lay)
    changed = with_model("table", lambda folder: write_csv(folder / "data.csv", rows(seed=7)))
    yield Case("taken/other-data", (*PLAIN, "given"), FOLDER, ("given",), changed)
    one_cell = with_model(
        "table", lambda folder: write_csv(folder / "data.csv", with_column("town", lambda row: "Chur"))
    )
    yield Case("taken/other-cells", (*PLAIN, "given"), FOLDER, ("given",), one_cell)
    fewer = with_model("table", lambda folder: write_csv(folder / "data.csv", rows()[:-1], header=HEADER))
    yield Case("taken/fewer-rows", (*PLAIN, "given"), FOLDER, ("given",), fewer)

    def broken(folder: Path) -> None:
        (folder / "given" / "run.json").write_text(json.dumps({"settings": 3}))

    yield Case(
        "taken/record-broken", (*PLAIN, "given"), FOLDER, (r"run\.json|given",), with_model("table", _with(broken))
    )

    def unfinished(folder: Path) -> None:
        shutil.rmtree(folder / "given" / "checkpoint", ignore_errors=True)
        (folder / "given" / "instar.json").unlink()
        (folder / "given" / "run.json").write_text("{")

    yield Case(
        "taken/record-cut", (*PLAIN, "given"), FOLDER, (r"run\.json|given",), with_model("table", _with(unfinished))
    )
