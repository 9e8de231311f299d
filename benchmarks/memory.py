"""The peak of anonymous memory while training on what does not fit: a long table, and very many pictures.

10 million rows x 20 columns (numbers, categories, booleans, a date) as CSV, and 100,000 pictures of 96x96. The
anonymous and shared memory of the whole process tree is sampled ten times a second; pages of mapped files are not
counted, as they can be dropped at any time.

Bar: at most 2 GiB each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from benchmarks.common import DATA, INSTAR, heading, table, workshop
from benchmarks.picture_data import pictures

CHUNK = 500_000
WORDS = ["amber", "basalt", "cobalt", "dune", "ember", "fjord", "granite", "harbor"]


def long_table(rows: int) -> Path:
    """A CSV of ``rows`` rows and 20 columns, written a stretch at a time; `bought` follows from some of the others."""
    path = DATA / f"long-{rows}.csv"
    if path.exists():
        return path
    DATA.mkdir(exist_ok=True)
    making = path.with_suffix(".making")
    with making.open("wb") as stream:
        for start in range(0, rows, CHUNK):
            _stretch(min(CHUNK, rows - start), start).write_csv(stream, include_header=start == 0)
    making.rename(path)
    return path


def _stretch(count: int, start: int) -> pl.DataFrame:
    generator = np.random.default_rng(start)
    columns = {f"number_{each}": generator.normal(each, 1 + each, count).round(3) for each in range(8)}
    columns |= {f"count_{each}": generator.poisson(3 + 10 * each, count) for each in range(4)}
    columns |= {f"word_{each}": generator.choice(WORDS[: 4 + 2 * each], count) for each in range(3)}
    columns["town"] = np.char.add("town_", generator.integers(0, 20_000, count).astype(str))
    columns["member"] = generator.choice(["yes", "no"], count)
    columns["day"] = np.datetime64("2015-01-01") + generator.integers(0, 3650, count).astype("timedelta64[D]")
    columns["share"] = np.where(generator.random(count) < 0.05, np.nan, generator.random(count).round(4))
    signal = columns["number_0"] + (columns["word_0"] == "amber") + generator.normal(0, 0.5, count)
    columns["bought"] = np.where(signal > 0.5, "yes", "no")
    return pl.DataFrame(columns).with_columns(pl.col("share").fill_nan(None))


def resident(process: psutil.Process) -> tuple[int, int]:
    """Bytes of anonymous and shared, and of file-backed, memory of a process and all its children."""
    anonymous = mapped = 0
    for each in (process, *process.children(recursive=True)):
        try:
            lines = Path(f"/proc/{each.pid}/status").read_text().splitlines()
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
        anonymous += sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0)
        mapped += sizes.get("RssFile", 0)
    return anonymous, mapped


def peak(source: Path, settings: list[str], seconds: str) -> tuple[float, float, float]:
    """Train on ``source`` for ``seconds``; GiB of anonymous and mapped memory, and wall seconds."""
    with workshop() as folder:
        command = [INSTAR, "train", source, "--out", folder / "model", "--no-rivals", "--time", seconds, *settings]
        log = folder / "log"
        start = time.perf_counter()
        with log.open("w") as stream:
            child = psutil.Popen(
                [str(part) for part in command],
                env={**os.environ, "INSTAR_CACHE": str(folder / "cache")},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
            highest = (0, 0)
            while child.poll() is None:
                highest = tuple(map(max, highest, resident(child)))
                time.sleep(0.1)
        if child.returncode:
            raise SystemExit(f"training failed with exit code {child.returncode}:\n{log.read_text()[-3000:]}")
        return highest[0] / 2**30, highest[1] / 2**30, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--time", default="60s", help="the time limit given to the training itself")
    arguments = parser.parse_args()
    rows = []
    if arguments.rows:
        source = long_table(arguments.rows)
        rows.append((f"{arguments.rows:,} rows x 20 columns", *peak(source, ["--target", "bought"], arguments.time)))
    if arguments.pictures:
        source = pictures("many", arguments.pictures, 96)
        rows.append((f"{arguments.pictures:,} pictures of 96x96", *peak(source, [], arguments.time)))
    heading("Memory")
    table(
        ("source", "anonymous memory, peak GiB", "mapped files, peak GiB", "seconds", "<= 2 GiB"),
        [(name, anonymous, mapped, seconds, anonymous <= 2) for name, anonymous, mapped, seconds in rows],
    )


if __name__ == "__main__":
    main()
