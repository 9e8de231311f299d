"""From words to an exit code: every error that a person can meet is one sentence on stderr."""

from __future__ import annotations

import ctypes
import os
import sys
import traceback
from collections.abc import Sequence

import click

from instar.cli import learning, listing, using  # noqa: F401 - they enter their commands
from instar.cli.root import cli
from instar.errors import InstarError, printable

# The numbers by which glibc's mallopt knows its settings.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    _settle()
    try:
        cli.main(arguments, prog_name="instar", standalone_mode=False)
    except InstarError as error:
        return _fail(str(error), error.exit_code, "--debug" in arguments)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code, False)
    except (KeyboardInterrupt, click.Abort):
        return _fail("Stopped.", 130, False)
    except SystemExit:  # click's answer to a reader that went away, and it has silenced stdout
        return 0
    except Exception as error:
        message = f"Instar itself failed ({type(error).__name__}: {error}). Run with --debug, and report what it shows."
        return _fail(message, 1, "--debug" in arguments)
    return 0


def _settle() -> None:
    """Settle how this process waits and keeps memory; what a person has set in the environment stays.

    Threads that wait for each other look again for a moment before they sleep: sleeping at once doubles the time of
    small networks, and spinning on takes processors from others where they are shared. torch's library reads
    this once, when it is loaded. Tensors that a step frees are kept for the next step, up to 128 MiB: the C library
    would give them back to the system and have them cleared again, a tenth of the time of learning from pictures.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    keep = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if keep is not None and not {name for name in os.environ if name.startswith("MALLOC_")}:
        keep(_MMAP_THRESHOLD, 32 << 20)
        keep(_TRIM_THRESHOLD, 128 << 20)


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"Error: {printable(message)}", err=True)
    return code
