"""What the benchmarks share: the product run as a person does, fresh folders, tables to paste into RESULTS.md."""

from __future__ import annotations

import datetime
import importlib.util
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_sets.fetch import DATA

INSTAR = Path(sys.executable).with_name("instar")


@dataclass(frozen=True)
class Run:
    """One process from its start to its end, in wall seconds."""

    seconds: float
    code: int
    stdout: str
    stderr: str

    def must_succeed(self) -> Run:
        if self.code:
            raise SystemExit(f"the command failed with exit code {self.code}:\n{self.stderr[-3000:]}")
        return self


def run(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, timeout: float = 7200) -> Run:
    """Run a whole process and take its time."""
    start = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    return Run(time.perf_counter() - start, done.returncode, done.stdout, done.stderr)


def instar(*arguments: str | Path, cache: Path, timeout: float = 7200, **environment: str) -> Run:
    """Run the command line with a cache of its own."""
    return run([INSTAR, *arguments], environment={"INSTAR_CACHE": str(cache), **environment}, timeout=timeout)


@contextmanager
def workshop() -> Iterator[Path]:
    """A fresh folder on the same disk as the data, gone afterwards."""
    DATA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="work-", dir=DATA, ignore_cleanup_errors=True) as name:
        yield Path(name)


def read_report(model: Path) -> dict[str, Any]:
    """The facts of a finished run."""
    return json.loads((model / "report.json").read_text())


def scores(model: Path) -> dict[str, dict[str, float]]:
    """Each metric's value and interval on the test rows, of a finished run with one target."""
    (target,) = read_report(model)["targets"]
    return target["metrics"]


def heading(title: str) -> None:
    """The lines that every section of RESULTS.md begins with."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    module = main.name.removesuffix(".__main__") if main is not None else sys.argv[0]
    command = shlex.join(["python", "-m", module, *sys.argv[1:]])
    parts = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn", "polars"))
    print(f"\n## {title}\n")
    day = datetime.datetime.now(datetime.UTC).date()
    machine = f"{os.cpu_count()} cores ({platform.machine()})"
    print(f"`{command}` · {day} · {machine} · Python {platform.python_version()}, {parts}\n", flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A markdown table; numbers are rounded to four significant figures."""
    for line in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(_cell(cell) for cell in line) + " |")
    print(flush=True)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    return str(value)


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def spread(values: Sequence[float]) -> str:
    """The median, and what lies around it."""
    return f"{median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def competitors_python(packages: Mapping[str, str]) -> Path:
    """An interpreter that has ``packages`` (import name to package name) beside everything that this one has.

    Where this one lacks them they are installed into an environment below the data folder that looks through to this
    one's, so that the competitors use the same torch and the product's environment stays as it is.
    """
    if all(importlib.util.find_spec(name) for name in packages):
        return Path(sys.executable)
    folder = DATA / "competitors"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        own = Path(importlib.util.find_spec("torch").origin).parent.parent
        (site / "product.pth").write_text(f"{own}\n")
    installed = run([python, "-m", "pip", "install", "--quiet", *packages.values()])
    if installed.code:
        raise SystemExit(f"{', '.join(packages.values())} could not be installed:\n{installed.stderr[-2000:]}")
    return python
