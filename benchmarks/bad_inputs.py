"""Hundreds of bad inputs, each of which must end in one clear message: what, where, and what to do.

Every case runs in a process and a folder of its own, and is checked for: the documented exit code; one line `Error:` on
stderr that names the place; no traceback and no "Instar itself failed"; an end within a minute; nothing left behind in
the folder, in the temporary or the home directory, or half-written in the out folder and the cache. What can be
survived (one cut photo among many) must be survived, and told of.

The processes are forked from one that has everything imported; `--shell` starts the real command for each instead.
Bar: 300 bad inputs, 300 clear errors.
"""

from __future__ import annotations

import argparse
import ctypes
import fnmatch
import importlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bad_cases import all_cases
from benchmarks.bad_cases.base import Case
from benchmarks.bad_cases.use import MODELS
from benchmarks.common import INSTAR, heading, run, table, workshop

LIMIT = 60.0
FINISHED = ("instar.json", "report.json", "README.md")
SECUREBITS, NO_PRIVILEGES_OF_ROOT, CAPABILITY_VERSION = 28, 0b11, 0x20080522
LONGEST_MESSAGE = 1200
PASSED_OVER = 111


@dataclass
class Started:
    """A case whose process runs."""

    case: Case
    folder: Path
    process: int
    begin: float


@dataclass(frozen=True)
class Verdict:
    """What came of a case; without ``faults`` all was as it has to be."""

    case: Case
    code: int | None
    message: str
    faults: tuple[str, ...]
    seconds: float


def begin(case: Case, folder: Path, shell: bool) -> Started:
    """Fork a process that makes the case's folder and becomes the call."""
    folder.mkdir(mode=0o755)
    process = os.fork()
    if process == 0:
        os.setpgid(0, 0)
        code = 70
        try:
            code = _become(case, folder, shell)
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return Started(case, folder, process, time.monotonic())


def _become(case: Case, folder: Path, shell: bool) -> int:
    try:
        case.make(folder)
    except subprocess.CalledProcessError:
        return PASSED_OVER
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    _record(folder, "before")
    os.chdir(folder)
    os.environ.update(
        HOME=str(folder / "home"),
        TMPDIR=str(folder / "tmp"),
        INSTAR_CACHE=str(folder / "cache"),
        CI="true",
        NO_COLOR="1",
    )
    os.environ.update({name: str(folder / value) for name, value in case.environment.items()})
    os.environ.pop("XDG_CACHE_HOME", None)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if case.file_size_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (case.file_size_limit, case.file_size_limit))
    if case.unprivileged and os.geteuid() == 0:
        _give_up_privileges()
    if shell:
        os.execv(INSTAR, [str(INSTAR), *case.arguments])
    from instar.cli import main

    return main(list(case.arguments))


def _give_up_privileges() -> None:
    """Let the permission bits hold for root too, in this process and in what it becomes (capabilities(7), Linux)."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(SECUREBITS, NO_PRIVILEGES_OF_ROOT, 0, 0, 0)
    none = (ctypes.c_uint32 * 6)()
    if library.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), none):
        raise OSError(ctypes.get_errno(), "capabilities cannot be given up")


def _record(folder: Path, name: str) -> None:
    folder.with_suffix(f".{name}").write_text("\n".join(sorted(_content(folder))))


def _content(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        for each in (*folders, *files):
            yield str((Path(place) / each).relative_to(folder))


def judge(started: Started, code: int | None) -> Verdict:
    """Compare what happened with what has to."""
    case, folder = started.case, started.folder
    seconds = time.monotonic() - started.begin
    said = {
        name: path.read_text(errors="replace") if (path := folder.with_suffix(f".{name}")).exists() else ""
        for name in ("stdout", "stderr")
    }
    faults = list(_told(case, code, said["stdout"], said["stderr"]))
    before = folder.with_suffix(".before")
    if code is not None and before.exists():
        faults += _left(case, code, set(before.read_text().split("\n")), set(_content(folder)))
    message = next((line for line in said["stderr"].splitlines() if line.startswith("Error: ")), "")
    return Verdict(case, code, message or (said["stderr"][-600:] if code else ""), tuple(faults), seconds)


def _told(case: Case, code: int | None, stdout: str, stderr: str) -> Iterator[str]:
    if code is None:
        yield f"did not end within {LIMIT:.0f} s"
        return
    if code not in case.codes:
        yield f"exit code {code}, not {' or '.join(map(str, case.codes))}"
    if "Traceback" in stderr or "Traceback" in stdout:
        yield "traceback"
    if "Instar itself failed" in stderr:
        yield "internal failure"
    errors = [line for line in stderr.splitlines() if line.startswith("Error: ")]
    if len(errors) != (code != 0):
        yield f"{len(errors)} lines of error"
    if sum(map(len, errors)) > LONGEST_MESSAGE:
        yield f"a message of {sum(map(len, errors))} characters"
    text = "\n".join(errors) if code else stderr + stdout
    for wanted in case.mentions:
        if not re.search(wanted, text, re.IGNORECASE):
            yield f"no mention of {wanted!r}"


def _left(case: Case, code: int, before: set[str], after: set[str]) -> Iterator[str]:
    named = _out(case)
    if gone := sorted(before - after - {""}):
        yield f"removed {gone[0]}"
    for path in sorted(after - before):
        first = path.split("/")[0]
        if path.startswith("tmp/torchinductor_"):
            continue  # torch's own: it makes this empty folder, one for each person, for every optimizer
        if path.endswith(".part") or first in ("home", "tmp"):
            yield f"left {path}"
        elif first == "cache" or (path + "/").startswith(("full/cache/", "full/cache")):
            continue
        elif named and (path == named or path.startswith(named + "/")):
            if code and path != named and not (case.may_go_on and Path(path).name not in FINISHED):
                yield f"left {path}"
        else:
            yield f"left {path}"


def _out(case: Case) -> str | None:
    arguments = list(case.arguments)
    return arguments[arguments.index("--out") + 1] if "--out" in arguments[:-1] else None


@contextmanager
def prepared(place: Path) -> Iterator[None]:
    """The models that cases use, trained once; and everything imported that the forked processes need."""
    for name, (make, arguments) in MODELS.items():
        folder = place / "models" / name
        folder.mkdir(parents=True)
        make(folder)
        os.environ["INSTAR_CACHE"] = str(place / "cache")
        home = Path.cwd()
        os.chdir(folder)
        try:
            run([INSTAR, *arguments]).must_succeed()
        finally:
            os.chdir(home)
    for name in ("cli", "learn", "model", "networks.assemble", "training.loop"):
        importlib.import_module(f"instar.{name}")
    yield
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(place) in line]
    for point in mounted:
        subprocess.run(["umount", point], check=False)


def carry_out(cases: Sequence[Case], place: Path, parallel: int, shell: bool) -> list[Verdict]:
    """Run the cases, ``parallel`` at a time."""
    waiting, running, verdicts = list(enumerate(cases))[::-1], [], []
    while waiting or running:
        while waiting and len(running) < parallel:
            number, case = waiting.pop()
            running.append(begin(case, place / f"case-{number:03}", shell))
        time.sleep(0.01)
        for started in list(running):
            ended, status = os.waitpid(started.process, os.WNOHANG)
            overdue = time.monotonic() - started.begin > LIMIT
            if not ended and not overdue:
                continue
            if not ended:
                os.killpg(started.process, signal.SIGKILL)
                os.waitpid(started.process, 0)
            running.remove(started)
            verdicts.append(judge(started, os.waitstatus_to_exitcode(status) if ended else None))
            _clear(started.folder)
    return verdicts


def _clear(folder: Path) -> None:
    if (folder / "full").is_mount():
        subprocess.run(["umount", str(folder / "full")], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="*", help="a pattern of cases' names, such as 'picture/*'")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--shell", action="store_true", help="start the real command for each case")
    parser.add_argument("--show", action="store_true", help="print every message, to be read by a person")
    arguments = parser.parse_args()
    cases = [case for case in all_cases() if fnmatch.fnmatch(case.name, arguments.only)]
    heading("Bad inputs")
    with workshop() as place, prepared(place):
        place.chmod(0o755)
        verdicts = [
            verdict
            for verdict in carry_out(cases, place, arguments.parallel, arguments.shell)
            if verdict.code != PASSED_OVER
        ]
    if arguments.show:
        for verdict in verdicts:
            print(f"- {verdict.case.name} [{verdict.code}, {verdict.seconds:.1f} s]: {verdict.message}")
        print()
    wrong = [verdict for verdict in verdicts if verdict.faults]
    families = Counter(verdict.case.name.split("/")[0] for verdict in verdicts)
    bad = Counter(verdict.case.name.split("/")[0] for verdict in wrong)
    table(("family", "cases", "as they have to be"), [(name, n, n - bad[name]) for name, n in families.items()])
    right = len(verdicts) - len(wrong)
    slowest = max(verdicts, key=lambda verdict: verdict.seconds)
    table(
        ("figure", "measured", "bar", "reached"),
        [
            ("clear errors", f"{right} of {len(verdicts)}", "all of at least 300", not wrong and right >= 300),
            (
                "slowest",
                f"{slowest.seconds:.1f} s ({slowest.case.name})",
                f"<= {LIMIT:.0f} s",
                slowest.seconds <= LIMIT,
            ),
        ],
    )
    for verdict in wrong:
        print(f"- {verdict.case.name}: {'; '.join(verdict.faults)}\n  `{' '.join(verdict.case.arguments)[:150]}`")
        if verdict.message:
            print(f"  {verdict.message.strip()[-500:]}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
