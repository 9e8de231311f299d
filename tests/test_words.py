"""What people write and strangers name: settings as text, names in messages, plug-ins that fail."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import instar
from instar.cli import main
from instar.cli.root import Line
from instar.configuration import all_settings
from instar.errors import InstarError, SettingError, printable
from instar.settings import Setting

EVERY = {f"{owner}: {declared.name}": declared for owner, declared in all_settings()}


def written(value: Any) -> str:
    """A value as a person writes it after NAME=."""
    return ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("declared", EVERY.values(), ids=list(EVERY))
def test_every_default_can_be_written(declared: Setting) -> None:
    assert declared.check(written(declared.default)) == declared.default


NUMBERS = [each for each in EVERY.values() if each.minimum is not None or each.maximum is not None]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", float("inf"), float("-inf"), float("nan"), 10**400, "9" * 400])
@pytest.mark.parametrize("declared", {each.name: each for each in NUMBERS}.values(), ids=lambda each: each.name)
def test_what_no_computer_can_hold_is_refused_in_words(declared: Setting, value: Any) -> None:
    with pytest.raises(SettingError) as caught:
        declared.check(value)
    assert declared.name in str(caught.value) and len(str(caught.value)) < 600


WHOLE = Setting("count", int, 1, "things that are counted")


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_whole_numbers_of_64_bits_are_exact_however_they_are_written(number: int) -> None:
    assert WHOLE.check(str(number)) == WHOLE.check(number) == number


@pytest.mark.parametrize("value", [2**63, -(2**63), str(2**63), 1e19, "1e300"])
def test_whole_numbers_beyond_64_bits_are_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="at most 9223372036854775807"):
        WHOLE.check(value)


@given(st.text())
def test_what_is_printed_commands_no_terminal(text: str) -> None:
    for shown in (printable(text), str(InstarError(text, where=text, remedy=text))):
        assert not any(ord(each) < 32 or 127 <= ord(each) < 160 or each in "\u2028\u2029\u202e" for each in shown)
        shown.encode()  # halves of characters cannot be printed at all


def test_ordinary_names_are_printed_as_they_are() -> None:
    for text in ("Größe in m²", "価格", "👩‍👩‍👧", "a b", "1\u00a0000"):
        assert printable(text) == text
    assert printable("red\x1b[31m\r\nok") == r"red\x1b[31m\r\nok"


def test_a_plug_in_that_fails_is_named_with_its_distribution_and_breaks_nothing(tmp_path: Path) -> None:
    for distribution, module in (
        ("broken-lenses", "raise SystemExit('no \\x1b[31mlicense')"),
        ("other-lenses", "1 / 0"),
    ):
        name = distribution.replace("-", "_")
        (tmp_path / f"{name}.py").write_text(module)
        about = tmp_path / f"{name}-2.1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.1\n")
        (about / "entry_points.txt").write_text(f"[instar.plugins]\nlenses = {name}\n")
    code = "from instar.fields import kinds\nprint(list(kinds))\nkinds['lens']"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "category" in done.stdout
    warning, error = done.stderr.split("Traceback", 1)
    for said in (warning, error.rsplit("UsageError", 1)[1]):
        assert "'lenses' (broken_lenses) of the distribution broken-lenses 2.1" in said
        assert r"SystemExit: no \x1b[31mlicense" in said
        assert "'lenses' (other_lenses) of the distribution other-lenses 2.1" in said and "ZeroDivisionError" in said
    assert warning.count("cannot be used") == 2


@given(st.text(), st.text())
def test_a_log_line_is_one_line(message: str, name: str) -> None:
    record = logging.LogRecord("instar", logging.INFO, "", 0, "%s: " + message.replace("%", ""), (name,), None)
    assert Line().format(record) == printable(f"{name}: {message.replace('%', '')}")


def test_what_a_model_declares_commands_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "x\x1b[31m\nforged line"
    frame = pl.DataFrame({name: range(40), "y": ["a\x1b[2J", "b"] * 20})
    model = instar.train(frame, "y", out=tmp_path / "model", rivals=False, epochs=1, kind=f"{name}=number")
    assert main(["inspect", str(tmp_path / "model")]) == 0
    frame.write_csv(tmp_path / "table.csv")
    assert main(["evaluate", str(tmp_path / "model"), str(tmp_path / "table.csv")]) == 0
    shown = capsys.readouterr()
    assert r"x\x1b[31m\nforged line (number)" in shown.out
    assert "\x1b" not in shown.out + shown.err
    assert model.predict(frame)["prediction"][0] in ("a\x1b[2J", "b")  # data stay as they are
