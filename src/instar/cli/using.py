"""What is done with a model: ``evaluate``, ``predict``, ``generate``, ``play``, ``inspect``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click

from instar.cli.output import json_option, plain, print_json, print_json_rows, print_lines, print_piece
from instar.cli.root import cli, outside_option
from instar.errors import UsageError

# Rows that are turned into text together.
ROWS_AT_A_TIME = 65_536


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
        print_json(report.to_json())
        return
    print_lines(report.summary())


@cli.command(short_help="Answer for new examples: labels, probabilities, intervals.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE_OR_FILES...")
@click.option("--coverage", type=float, help="Share of truths that low to high shall hold; 0.9 if not said.")
@click.option("--probabilities", is_flag=True, help="A column per class as well.")
@click.option("--embedding", is_flag=True, help="The numbers that stand for each row, of a model without a target.")
@click.option("--where", "places", is_flag=True, help="Begin with the place of each example: its file, or its line.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder for answers that are pictures or masks: a file each, of the size of what it is made of.",
)
@click.option("--json", "style", flag_value="json", help="One JSON document.")
@click.option("--json-lines", "style", flag_value="json-lines", help="One JSON object a line.")
@click.option("--csv", "style", flag_value="csv", help="Comma-separated values.")
@outside_option
def predict(
    model: Path,
    sources: Sequence[str],
    coverage: float | None,
    probabilities: bool,
    embedding: bool,
    places: bool,
    out: Path | None,
    style: str | None,
    allow_outside: bool,
) -> None:
    """Answer for every example of a source, or for every file named."""
    import polars as pl

    from instar.model import load
    from instar.painting import paints

    loaded = load(model)
    given: Any = list(sources) if len(sources) > 1 else sources[0]
    opened = loaded.open(given, allow_outside=allow_outside)
    if out is None and paints(loaded.targets):
        raise UsageError("The answers are pictures", remedy="Say with --out in which new folder they are to be written")
    predictions = loaded.answer(opened, out=out, embedding=embedding)
    frame = pl.DataFrame(
        loaded.columns(predictions, probabilities=probabilities, **({} if coverage is None else {"coverage": coverage}))
    )
    if places:
        repeats = max(1, len(frame) // max(1, len(next(iter(predictions.answers.values())))))
        frame.insert_column(
            0, pl.Series("where", [opened.locate_row(row // repeats) for row in range(len(frame))], pl.String)
        )
    print_lines(predictions.told(), err=True)
    if style == "json":
        print_json_rows(frame.iter_rows(named=True))
    elif style == "json-lines":
        for row in frame.iter_rows(named=True):
            click.echo(json.dumps(plain(row), ensure_ascii=False, allow_nan=False))
    elif style == "csv" or not sys.stdout.isatty():
        for number, part in enumerate(frame.iter_slices(ROWS_AT_A_TIME)):
            click.echo(part.write_csv(include_header=number == 0), nl=False)
    else:
        with pl.Config(tbl_rows=50, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
            print_lines(str(frame).split("\n"))


@cli.command(short_help="Let a model play the game that it has learned.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--episodes", type=int, default=20, show_default=True, help="How many episodes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which episodes; 0: the first of the report's.")
@click.option("--environment", metavar="gym:ID", help="Another environment than the one that was learned.")
@click.option(
    "--video", type=click.Path(path_type=Path), metavar="FILE", help="The first episode as .gif, .png or .webp."
)
@json_option
def play(model: Path, episodes: int, seed: int, environment: str | None, video: Path | None, as_json: bool) -> None:
    """Play EPISODES with MODEL, which always does what it thinks best, and print the mean return."""
    from instar.games import play as play_with

    plays = play_with(model, episodes=episodes, seed=seed, environment=environment, video=video)
    if as_json:
        print_json(plays.to_json())
        return
    print_lines(plays.summary())


@cli.command(short_help="Let a model write on, as the texts that it has learned from.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--prompt", default="", metavar="TEXT", help="What the text begins with.")
@click.option("--length", type=int, default=500, show_default=True, help="How many characters to write.")
@click.option(
    "--temperature",
    type=float,
    default=1.0,
    show_default=True,
    help="Below 1 likely symbols become likelier; 0 always takes the likeliest.",
)
@click.option(
    "--top-p",
    type=float,
    default=1.0,
    show_default=True,
    help="Draw each symbol from the fewest that have this probability together.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same one writes the same text.")
@json_option
def generate(model: Path, prompt: str, as_json: bool, **settings: Any) -> None:
    """Write a text with MODEL, which has learned from corpus:FILE_OR_FOLDER how texts go on, as it is drawn."""
    from instar.model import load

    written = load(model).stream(prompt, **settings)
    if as_json:
        print_json({"prompt": prompt, "text": "".join(written), **settings})
        return
    for piece in chain([prompt], written):
        print_piece(piece)
    print_piece("\n")


@cli.command(short_help="What a model is, without building it.")
@click.argument("model", type=click.Path(path_type=Path))
@json_option
def inspect(model: Path, as_json: bool) -> None:
    """Show what a model folder declares: inputs, targets, network, claims. Nothing is built and nothing runs."""
    from instar.folder import read_declaration, summarize

    declaration = read_declaration(model)
    if as_json:
        print_json(declaration)
        return
    print_lines(summarize(declaration, model))
