"""A model of a table as wide as is allowed can be loaded again, in a time that grows with its width alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import instar
from instar import folder as model_folder
from instar.errors import ColumnError, ModelError
from instar.folder import (
    DECLARATION,
    MAXIMUM_DECLARATION_BYTES,
    MAXIMUM_HEADER_BYTES,
    TENSORS,
    TensorFile,
    TensorHeader,
    check_columns_fit,
    field_prefix,
    read_declaration,
    read_headers,
    write_model,
)


def columns(count: int) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Declarations and arrays as those of ``count`` columns of numbers."""
    names = [f"column {number}/{number % 7}" for number in range(count)]
    arrays = {"center": np.zeros(1), "factor": np.ones(1), "flagged": np.zeros(0, np.int64)}
    shapes = {key: {"type": TensorHeader.of(value).type, "shape": value.shape} for key, value in arrays.items()}
    declared = [
        {"name": name, "kind": "number", "plan": {}, "state": {"role": "input"}, "arrays": shapes} for name in names
    ]
    return declared, {field_prefix(name) + key: value for name in names for key, value in arrays.items()}


def test_the_tensors_of_thousands_of_columns_are_read(tmp_path: Path) -> None:
    # Looking through all of them for each column would take minutes.
    declared, tensors = columns(20_000)
    check_columns_fit(declared, tensors)
    write_model(tmp_path, {"inputs": declared}, tensors)
    file = TensorFile(tmp_path, read_declaration(tmp_path))
    for each in declared:
        expected = {name: TensorHeader(shape["type"], shape["shape"]) for name, shape in each["arrays"].items()}
        assert file.read(field_prefix(each["name"]), expected)["factor"] == 1
    file.check_read()


def test_whatever_is_found_to_fit_is_within_the_bounds_of_reading(tmp_path: Path) -> None:
    count = 1000
    while True:
        declared, tensors = columns(count)
        try:
            check_columns_fit(declared, tensors)
        except ColumnError as failure:
            assert "could not be loaded again" in str(failure) and "--exclude" in str(failure)
            break
        write_model(tmp_path, {"inputs": declared}, tensors)
        assert (tmp_path / DECLARATION).stat().st_size <= MAXIMUM_DECLARATION_BYTES
        assert int.from_bytes((tmp_path / TENSORS).read_bytes()[:8], "little") <= MAXIMUM_HEADER_BYTES
        assert len(read_headers(tmp_path)) == len(tensors)
        count *= 3
    assert count > 20_000


def test_a_table_that_is_too_wide_is_refused_before_it_is_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_folder, "MAXIMUM_TENSORS", 12)
    generator = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{number}": generator.normal(size=40) for number in range(5)} | {"y": ["a", "b"] * 20})
    with pytest.raises(ColumnError, match="could not be loaded again"):
        instar.train(frame, "y", out=tmp_path / "model", rivals=False)
    assert not (tmp_path / "model").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", [DECLARATION, TENSORS])
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    declared, tensors = columns(2)
    write_model(tmp_path, {"inputs": declared}, tensors)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(ModelError):
        TensorFile(tmp_path, read_declaration(tmp_path))
    with pytest.raises(ModelError):
        instar.load(tmp_path)
