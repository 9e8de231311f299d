"""From words to an exit code: every error that a person can meet is one sentence on stderr."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from instar.cli import learning, listing, using  # noqa: F401 - they enter their commands
from instar.cli.root import cli
from instar.errors import InstarError, printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    # Threads that spin while they wait for each other take several times as long where processors are shared. The
    # thread library reads this once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    click.echo(f"Error: {printable(message)}", err=True)
    return code
