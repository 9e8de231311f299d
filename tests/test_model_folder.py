"""A model folder is data: what was saved comes back, and whatever a stranger made of it is refused in words."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import re
import resource
import shutil
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import instar
from instar.errors import ColumnError, FolderError, InstarError, ModelError
from instar.folder import DECLARATION, FORMAT, TENSORS

ROWS = 1_000
MUTATED = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Content = dict[str, Any]


def records(rows: int = ROWS) -> dict[str, Any]:
    """Every built-in kind as input, and both kinds of answer."""
    generator = np.random.default_rng(3)
    speed = generator.normal(50, 9, rows).round(2)
    town = generator.choice(["Basel", "Bern", "Genf"], rows)
    days = np.datetime64("2020-01-01") + generator.integers(0, 900, rows)
    return {
        "km/h": pl.Series([None if row % 29 == 4 else f"{each:.2f}" for row, each in enumerate(speed)]),
        "km": pl.Series(generator.normal(size=rows)),
        "town": pl.Series(town),
        "day": pl.Series([str(day) for day in days]),
        "photo": generator.integers(0, 256, (rows, 4, 4), dtype=np.uint8),
        "fast": pl.Series(np.where(speed > 50, "yes", "no")),
        "cost": pl.Series(speed * 2 + (town == "Bern") * 10),
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> instar.Model:
    return instar.train(
        records(),
        ["fast", "cost"],
        out=tmp_path_factory.mktemp("folder") / "run",
        network="mlp",
        width=8,
        depth=1,
        epochs=2,
        batch=256,
        rivals=False,
    )


@pytest.fixture(scope="module")
def saved(model: instar.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.save(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


FEW = {name: column[:6] for name, column in records(6).items() if name not in ("fast", "cost")}


def edit(folder: Path, change: Callable[[Content], Any]) -> None:
    path = folder / DECLARATION
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def sign(folder: Path) -> None:
    """Make the manifest right again, as an attacker would."""
    content = (folder / TENSORS).read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit(folder, lambda declaration: declaration["files"].update({TENSORS: entry}))


def parts(folder: Path) -> tuple[Content, bytes]:
    """The tensors' header and bytes."""
    content = (folder / TENSORS).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def put(folder: Path, header: Content, content: bytes) -> None:
    text = json.dumps(header).encode()
    (folder / TENSORS).write_bytes(struct.pack("<Q", len(text)) + text + content)
    sign(folder)


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        instar.load(folder)
    assert caught.value.exit_code == 5
    assert str(folder) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def survives(folder: Path) -> None:
    """Whatever the folder holds, it loads and answers, or is refused by an error of ours."""
    try:
        loaded = instar.load(folder)
        frame = loaded.predict(FEW)
        repr(loaded), loaded._repr_html_()
    except InstarError:
        return
    assert len(frame) == 6


# What comes back


def test_a_saved_model_answers_the_same_to_the_last_bit(model: instar.Model, saved: Path) -> None:
    loaded = instar.load(saved)
    source = records()
    assert loaded.predict(source).equals(model.predict(source))
    assert np.array_equal(loaded.predict_proba(source)["fast"], model.predict_proba(source)["fast"])
    assert loaded.classes == model.classes == {"fast": ("no", "yes"), "cost": None}
    assert loaded.claims == model.claims
    weights, others = model.network.state_dict(), loaded.network.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert not loaded.network.training


def test_saving_again_writes_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = instar.load(saved).save(tmp_path / "again")
    for name in (DECLARATION, TENSORS):
        assert (again / name).read_bytes() == (saved / name).read_bytes()


def test_saving_over_something_else_is_refused_and_changes_nothing(model: instar.Model, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(FolderError, match="not empty"):
        model.save(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_model_may_be_saved_over_itself(folder: Path) -> None:
    before = (folder / TENSORS).read_bytes()
    loaded = instar.load(folder)
    loaded.save(folder)
    loaded.save(str(folder) + "/")
    assert (folder / TENSORS).read_bytes() == before


def test_the_network_is_an_ordinary_module(model: instar.Model) -> None:
    assert isinstance(model.network, torch.nn.Module)
    assert sum(each.numel() for each in model.network.parameters()) > 0


def test_the_manifest_covers_the_weights(saved: Path) -> None:
    entry = json.loads((saved / DECLARATION).read_text())["files"][TENSORS]
    assert entry["sha256"] == hashlib.sha256((saved / TENSORS).read_bytes()).hexdigest()
    assert entry["bytes"] == (saved / TENSORS).stat().st_size


def test_nothing_is_pickled(model: instar.Model) -> None:
    assert model.folder is not None
    for path in model.folder.rglob("*"):
        if path.is_file() and path.stat().st_size:
            with pytest.raises((pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, AttributeError)):
                pickle.loads(path.read_bytes())
            assert path.suffix not in (".pkl", ".pt", ".pth", ".bin", ".joblib", ".npy")
    sources = Path(instar.__file__).parent.rglob("*.py")
    banned = re.compile(r"^\s*(import|from) (pickle|joblib|dill|cloudpickle|shelve|marshal)|torch\.(load|save)\(|allow_pickle=True", re.M)  # fmt: skip  # noqa: E501
    assert [str(path) for path in sources if banned.search(path.read_text(encoding="utf-8"))] == []


# What is refused


def test_a_newer_format_says_what_to_do(folder: Path) -> None:
    edit(folder, lambda content: content.update(format=FORMAT + 1))
    refused(folder, f"format {FORMAT + 1}", f"up to {FORMAT}", "pip install --upgrade instar")


@pytest.mark.parametrize("value", [0, -1, "1", None, 1.5, [1], {}, True, "newer"])
def test_an_odd_format_is_no_model(value: Any, folder: Path) -> None:
    edit(folder, lambda content: content.update(format=value))
    refused(folder, "format")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no such model folder")
    refused(tmp_path, "no finished model")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe{}",
        b"[" * 500_000,
        b'{"format":' + b"[" * 900 + b"]" * 900 + b"}",
        b"9" * 10_000,
        b'{"format": NaN}',
        b'{"format": 1}',
        json.dumps({"format": 1}).encode("utf-16"),
    ],
)
def test_a_declaration_that_is_none(text: bytes, folder: Path) -> None:
    (folder / DECLARATION).write_bytes(text)
    refused(folder)


def test_a_declaration_of_gigabytes_is_not_read(folder: Path) -> None:
    with (folder / DECLARATION).open("wb") as stream:
        stream.truncate(3 << 30)
    with bounded_memory(1 << 20):
        refused(folder, "larger")


def test_an_unknown_kind_or_network_names_the_plug_in(folder: Path) -> None:
    edit(folder, lambda content: content["inputs"][0].update(kind="smell"))
    refused(folder, "'smell'", "plug-in")
    edit(folder, lambda content: content["inputs"][0].update(kind="number"))
    instar.load(folder)
    edit(folder, lambda content: content["network"]["parts"][0].update(network="brain"))
    refused(folder, "'brain'", "plug-in")


def _swap_roles(content: Content) -> None:
    content["inputs"], content["targets"] = content["targets"], content["inputs"]


def _twice(content: Content) -> None:
    content["inputs"].append(content["inputs"][0])


def _plan(place: int, **changes: Any) -> Callable[[Content], None]:
    return lambda content: content["inputs"][place]["plan"].update(changes)


@pytest.mark.parametrize(
    "change",
    [
        _swap_roles,
        _twice,
        _plan(4, height=10**9, width=10**9),
        _plan(4, channels=3),
        _plan(4, levels=[1, 1]),
        _plan(4, maximum_pixels=10**30),
        _plan(1, width=5),
        _plan(1, width=True),
        _plan(0, writing={"thousands": "(a+)+$", "decimal": "."}),
        _plan(3, order="year"),
        lambda content: content["inputs"][0].update(plan=[]),
        lambda content: content["inputs"][0].update(name=7),
        lambda content: content["inputs"].clear(),
        lambda content: content["targets"].clear(),
        lambda content: content["residuals"].update(cost=[10, 7]),
        lambda content: content["residuals"].pop("cost"),
        lambda content: content["claims"]["metrics"]["fast"].update(accuracy="perfect"),
        lambda content: content["claims"].pop("metrics"),
        lambda content: content["network"]["parts"][0]["settings"].update(width=9),
        lambda content: content["network"]["parts"][0]["settings"].update(colour="red"),
        lambda content: content["network"]["parts"].clear(),
        lambda content: content["files"].clear(),
    ],
)
def test_what_does_not_fit_together(change: Callable[[Content], None], folder: Path) -> None:
    edit(folder, change)
    refused(folder)


@pytest.mark.parametrize(
    "settings_", [{"width": 16_384, "depth": 128}, {"widths": [16_384] * 128}, {"width": 65_536, "depth": 1000}]
)
def test_a_huge_network_is_declared_but_not_built(settings_: Content, folder: Path) -> None:
    edit(folder, lambda content: content["network"]["parts"][0]["settings"].update(settings_))
    with bounded_memory(64 << 20):
        refused(folder)


def test_an_endless_list_of_layers_is_not_built(folder: Path) -> None:
    edit(folder, lambda content: content["network"]["parts"][0]["settings"].update(widths=[1] * 200_000))
    with bounded_memory(200 << 20):
        refused(folder)


class bounded_memory:
    """Fails where Python and numpy (tracemalloc) or the process (its highest memory) took more than this."""

    def __init__(self, most: int) -> None:
        self.most = most

    def __enter__(self) -> None:
        self.before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tracemalloc.start()

    def __exit__(self, *failure: object) -> None:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.before) * 1024
        if failure[0] is None:
            # What tracing itself costs is about as much again.
            assert peak < self.most, f"{peak:,} bytes"
            assert grown < 2 * self.most + (64 << 20), f"{grown:,} bytes"


# The tensors' file


def test_a_flipped_bit_is_noticed_by_its_hash(folder: Path) -> None:
    content = bytearray((folder / TENSORS).read_bytes())
    content[-5] ^= 1
    (folder / TENSORS).write_bytes(content)
    refused(folder, "hash")


@pytest.mark.parametrize("length", [0, 7, 8, 9, 100, -1])
def test_a_cut_file(length: int, folder: Path) -> None:
    content = (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(content[:length])
    sign(folder)
    refused(folder)


@pytest.mark.parametrize("length", [0, 1, 2, 2**16, 2**40, 2**63, 2**64 - 1])
def test_a_header_that_lies_about_its_length(length: int, folder: Path) -> None:
    content = (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(struct.pack("<Q", length) + content[8:])
    sign(folder)
    with bounded_memory(32 << 20):
        refused(folder)


@pytest.mark.parametrize(
    "shape",
    [[2**40], [2**62, 2**62], [-1], [-8, -8], [10**1000] * 2000, [1.5], ["8"], [[8]], None, "8", [True], [0] * 100_000],
)
def test_a_tensor_of_an_impossible_shape(shape: Any, folder: Path) -> None:
    header, content = parts(folder)
    name = next(name for name in header if name.startswith("network/"))
    header[name]["shape"] = shape
    put(folder, header, content)
    with bounded_memory(64 << 20):
        refused(folder)


@pytest.mark.parametrize("type_", ["F16", "BF16", "I8", "F8_E4M3", "C64", "", None, 4])
def test_a_tensor_of_another_type(type_: Any, folder: Path) -> None:
    header, content = parts(folder)
    name = next(name for name in header if name.startswith("network/"))
    header[name]["dtype"] = type_
    put(folder, header, content)
    refused(folder)


def test_tensors_that_overlap_or_leave_gaps(folder: Path) -> None:
    header, content = parts(folder)
    names = [name for name in header if name.startswith("network/")][:2]
    header[names[0]]["data_offsets"], header[names[1]]["data_offsets"] = (
        header[names[1]]["data_offsets"],
        header[names[0]]["data_offsets"],
    )
    put(folder, header, content)
    refused(folder)


@pytest.mark.parametrize("prefix", ["network/", "fields/town/", "residuals/cost/"])
def test_a_tensor_that_is_missing_or_called_something_else(prefix: str, folder: Path) -> None:
    header, content = parts(folder)
    name = next(name for name in header if name.startswith(prefix))
    header["other"] = header.pop(name)
    put(folder, header, content)
    refused(folder)


@pytest.mark.parametrize("name", ["network/extra", "fields/town/extra", "fields/nobody/x", "payload", "../../escape"])
def test_a_tensor_too_many(name: str, folder: Path) -> None:
    header, content = parts(folder)
    header[name] = {"dtype": "F32", "shape": [1], "data_offsets": [len(content), len(content) + 4]}
    put(folder, header, content + bytes(4))
    refused(folder)


def test_weights_that_are_not_numbers_give_no_traceback(folder: Path) -> None:
    header, content = parts(folder)
    put(folder, header, b"\xff" * len(content))
    survives(folder)


# Whatever a stranger may think of

JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**12), 10**12),
        st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400, 1e308, 5e-324]),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=6),
        st.sampled_from(
            ["number", "category", "image", "date", "tabm", "resnet", "F32", "..", "/etc/passwd", "target"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every part but the whole."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutate(content: Any, draw: st.DrawFn) -> None:
    """Spoil one place of a tree of JSON."""
    path = draw(st.sampled_from(list(places(content))))
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    last = path[-1]
    what = draw(st.sampled_from(["delete", "replace", "copy", "rename", "wrap", "nudge"]))
    if what == "delete":
        del holder[last]
    elif what == "copy":
        other = content
        for key in draw(st.sampled_from(list(places(content)))):
            other = other[key]
        holder[last] = copy.deepcopy(other)
    elif what == "rename" and isinstance(holder, dict):
        holder[draw(st.text(max_size=5))] = holder.pop(last)
    elif what == "wrap":
        holder[last] = draw(st.sampled_from([[holder[last]], {"value": holder[last]}, [holder[last]] * 2]))
    elif what == "nudge" and isinstance(holder[last], int | float):
        holder[last] = holder[last] * draw(st.sampled_from([-1, 2, 1000, 10**9])) + draw(st.integers(-1, 1))
    else:
        holder[last] = draw(JUNK)


@st.composite
def mutated(draw: st.DrawFn, content: Any) -> Any:
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        if next(places(content), None) is not None:
            mutate(content, draw)
    return content


@given(data=st.data())
@MUTATED
def test_no_declaration_gets_further_than_an_error_of_ours(data: st.DataObject, folder: Path, saved: Path) -> None:
    content = json.loads((saved / DECLARATION).read_text(encoding="utf-8"))
    (folder / DECLARATION).write_text(json.dumps(data.draw(mutated(content))), encoding="utf-8")
    with memory_of_the_process():
        survives(folder)


@given(data=st.data())
@MUTATED
def test_no_tensors_get_further_than_an_error_of_ours(data: st.DataObject, folder: Path, saved: Path) -> None:
    """Header and bytes are spoilt, and the manifest made right again."""
    shutil.copy(saved / DECLARATION, folder / DECLARATION)
    shutil.copy(saved / TENSORS, folder / TENSORS)
    header, content = parts(folder)
    header = data.draw(mutated(header)) if data.draw(st.booleans()) else header
    spoilt = bytearray(content)
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        spoilt[place] ^= data.draw(st.integers(1, 255))
    put(folder, header, bytes(spoilt))
    with memory_of_the_process():
        survives(folder)


@given(data=st.data())
@MUTATED
def test_no_bytes_get_further_than_an_error_of_ours(data: st.DataObject, folder: Path, saved: Path) -> None:
    for name in (DECLARATION, TENSORS):
        content = bytearray((saved / name).read_bytes())
        for place in data.draw(st.lists(st.integers(0, min(len(content), 3000) - 1), max_size=4)):
            content[place] = data.draw(st.integers(0, 255))
        (folder / name).write_bytes(content[: data.draw(st.sampled_from([None, None, None, -1, 9]))])
    if data.draw(st.booleans()):
        try:
            sign(folder)
        except (ValueError, KeyError, TypeError, AttributeError):
            return
    survives(folder)


class memory_of_the_process:
    """Fails where the process's highest memory rose by more than half a GiB."""

    def __enter__(self) -> None:
        self.before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def __exit__(self, *failure: object) -> None:
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.before
        assert failure[0] is not None or grown < 512 << 10, f"{grown:,} KiB"


def test_nothing_in_the_folder_runs(folder: Path, tmp_path: Path) -> None:
    """Files that some program would run lie beside the model, and names point at them."""
    trap = tmp_path / "ran"
    payload = b"cos\nsystem\n(S'touch " + str(trap).encode() + b"'\ntR."
    for name in ("model.pkl", "model.pt", "pytorch_model.bin", "checkpoint.joblib"):
        (folder / name).write_bytes(payload)
    code = f"import pathlib; pathlib.Path({str(trap)!r}).touch()\n"
    for name in ("__init__.py", "modeling.py", "torch.py", "conftest.py", "sitecustomize.py"):
        (folder / name).write_text(code)
    instar.load(folder).predict(FEW)
    edit(folder, lambda content: content["network"]["parts"][0].update(network="os.system"))
    with pytest.raises(InstarError):
        instar.load(folder)
    edit(folder, lambda content: content["inputs"][0].update(kind="modeling:Kind"))
    with pytest.raises(InstarError):
        instar.load(folder)
    assert not trap.exists()


def test_prediction_names_the_columns_that_are_missing(model: instar.Model) -> None:
    with pytest.raises(ColumnError, match=r"'km/h', 'town'.*The columns are: km, day, photo"):
        model.predict({name: FEW[name] for name in ("km", "day", "photo")})
