"""Settings: machinery only. A builder declares its settings beside its code, once, as a frozen dataclass:

    @dataclass(frozen=True)
    class LeNetSettings(Settings):
        width: int = setting(6, "feature maps of the first convolution", minimum=1, maximum=4096)

From that one declaration come the command line's flags, the keyword arguments, the checks and the documentation.
The settings of all builders share one flat space of names, so ``width`` is ``--set width=8`` and
``instar.train(..., width=8)``; two builders that are used together never declare the same name (a test checks it).
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from instar.errors import SettingError, did_you_mean

# Digits of a refused value that a message shows; and what a whole number fits in everywhere it goes, JSON included.
LONGEST_SHOWN, LARGEST_WHOLE = 60, 2**63 - 1

Group = TypeVar("Group", bound="Settings")


@dataclass(frozen=True)
class Setting:
    """One declared setting: what a flag, a keyword argument and a line of documentation are made of."""

    name: str
    type: Any
    default: Any
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    common: bool = False
    source: str | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def values(self) -> str:
        """What it may be, in words."""
        if self.choices is not None:
            return ", ".join(self.choices)
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (("at least", self.minimum), ("at most", self.maximum))
            if bound is not None and bound != LARGEST_WHOLE
        ]
        return describe(self.type).removesuffix(" or nothing") + (f", {', '.join(bounds)}" if bounds else "")

    def check(self, value: Any) -> Any:
        """``value`` as this setting's type. Raises SettingError where it cannot be."""
        try:
            value = _convert(value, self.type)
        except OverflowError:
            raise self._refusal(value, f"must be finite, and a whole number at most {LARGEST_WHOLE}") from None
        except (TypeError, ValueError):
            raise self._refusal(value, f"must be {describe(self.type)}") from None
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            if not math.isfinite(number):
                raise self._refusal(value, "must be a finite number")
            if self.minimum is not None and number < self.minimum:
                raise self._refusal(value, f"must be at least {self.minimum}")
            if self.maximum is not None and number > self.maximum:
                raise self._refusal(value, f"must be at most {self.maximum}")
        if self.choices is not None and value is not None:
            for word in value if isinstance(value, tuple) else (value,):
                if word not in self.choices:
                    raise SettingError(
                        f"Setting {self.name!r} cannot be {word!r}", remedy=did_you_mean(str(word), self.choices)
                    )
        return value

    def _refusal(self, value: Any, rule: str) -> SettingError:
        shown = repr(value)
        shown = shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "..."
        return SettingError(f"Setting {self.name!r} {rule}, and is {shown}", remedy=f"It means: {self.meaning}")


def setting(
    default: Any,
    meaning: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[str] | None = None,
    common: bool = False,
    source: str | None = None,
) -> Any:
    """Declare a setting in a ``Settings`` dataclass.

    Parameters
    ----------
    default: its value where nobody says otherwise; None means "chosen from the data".
    meaning: what it does, with unit, in a phrase that reads well in a table.
    minimum, maximum: inclusive bounds of a number, or of every number in a tuple.
    choices: the words that it may be.
    common: whether it matters to everyone, and so is a flag of its own in ``instar train --help``.
    source: where the idea or the default comes from (paper, year).
    """
    extra = {
        "meaning": meaning,
        "minimum": minimum,
        "maximum": maximum,
        "choices": None if choices is None else tuple(choices),
        "common": common,
        "source": source,
    }
    return field(default=default, metadata={"setting": extra})


@dataclass(frozen=True)
class Settings:
    """The root of every group of settings. Values are checked when a group is made."""

    def __post_init__(self) -> None:
        for declared in self.declared():
            object.__setattr__(self, declared.name, declared.check(getattr(self, declared.name)))

    @classmethod
    def declared(cls) -> tuple[Setting, ...]:
        """The group's settings, in the order of their declaration."""
        hints = typing.get_type_hints(cls)
        return tuple(
            Setting(name=item.name, type=hints[item.name], default=item.default, **item.metadata["setting"])
            for item in dataclasses.fields(cls)
        )

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def changed(self) -> dict[str, Any]:
        """The settings that are not at their default."""
        return {each.name: value for each in self.declared() if (value := getattr(self, each.name)) != each.default}


def build(groups: Iterable[type[Settings]], given: Mapping[str, Any]) -> dict[type[Settings], Settings]:
    """Fill every group with what is ``given`` by name.

    Raises SettingError for a name that none of the groups declares, and for a value that a setting cannot take.
    """
    groups = tuple(groups)
    known = {declared.name for group in groups for declared in group.declared()}
    for name in given:
        if name not in known:
            raise SettingError(
                f"There is no setting called {name!r}",
                remedy=did_you_mean(name, known) + " See them all with: instar settings",
            )
    return {
        group: group(**{each.name: given[each.name] for each in group.declared() if each.name in given})
        for group in groups
    }


DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|d)?\s*")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(float):
    """Seconds; written ``90``, ``90s``, ``5m``, ``1.5h`` or ``2d``."""

    def __new__(cls, value: Any) -> Duration:
        if isinstance(value, str):
            match = DURATION.fullmatch(value)
            if match is None:
                raise ValueError(value)
            value = float(match[1]) * _SECONDS[match[2]]
        return super().__new__(cls, value)


def describe(kind: Any) -> str:
    """A type in words, for messages and documentation."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join("nothing" if part is type(None) else describe(part) for part in arguments)
    if origin is tuple:
        return f"a list of {describe(arguments[0]).removeprefix('a ').removeprefix('an ')}s, separated by commas"
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    names = {int: "a whole number", float: "a number", bool: "yes or no", str: "a word", Duration: "a time such as 5m"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


# Words for "nothing said", where a setting need not say anything.
NOTHING = frozenset({"none", "auto"})
_YES, _NO = {"yes", "true", "on", "1"}, {"no", "false", "off", "0"}


def _convert(value: Any, kind: Any) -> Any:
    """``value``, possibly as text, as ``kind``. Raises ValueError or TypeError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None or (isinstance(value, str) and value.strip().lower() in NOTHING):
            if type(None) in arguments:
                return None
            raise ValueError(value)
        return _convert(value, next(part for part in arguments if part is not type(None)))
    if origin is tuple:
        if isinstance(value, str):
            value = () if value.strip().lower() in NOTHING else value.split(",")
        parts = value
        if not isinstance(parts, Iterable):
            parts = (parts,)
        return tuple(_convert(part.strip() if isinstance(part, str) else part, arguments[0]) for part in parts)
    if kind is bool:
        return _truth(value)
    if kind is int:
        return _whole(value)
    if isinstance(value, bool) and kind is not str:
        raise TypeError(value)
    if kind is str and not isinstance(value, str):
        raise TypeError(value)
    return kind(value)


def _truth(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in _YES | _NO:
        return value.strip().lower() in _YES
    if isinstance(value, bool):
        return value
    raise ValueError(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    try:
        number = int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        fraction = float(value)
        if not math.isfinite(fraction):
            raise OverflowError(value) from None
        if not fraction.is_integer():
            raise ValueError(value) from None
        number = int(fraction)
    if abs(number) > LARGEST_WHOLE:
        raise OverflowError(value)
    return number
