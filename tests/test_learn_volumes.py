"""Scans from a folder to a network that tells them apart, and a report that shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np

import instar

# The exam is of other scans, so one training is enough.
QUICK = {"seed": 0, "epochs": 8, "width": 8, "batch": 16, "test_share": 0, "relearn_below": 0}


def scan(generator: np.random.Generator, ball: bool) -> np.ndarray:
    """A ball or a cube of equal volume, somewhere in noise: float32 (12, 12, 12)."""
    places = np.indices((12, 12, 12)) - generator.uniform(5, 7, (3, 1, 1, 1))
    inside = np.sqrt((places**2).sum(0)) < 3.7 if ball else np.abs(places).max(0) < 3.0
    return (inside + generator.normal(0, 0.2, inside.shape)).astype(np.float32)


def write(folder: Path, count: int, seed: int) -> Path:
    generator = np.random.default_rng(seed)
    for number in range(count):
        name = "ball" if number % 2 else "cube"
        (folder / name).mkdir(parents=True, exist_ok=True)
        # As two scanners write them: from other sides, in other units.
        affine = np.diag([*generator.choice([-2.0, 2.0], 3), 1.0])
        voxels = scan(generator, number % 2 == 1) * generator.choice([1.0, 50.0])
        nibabel.Nifti1Image(voxels.astype(np.float32), affine).to_filename(folder / name / f"{number}.nii.gz")
    return folder


def test_balls_are_told_from_cubes_in_a_folder_of_scans(tmp_path: Path) -> None:
    learned, asked = write(tmp_path / "scans", 200, 0), write(tmp_path / "more", 60, 1)
    (learned / "ball" / "broken.nii.gz").write_bytes(b"\x1f\x8bbroken")
    model = instar.train(learned, out=tmp_path / "run", rivals=False, **QUICK)
    (field,) = model.inputs
    assert field.kind == "volume" and "2 mm" in field.describe()
    assert any("cannot be read" in each and "broken.nii.gz" in each for each in model.report.findings)
    assert model.evaluate(asked).metrics["accuracy"].value >= 0.9
    one = sorted((asked / "ball").iterdir())[0]
    assert model.predict([one])["prediction"].to_list() == model.predict(str(one))["prediction"].to_list()
    # A ball among the cubes is a mistake, and the page shows its slices.
    shutil.copy(one, asked / "cube" / "ball.nii.gz")
    model.evaluate(asked).write_html(tmp_path / "page.html")
    assert "data:image/png;base64" in (tmp_path / "page.html").read_text()
