"""What every test shares: a cache of its own, one thread for torch, so that tests beside each other don't fight, and no
deadlines: a busy machine is slow, and nothing is wrong with it. Property tests draw the same examples in every run, so
that a failure is the change's; the profile ``explore`` draws new ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("instar", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=300)
settings.load_profile("instar")


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
