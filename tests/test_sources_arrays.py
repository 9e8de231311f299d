import gzip
import io
import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris

from instar.errors import SourceError
from instar.sources import FileColumn
from instar.sources.examples import EXAMPLES
from instar.sources.locate import locate


def whole(source):
    (chunk,) = source.chunks()
    return dict(chunk.columns)


def idx(array: np.ndarray, code: int) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(5 * 4 * 3, dtype=">u1").reshape(5, 4, 3)
LABELS = np.array([3, 1, 4, 1, 5], ">u1")


@pytest.fixture
def mnist(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES, 8))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS, 8)))
    return tmp_path


def test_idx_images_and_labels(mnist):
    labels = str(mnist / "train-labels-idx1-ubyte.gz")
    source = locate(mnist / "train-images-idx3-ubyte", target=[labels])
    assert source.schema().target == "target"
    assert source.targets([labels]) == ("target",)
    columns = whole(source)
    assert (columns["input"] == IMAGES).all()
    assert columns["target"].to_list() == LABELS.tolist()


@pytest.mark.parametrize(("code", "kind"), [(8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")])
@pytest.mark.parametrize("packed", [False, True])
def test_every_type_of_idx(tmp_path, code, kind, packed):
    array = np.arange(-3, 9).astype(kind).reshape(2, 2, 3)
    path = tmp_path / ("x-idx3-ubyte.gz" if packed else "x.idx3-ubyte")
    path.write_bytes(gzip.compress(idx(array, code)) if packed else idx(array, code))
    column = whole(locate(path))["input"]
    assert column.dtype == array.dtype.newbyteorder("=")
    assert (column == array).all()


def test_bad_idx_is_named(mnist, tmp_path):
    def refused(content, words, name="x-idx3-ubyte", **options):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=words):
            whole(locate(tmp_path / name, **options))

    good = idx(IMAGES, 8)
    refused(good[:-1], "announces 60 bytes")
    refused(good + b"x", "announces 60 bytes")
    refused(b"\0\0\x07\x03", "begin like an IDX")
    refused(good[:9], "within its header")
    refused(idx(np.zeros((0, 2), ">u1"), 8), "no content")
    refused(gzip.compress(good[:-1]), "ends before row 5", "y-idx3-ubyte.gz")
    refused(gzip.compress(good)[:-9], "gzip", "y-idx3-ubyte.gz")
    refused(gzip.compress(good + b"x"), "goes on after the 5 rows", "y-idx3-ubyte.gz")
    huge = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**31, 2**31)
    refused(huge, "announces")
    refused(gzip.compress(huge), "announces", "y-idx3-ubyte.gz")
    short = tmp_path / "labels-idx1-ubyte"
    short.write_bytes(idx(LABELS[:3], 8))
    refused(good, "5 in 'input', 3 in 'target'", target=[str(short)])
    refused(good, "Did you mean", target=[str(tmp_path / "label-idx1-ubyte")])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 255)), max_size=6), st.integers(0, 80), st.booleans())
def test_mutated_idx_is_read_or_refused_and_allocates_no_more_than_it_holds(tmp_path, changes, length, packed):
    content = bytearray(idx(IMAGES, 8))
    for place, value in changes:
        content[place] = value
    path = tmp_path / ("x-idx3-ubyte.gz" if packed else "x-idx3-ubyte")
    path.write_bytes(gzip.compress(bytes(content[:length]), mtime=0) if packed else bytes(content[:length]))
    tracemalloc.start()
    try:
        for chunk in locate(path).chunks():
            assert len(chunk)
    except SourceError as failure:
        assert path.name in str(failure)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1 << 20


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def test_npz_columns_by_name(tmp_path):
    words = np.array(["a", "bb", "c"])
    path = npz(tmp_path / "data.npz", x=np.arange(6).reshape(3, 2), y=np.array([[1], [2], [3]]), word=words)
    source = locate(path)
    assert source.schema().target == "y"
    columns = whole(source)
    assert columns["x"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert columns["y"].to_list() == [1, 2, 3]
    assert columns["word"].to_list() == ["a", "bb", "c"]
    assert source.locate_row(1) == f"{path}, row 2"
    np.save(tmp_path / "one.npy", np.asfortranarray(np.arange(6.0).reshape(3, 2)))
    assert whole(locate(tmp_path / "one.npy"))["input"].tolist() == [[0, 1], [2, 3], [4, 5]]


class Trap:
    def __reduce__(self):
        return print, ("unpickled",)


def test_bad_npz_is_named_and_runs_nothing(tmp_path, capsys):
    def refused(path, words):
        with pytest.raises(SourceError, match=words):
            whole(locate(path))

    refused(npz(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.zeros(4)), "3 in 'x', 4 in 'y'")
    refused(npz(tmp_path / "b.npz", x=np.array([Trap(), 1], dtype=object)), "safely")
    np.save(tmp_path / "b.npy", np.array([Trap()], dtype=object))
    refused(tmp_path / "b.npy", "safely")
    refused(npz(tmp_path / "c.npz", x=np.zeros(())), "shape")
    refused(npz(tmp_path / "d.npz", x=np.zeros((2, 2), complex)), "safely")
    refused(npz(tmp_path / "e.npz", x=np.asfortranarray(np.zeros((3, 2)))), "Fortran")
    (tmp_path / "f.npz").write_bytes(b"no archive")
    refused(tmp_path / "f.npz", "damaged")
    with zipfile.ZipFile(tmp_path / "g.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
    refused(tmp_path / "g.npz", "numpy array")
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)})
    with zipfile.ZipFile(tmp_path / "h.npz", "w") as archive:
        archive.writestr("x.npy", stream.getvalue())
    refused(tmp_path / "h.npz", "announces")
    (tmp_path / "h.npy").write_bytes(stream.getvalue())
    refused(tmp_path / "h.npy", "announces")
    assert "unpickled" not in capsys.readouterr().out


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4), st.sampled_from("zy"))
def test_mutated_numpy_files_are_read_or_refused(tmp_path, changes, last):
    path = tmp_path / f"x.np{last}"
    if last == "z":
        np.savez_compressed(path, x=np.arange(12).reshape(3, 4))
    else:
        np.save(path, np.arange(12).reshape(3, 4))
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(bytes(content))
    try:
        whole(locate(path))
    except SourceError as failure:
        assert path.name in str(failure)


FRAME = pd.DataFrame(
    {
        "number": [1.0, None],
        "word": ["a", None],
        "class": pd.Categorical(["u", "v"]),
        "day": pd.to_datetime(["2020"] * 2),
    }
)


def test_frames_of_every_library_are_the_same():
    as_polars = pl.from_pandas(FRAME)
    columns = [whole(locate(given)) for given in (FRAME, as_polars, as_polars.lazy(), as_polars.to_arrow())]
    for each in columns:
        assert list(each) == ["number", "word", "class", "day"]
        assert each["number"].to_list() == [1.0, None]
        assert each["word"].to_list() == ["a", None]
        assert each["class"].to_list() == ["u", "v"]
        assert each["day"].dtype.is_temporal()


def test_arrays_tensors_and_pairs():
    images = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    for array in (images, torch.tensor(images), torch.tensor(images).bfloat16().requires_grad_()):
        source = locate(array)
        assert source.schema().nameless == ("input",)
        assert (whole(source)["input"] == images).all()
    pair = locate((torch.tensor(images), ["a", "b", "c"]))
    assert pair.targets() == ("target",)
    assert whole(pair)["target"].to_list() == ["a", "b", "c"]
    assert locate((FRAME, pd.Series([1, 2], name="other"))).schema().columns == (*FRAME.columns, "target")
    assert whole(locate((FRAME, np.array([[1], [2]]))))["target"].to_list() == [1, 2]
    assert whole(locate(([[1, 2], [3, 4]], pd.DataFrame({"a": [1, 2], "b": [3, 4]}))))["target"].shape == (2, 2)
    assert whole(locate({"a": [1, None], "b": np.zeros((2, 3)), "c": ["x", 1]}))["c"].to_list() == ["x", "1"]
    records = whole(locate([{"a": 1, "b": "x"}, {"b": "y", "c": 2.5}]))
    assert {name: column.to_list() for name, column in records.items()} == {
        "a": [1, None],
        "b": ["x", "y"],
        "c": [None, 2.5],
    }
    assert whole(locate({"big": np.array([1, 2], ">i4")}))["big"].to_list() == [1, 2]


def test_rows_of_unequal_lengths_are_lists_in_cells():
    lists = [[1, 2.5], None, np.array([[1, 2], [3, 4]]), [[1]]]
    for rows in (lists[:2], lists[2:]):
        cells = whole(locate({"a": rows}))["a"].to_list()
        known = [None if each is None else np.asarray(each).tolist() for each in rows]
        assert [None if cell is None else json.loads(cell) for cell in cells] == known


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((np.zeros((3, 2)), [1, 2]), "input has 3, target has 2"),
        ({"a": [1, 2], "b": 5}, "'b' cannot be a int"),
        ({}, "no rows"),
        (np.zeros((0, 3)), "no rows"),
        (np.zeros((3, 0)), "rows are empty"),
        (np.float64(3), "float64"),
        (np.array(3), "no rows"),
        (np.zeros((2, 2), complex), "not numbers"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the same name"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "the same name"),
        ((pd.DataFrame({"target": [1]}), [1]), "'target' already"),
        (None, "NoneType"),
        ([], "no rows"),
        ([{}], "no rows"),
        ([1, 2], "list"),
    ],
)
def test_bad_objects_are_named(given, words):
    with pytest.raises(SourceError, match=words):
        whole(locate(given))


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.with_columns(pl.col("text").replace("b", "c")),
        lambda frame: frame.with_columns(pl.Series("text", ["ab", "", None])),
        lambda frame: frame.with_columns(pl.Series("text", ["a", None, "b"])),
        lambda frame: frame.with_columns(pl.col("number").fill_null(0)),
        lambda frame: frame.with_columns(pl.col("number").cast(pl.Float32)),
        lambda frame: frame.rename({"text": "word"}),
        lambda frame: frame[::-1],
        lambda frame: frame[:2],
    ],
)
def test_the_fingerprint_of_a_frame_is_of_its_content(change):
    frame = pl.DataFrame({"number": [1.0, None, 3.0], "text": ["a", "b", None], "flag": [True, None, False]})
    assert locate(frame).fingerprint() == locate(frame.to_pandas(use_pyarrow_extension_array=True)).fingerprint()
    assert locate(change(frame)).fingerprint() != locate(frame).fingerprint()


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A working folder with two files."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    return ["a.png", None, str(tmp_path / "b.png")]


@pytest.mark.parametrize("frame", [pl.DataFrame, pd.DataFrame, dict])
def test_cells_that_name_files_are_files(photos, frame):
    column = whole(locate(frame({"photo": photos, "name": ["x", "y", "z"]})))["photo"]
    assert [None if file is None else file.read() for file in column.files] == [b"a.png", None, b"b.png"]
    assert whole(locate(frame({"photo": photos, "name": ["x", "y", "z"]})))["name"].to_list() == ["x", "y", "z"]


def test_a_model_of_files_finds_them_in_frames_and_in_arrays_without_a_name(photos):
    missing = pd.DataFrame({"photo": [np.nan, np.nan]})
    for shown in (pl.DataFrame({"photo": photos}), np.array(["a.png"]), {"photo": [None, None]}, missing):
        (column,) = whole(locate(shown, files=["photo"])).values()
        assert isinstance(column, FileColumn)
    (column,) = whole(locate(pl.DataFrame({"photo": photos}), files=[])).values()
    assert column.dtype == pl.String


def test_a_file_that_is_missing_is_its_rows_problem_alone(photos, tmp_path):
    frame = pl.DataFrame({"photo": ["a.png", "b.png", "gone.png", "no\0name.png"]})
    before = locate(frame).fingerprint()
    assert [file.name for file in whole(locate(frame))["photo"].files] == frame["photo"].to_list()
    (tmp_path / "b.png").write_bytes(b"changed")
    assert locate(frame).fingerprint() != before


def test_texts_and_numbers_need_no_working_folder(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert whole(locate({"word": ["a.png"], "number": [1]}))["word"].to_list() == ["a.png"]


def test_a_frame_names_no_file_outside_the_working_folder_unless_that_is_allowed(photos, tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    frame = pl.DataFrame({"photo": [str(tmp_path / "a.png"), "../b.png"]})
    with pytest.raises(SourceError, match="outside the working folder") as caught:
        locate(frame)
    assert "row 1" in str(caught.value)
    column = whole(locate(frame, allow_outside=True))["photo"]
    assert [file.read() for file in column.files] == [b"a.png", b"b.png"]


def test_a_fingerprint_is_the_same_in_every_process():
    script = "from instar.sources.locate import locate; print(locate('example:iris').fingerprint())"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == locate("example:iris").fingerprint()


def test_sources_do_without_torch():
    script = (
        "import sys; from instar.sources.locate import locate; import numpy;"
        "locate(numpy.zeros((2, 2))); assert not {'torch', 'pandas', 'sklearn', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples(name):
    source = locate(f"example:{name}")
    schema = source.schema()
    columns = whole(source)
    assert schema.target in columns
    assert all(len(column) == schema.rows for column in columns.values())
    assert source.name == name


def test_examples_hold_what_they_say():
    digits = whole(locate("example:digits"))
    assert digits["image"].shape == (1797, 8, 8)
    assert digits["image"].dtype == np.uint8
    assert digits["image"].max() == 255
    assert sorted(set(digits["digit"])) == list("0123456789")
    iris = whole(locate("example:Iris"))
    assert iris["petal_width_cm"].to_list() == load_iris().data[:, 3].tolist()
    xor = whole(locate("example:xor"))
    alike = (xor["x"].to_numpy() > 0) == (xor["y"].to_numpy() > 0)
    assert (alike == (xor["signs"] == "alike").to_numpy()).mean() > 0.99
    assert whole(locate("example:breast-cancer"))["diagnosis"].n_unique() == 2
    with pytest.raises(SourceError, match="Did you mean 'digits'"):
        locate("example:digit")
