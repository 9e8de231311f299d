"""Every setting means something, takes its own default, and is the same in whatever way it is given."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import instar
from instar.cli import main
from instar.configuration import GENERAL, Configuration, LearnSettings, all_settings, common_settings, owners
from instar.errors import SettingError
from instar.evaluation.settings import EvaluationSettings
from instar.settings import LARGEST_WHOLE, Setting, describe
from instar.split import SplitSettings
from instar.training.settings import TrainingSettings

EVERY = [(owner, declared) for owner, declared in all_settings()]
BY_NAME = {declared.name: declared for _, declared in EVERY}


def label(value: object) -> str:
    return value.name if isinstance(value, Setting) else str(value)


@pytest.mark.parametrize(("owner", "declared"), EVERY, ids=label)
def test_a_setting_means_something_and_takes_its_default(owner: str, declared: Setting) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", declared.name)
    assert len(declared.meaning.split()) >= 2 and not declared.meaning.endswith("."), "a phrase, as a table has it"
    assert declared.source is None or declared.source.strip()
    assert declared.check(declared.default) == declared.default
    assert "class" not in describe(declared.type) and "|" not in describe(declared.type), "its type in words"
    bounds = [bound for bound in (declared.minimum, declared.maximum) if bound not in (None, LARGEST_WHOLE)]
    for word in declared.choices or [f"{bound:g}" for bound in bounds]:
        assert word in declared.values
    if declared.choices is not None:
        assert len(set(declared.choices)) == len(declared.choices) >= 2
    if declared.minimum is not None and declared.maximum is not None:
        assert declared.minimum < declared.maximum


def outside(declared: Setting) -> list[Any]:
    """Values that it cannot take, as a person might give them."""
    values: list[Any] = []
    if declared.minimum is not None:
        values += [declared.minimum - 1, str(declared.minimum - 1)]
    if declared.maximum is not None:
        values += [declared.maximum * 2 + 1]
    if declared.choices is not None:
        values += ["", declared.choices[0] + "x"]
    if declared.minimum is not None:
        values += [math.nan, "a few"]
    if declared.type is bool:
        values += ["perhaps", 2, ""]
    return values


@pytest.mark.parametrize("declared", BY_NAME.values(), ids=label)
def test_what_a_setting_cannot_take_is_refused_by_its_name(declared: Setting) -> None:
    for value in outside(declared):
        with pytest.raises(SettingError) as caught:
            declared.check(value)
        assert repr(declared.name) in str(caught.value) and caught.value.exit_code == 2
        assert caught.value.remedy


def test_every_number_has_a_lower_bound() -> None:
    def is_number(declared: Setting) -> bool:
        return any(word in describe(declared.type) for word in ("number", "time"))

    unbounded = [declared.name for declared in BY_NAME.values() if is_number(declared) and declared.minimum is None]
    assert unbounded == []


def test_no_two_groups_that_are_used_together_declare_the_same_name() -> None:
    from instar.fields import kinds
    from instar.networks import networks
    from instar.networks.heads import HeadSettings

    of_kinds = {kind.settings for kind in kinds.values()}
    for name, network in networks.items():
        together = {*GENERAL, *of_kinds, HeadSettings, network.settings}
        counts = Counter(declared.name for group in together for declared in group.declared())
        assert [setting for setting, count in counts.items() if count > 1] == [], name


def test_a_name_that_several_networks_share_has_one_type_everywhere() -> None:
    types: dict[str, set[str]] = {}
    for _, declared in EVERY:
        types.setdefault(declared.name, set()).add(describe(declared.type))
    assert {name: found for name, found in types.items() if len(found) > 1} == {}


def test_every_regularizer_that_people_name_is_a_setting() -> None:
    named = {"l1", "weight_decay", "patience", "schedule", "augmentation", "flip", "crop", "rotate", "color", "erase"}
    named |= {"mixup", "dropout", "label_smoothing", "class_weights", "clip", "initialization", "width", "activation"}
    assert named <= set(BY_NAME), named - set(BY_NAME)


def test_the_list_of_settings_has_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["of"], row["name"]) for row in listed] == [(owner, declared.name) for owner, declared in EVERY]
    for row, (_, declared) in zip(listed, EVERY, strict=True):
        assert declared.meaning in row["meaning"] and (declared.source or "") in row["meaning"]
        assert row["default"]
    assert main(["settings"]) == 0
    plain = capsys.readouterr().out
    assert all(re.search(rf"^{declared.name}\b", plain, re.MULTILINE) for _, declared in EVERY)


def test_every_owner_is_named_and_the_help_has_the_common_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(owners().values())
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    for declared in common_settings():
        assert declared.flag in shown
    assert 10 <= len(common_settings()) <= 24, "a dozen, which matter to everyone"


# All ways to give a setting agree

GIVEN: dict[str, tuple[Any, str, str]] = {  # as a keyword, as --set writes it, as TOML writes it
    "epochs": (2, "2", "2"),
    "rate": (0.01, "1e-2", "0.01"),
    "time": ("1.5m", "90s", "90"),
    "rivals": (False, "no", "false"),
    "network": ("mlp", "mlp", '"mlp"'),
    "widths": ((16, 8), "16, 8", "[16, 8]"),
    "activation": ("gelu", "gelu", '"gelu"'),
    "batch": (np.int64(64), "64", "64"),
    "l1": (1e-4, "0.0001", "1e-4"),
    "patience": (None, "auto", '"none"'),
    "flip": ("none", "none", '"none"'),
    "seed": (2**63 - 1, str(2**63 - 1), str(2**63 - 1)),
}


def by_set() -> dict[str, Any]:
    return {name: text for name, (_, text, _) in GIVEN.items()}


def by_toml() -> dict[str, Any]:
    return tomllib.loads("\n".join(f"{name} = {text}" for name, (_, _, text) in GIVEN.items()))


def test_a_keyword_a_flag_and_a_file_mean_the_same() -> None:
    by_keyword = {name: value for name, (value, _, _) in GIVEN.items()}
    expected = Configuration.of(by_keyword).changed()
    assert Configuration.of(by_set()).changed() == expected
    assert Configuration.of(by_toml()).changed() == expected
    assert expected["time"] == 90 and expected["widths"] == (16, 8) and expected["seed"] == 2**63 - 1
    assert "patience" not in expected


def test_the_same_run_by_keyword_by_set_and_by_file_is_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"network": "mlp", "widths": (8, 4), "epochs": 2, "rivals": False, "dropout": 0.1}
    instar.train("example:iris", out="model", **given)
    before = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    (tmp_path / "settings.toml").write_text(
        'network = "mlp"\nwidths = [8, 4]\nepochs = 2\nrivals = false\ndropout = 0.1\n'
    )
    sets = ["--set", "network=mlp", "--set", "widths=8,4", "--set", "epochs=2", "--set", "rivals=off"]
    for arguments in ([*sets, "--set", "dropout=.1"], ["--config", "settings.toml"]):
        assert main(["train", "example:iris", "--out", "model", *arguments]) == 0
        assert "learned before" in capsys.readouterr().err
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("epocs", "epochs"),
        ("drop_out", "dropout"),
        ("learning_rate_", "rate"),
        ("weightdecay", "weight_decay"),
        ("label_smoothin", "label_smoothing"),
        ("widht", "width"),
        ("Seed", "seed"),
        ("targets", "target"),
        ("image_sise", "image_size"),
    ],
)
def test_a_typo_names_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(SettingError, match=f"no setting called '{wrong}'") as caught:
        instar.train("example:iris", **{wrong: 1})
    assert "instar settings" in str(caught.value)
    if wrong != "learning_rate_":
        assert repr(meant) in str(caught.value)


def test_a_setting_of_another_network_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="'widths'"):
        instar.train("example:iris", network="linear", widths=(8,), out=tmp_path / "model", rivals=False)
    assert not (tmp_path / "model").exists()


def test_a_column_s_name_may_hold_a_comma() -> None:
    configuration = Configuration.of({"target": "price, in euros", "exclude": ["a,b", "c"]})
    learn = configuration.group(LearnSettings)
    assert learn.target == ("price, in euros",) and learn.exclude == ("a,b", "c")


def test_the_kinds_that_a_person_names_are_split_at_the_last_sign() -> None:
    assert Configuration.of({"kind": ("a=b=number", "c=date")}).overrides == {"a=b": "number", "c": "date"}
    for wrong in ("number", "=number", "a="):
        with pytest.raises(SettingError, match="COLUMN=KIND"):
            _ = Configuration.of({"kind": wrong}).overrides


def test_what_says_where_and_not_what_is_no_part_of_the_question() -> None:
    assert Configuration.of({"out": "elsewhere", "device": "cpu", "threads": 1}).changed() == {}
    assert Configuration.of({"seed": 0, "epochs": None}).changed() == {}, "a default that is said is no change"


def test_every_group_is_filled() -> None:
    configuration = Configuration.of({})
    for group in (LearnSettings, SplitSettings, TrainingSettings, EvaluationSettings):
        assert isinstance(configuration.group(group), group)
