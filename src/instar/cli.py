"""The command line: parses, calls, prints. Results go to stdout, progress and messages to stderr.

Exit codes: 0 success, 1 failure, 2 usage, 3 bad data, 4 divergence, 5 bad model folder, 6 folder, 130/143 signals.
Nothing heavy is imported before a command needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from instar.errors import InstarError, InterruptionError, SettingError, UsageError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

    from instar.settings import Setting


class Commands(click.Group):
    """A group that suggests the closest command for a wrong name."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None:
            raise UsageError(f"There is no command {args[0]!r}", remedy=did_you_mean(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


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
        flags = f"{declared.flag}/--no-{declared.flag.removeprefix('--')}"
        return click.Option([flags], default=None, help=declared.meaning)
    several = str(declared.type).startswith("tuple")
    default = "" if declared.default in (None, ()) else f"  [default: {declared.default}]"
    metavar = declared.name.upper() if declared.choices is None else "|".join(declared.choices)
    return click.Option(
        [declared.flag], default=None, multiple=several, metavar=metavar, help=declared.meaning + default
    )


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
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("instar")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
outside_option = click.option("--allow-outside", is_flag=True, help="Let a table name files outside its own folder.")


@cli.command(cls=SettingsCommand, short_help="Learn from examples: a table, a folder of pictures, example:digits.")
@click.argument("source")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Any setting; see: instar settings.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings from a TOML file.")
@json_option
def train(source: str, assignments: Sequence[str], config: Path | None, as_json: bool, **flags: Any) -> None:
    """Learn from SOURCE and write a model folder.

    SOURCE is a table (CSV, TSV, Parquet, JSON lines; also .gz), a folder with a folder per class or a metadata.csv,
    an IDX or .npz file, or example:NAME (digits, iris, wine, breast_cancer, diabetes, xor).

    The same command again goes on where it was stopped; a finished one prints its result.
    """
    from instar.learn import learn

    given = {**_read_config(config), **dict(_assignment(text) for text in assignments)}
    given |= {name: value for name, value in flags.items() if value is not None and value != ()}
    console = _console()
    with _stopping() as should_stop:
        model, report = learn(source, given, should_stop=should_stop, watch=_watch(console))
    folder = str(model.folder)
    if as_json:
        _print_json({"model": folder, **report.to_json()})
        return
    for line in report.summary():
        click.echo(line)
    click.echo(f"\nModel:   {folder}\nReport:  {Path(folder) / 'report.html'}")
    click.echo(f"Use it:  instar predict {folder} SOURCE_OR_FILES")


def _watch(console: Console) -> Callable[[Path], Any]:
    from contextlib import nullcontext

    from instar.progress import drawing

    if logging.getLogger("instar").level > logging.INFO:
        return lambda log: nullcontext()
    return lambda log: drawing(log, console)


@cli.command(short_help="Measure a model on other examples with answers.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source")
@click.option("--target", multiple=True, metavar="FILE", help="The file of labels, where SOURCE is an IDX file.")
@outside_option
@json_option
def evaluate(model: Path, source: str, target: Sequence[str], allow_outside: bool, as_json: bool) -> None:
    """Measure MODEL on SOURCE, which holds the right answers too."""
    from instar.model import load

    report = load(model).evaluate(source, target=target, allow_outside=allow_outside)
    if as_json:
        _print_json(report.to_json())
        return
    for line in report.summary():
        click.echo(line)


@cli.command(short_help="Answer for new examples: labels, probabilities, intervals.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE_OR_FILES...")
@click.option("--coverage", type=float, help="Share of truths that low to high shall hold; 0.9 if not said.")
@click.option("--probabilities", is_flag=True, help="A column per class as well.")
@click.option("--json", "style", flag_value="json", help="One JSON document.")
@click.option("--json-lines", "style", flag_value="json-lines", help="One JSON object a line.")
@click.option("--csv", "style", flag_value="csv", help="Comma-separated values.")
@outside_option
def predict(
    model: Path,
    sources: Sequence[str],
    coverage: float | None,
    probabilities: bool,
    style: str | None,
    allow_outside: bool,
) -> None:
    """Answer for every example of a source, or for every file named."""
    import polars as pl

    from instar.model import load

    loaded = load(model)
    given: Any = list(sources) if len(sources) > 1 else sources[0]
    predictions = loaded.answer(loaded.open(given, allow_outside=allow_outside))
    frame = pl.DataFrame(
        loaded.columns(predictions, probabilities=probabilities, **({} if coverage is None else {"coverage": coverage}))
    )
    problems = predictions.problems
    for problem in problems[:20]:
        click.echo(problem, err=True)
    if len(problems) > 20:
        click.echo(f"... and {len(problems) - 20} more values that could not be read", err=True)
    if style == "json":
        _print_json(frame.to_dicts())
    elif style == "json-lines":
        for row in frame.iter_rows(named=True):
            click.echo(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False))
    elif style == "csv" or not sys.stdout.isatty():
        click.echo(frame.write_csv(), nl=False)
    else:
        with pl.Config(tbl_rows=50, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
            click.echo(str(frame))


@cli.command(short_help="What a model is, without building it.")
@click.argument("model", type=click.Path(path_type=Path))
@json_option
def inspect(model: Path, as_json: bool) -> None:
    """Show what a model folder declares: inputs, targets, network, claims. Nothing is built and nothing runs."""
    from instar.folder import read_declaration, summarize

    declaration = read_declaration(model)
    if as_json:
        _print_json(declaration)
        return
    for line in summarize(declaration, model):
        click.echo(line)


@cli.command(short_help="All networks, with their papers.")
@json_option
def networks(as_json: bool) -> None:
    """List the networks that --network knows."""
    from instar.networks import networks as registry

    rows = [{"name": name, "paper": each.paper, "idea": each.idea} for name, each in registry.items()]
    _print_rows(rows, as_json)


@cli.command(short_help="All kinds of content that a column can have.")
@json_option
def kinds(as_json: bool) -> None:
    """List the kinds that --kind COLUMN=KIND knows."""
    from instar.fields import kinds as registry

    rows = [
        {"name": name, "meaning": each.meaning, "target": "yes" if each.can_be_target else "no"}
        for name, each in registry.items()
    ]
    _print_rows(rows, as_json)


@cli.command(short_help="All settings, with default, meaning and source.")
@click.argument("word", required=False)
@json_option
def settings(word: str | None, as_json: bool) -> None:
    """List every setting, or those whose name or meaning has WORD in it."""
    from instar.configuration import all_settings

    rows = [
        {
            "name": declared.name,
            "default": "from the data" if declared.default is None else _shown(declared.default),
            "meaning": declared.meaning + (f" ({declared.source})" if declared.source else ""),
            "of": owner,
        }
        for owner, declared in all_settings()
        if not word or word.lower() in f"{declared.name} {declared.meaning}".lower()
    ]
    _print_rows(rows, as_json)


@cli.command(short_help="Show or clear what was read from sources before.")
@click.argument("action", type=click.Choice(["list", "clear"]), default="list")
@click.argument("names", nargs=-1)
@json_option
def cache(action: str, names: Sequence[str], as_json: bool) -> None:
    """Content is read once and kept, so that the next run on the same data starts at once.

    The cache stays under a budget by itself; clear it, or the entries NAMES, whenever you like.
    """
    from instar import cache as store_cache

    if action == "clear":
        removed, used = store_cache.clear(names)
        freed = sum(entry.bytes for entry in removed)
        if as_json:
            _print_json({"removed": [entry.identifier for entry in removed], "freed_bytes": freed})
            return
        click.echo(f"Removed {len(removed)} of {len(removed) + len(used)} entries, {_mebibytes(freed)}.")
        for entry in used:
            click.echo(f"{entry.name} is in use and stays.", err=True)
        return
    entries = store_cache.entries()
    if as_json:
        _print_json([{**asdict(entry), "folder": str(entry.folder)} for entry in entries])
        return
    if not entries:
        click.echo(f"The cache in {store_cache.store_directory()} is empty.")
        return
    rows = [
        {
            "name": entry.name,
            "size": _mebibytes(entry.bytes),
            "last used": datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M"),
            "source": entry.place,
        }
        for entry in entries
    ]
    _print_rows(rows, as_json)
    total = sum(entry.bytes for entry in entries)
    click.echo(f"{_mebibytes(total)} of {_mebibytes(store_cache.budget())} in {store_cache.store_directory()}")


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _assignment(text: str) -> tuple[str, str]:
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
            f"The file is not TOML ({failure})", where=str(path), remedy="Write lines: name = value"
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


def _plain(value: Any) -> Any:
    """``value`` with everything in it that JSON lacks in JSON's terms; NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _print_json(content: Any) -> None:
    click.echo(json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False))


def _print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
        return
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in rows[0]:
        table.add_column(name, overflow="fold", no_wrap=name == "name")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False).print(table)


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
    click.echo(f"Error: {message}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
