"""Run all benchmarks one after the other, or those named: `python -m benchmarks --only digits,kills`."""

from __future__ import annotations

import argparse
import pkgutil
import subprocess
import sys
from pathlib import Path

SHARED = {"__main__", "bad_cases", "common", "picture_data"}


def names() -> list[str]:
    """Every module beside this one that is a benchmark."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in found if not module.ispkg and module.name not in SHARED)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(names()), help="names separated by commas; default: all")
    failed = []
    for name in parser.parse_args().only.split(","):
        if name not in names():
            parser.error(f"there is no benchmark called {name!r}; known: {', '.join(names())}")
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
