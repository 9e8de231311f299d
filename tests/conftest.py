"""What every test shares: a cache of its own, and one thread for torch, so that tests beside each other don't fight."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def cache_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache that no other run knows, for this process and those that it starts."""
    folder = tmp_path_factory.mktemp("cache")
    previous = os.environ.get("INSTAR_CACHE")
    os.environ["INSTAR_CACHE"] = str(folder)
    yield folder
    if previous is None:
        del os.environ["INSTAR_CACHE"]
    else:
        os.environ["INSTAR_CACHE"] = previous
