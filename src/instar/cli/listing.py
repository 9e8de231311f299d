"""What there is: ``networks``, ``kinds``, ``settings``, and the ``cache``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from instar.cli.learning import assignment
from instar.cli.output import json_option, print_json, print_rows
from instar.cli.root import cli


@cli.command(short_help="All networks, with their papers.")
@json_option
def networks(as_json: bool) -> None:
    """List the networks that --network knows."""
    from instar.networks import networks as registry

    rows = [{"name": name, "paper": each.paper, "idea": each.idea} for name, each in registry.items()]
    print_rows(rows, as_json)


@cli.command(short_help="Draw a network or a model as SVG, with shapes and parameters.")
@click.argument("what", metavar="NETWORK_OR_MODEL")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write it to a file, not to stdout.")
@click.option("--size", type=int, help="Of a network's input: cells along each axis, symbols, or numbers of a row.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A setting of the network.")
def draw(what: str, out: Path | None, size: int | None, assignments: Sequence[str]) -> None:
    """Draw a network that --network knows, or the one of a model folder, from top to bottom.

    It shows the shape that each layer gives and the parameters that it has. Where the input's size is not said it is
    what is usual for the network: for picture networks the part of a photo that they were published for.
    """
    from instar.drawing import draw as drawn
    from instar.files import write_text

    drawing = drawn(what, size=size, **dict(assignment(text) for text in assignments))
    if out is None:
        click.echo(drawing, nl=False)
        return
    write_text(out, drawing)
    click.echo(f"Drawn: {out}", err=True)


@cli.command(short_help="All kinds of content that a column can have.")
@json_option
def kinds(as_json: bool) -> None:
    """List the kinds that --kind COLUMN=KIND knows."""
    from instar.fields import kinds as registry

    rows = [
        {"name": name, "meaning": each.meaning, "target": "yes" if each.can_be_target else "no"}
        for name, each in registry.items()
    ]
    print_rows(rows, as_json)


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
            "values": declared.values,
            "meaning": declared.meaning + (f" ({declared.source})" if declared.source else ""),
            "of": owner,
        }
        for owner, declared in all_settings()
        if not word or word.lower() in f"{declared.name} {declared.meaning}".lower()
    ]
    print_rows(rows, as_json)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


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
            print_json({"removed": [entry.identifier for entry in removed], "freed_bytes": freed})
            return
        click.echo(f"Removed {len(removed)} of {len(removed) + len(used)} entries, {_mebibytes(freed)}.")
        for entry in used:
            click.echo(f"{entry.name} is in use and stays.", err=True)
        return
    entries = store_cache.entries()
    if as_json:
        print_json([{**asdict(entry), "folder": str(entry.folder)} for entry in entries])
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
    print_rows(rows, as_json)
    total = sum(entry.bytes for entry in entries)
    click.echo(f"{_mebibytes(total)} of {_mebibytes(store_cache.budget())} in {store_cache.store_directory()}")


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
