"""How long the everyday things take to start, and that they leave torch alone.

Bar: `instar --help` within 0.3 seconds; `import instar`, `--help`, `inspect` and `cache` without torch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.common import INSTAR, heading, instar, median, run, spread, table, workshop

PROBE = """
import sys
from instar.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("torch" in sys.modules, file=sys.__stdout__)
"""


def imports_torch(*arguments: str | Path) -> bool:
    """Whether the command line has torch in memory when it is done."""
    done = run([sys.executable, "-c", PROBE, *arguments]).must_succeed()
    return done.stdout.split()[-1] == "True"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    heading("Starting up")
    with workshop() as folder:
        model = folder / "model"
        instar(
            *("train", "example:iris", "--no-rivals", "--out", model, "--set", "epochs=2"), cache=folder / "cache"
        ).must_succeed()
        commands = {
            "`python -c pass`": ([sys.executable, "-c", "pass"], False),
            "`import instar`": (
                [sys.executable, "-c", "import sys, instar; sys.exit('torch' in sys.modules)"],
                False,
            ),
            "`instar --help`": ([INSTAR, "--help"], imports_torch("--help")),
            "`instar inspect MODEL`": ([INSTAR, "inspect", model], imports_torch("inspect", model)),
            "`instar cache`": ([INSTAR, "cache"], imports_torch("cache")),
        }
        rows = []
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, (command, _torch) in commands.items():
                seconds[name].append(run(command).must_succeed().seconds)
        for name, (_command, torch) in commands.items():
            rows.append((name, spread(seconds[name]), torch))
    table(("command", "seconds, median (all)", "imports torch"), rows)
    reached = median(seconds["`instar --help`"]) <= 0.3 and not any(torch for _, torch in commands.values())
    table(("bar", "reached"), [("`instar --help` <= 0.3 s, nothing of these imports torch", reached)])


if __name__ == "__main__":
    main()
