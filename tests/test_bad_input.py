"""Bad input, as people meet it: the right exit code, one message of what, where and what to do, nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from PIL import Image

from instar.cli import main

QUICK = ("--no-rivals", "--epochs", "2", "--network", "linear", "--out", "deep/model")
TRAIN = ("train", "data.csv", "--target", "answer", *QUICK)
PHOTOS = ("train", "photos", *QUICK)
Make = Callable[[Path], object]


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        return Ran(main(list(arguments)), *capsys.readouterr())

    return call


def left(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


def assert_refused(ran: Ran, code: int, mentions: tuple[str, ...]) -> None:
    """One message, on stderr, after what was found in the data; no traceback; nothing on stdout."""
    assert ran.code == code, ran.err
    *said, message = ran.err.splitlines()
    assert message.startswith("Error: ") and not any(line.startswith("Error") for line in said), ran.err
    assert "Traceback" not in ran.err and "Instar itself failed" not in ran.err
    assert ran.out == ""
    for each in mentions:
        assert re.search(each, message, re.IGNORECASE), f"{each!r} is not in {message!r}"
    assert len(re.findall(r"[.!?](?=\s|$)", message)) >= 2, f"what to do is not said: {message!r}"


# What is bad


def rows(count: int = 120) -> list[list[str]]:
    generator = np.random.default_rng(0)
    ages, towns = generator.integers(18, 90, count), generator.choice(["Basel", "Bern", "Genf"], count)
    return [[str(age), town, "yes" if age > 50 else "no"] for age, town in zip(ages, towns, strict=True)]


def table(content: list[list[str]] | None = None, name: str = "data.csv", encoding: str = "utf-8") -> Make:
    lines = [",".join(row) for row in [["age", "town", "answer"], *(rows() if content is None else content)]]
    return lambda folder: (folder / name).write_text("\n".join(lines) + "\n", encoding=encoding)


def column(place: int, value: Callable[[int], str]) -> Make:
    content = rows()
    for number, row in enumerate(content):
        row[place] = value(number)
    return table(content)


def raw(content: bytes, name: str = "data.csv") -> Make:
    return lambda folder: (folder / name).write_bytes(content)


def longer_row(folder: Path) -> None:
    content = rows()
    content[70].append("one too many")
    table(content)(folder)


def jpeg(number: int, side: int = 24) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 120, (side, side, 3)) + 120 * (number % 2)
    stream = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def bomb(side: int = 60_000) -> bytes:
    """A picture file of a few bytes that claims billions of pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def photos(*spoilt: tuple[str, bytes], good: int = 20) -> Make:
    """Pictures of two classes, and spoilt ones among those of the first."""

    def make(folder: Path) -> None:
        for number in range(good):
            path = folder / "photos" / ("dark", "light")[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(number))
        for name, content in spoilt:
            (folder / "photos" / "dark" / name).write_bytes(content)

    return make


def only_photos(content: bytes) -> Make:
    def make(folder: Path) -> None:
        for number in range(20):
            path = folder / "photos" / ("dark", "light")[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return make


def folders(*names: str) -> Make:
    return lambda folder: [(folder / name).mkdir(parents=True) for name in names]


def parquet(folder: Path) -> None:
    pl.DataFrame({"age": [1, 2], "answer": ["a", "b"]}).write_parquet(folder / "data.parquet")
    content = (folder / "data.parquet").read_bytes()
    (folder / "data.parquet").write_bytes(content[: len(content) // 2])


PARQUET = ("train", "data.parquet", "--target", "answer", *QUICK)
LINES = ("train", "data.jsonl", "--target", "answer", *QUICK)
GZIP = ("train", "data.csv.gz", "--target", "answer", *QUICK)

REFUSED: dict[str, tuple[Make, tuple[str, ...], int, tuple[str, ...]]] = {
    "an empty file": (raw(b""), TRAIN, 3, (r"data\.csv", "empty")),
    "a header and no row": (raw(b"age,town,answer\n"), TRAIN, 3, (r"data\.csv",)),
    "blank lines": (raw(b"\n\n\n"), TRAIN, 3, (r"data\.csv",)),
    "a file that is not there": (folders(), TRAIN, 3, (r"data\.csv",)),
    "a folder in its place": (folders("data.csv"), TRAIN, 3, (r"data\.csv",)),
    "a target that is not there": (
        table(),
        ("train", "data.csv", "--target", "price", *QUICK),
        3,
        (r"data\.csv", "'price'", "age, town, answer"),
    ),
    "no target at all": (table(), ("train", "data.csv", *QUICK), 3, (r"data\.csv", "--target", "age, town, answer")),
    "a target without a value": (column(2, lambda row: ""), TRAIN, 3, (r"data\.csv|'answer'", "answer")),
    "a target of one class": (column(2, lambda row: "yes"), TRAIN, 3, ("'answer'", "'yes'")),
    "a target that is an identifier": (column(2, lambda row: f"name {row}"), TRAIN, 3, ("'answer'",)),
    "nothing to learn from": (
        lambda folder: pl.DataFrame({"id": range(60), "answer": ["a", "b"] * 30}).write_csv(folder / "data.csv"),
        TRAIN,
        3,
        (r"data\.csv", "id"),
    ),
    "inputs that never change": (
        lambda folder: pl.DataFrame({"one": [1] * 60, "answer": ["a", "b"] * 30}).write_csv(folder / "data.csv"),
        TRAIN,
        3,
        (r"data\.csv", "same value"),
    ),
    "a row that is too long": (longer_row, TRAIN, 3, (r"data\.csv", r"line 72")),
    "a quote that never ends": (raw(b'age,answer\n1,a\n2,"b\n3,a\n4,b\n'), TRAIN, 3, (r"data\.csv", "line 3")),
    "two columns of one name": (raw(b"age,age,answer\n1,2,a\n3,4,b\n"), TRAIN, 3, (r"data\.csv", "'age'")),
    "bytes of no text": (raw(bytes(range(256)) * 40), TRAIN, 3, (r"data\.csv",)),
    "another encoding": (
        table([*rows(), ["44", "Zürich", "no"]], encoding="latin-1"),
        TRAIN,
        3,
        (r"data\.csv", "line 122", "UTF-8"),
    ),
    "a picture called a table": (raw(jpeg(0)), TRAIN, 3, (r"data\.csv",)),
    "a cut gzip": (
        raw(gzip.compress(b"age,answer\n" + b"1,a\n2,b\n" * 500)[:60], "data.csv.gz"),
        GZIP,
        3,
        (r"csv\.gz",),
    ),
    "a table called gzip": (raw(b"age,answer\n1,a\n", "data.csv.gz"), GZIP, 3, (r"csv\.gz", "gzip")),
    "a cut parquet": (parquet, PARQUET, 3, (r"data\.parquet",)),
    "a line that is no JSON": (
        raw(b'{"age": 1, "answer": "a"}\n{"age": 2,\n', "data.jsonl"),
        LINES,
        3,
        (r"data\.jsonl", "line 2"),
    ),
    "a JSON line that is a list": (raw(b'{"age": 1, "answer": "a"}\n[1]\n', "data.jsonl"), LINES, 3, ("line 2",)),
    "an unknown suffix": (raw(b"x", "data.docx"), ("train", "data.docx", *QUICK), 3, (r"data\.docx", r"\.csv")),
    "numbers that are half words": (
        column(0, lambda row: str(row * 7 % 90) if row % 2 else "unknown to us"),
        (*TRAIN, "--kind", "age=number"),
        3,
        ("'age'", "line 2", "--exclude age"),
    ),
    "only truncated photos": (only_photos(jpeg(0)[:300]), PHOTOS, 3, (r"photos|dark/|light/",)),
    "only texts called photos": (only_photos(b"I am a text.\n" * 9), PHOTOS, 3, (r"photos|dark/|light/",)),
    "only decompression bombs": (only_photos(bomb()), PHOTOS, 3, (r"photos|dark/|light/",)),
    "only empty photos": (only_photos(b""), PHOTOS, 3, (r"photos|dark/|light/",)),
    "a third of the photos truncated": (
        photos(*((f"cut{number}.jpg", jpeg(number)[:300]) for number in range(10))),
        PHOTOS,
        3,
        (r"cut\d\.jpg",),
    ),
    "a folder without anything": (folders("photos"), PHOTOS, 3, ("photos",)),
    "classes without a photo": (folders("photos/dark", "photos/light"), PHOTOS, 3, ("photos",)),
    "one class alone": (folders("photos/dark"), PHOTOS, 3, ("photos",)),
    "a file where the folder should be": (
        lambda folder: (table()(folder), (folder / "deep").write_text("mine")),
        TRAIN,
        6,
        ("deep", "--out"),
    ),
    "a typo in a setting": (table(), (*TRAIN, "--set", "dropuot=0.1"), 2, ("'dropuot'", "'dropout'")),
    "a value that cannot be": (table(), (*TRAIN, "--set", "batch=-3"), 2, ("'batch'", "at least 1")),
    "a time that is none": (table(), (*TRAIN, "--time", "soon"), 2, ("'time'", "5m")),
    "a test share of everything": (table(), (*TRAIN, "--set", "test_share=1"), 2, ("'test_share'",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_learned_from_is_refused(name: str, here: Path, run: Callable[..., Ran]) -> None:
    make, arguments, code, mentions = REFUSED[name]
    make(here)
    before = left(here)
    assert_refused(run(*arguments), code, mentions)
    assert left(here) == before, "something is left behind"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read and write everything")
def test_what_may_not_be_read_or_written_is_refused(here: Path, run: Callable[..., Ran]) -> None:
    table()(here)
    (here / "data.csv").chmod(0)
    assert_refused(run(*TRAIN), 3, (r"data\.csv", "permission"))
    (here / "data.csv").chmod(0o600)
    (here / "deep").mkdir(mode=0o500)
    assert_refused(run(*TRAIN), 6, ("deep", "--out"))
    assert list((here / "deep").iterdir()) == []


def test_a_link_to_nothing_is_no_table(here: Path, run: Callable[..., Ran]) -> None:
    (here / "data.csv").symlink_to("gone.csv")
    assert_refused(run(*TRAIN), 3, (r"data\.csv",))


# What can be survived is told


SURVIVED: dict[str, tuple[Make, tuple[str, ...], tuple[str, ...]]] = {
    "a truncated photo": (photos(("cut.jpg", jpeg(0)[:300])), PHOTOS, (r"cut\.jpg", "one value")),
    "a text called photo": (photos(("text.jpg", b"I am a text.\n" * 9)), PHOTOS, (r"text\.jpg",)),
    "a decompression bomb": (photos(("bomb.png", bomb())), PHOTOS, (r"bomb\.png", "pixels")),
    "an empty photo": (photos(("empty.jpg", b"")), PHOTOS, (r"empty\.jpg", "empty")),
    "a photo of one pixel": (photos(("tiny.jpg", jpeg(0, side=1))), PHOTOS, ()),
    "a column without a value": (column(0, lambda row: ""), TRAIN, ("'age' is left out", "no value")),
    "infinite and missing numbers": (
        column(0, lambda row: ("inf", "-inf", "NaN", "nan")[row // 20 % 4] if row % 20 == 0 else str(row * 7 % 90)),
        TRAIN,
        (),
    ),
    "a word among numbers": (
        column(0, lambda row: "unknown to us" if row == 40 else str(row * 7 % 90)),
        TRAIN,
        ("'age'", "one value", "line 42", "unknown to us"),
    ),
}


@pytest.mark.parametrize("name", SURVIVED)
def test_what_can_be_survived_is_told_with_its_place(name: str, here: Path, run: Callable[..., Ran]) -> None:
    make, arguments, mentions = SURVIVED[name]
    make(here)
    ran = run(*arguments)
    assert ran.code == 0, ran.err
    for each in mentions:
        assert re.search(each, ran.err), f"{each!r} is not in {ran.err!r}"
        assert re.search(each, (here / "deep" / "model" / "report.html").read_text().replace("&#x27;", "'")), each
    probabilities = json.loads(run("predict", "deep/model", arguments[1], "--json").out)
    known = [row["confidence"] for row in probabilities if row["confidence"] is not None]
    assert len(known) >= len(probabilities) - 1 and all(0 < confidence <= 1 for confidence in known)


# A model and what it is asked


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("trained")
    table()(folder)
    photos()(folder)
    for source, target, out in (("data.csv", ["--target", "answer"], "table"), ("photos", [], "pictures")):
        arguments = ["-qq", "train", str(folder / source), *target, *QUICK[:-1], str(folder / out)]
        assert main(arguments) == 0
    yield folder


def lay(trained: Path, here: Path) -> None:
    for name in ("table", "pictures"):
        shutil.copytree(trained / name, here / name)


ASKED: dict[str, tuple[Make, tuple[str, ...], int, tuple[str, ...]]] = {
    "a column is missing": (raw(b"town,answer\nBern,yes\n"), ("predict", "table", "data.csv"), 3, ("'age'", "town")),
    "the answer is missing": (
        raw(b"age,town\n3,Bern\n"),
        ("evaluate", "table", "data.csv"),
        3,
        ("'answer'", "age, town"),
    ),
    "a column of another kind": (
        raw(b"age,town\nold,Bern\nyoung,Genf\n"),
        ("predict", "table", "data.csv"),
        3,
        ("'age'", "number", "line 2"),
    ),
    "an empty table": (raw(b""), ("predict", "table", "data.csv"), 3, (r"data\.csv", "empty")),
    "no rows": (raw(b"age,town\n"), ("predict", "table", "data.csv"), 3, (r"data\.csv",)),
    "a table for pictures": (table(), ("predict", "pictures", "data.csv"), 3, (r"data\.csv", "column")),
    "a picture for a table": (raw(jpeg(0), "a.jpg"), ("predict", "table", "a.jpg"), 3, (r"a\.jpg",)),
    "a truncated photo": (raw(jpeg(0)[:300], "cut.jpg"), ("predict", "pictures", "cut.jpg"), 3, (r"cut\.jpg",)),
    "a text called photo": (raw(b"text", "text.jpg"), ("predict", "pictures", "text.jpg"), 3, (r"text\.jpg",)),
    "a decompression bomb": (raw(bomb(), "bomb.png"), ("predict", "pictures", "bomb.png"), 3, (r"bomb\.png", "pixels")),
    "a photo that is not there": (folders(), ("predict", "pictures", "gone.jpg"), 3, (r"gone\.jpg",)),
    "a model that is not there": (table(), ("predict", "nowhere", "data.csv"), 5, ("nowhere",)),
    "a table as the model": (table(), ("evaluate", "data.csv", "data.csv"), 5, (r"data\.csv",)),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_cannot_be_answered_is_refused(name: str, trained: Path, here: Path, run: Callable[..., Ran]) -> None:
    lay(trained, here)
    make, arguments, code, mentions = ASKED[name]
    make(here)
    before = left(here)
    assert_refused(run(*arguments), code, mentions)
    assert left(here) == before, "something is left behind"


@pytest.mark.parametrize(
    "arguments", [("predict", "table", "data.csv"), ("evaluate", "table", "data.csv"), ("inspect", "table")]
)
def test_a_model_of_a_newer_version_says_so(
    arguments: tuple[str, ...], trained: Path, here: Path, run: Callable[..., Ran]
) -> None:
    lay(trained, here)
    table()(here)
    declaration = json.loads((here / "table" / "instar.json").read_text())
    (here / "table" / "instar.json").write_text(json.dumps({**declaration, "format": declaration["format"] + 1}))
    before = left(here)
    assert_refused(run(*arguments), 5, ("table", "format 2", "up to 1", "Update Instar"))
    assert left(here) == before


def test_one_bad_photo_among_good_ones_is_told_and_the_others_are_answered(
    trained: Path, here: Path, run: Callable[..., Ran]
) -> None:
    lay(trained, here)
    for name, content in (("good.jpg", jpeg(1)), ("cut.jpg", jpeg(2)[:300]), ("other.jpg", jpeg(3))):
        (here / name).write_bytes(content)
    ran = run("predict", "pictures", "good.jpg", "cut.jpg", "other.jpg", "--json")
    assert ran.code == 0 and "cut.jpg" in ran.err and "good.jpg" not in ran.err
    first, bad, last = json.loads(ran.out)
    assert bad == {"prediction": None, "confidence": None}
    assert {first["prediction"], last["prediction"]} <= {"dark", "light"}


def test_a_word_that_training_did_not_see_is_answered(trained: Path, here: Path, run: Callable[..., Ran]) -> None:
    lay(trained, here)
    raw(b"age,town\n30,Atlantis\n,Bern\ninf,Bern\n,\n")(here)
    ran = run("predict", "table", "data.csv", "--json")
    assert ran.code == 0, ran.err
    assert len(json.loads(ran.out)) == 4
    assert all(0.5 <= row["confidence"] <= 1 for row in json.loads(ran.out))


# No room

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from instar.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit that the system sets")
@pytest.mark.parametrize("most", [0, 100, 1_000])
def test_where_files_cannot_grow_it_says_so_and_leaves_nothing(
    most: int, here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As on a full disk, which only a mount can show: every write beyond the limit fails."""
    table()(here)
    before = left(here)
    cache = {**os.environ, "INSTAR_CACHE": str(tmp_path_factory.mktemp("limited"))}
    command = [sys.executable, "-c", LIMITED, str(most), *TRAIN]
    done = subprocess.run(command, capture_output=True, text=True, env=cache, check=False)
    assert done.returncode == 6, done.stderr
    assert "Traceback" not in done.stderr and "Instar itself failed" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ") and done.stdout == ""
    assert left(here) == before
    assert not [path for path in Path(cache["INSTAR_CACHE"]).rglob("*") if path.is_file()]
