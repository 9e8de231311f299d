"""What commands print: a document, rows, or rows of a document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent
from typing import Any

import click

from instar.errors import printable

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def plain(value: Any) -> Any:
    """``value`` with everything in it that JSON lacks in JSON's terms; NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def print_json(content: Any) -> None:
    click.echo(json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False))


def print_json_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON array, written row by row: there may be millions."""
    start = "["
    for row in rows:
        text = json.dumps(plain(row), indent=2, ensure_ascii=False, allow_nan=False)
        click.echo(start + "\n" + indent(text, "  "), nl=False)
        start = ","
    click.echo("[]" if start == "[" else "\n]")


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Lines for a person: names in them come from strangers and must not command the terminal."""
    for line in lines:
        click.echo(printable(line), err=err)


def print_piece(text: str) -> None:
    """A part of a text of several lines, at once: what it holds was learned from strangers too."""
    click.echo("".join(each if each in "\n\t" else printable(each) for each in text), nl=False)
    sys.stdout.flush()


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in rows[0]:
        table.add_column(name, overflow="fold", no_wrap=name == "name")
    for row in rows:
        table.add_row(*(printable(str(value)) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False).print(table)
