"""Kill -9 at a random moment, run the same command again until it ends, and compare the weights' SHA-256.

The moments are spread evenly over the whole life of the process, its start, the saving and the report included. Every
trial has a folder and a cache of its own. Threads are fixed at one, which a checkpoint records, so that trials that
run beside each other change no bits.

Bar: 200 of 200 end with the weights of an uninterrupted run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.common import INSTAR, heading, table, workshop

COMMAND = (
    *("train", "example:digits", "--no-rivals", "--seed", "0", "--network", "lenet"),
    *("--epochs", "12", "--patience", "12", "--set", "dropout=0.1"),
)
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(INSTAR), *COMMAND, "--out", str(folder / "model")],
        env={**os.environ, **THREADS, "INSTAR_CACHE": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("ab"),
    )


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


def leftovers(folder: Path) -> list[str]:
    """What should not be there after a run that ended: temporary files of the killed one."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.suffix in {".part", ".tmp"} or path.name.startswith("tmp")
    )


def uninterrupted(folder: Path) -> tuple[float, str]:
    folder.mkdir(parents=True)
    begin = time.perf_counter()
    if start(folder).wait():
        raise SystemExit((folder / "log").read_text()[-2000:])
    return time.perf_counter() - begin, weights(folder)


def trial(folder: Path, moment: float, expected: str, life: float) -> tuple[str, str]:
    """Where the kill fell, and what came of it."""
    folder.mkdir(parents=True)
    child = start(folder)
    try:
        child.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
    else:  # it was faster than the one whose life was measured: kill another one, earlier
        shutil.rmtree(folder)
        return trial(folder, 0.9 * moment, expected, life)
    model = folder / "model"
    found = "before the folder" if not model.exists() else "at work"
    if (model / "checkpoint").exists() and any((model / "checkpoint").iterdir()):
        found = "with a checkpoint"
    if (model / "model.safetensors").exists():
        found = "with weights saved"
    again = start(folder)
    try:
        code = again.wait(timeout=max(120, 10 * life))
    except subprocess.TimeoutExpired:
        again.kill()
        return found, "hung"
    if code:
        return found, f"exit code {code}: {(folder / 'log').read_text()[-300:]}"
    if weights(folder) != expected:
        return found, "other weights"
    return found, "left temporary files: " + ", ".join(left) if (left := leftovers(folder)) else "same"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=2)
    arguments = parser.parse_args()
    count = arguments.count
    heading("Kill -9")
    with workshop() as place:
        lives, sums = zip(*(uninterrupted(place / f"whole-{number}") for number in range(2)), strict=True)
        with ThreadPoolExecutor(arguments.parallel) as pool:
            pair = list(pool.map(uninterrupted, [place / f"pair-{each}" for each in range(arguments.parallel)]))
        life = min(each for each, _ in pair)
        if len({*sums, *(each for _, each in pair)}) != 1:
            raise SystemExit("uninterrupted runs differ among themselves: nothing to compare with")
        generator = random.Random(0)
        moments = [life * (number + generator.random()) / count for number in range(count)]
        generator.shuffle(moments)
        with ThreadPoolExecutor(arguments.parallel) as pool:
            results = list(
                pool.map(lambda job: trial(place / f"trial-{job[0]}", job[1], sums[0], life), enumerate(moments))
            )
    ends = Counter(end for _, end in results)
    phases = sorted({phase for phase, _ in results})
    print(
        f"An uninterrupted run takes {min(lives):.1f} s alone, {life:.1f} s beside another; weights {sums[0][:12]}...\n"
    )
    table(
        ("the kill fell", "trials", "same weights"),
        [(phase, sum(p == phase for p, _ in results), results.count((phase, "same"))) for phase in phases],
    )
    table(
        ("figure", "measured", "bar", "reached"),
        [("same weights", f"{ends['same']} of {count}", "all", ends["same"] == count)],
    )
    for end, number in ends.most_common():
        if end != "same":
            print(f"- {number} x {end}")


if __name__ == "__main__":
    main()
