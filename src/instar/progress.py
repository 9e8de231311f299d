"""Draws a training in the terminal. It only reads the log: whatever happens here, training goes on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

# How often a terminal is drawn, and how often a line is printed where there is no terminal, in seconds.
REFRESH = 0.25
PLAIN_INTERVAL = 10.0
BARS = "▁▂▃▄▅▆▇█"


@contextmanager
def drawing(log: Path, console: Console) -> Iterator[None]:
    """Show what is appended to ``log`` (a ``metrics.jsonl``) while the block runs."""
    ended = threading.Event()
    draw = _draw_live if console.is_terminal and not console.is_dumb_terminal else _draw_plain
    thread = threading.Thread(target=draw, args=(Tail(log), console, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=2)


class Tail:
    """The complete new lines of a log that grows, and may be cut when a run goes on from a checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path, self.position = path, path.stat().st_size if path.exists() else 0

    def read(self) -> list[dict[str, Any]]:
        try:
            with self.path.open("rb") as stream:
                size = stream.seek(0, 2)
                self.position = min(self.position, size)
                stream.seek(self.position)
                content = stream.read()
        except OSError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self.position += len(whole)
        entries = []
        for line in whole.splitlines():
            try:
                entries.append(json.loads(line))
            except ValueError:
                continue
        return entries


def sparkline(values: list[float], width: int = 24) -> str:
    """The course of ``values`` (the last ``width`` of them) as a row of block characters."""
    shown = values[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    steps = len(BARS) - 1
    return "".join(BARS[round((value - low) / (high - low) * steps) if high > low else 0] for value in shown)


def line(entry: dict[str, Any]) -> str:
    """One log entry as a line of text."""
    if entry.get("event") == "round":
        return ", ".join([f"round {entry['round']}", *(f"{title} {value:.4g}" for title, value in _returns(entry))])
    parts = [f"{entry.get('stage', 'train')}, epoch {entry.get('epoch', 0)}", f"loss {entry['loss']:.4f}"]
    if entry.get("validation_loss") is not None:
        parts.append(f"validation {entry['validation_loss']:.4f}")
    return ", ".join(parts)


def _returns(entry: dict[str, Any]) -> list[tuple[str, float]]:
    """What a round of a game brought, in words and numbers."""
    titles = {"mean return": "mean_return", "elite from": "elite_threshold", "its network": "chosen_return"}
    return [(title, entry[key]) for title, key in titles.items() if isinstance(entry.get(key), int | float)]


def _epochs(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines that are shown: losses, or of a game whose rounds are many small trainings the rounds."""
    rounds = [entry for entry in entries if entry.get("event") == "round"]
    return rounds or [
        entry
        for entry in entries
        if isinstance(entry.get("loss"), int | float) and not str(entry.get("stage")).startswith("round ")
    ]


def _draw_plain(tail: Tail, console: Console, ended: threading.Event) -> None:
    last = time.monotonic()
    while not ended.wait(REFRESH):
        entries = _epochs(tail.read())
        if entries and time.monotonic() - last >= PLAIN_INTERVAL:
            console.print(line(entries[-1]), highlight=False)
            last = time.monotonic()


def _draw_live(tail: Tail, console: Console, ended: threading.Event) -> None:
    history: list[dict[str, Any]] = []
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        while not ended.wait(REFRESH):
            new = _epochs(tail.read())
            if not new:
                continue
            if history and new[-1].get("stage") != history[-1].get("stage"):
                history.clear()
            history.extend(entry for entry in new if entry.get("stage") == new[-1].get("stage"))
            live.update(_table(history))


def _table(history: list[dict[str, Any]]) -> Table:
    last = history[-1]
    table = Table.grid(padding=(0, 2))
    if last.get("event") == "round":
        table.add_row(f"[bold]round {last['round']}[/bold]", "", "")
        for title, value in _returns(last):
            course = sparkline([each for entry in history for name, each in _returns(entry) if name == title])
            table.add_row(title, f"{value:.4g}", f"[cyan]{course}[/cyan]")
        return table
    table.add_row(f"[bold]{last.get('stage', 'train')}[/bold]", f"epoch {last.get('epoch', 0)}", "")
    for name, key in (("training loss", "loss"), ("validation loss", "validation_loss")):
        values = [entry[key] for entry in history if isinstance(entry.get(key), int | float)]
        if values:
            table.add_row(name, f"{values[-1]:.4f}", f"[cyan]{sparkline(values)}[/cyan]")
    return table
