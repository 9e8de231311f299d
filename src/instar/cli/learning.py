"""``train``: flags from declared settings, progress on a terminal, and signals that save what is learned."""

from __future__ import annotations

import logging
import os
import signal
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from instar.cli.output import json_option, print_json, print_lines
from instar.cli.root import cli
from instar.errors import InterruptionError, SettingError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from instar.settings import Setting


class SettingsCommand(click.Command):
    """A command whose flags come from the declared settings that matter to everyone."""

    completed = False

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.completed:
            from instar.configuration import common_settings

            self.params += [_option(declared) for declared in common_settings()]
            self.completed = True
        return super().get_params(ctx)


def _option(declared: Setting) -> click.Option:
    if declared.type is bool:
        name = declared.flag.removeprefix("--")
        # What is called by what there is not is no question of yes or no.
        flags = declared.flag if name.startswith("no-") else f"--{name}/--no-{name}"
        return click.Option([flags], is_flag=True, default=None, help=declared.meaning)
    several = str(declared.type).startswith("tuple")
    default = "" if declared.default in (None, ()) else f"  [default: {declared.default}]"
    metavar = declared.name.upper() if declared.choices is None else "|".join(declared.choices)
    return click.Option(
        [declared.flag], default=None, multiple=several, metavar=metavar, help=declared.meaning + default
    )


@cli.command(cls=SettingsCommand, short_help="Learn from examples: a table, a folder of pictures, example:digits.")
@click.argument("source")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Any setting; see: instar settings.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings from a TOML file.")
@json_option
def train(source: str, assignments: Sequence[str], config: Path | None, as_json: bool, **flags: Any) -> None:
    """Learn from SOURCE and write a model folder.

    SOURCE is a table (CSV, TSV, Parquet, JSON lines; also .gz), a folder with a folder per class or a metadata.csv,
    folders of files that belong together by name (images, masks), an IDX or .npz file, or example:NAME (digits, iris,
    wine, breast_cancer, diabetes, xor), or gym:ID, a game of Gymnasium to play, or corpus:FILE_OR_FOLDER, long texts to
    learn how they go on.

    The same command again goes on where it was stopped; a finished one prints its result.
    """
    from instar.generation import writes
    from instar.learn import learn
    from instar.painting import paints

    given = {**_read_config(config), **dict(assignment(text) for text in assignments)}
    given |= {name: value for name, value in flags.items() if value is not None and value != ()}
    console = _console()
    with _stopping() as should_stop:
        model, report = learn(source, given, should_stop=should_stop, watch=_watch(console))
    folder = str(model.folder)
    if as_json:
        print_json({"model": folder, **report.to_json()})
        return
    print_lines(report.summary())
    print_lines(["", f"Model:   {folder}", f"Report:  {Path(folder) / 'report.html'}"])
    out = " --out NEW_FOLDER" if paints(model.targets) else ""
    use = f"play {folder}" if report.protocol == "play" else f"predict {folder} SOURCE_OR_FILES{out}"
    use = f"generate {folder} --prompt TEXT" if writes(model.targets) else use
    print_lines([f"Use it:  instar {use}"])


def _watch(console: Console) -> Callable[[Path], Any]:
    from contextlib import nullcontext

    from instar.progress import drawing

    if logging.getLogger("instar").level > logging.INFO:
        return lambda log: nullcontext()
    return lambda log: drawing(log, console)


def assignment(text: str) -> tuple[str, str]:
    """A setting and its value from ``NAME=VALUE``. Raises SettingError."""
    written, equals, value = text.partition("=")
    if not equals:
        raise SettingError(f"--set needs NAME=VALUE, and got {text!r}", remedy="For example: --set dropout=0.2")
    return _name(written), value.strip()


def _name(written: str) -> str:
    """A setting's name, which people also write as its flag is written."""
    return written.strip().removeprefix("--").replace("-", "_")


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise UsageError(f"The settings cannot be read ({failure.strerror})", where=str(path)) from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise UsageError(
            f"The file is not TOML ({failure})",
            where=str(path),
            remedy='Write lines such as epochs = 20, with words in quotes: target = "price"',
        ) from failure
    return {_name(written): value for written, value in content.items()}


def _console() -> Console:
    from rich.console import Console

    plain = bool(os.environ.get("CI")) or os.environ.get("TERM") == "dumb"
    return Console(
        stderr=True, force_terminal=False if plain else None, no_color=bool(os.environ.get("NO_COLOR")) or None
    )


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """A question that a training asks: whether a signal came. A second Ctrl-C ends at once."""
    received: list[int] = []

    def receive(number: int, frame: Any) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)
        click.echo("Stopping: saving what is learned so far. The same command goes on from here.", err=True)

    previous = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    except InterruptionError as error:
        error.exit_code = 128 + received[0] if received else error.exit_code
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
