"""How built-ins and plug-ins are found: by the same door.

A registry belongs to a package of Instar. Looking into it imports every module of that package, and every module
that an installed distribution offers in the entry-point group ``instar.plugins``; a module registers what it holds
when it is imported. So a new kind, source, network or rival is one new file, here or elsewhere, and no list is
kept by hand.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from instar.errors import InstarError, UsageError, did_you_mean, printable

logger = logging.getLogger("instar")

PLUGIN_GROUP = "instar.plugins"

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry]):
    """Names and what they stand for, in the order of the names.

    Parameters
    ----------
    noun: what an entry is called in messages, for example ``"network"``.
    package: the package whose modules register built-in entries, for example ``"instar.networks"``.
    """

    def __init__(self, noun: str, package: str) -> None:
        self.noun, self.package = noun, package
        self._entries: dict[str, Entry] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """A decorator that enters what it decorates under ``name``.

        Raises InstarError where the name is taken by something else.
        """

        def enter(entry: Entry) -> Entry:
            present = self._entries.get(name)
            if present is not None and present is not entry:
                raise InstarError(f"Two {self.noun}s want to be called {name!r}", remedy="Rename or remove one plug-in")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> Entry:
        self._discover()
        try:
            return self._entries[name]
        except KeyError:
            remedy = ". ".join([*filter(None, load_plugins().values()), did_you_mean(name, self._entries)])
            raise UsageError(f"There is no {self.noun} called {name!r}", remedy=remedy) from None

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._discover()
        return len(self._entries)

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self.package}.{module.name}")
        load_plugins()


_loaded_plugins: dict[str, str | None] = {}
_point_of: dict[str, EntryPoint] = {}


def load_plugins() -> dict[str, str | None]:
    """Import the modules that plug-ins offer, once. Returns their names, each with a sentence of its failure or None.

    A plug-in that fails to import is named in a warning and does not take the rest of Instar down with it.
    """
    for point in entry_points(group=PLUGIN_GROUP):
        owner, version = ("?", "") if point.dist is None else (point.dist.name, f" {point.dist.version}")
        # Two distributions may use one name for different modules.
        name = point.name if _point_of.setdefault(point.name, point) == point else f"{point.name} of {owner}"
        if name in _loaded_plugins:
            continue
        _loaded_plugins[name] = None
        try:
            point.load()
        except (Exception, SystemExit) as failure:  # whatever a stranger's module does when it is imported
            reason = printable(f"{type(failure).__name__}: {failure}")
            said = f"The plug-in {point.name!r} ({point.value}) of the distribution {owner}{version} cannot be used"
            _loaded_plugins[name] = f"{said}: it failed to import ({reason})"
            logger.warning("%s. Update it, or remove it with: pip uninstall %s", _loaded_plugins[name], owner)
    return dict(_loaded_plugins)
