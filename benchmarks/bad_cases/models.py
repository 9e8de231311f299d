"""Model folders that are not as they were written: newer, damaged, hostile, or no model at all."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.bad_cases.base import MODEL, Case, write_csv
from benchmarks.bad_cases.use import with_model

DECLARATION, TENSORS = "instar.json", "model.safetensors"


def _case(name: str, spoil: Callable[[Path], None], *, codes: tuple[int, ...] = MODEL, inspect: bool = False) -> Case:
    """A table model, spoilt, and then asked."""

    def make(folder: Path) -> None:
        write_csv(folder / "new.csv")
        spoil(folder / "given")

    arguments = ("inspect", "given") if inspect else ("predict", "given", "new.csv")
    return Case(f"model/{name}", arguments, codes, ("given",), with_model("table", make))


def _edited(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / DECLARATION).read_text())
        change(content)
        (folder / DECLARATION).write_text(json.dumps(content))

    return spoil


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes())) and None


def _header(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """A safetensors file whose header is changed and whose length is right again."""

    def spoil(content: bytes) -> bytes:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    return spoil


def damaged_models() -> Iterator[Case]:
    yield from _no_models()
    yield from _declarations()
    yield from _tensors()


def _no_models() -> Iterator[Case]:
    def emptied(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.mkdir()

    def filed(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.write_text("no folder")

    def linked(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.symlink_to("nowhere")

    def nested(folder: Path) -> None:
        (folder / DECLARATION).unlink()
        (folder / DECLARATION).mkdir()

    for inspect in (False, True):
        command = "inspect" if inspect else "predict"
        yield _case(f"{command}-nowhere", shutil.rmtree, inspect=inspect)
        yield _case(f"{command}-empty", emptied, inspect=inspect)
        yield _case(f"{command}-file", filed, inspect=inspect)
        yield _case(f"{command}-dangling", linked, inspect=inspect)
        yield _case(f"{command}-no-declaration", lambda folder: (folder / DECLARATION).unlink(), inspect=inspect)
        yield _case(f"{command}-folder-as-declaration", nested, inspect=inspect)
        for version in (2, 99, 10**30):
            newer = _edited(lambda content, version=version: content.update(format=version))
            yield _case(f"{command}-format-{version}", newer, inspect=inspect)
        for version in (0, -1, "1", None, 1.5, [1], True):
            odd = _edited(lambda content, version=version: content.update(format=version))
            yield _case(f"{command}-format-{version!r}", odd, inspect=inspect)
    yield _case("no-tensors", lambda folder: (folder / TENSORS).unlink())


def _declarations() -> Iterator[Case]:
    contents = {
        "empty": b"",
        "noise": random.Random(4).randbytes(500),
        "array": b"[]",
        "deep": b"[" * 1_000_000,
        "number": b"1" * 10_000,
        "utf-16": '{"format": 1}'.encode("utf-16"),
        "bare": b'{"format": 1}',
    }
    for what, content in contents.items():
        yield _case(f"declaration-{what}", _bytes(DECLARATION, lambda old, content=content: content))
    yield _case("declaration-cut", _bytes(DECLARATION, lambda old: old[: len(old) // 2]))

    def sparse(folder: Path) -> None:
        with (folder / DECLARATION).open("wb") as stream:
            stream.truncate(3 * 2**30)

    yield _case("declaration-of-3-GiB", sparse)
    for key in ("inputs", "targets", "network", "files"):
        yield _case(f"without-{key}", _edited(lambda content, key=key: content.pop(key, None) and None))
        for wrong in (None, 7, [[]]):
            edit = _edited(lambda content, key=key, wrong=wrong: content.update({key: wrong}))
            yield _case(f"{key}-is-{wrong!r}", edit)

    def set_network(**values: Any) -> Callable[[Path], None]:
        return _edited(lambda content: content["network"]["parts"][0].update(values))

    yield _case("unknown-network", set_network(network="os.system"), codes=(2, 5))
    yield _case("network-is-a-path", set_network(network="../../evil"), codes=(2, 5))
    yield _case("network-of-wrong-width", set_network(network="mlp", settings={"width": 8}))
    yield _case("network-huge", set_network(network="mlp", settings={"width": 16_384, "depth": 128}))
    yield _case("network-of-width-minus-1", set_network(network="mlp", settings={"width": -1}), codes=(2, 5))
    yield _case("network-unknown-setting", set_network(settings={"__class__": "x"}), codes=(2, 5))

    def set_input(**values: Any) -> Callable[[Path], None]:
        return _edited(lambda content: content["inputs"][0].update(values))

    yield _case("unknown-kind", set_input(kind="pickle"), codes=(2, 5))
    yield _case("other-kind", set_input(kind="image"))
    yield _case("state-empty", set_input(state={}))
    yield _case("state-is-text", set_input(state="x"))
    yield _case("arrays-huge", set_input(arrays={"edges": {"type": "F64", "shape": [2**40]}}))
    yield _case("name-climbs", set_input(name="../../x"), codes=(3, 5))


def _tensors() -> Iterator[Case]:
    generator = random.Random(5)
    for number in range(8):
        share = generator.random()

        def flip(content: bytes, share: float = share) -> bytes:
            place = int(share * len(content))
            return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]

        yield _case(f"tensors-flipped-{number}", _bytes(TENSORS, flip))
        yield _case(f"tensors-cut-{number}", _bytes(TENSORS, lambda old, share=share: old[: int(share * len(old))]))
    contents = {"empty": b"", "length-alone": struct.pack("<Q", 0), "noise": generator.randbytes(4000)}
    for what, content in contents.items():
        yield _case(f"tensors-{what}", _bytes(TENSORS, lambda old, content=content: content))
    yield _case("tensors-header-huge", _bytes(TENSORS, lambda old: struct.pack("<Q", 2**62) + old[8:]))
    yield _case("tensors-longer", _bytes(TENSORS, lambda old: old + bytes(8)))

    def renamed(header: dict[str, Any]) -> None:
        name = next(each for each in header if each.startswith("network/"))
        header["network/other"] = header.pop(name)

    def wider(header: dict[str, Any]) -> None:
        next(entry for entry in header.values() if "shape" in entry)["shape"] = [2**40, 2**40]

    yield _case("tensor-renamed", _bytes(TENSORS, _header(renamed)))
    yield _case("tensor-huge", _bytes(TENSORS, _header(wider)))

    def pickled(folder: Path) -> None:
        (folder / TENSORS).unlink()
        (folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'echo run > /tmp/instar-ran-a-pickle'\ntR.")

    yield _case("pickle", pickled)
