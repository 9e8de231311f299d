"""Masks and maps learned from scans, from files to files that lie on the scans."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch

import instar
from instar.errors import ContentError
from instar.fields._looking import seen_at
from instar.prepared import Examples
from instar.sources.locate import locate
from instar.store import Store, StorePlan

ROWS, SIDE = 60, 10
QUICK = {"epochs": 8, "width": 8, "batch": 4, "rivals": False, "threads": 1, "rate": 0.01, "relearn_below": 0}


def part_of(row):
    return ("test", "train", "validation", "test", "train", "train")[row % 6]


def save(path, voxels, affine):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(voxels, affine).to_filename(path)
    return path


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A dim and a bright ball in noise; masks that tell them apart, and maps of their brightness without the noise."""
    folder, generator = tmp_path_factory.mktemp("scans"), np.random.default_rng(0)
    for row in range(ROWS):
        grid = np.indices((SIDE, SIDE, SIDE))
        levels = np.zeros((SIDE,) * 3)
        for level in (1, 2):
            middle = generator.uniform(3, 7, (3, 1, 1, 1))
            levels[((grid - middle) ** 2).sum(0) < generator.uniform(2.5, 3.5) ** 2] = level
        affine = np.diag([*generator.choice([-2.0, 2.0], 3), 1.0])
        affine[:3, 3] = generator.uniform(-40, 40, 3)
        part, name = part_of(row), f"{row:03}"
        seen = levels + generator.normal(0, 0.2, levels.shape)
        save(folder / part / "images" / f"{name}.nii.gz", seen.astype(np.float32), affine)
        save(folder / part / "masks" / f"{name}.nii", levels.astype(np.float64) * 3, affine)
        save(folder / part / "maps" / f"{name}.nii.gz", (levels / 2).astype(np.float32), affine)
    return folder


def beside(scans, tmp_path, *names):
    """The same folders, but only some of them."""
    for part in ("train", "validation", "test"):
        (tmp_path / part).mkdir()
        for name in names:
            (tmp_path / part / name).symlink_to(scans / part / name)
    return tmp_path


@pytest.fixture(scope="module")
def model(scans, tmp_path_factory):
    folder = beside(scans, tmp_path_factory.mktemp("some"), "images", "masks")
    return instar.train(
        folder, out=tmp_path_factory.mktemp("m") / "run", **{**QUICK, "epochs": 20, "schedule": "constant"}
    )


def test_masks_in_scans_are_learned_from_folders_side_by_side(model):
    (scan,), (mask,) = model.inputs, model.targets
    assert (scan.kind, mask.kind) == ("volume", "mask") and mask.classes == ["0", "3", "6"]
    assert mask.answer.extent == scan.shape.extent == (SIDE,) * 3
    assert model.report.metrics["mean_dice"]["value"] > 0.8
    assert (model.folder / "report.html").read_text().count("<figcaption>truth</figcaption>") > 12


def test_an_answer_lies_on_its_scan_under_its_name(model, scans, tmp_path):
    whole = scans / "test" / "images"
    frame = instar.load(model.folder).predict(whole, out=tmp_path / "answers")
    assert len(frame) == ROWS // 3
    right = []
    for path in frame["prediction"]:
        name = path.rsplit("/", 1)[1]
        answer, scan = nibabel.load(path), nibabel.load(whole / name)
        truth = nibabel.load(scans / "test" / "masks" / name.removesuffix(".gz"))
        assert answer.shape == scan.shape and np.allclose(answer.affine, scan.affine, atol=1e-4)
        right.append((np.asarray(answer.dataobj) == np.asarray(truth.dataobj)).mean())
    assert min(right) > 0.9 and np.mean(right) > 0.96


def test_a_scan_of_another_size_is_answered_at_its_own(model, tmp_path):
    affine = np.diag([1.0, -1.0, 1.5, 1.0])
    voxels = np.random.default_rng(0).normal(0, 0.2, (30, 22, 15)).astype(np.float32)
    path = save(tmp_path / "other.v2.nii.gz", voxels, affine)
    (answer,) = model.predict([path], out=tmp_path / "answers")["prediction"]
    assert answer.endswith("/other.v2.nii.gz")
    assert nibabel.load(answer).shape == voxels.shape and np.allclose(nibabel.load(answer).affine, affine)


def test_masks_that_lie_elsewhere_are_named_and_too_many_stop_the_run(scans, tmp_path):
    table = tmp_path / "table.csv"
    lines = ["scan,mask"]
    for path in sorted((scans / "train" / "images").iterdir())[:20]:
        mask = nibabel.load(scans / "train" / "masks" / path.name.removesuffix(".gz"))
        save(tmp_path / "flat" / path.name, np.asarray(mask.dataobj), np.eye(4))
        lines.append(f"{path},flat/{path.name}")
    table.write_text("\n".join(lines))
    with pytest.raises(ContentError, match=r"20 of 20 values cannot be read as mask.*lies elsewhere than.*affine"):
        instar.train(table, "mask", out=tmp_path / "run", allow_outside=True, **QUICK)


def test_a_map_of_numbers_is_learned_and_written_as_one(scans, tmp_path):
    (tmp_path / "in").mkdir()
    folder = beside(scans, tmp_path / "in", "images", "maps")
    model = instar.train(folder, "maps", out=tmp_path / "run", **{**QUICK, "epochs": 4})
    assert [each.kind for each in model.targets] == ["volume"] and model.report.metrics["psnr"]["value"] > 15
    (path,) = model.predict([scans / "test" / "images" / "000.nii.gz"], out=tmp_path / "answers")["prediction"]
    answer, truth = nibabel.load(path), nibabel.load(scans / "test" / "maps" / "000.nii.gz")
    assert answer.get_data_dtype() == np.float32 and np.allclose(answer.affine, truth.affine, atol=1e-4)
    assert np.corrcoef(answer.get_fdata().ravel(), truth.get_fdata().ravel())[0, 1] > 0.8


def test_scans_of_one_place_are_channels_together_and_are_moved_as_their_mask(tmp_path):
    """What is to be told is where either of two scans is bright but not both, which needs them cell by cell."""
    generator = np.random.default_rng(3)
    blocks = generator.integers(0, 2, (2, ROWS, 4, 4, 4)).repeat(2, 2).repeat(2, 3).repeat(2, 4)
    one, other = (blocks + generator.normal(0, 0.1, blocks.shape)).astype(np.float32)
    hint = (generator.random((ROWS, 8, 8, 8)) < 0.5).astype(np.uint8)
    source = {"one": one, "other": other, "hint": hint, "odd": (blocks[0] != blocks[1]).astype(np.uint8)}
    source["split"] = [part_of(row) for row in range(ROWS)]
    kinds = ["one=volume", "other=volume", "hint=mask"]
    given = {**QUICK, "split": "split", "kind": kinds, "volume_shift": 0.25}
    model = instar.train(source, "odd", out=tmp_path / "run", **given)
    assert model.network.plan.mapped == "one" and len(model.network.parts) == 1
    assert model.report.metrics["mean_dice"]["value"] > 0.9
    store = Store.build(
        locate(source), StorePlan({name: model.plans[name] for name in ("one", "other", "hint", "odd")})
    )
    examples = Examples(store, model.inputs, model.targets)
    batch = examples.take(np.arange(ROWS))
    varied = examples.augment(batch, 4)
    same = (varied.inputs["grid/one"] > 0) != (varied.inputs["grid/other"] > 0)
    assert (same[:, 0] == (varied.targets["odd"] == 1)).float().mean() > 0.99
    motion = model.inputs[0].motion(ROWS, torch.Generator().manual_seed(4))
    assert np.array_equal(varied.inputs["grid/hint"], seen_at(batch.inputs["grid/hint"], motion))
