"""The command that all others belong to: how much is said, and what a wrong word meant."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from instar.errors import UsageError, did_you_mean, printable


class Commands(click.Group):
    """A group that suggests the closest command for a wrong name."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None:
            raise UsageError(f"There is no command {args[0]!r}", remedy=did_you_mean(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


class Line(logging.Formatter):
    """A message in one line that commands no terminal, whatever names are in it."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(record.getMessage())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="instar", message="%(prog)s %(version)s")
@click.option("-q", "--quiet", count=True, help="Less on stderr; twice for errors only.")
@click.option("-v", "--verbose", count=True, help="More on stderr.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(quiet: int, verbose: int, debug: bool) -> None:
    """Instar learns from examples.

    It builds the neural network that fits them, trains it, and says honestly how good it is.
    """
    level = {-2: logging.ERROR, -1: logging.WARNING, 0: logging.INFO}.get(
        max(-2, min(verbose, 1) - quiet), logging.DEBUG
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    logger = logging.getLogger("instar")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level)


outside_option = click.option("--allow-outside", is_flag=True, help="Let a table name files outside its own folder.")
