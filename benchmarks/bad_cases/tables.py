"""Bad tables: nothing in them, the wrong target, ragged, badly encoded, or with numbers that are none."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.bad_cases.base import (
    DATA,
    FINE,
    HEADER,
    USAGE,
    Case,
    encoded,
    picture,
    rows,
    train,
    with_column,
    write_csv,
)


def _bytes(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def _csv(content: list[list[str]], header: list[str] = HEADER, name: str = "data.csv") -> Callable[[Path], None]:
    return lambda folder: write_csv(folder / name, content, header=header)


def _text(content: list[list[str]], header: list[str] = HEADER) -> str:
    return "\n".join(",".join(row) for row in [header, *content]) + "\n"


def missing() -> Iterator[Case]:
    """Nothing, or next to nothing, where a table should be."""
    empties = ["csv", "tsv", "parquet", "jsonl", "npz", "csv.gz", "ndjson"]
    for suffix in empties:
        name = f"data.{suffix}"
        yield Case(f"empty/{suffix}", train(name), DATA, (name, "empty"), _bytes(name, b""))
    nothing = {
        "header-alone": b"age,income,answer\n",
        "header-without-newline": b"age,income,answer",
        "newlines": b"\n\n\n\n",
        "spaces": b"     \n    \n",
        "byte-order-mark": b"\xef\xbb\xbf",
        "header-twice": b"age,age,answer\n1,2,yes\n",
        "header-without-names": b",,\n1,2,yes\n",
    }
    for what, content in nothing.items():
        yield Case(f"nothing/{what}", train("data.csv"), DATA, (r"data\.csv",), _bytes("data.csv", content))
    yield Case(
        "nothing/gzip-of-nothing",
        train("data.csv.gz"),
        DATA,
        (r"data\.csv\.gz",),
        _bytes("data.csv.gz", gzip.compress(b"")),
    )
    for count in (1, 2):
        yield Case(f"few/{count}-rows", train("data.csv"), DATA, ("row|class|answer",), _csv(rows(count)))
    yield Case("nothing/no-such-file", train("nowhere.csv"), DATA, (r"nowhere\.csv",))
    yield Case("nothing/no-such-folder", train("nowhere/deep/data.csv"), DATA, ("nowhere",))
    yield Case("nothing/close-name", train("dada.csv"), DATA, (r"dada\.csv", r"data\.csv"), _csv(rows()))
    yield Case("nothing/empty-name", train(""), (2, 3), ("source|path|file|name",))
    yield Case("nothing/no-such-example", train("example:digitz", target=None), (2, 3), ("digitz", "digits"))
    yield Case("nothing/unknown-suffix", train("data.xlsx"), DATA, (r"data\.xlsx",), _bytes("data.xlsx", b"PK\3\4..."))
    yield Case("nothing/url", train("https://example.org/data.csv"), DATA, ("example.org",))


def targets() -> Iterator[Case]:
    """No target, one that is not there, and ones that say nothing."""
    columns = ("age", "answer")
    for suffix, delimiter in (("csv", ","), ("tsv", "\t")):
        name = f"data.{suffix}"
        yield Case(
            f"target/unnamed-{suffix}",
            train(name, target=None),
            (2, 3),
            ("target", *columns),
            lambda folder, name=name, delimiter=delimiter: write_csv(folder / name, delimiter=delimiter),
        )
    lines = "\n".join(json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows()).encode()
    yield Case(
        "target/unnamed-jsonl",
        train("data.jsonl", target=None),
        (2, 3),
        ("target", *columns),
        _bytes("data.jsonl", lines),
    )
    for wrong in ("answr", "Answer", "price", "", "ånswer", "age,income"):
        yield Case(
            f"target/{wrong or 'empty'}", train("data.csv", target=wrong), (2, 3), ("column|target",), _csv(rows())
        )
    yield Case(
        "target/one-of-two-missing", train("data.csv", "--target", "incme"), DATA, ("incme", "income"), _csv(rows())
    )
    yield Case("target/twice", train("data.csv", "--target", "answer"), USAGE, ("twice",), _csv(rows()))
    for what, values in {"empty": "", "NA": "NA", "nan": "nan", "null": "null", "spaces": "   "}.items():
        content = with_column("answer", lambda row, values=values: values)
        yield Case(f"target/all-{what}", train("data.csv"), DATA, ("answer",), _csv(content))
    constant = with_column("answer", lambda row: "yes")
    yield Case("target/one-class", train("data.csv"), DATA, ("answer", "class|same|constant|one value"), _csv(constant))
    constant = with_column("answer", lambda row: "7")
    yield Case(
        "target/one-number", train("data.csv"), DATA, ("answer", "same|constant|one value|class"), _csv(constant)
    )
    names = with_column("answer", lambda row: f"person {row} of many")
    yield Case("target/all-different", train("data.csv"), (0, 3), ("answer",), _csv(names))
    yield Case(
        "target/is-the-only-column",
        train("data.csv"),
        DATA,
        ("column",),
        _csv([[row[4]] for row in rows()], ["answer"]),
    )
    empty = [["", "", "", "", row[4]] for row in rows()]
    yield Case("inputs/all-missing", train("data.csv"), DATA, ("column|input",), _csv(empty))
    same = [["1", "2", "3", "4", row[4]] for row in rows()]
    yield Case("inputs/all-constant", train("data.csv"), DATA, ("constant|same|one value",), _csv(same))
    for column in ("income", "town"):
        content = with_column(column, lambda row: "")
        yield Case(f"inputs/{column}-missing", train("data.csv"), FINE, (column,), _csv(content))
    few = with_column("answer", lambda row: "yes" if row % 2 else "no", 12)
    for row in few[6:]:
        row[4] = ""
    yield Case("target/half-missing-of-12", train("data.csv"), (0, 3), ("answer|rows",), _csv(few))
    yield Case("columns/no-such-group", train("data.csv", "--group", "patient"), DATA, ("patient",), _csv(rows()))
    yield Case("columns/no-such-time", train("data.csv", "--time-order", "dayy"), DATA, ("dayy", "day"), _csv(rows()))
    yield Case("columns/no-such-exclude", train("data.csv", "--exclude", "agee"), DATA, ("agee", "age"), _csv(rows()))
    yield Case("columns/all-excluded", train("data.csv", *_excluding()), DATA, ("column|exclude",), _csv(rows()))
    yield Case(
        "columns/target-is-group", train("data.csv", "--group", "answer"), (2, 3), ("answer|group",), _csv(rows())
    )
    yield Case("columns/time-of-words", train("data.csv", "--time-order", "town"), (0, 2, 3), ("town",), _csv(rows()))


def _excluding() -> tuple[str, ...]:
    return tuple(word for name in HEADER[:4] for word in ("--exclude", name))


def ragged() -> Iterator[Case]:
    """Records that have more or fewer cells than the header, quotes that never close, lines that are no JSON."""
    generator = random.Random(1)
    for number in range(8):
        place = generator.randrange(5, 115)
        more = [list(row) for row in rows()]
        more[place].append("extra")
        less = [list(row) for row in rows()]
        less[place] = less[place][: generator.randrange(1, 5)]
        where = rf"line {place + 2}\b"
        yield Case(f"ragged/longer-{number}", train("data.csv"), DATA, (r"data\.csv", where), _csv(more))
        yield Case(f"ragged/shorter-{number}", train("data.csv"), DATA, (r"data\.csv", where), _csv(less))
    lines = _text(rows()).split("\n")
    quoted = [*lines]
    quoted[40] = quoted[40].replace(",", ',"', 1)
    yield Case(
        "ragged/open-quote",
        train("data.csv"),
        DATA,
        (r"data\.csv", "line"),
        _bytes("data.csv", "\n".join(quoted).encode()),
    )
    early = [*lines]
    early[1] = '"' + early[1]
    yield Case(
        "ragged/open-quote-first",
        train("data.csv"),
        DATA,
        (r"data\.csv",),
        _bytes("data.csv", "\n".join(early).encode()),
    )
    returns = _text(rows()).replace("\n", "\r").encode()
    yield Case("ragged/old-mac-lines", train("data.csv"), DATA, ("carriage return|line",), _bytes("data.csv", returns))
    good = [json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows()]
    for number, wrong in enumerate(['{"age": 3,', "[1, 2, 3]", "7", "null", '{"age": }', "age=3", "{'age': 3}"]):
        content = "\n".join([*good[:50], wrong, *good[50:]]).encode()
        yield Case(
            f"ragged/json-{number}",
            train("data.jsonl"),
            DATA,
            (r"data\.jsonl", "line 51"),
            _bytes("data.jsonl", content),
        )
    deep = "\n".join([*good[:50], "[" * 100_000, *good[50:]]).encode()
    yield Case("ragged/json-deep", train("data.jsonl"), DATA, ("line 51",), _bytes("data.jsonl", deep))


def encodings() -> Iterator[Case]:
    """Text in another encoding, and files that are something else than their name says."""
    content = with_column("town", lambda row: ["Zürich", "Genève", "Bern"][row % 3])
    text = _text(content)
    for encoding in ("latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "mac-roman"):
        yield Case(
            f"encoding/{encoding}",
            train("data.csv"),
            DATA,
            (r"data\.csv", "UTF|encod"),
            _bytes("data.csv", text.encode(encoding)),
        )
    late = _text(rows(3000)).encode() + b"40,50,Z\xfcrich,2020-01-01,yes\n"
    yield Case("encoding/late", train("data.csv"), DATA, (r"data\.csv", "line 3002"), _bytes("data.csv", late))
    zero = text.encode().replace(b"Bern", b"B\0rn", 1)
    yield Case("encoding/nul-byte", train("data.csv"), DATA, (r"data\.csv", "NUL"), _bytes("data.csv", zero))
    noise = random.Random(2).randbytes(5000)
    image = encoded(picture(0, 0), "PNG")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("data.csv", text)
    for what, wrong in {
        "noise": noise,
        "png": image,
        "zip": archive.getvalue(),
        "gzip": gzip.compress(text.encode()),
    }.items():
        for suffix in ("csv", "jsonl", "parquet"):
            name = f"data.{suffix}"
            yield Case(f"disguise/{what}-as-{suffix}", train(name), DATA, (f"data.{suffix}",), _bytes(name, wrong))
    packed = gzip.compress(_text(rows(3000)).encode())
    spoilt = packed[:500] + bytes(40) + packed[540:]
    for what, wrong in {"cut": packed[: len(packed) // 2], "spoilt": spoilt, "plain": text.encode()}.items():
        yield Case(f"gzip/{what}", train("data.csv.gz"), DATA, (r"data\.csv\.gz", "gzip"), _bytes("data.csv.gz", wrong))
    yield from _arrays()


def _arrays() -> Iterator[Case]:
    def npz(**arrays: np.ndarray) -> bytes:
        stream = io.BytesIO()
        np.savez(stream, **arrays)
        return stream.getvalue()

    numbers = np.random.default_rng(0).normal(size=(60, 4))
    labels = np.arange(60) % 2
    cases = {
        "cut": npz(images=numbers, labels=labels)[:900],
        "noise": random.Random(3).randbytes(2000),
        "pickled": npz(images=numbers, labels=np.array([{"a": 1}] * 60, dtype=object)),
        "lengths-differ": npz(images=numbers, labels=labels[:50]),
        "no-arrays": npz(),
        "scalars": npz(images=np.float64(3), labels=np.int64(1)),
    }
    for what, content in cases.items():
        yield Case(
            f"npz/{what}", train("data.npz", target="labels"), DATA, (r"data\.npz",), _bytes("data.npz", content)
        )
    good = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (60, 8, 8)) + bytes(60 * 64)
    answers = b"\0\0\x08\x01" + (60).to_bytes(4, "big") + bytes(range(2)) * 30
    spoilt = {
        "magic": (b"\1\2\3\4" + good[4:], answers),
        "cut": (good[:-100], answers),
        "longer": (good + b"123", answers),
        "claims-4-billion": (b"\0\0\x08\x03" + b"\xff" * 12 + good[16:], answers),
        "type": (b"\0\0\x77\x03" + good[4:], answers),
        "labels-fewer": (good, b"\0\0\x08\x01" + (50).to_bytes(4, "big") + bytes(50)),
        "labels-cut": (good, answers[:20]),
        "labels-empty": (good, b""),
    }
    for what, (images, truth) in spoilt.items():

        def make(folder: Path, images: bytes = images, truth: bytes = truth) -> None:
            (folder / "x-images-idx3-ubyte").write_bytes(images)
            (folder / "x-labels-idx1-ubyte").write_bytes(truth)

        arguments = train("x-images-idx3-ubyte", target="x-labels-idx1-ubyte")
        yield Case(f"idx/{what}", arguments, DATA, ("idx",), make)
    yield Case(
        "idx/no-labels-file",
        train("x-images-idx3-ubyte", target="y-labels-idx1-ubyte"),
        DATA,
        ("y-labels",),
        _bytes("x-images-idx3-ubyte", good),
    )


def numbers() -> Iterator[Case]:
    """Infinities, NaN and words among numbers: told of, and where the whole column is so, refused."""
    for what, value in {"nan": "nan", "inf": "inf", "minus-inf": "-inf", "too-large": "1e400", "word": "many"}.items():
        content = with_column("income", lambda row, value=value: value if row in (17, 60) else str(1000 + row * 7.5))
        mentions = () if what == "nan" else ("income",)
        yield Case(f"numbers/input-{what}", train("data.csv"), FINE, mentions, _csv(content))
        amounts = with_column("age", lambda row, value=value: value if row in (17, 60) else str(20 + row / 3))
        mentions = ("age|row|answer",)
        yield Case(f"numbers/target-{what}", train("data.csv", target="age"), FINE, mentions, _csv(amounts))
    for what, value in {"inf": "inf", "too-large": "1e999"}.items():
        content = with_column("age", lambda row, value=value: value)
        yield Case(f"numbers/target-all-{what}", train("data.csv", target="age"), DATA, ("age",), _csv(content))
    wide = with_column("income", lambda row: f"{(-1) ** row * 10.0 ** (3 * (row % 100)):.3g}")
    yield Case("numbers/of-every-size", train("data.csv"), FINE, (), _csv(wide))
    longest = with_column("income", lambda row: "9" * 5000 if row == 30 else str(row))
    yield Case("numbers/of-5000-digits", train("data.csv"), FINE, ("income",), _csv(longest))
    late = with_column("income", lambda row: "unknown" if row > 2000 else str(row), 4000)
    yield Case("numbers/words-in-half", train("data.csv"), (0, 3), ("categor",), _csv(late))
    yield Case("numbers/words-as-number", train("data.csv", "--kind", "town=number"), DATA, ("town",), _csv(rows()))
    yield Case("numbers/words-as-date", train("data.csv", "--kind", "town=date"), DATA, ("town",), _csv(rows()))
    impossible = with_column("day", lambda row: "2020-02-31" if row in (3, 9) else f"2020-01-{row % 28 + 1:02}")
    yield Case("numbers/impossible-dates", train("data.csv"), FINE, ("day",), _csv(impossible))
