"""All settings of a run, from the groups that builders declare beside their code.

Imports nothing heavy at the top: the command line's flags come from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from instar.errors import SettingError, did_you_mean
from instar.evaluation.settings import EvaluationSettings
from instar.playing.settings import PlayingSettings
from instar.settings import Duration, Setting, Settings, build, setting
from instar.sources.window_table import ForecastSettings
from instar.split import SplitSettings
from instar.training.settings import TrainingSettings

Group = TypeVar("Group", bound=Settings)


@dataclass(frozen=True)
class LearnSettings(Settings):
    """What is learned, from which columns, and where the model goes."""

    target: tuple[str, ...] = setting((), "column with the right answers; may be named several times", common=True)
    no_target: bool = setting(
        False, "learn without answers: what rows are like, and how odd each one is beside them", common=True
    )
    odd: str | None = setting(
        None,
        "COLUMN, or COLUMN=VALUE, that says which rows are odd (the rarer value, or VALUE); nothing is learned from "
        "it, it only examines what is learned without answers",
        common=True,
    )
    out: str | None = setting(None, "folder of the model; named after source and settings otherwise", common=True)
    network: str | None = setting(None, "network by name, see: instar networks", common=True)
    time: Duration | None = setting(
        None, "longest training, such as 5m; ends with the best network so far", minimum=0, common=True
    )
    seed: int = setting(0, "where every random draw starts from", minimum=0, maximum=2**63 - 1, common=True)
    kind: tuple[str, ...] = setting((), "COLUMN=KIND, where another kind was recognized", common=True)
    exclude: tuple[str, ...] = setting((), "column that must not be learned from", common=True)
    series: str | None = setting(
        None, "column that says to which series a row belongs, where each row is a step of one", common=True
    )
    steps: tuple[str, ...] = setting(
        (),
        "column of the steps' times, with --series or --forecast; or FIRST..LAST, columns that are a series' steps",
        common=True,
    )
    restore: str = setting(
        "none",
        "learn to give pictures back what is taken from those of the target: color, clarity (there is noise) or detail",
        choices=("none", "color", "clarity", "detail"),
        common=True,
    )
    allow_outside: bool = setting(
        False, "let a table name files outside its own folder, or a frame outside the working one", common=True
    )

    @property
    def unanswered(self) -> bool:
        """Whether nothing is learned from answers."""
        return self.no_target or self.odd is not None


# Every group but those of kinds and networks, in the order in which flags are listed.
GENERAL: tuple[type[Settings], ...] = (
    LearnSettings,
    ForecastSettings,
    SplitSettings,
    TrainingSettings,
    EvaluationSettings,
    PlayingSettings,
)


def common_settings() -> list[Setting]:
    """The settings that matter to everyone: the command line's flags."""
    return [declared for group in GENERAL for declared in group.declared() if declared.common]


def owners() -> dict[type[Settings], str]:
    """Every group of settings, and what it belongs to."""
    from instar.fields import kinds
    from instar.networks import networks
    from instar.networks.heads import HeadSettings
    from instar.networks.rebuilding import RebuildingSettings

    found: dict[type[Settings], list[str]] = {
        group: [group.__name__.removesuffix("Settings").lower()] for group in GENERAL
    }
    for name, kind in kinds.items():
        found.setdefault(kind.settings, []).append(f"kind {name}")
    found[HeadSettings] = ["every network"]
    found[RebuildingSettings] = ["every network that rebuilds"]
    for name, specification in networks.items():
        found.setdefault(specification.settings, []).append(f"network {name}")
    return {group: ", ".join(names) for group, names in found.items()}


def all_settings() -> Iterator[tuple[str, Setting]]:
    """Every setting, with what it belongs to."""
    for group, owner in owners().items():
        for declared in group.declared():
            yield owner, declared


@dataclass(frozen=True)
class Configuration:
    """The settings of a run: ``groups`` are filled, ``training`` and ``network`` hold what a person gave by name.

    The network's own settings are checked when it is known, and so are those of training that depend on it.
    """

    groups: Mapping[type[Settings], Settings]
    training: Mapping[str, Any]
    network: Mapping[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Configuration:
        """Raises SettingError for a name that nothing declares, or a value that a setting cannot take."""
        from instar.fields import kinds
        from instar.networks import networks

        groups = tuple(dict.fromkeys((*GENERAL, *(kind.settings for kind in kinds.values()))))
        general = {declared.name: declared for group in groups for declared in group.declared()}
        given = {name: value for name, value in given.items() if value is not None}
        beyond = {name: value for name, value in given.items() if name not in general}
        if beyond:
            known = {declared.name: declared for _, declared in all_settings()}
            for name, value in beyond.items():
                if name in known:
                    beyond[name] = known[name].check(value)
                else:
                    remedy = did_you_mean(name, known) + " See them all with: instar settings"
                    raise SettingError(f"There is no setting called {name!r}", remedy=remedy)
        if isinstance(given.get("odd"), str) and "=" in given["odd"]:
            given["odd"], _, given["odd_value"] = given["odd"].rpartition("=")
        # A column's name may hold a comma, so a single word is not cut at commas.
        columns = {
            declared.name
            for group in (LearnSettings, ForecastSettings)
            for declared in group.declared()
            if isinstance(declared.default, tuple)
        }
        given = {
            name: (value,) if name in columns and isinstance(value, str) else value for name, value in given.items()
        }
        filled = build(groups, {name: value for name, value in given.items() if name in general})
        learn = filled[LearnSettings]
        assert isinstance(learn, LearnSettings)
        if learn.network is not None:
            networks[learn.network]  # refuses a wrong name before anything is read
        of_training = {declared.name for declared in TrainingSettings.declared()}
        return cls(filled, {name: value for name, value in given.items() if name in of_training}, beyond)

    def group(self, kind: type[Group]) -> Group:
        filled = self.groups[kind]
        assert isinstance(filled, kind)
        return filled

    @property
    def overrides(self) -> dict[str, str]:
        """The kinds that a person named, by column. Raises SettingError."""
        pairs = {}
        for text in self.group(LearnSettings).kind:
            column, equals, kind = text.rpartition("=")
            if not equals or not column or not kind:
                raise SettingError(f"--kind needs COLUMN=KIND, and got {text!r}", remedy="See: instar kinds")
            pairs[column] = kind
        return pairs

    def changed(self) -> dict[str, Any]:
        """Every setting that is not at its default, but for those that are no part of the question."""
        changed = {name: value for group in self.groups.values() for name, value in group.changed().items()}
        for name in ("out", "device", "threads"):
            changed.pop(name, None)
        return {**changed, **self.network}
