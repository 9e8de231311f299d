"""What a network is made of, decided: data, which a model folder holds as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instar.errors import ModelError, UsageError
from instar.networks.base import NetworkSpecification, networks
from instar.networks.decoders import WritingSettings
from instar.networks.heads import HeadSettings
from instar.networks.rebuilding import RebuildingSettings
from instar.settings import Settings, build


@dataclass(frozen=True)
class Part:
    """One body of a network: which network it is, and all its settings with their values.

    ``input`` names the Grid or Tokens that it takes, and is None for the body of all Vector inputs together.
    """

    input: str | None
    network: str
    settings: Settings


@dataclass(frozen=True)
class Plan:
    """Everything that, beside shapes and answers, decides what a network is; a model folder holds it as JSON.

    ``writer``: where an answer is written, the network whose decoder writes it, and the input that it reads step by
    step; without such an input it is written from the features of all. ``mapped``: where an answer is a picture or a
    mask, the input of which it is made. ``why`` is a sentence for the person about what was chosen.
    """

    parts: tuple[Part, ...]
    head: HeadSettings
    writing: WritingSettings = field(default_factory=WritingSettings)
    writer: Part | None = None
    mapped: str | None = None
    rebuilding: RebuildingSettings = field(default_factory=RebuildingSettings)
    why: str = ""

    @property
    def principal(self) -> NetworkSpecification:
        """The network that decides the recipe and the head: the first that has an input of its own, else the row's.

        Where an answer is made of one input, it is that one's.
        """
        own = [part for part in self.parts if part.input is not None and self.mapped in (None, part.input)]
        part = own[0] if own else self.parts[0]
        return networks[part.network]

    def as_json(self) -> dict[str, Any]:
        return {
            "parts": [_part_as_json(part) for part in self.parts],
            "head": self.head.as_json(),
            "writing": self.writing.as_json(),
            "writer": None if self.writer is None else _part_as_json(self.writer),
            "mapped": self.mapped,
            "rebuilding": self.rebuilding.as_json(),
            "why": self.why,
        }

    @classmethod
    def from_json(cls, content: Any) -> Plan:
        """The plan that `as_json` gave. Raises ModelError where it is none, and names a network that is not here."""
        try:
            parts = tuple(_part_from_json(each) for each in content["parts"])
            if not parts:
                raise ValueError("no parts")
            head, writing = _filled(HeadSettings, content["head"]), _filled(WritingSettings, content["writing"])
            writer = None if content["writer"] is None else _part_from_json(content["writer"])
            mapped = None if content["mapped"] is None else str(content["mapped"])
            rebuilding = _filled(RebuildingSettings, content["rebuilding"])
            return cls(parts, head, writing, writer, mapped, rebuilding, str(content["why"]))
        except UsageError as failure:
            raise ModelError(
                f"The model's network cannot be built here ({failure.what})",
                remedy="Install the plug-in or the version of Instar that it was made with",
            ) from failure
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as failure:
            raise ModelError("The model's network is not described as it should be") from failure


def _part_as_json(part: Part) -> dict[str, Any]:
    return {"input": part.input, "network": part.network, "settings": part.settings.as_json()}


def _part_from_json(content: Any) -> Part:
    network = str(content["network"])
    given = None if content["input"] is None else str(content["input"])
    return Part(given, network, _filled(networks[network].settings, content["settings"]))


def _filled(group: type[Settings], given: Mapping[str, Any]) -> Any:
    return build([group], dict(given))[group]
