"""Environments, which are played not read: ``gym:CartPole-v1``, any id that Gymnasium knows (Towers et al. 2024)."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from instar.errors import SourceError, did_you_mean
from instar.sources.base import Chunk, Schema, Source, sources

if TYPE_CHECKING:
    import gymnasium

PREFIX = "gym:"
_WELL_FORMED = re.compile(r"(?:[\w.]+:)?(?:[\w.-]+/)?[\w.-]+")


@sources.register("environment")
class Environment(Source):
    """An environment by its id: ``gym:ID``, or ``gym:MODULE:ID`` where importing a module makes it known.

    A live source: it has no rows, and plays rounds with the policy that it is given (`instar.playing`).
    """

    def __init__(self, identifier: str, specification: Any) -> None:
        self.identifier, self.specification = identifier, specification
        self.place = PREFIX + identifier
        self.name = identifier.rpartition(":")[2].replace("/", "-")

    @classmethod
    def recognizes(cls, given: Any, options: Mapping[str, Any]) -> bool:
        return isinstance(given, str) and given.startswith(PREFIX)

    @classmethod
    def open(cls, given: Any, options: Mapping[str, Any]) -> Environment:
        """Find the environment. Raises SourceError where Gymnasium is missing or knows no such id."""
        identifier = given.removeprefix(PREFIX)
        gymnasium = _gymnasium(given)
        if not _WELL_FORMED.fullmatch(identifier):
            raise SourceError("This is no id of an environment", where=given, remedy="For example: gym:CartPole-v1")
        module, _, name = identifier.rpartition(":")
        try:
            with _quietly():
                specification = gymnasium.spec(identifier)
        except gymnasium.error.Error as failure:
            raise SourceError(
                "Gymnasium knows no environment of this id",
                where=given,
                remedy=did_you_mean(name, gymnasium.registry)
                + " An id of another package needs its module: gym:MODULE:ID",
            ) from failure
        except Exception as failure:  # whatever a stranger's module does when it is imported
            raise SourceError(
                f"The module {module!r} cannot be imported ({type(failure).__name__}: {failure})",
                where=given,
                remedy="Install what it belongs to, or mend its name",
            ) from failure
        return cls(identifier, specification)

    @property
    def longest(self) -> int | None:
        """After how many steps it ends every episode by itself, where it does."""
        steps: int | None = self.specification.max_episode_steps
        return steps

    def make(self, *, drawn: bool = False) -> gymnasium.Env[Any, Any]:
        """A new copy, which gives pictures where it is to be ``drawn``. Raises SourceError where it cannot be made."""
        gymnasium = _gymnasium(self.place)
        if drawn:
            os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # which would stand among the results on stdout
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        try:
            with _quietly():
                return gymnasium.make(
                    self.specification, render_mode="rgb_array" if drawn else None, disable_env_checker=True
                )
        except gymnasium.error.DependencyNotInstalled as failure:
            raise SourceError("The environment needs another package", where=self.place, remedy=str(failure)) from None
        except Exception as failure:  # whatever a stranger's environment does
            raise SourceError(
                f"The environment cannot be made ({type(failure).__name__}: {failure})", where=self.place
            ) from failure

    def schema(self) -> Schema:
        raise self._no_rows()

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        raise self._no_rows()

    def _no_rows(self) -> SourceError:
        return SourceError(
            "An environment has no rows to read: it is played",
            where=self.place,
            remedy=f"Learn to play it with instar train {self.place}, and play it with instar play MODEL",
        )

    def fingerprint(self) -> str:
        about = self.specification
        content = [self.identifier, str(about.entry_point), about.max_episode_steps, about.kwargs]
        return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


@contextmanager
def _quietly() -> Iterator[None]:
    """Gymnasium warns of newer versions of an environment; whoever names one has chosen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _gymnasium(place: str) -> Any:
    try:
        import gymnasium
    except ImportError:
        raise SourceError(
            "Environments need the package gymnasium, which is not installed",
            where=place,
            remedy="pip install 'instar[games]'",
        ) from None
    return gymnasium
