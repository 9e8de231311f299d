"""What is drawn of a training: the log's whole lines, whatever happens to the log."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from instar.progress import BARS, Tail, drawing, line, sparkline


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def test_only_whole_new_lines_are_read(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    append(log, '{"epoch": 0}\n')
    tail = Tail(log)
    assert tail.read() == [], "what was there before is old"
    append(log, '{"epoch": 1}\n{"epo')
    assert tail.read() == [{"epoch": 1}]
    append(log, 'ch": 2}\n')
    assert tail.read() == [{"epoch": 2}] and tail.read() == []
    append(log, 'no JSON\n{"epoch": 3}\n')
    assert tail.read() == [{"epoch": 3}]


def test_a_log_that_is_cut_or_gone_stops_nobody(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    tail = Tail(log)
    assert tail.read() == [], "there is none yet"
    append(log, '{"epoch": 1}\n{"epoch": 2}\n')
    assert len(tail.read()) == 2
    log.write_text('{"epoch": 1}\n')  # a run goes on from an earlier checkpoint
    assert tail.read() == []
    append(log, '{"epoch": 2}\n')
    assert tail.read() == [{"epoch": 2}]
    log.unlink()
    assert tail.read() == []


@given(st.lists(st.floats(-1e300, 1e300), max_size=60), st.integers(1, 40))
def test_a_sparkline_has_a_bar_for_each_of_the_last_values(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) == min(len(values), width) and set(drawn) <= set(BARS)


def test_a_sparkline_falls_where_the_loss_falls() -> None:
    assert sparkline([3.0, 2.0, 1.0, 0.0]) == BARS[7] + BARS[5] + BARS[2] + BARS[0]
    assert len(set(sparkline([0.5] * 4))) == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_drawing_ends_with_the_training_and_lets_its_errors_through(terminal: bool, tmp_path: Path) -> None:
    log, written = tmp_path / "metrics.jsonl", io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=80)
    with pytest.raises(ZeroDivisionError), drawing(log, console):
        append(log, json.dumps({"event": "epoch", "epoch": 1, "loss": 0.5}) + "\n")
        raise ZeroDivisionError
    with drawing(tmp_path / "never", console):
        pass


def test_a_line_says_what_is_trained_and_how_well() -> None:
    assert line({"stage": "fold 2", "epoch": 3, "loss": 0.25, "validation_loss": 0.5}) == (
        "fold 2, epoch 3, loss 0.2500, validation 0.5000"
    )
    assert line({"epoch": 1, "loss": 1.0, "validation_loss": None}) == "train, epoch 1, loss 1.0000"
