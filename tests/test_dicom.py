"""Folders of DICOM slices: one example each, put in order by their places, incomplete and mixed ones named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from instar.errors import ColumnError, SourceError
from instar.fields import Arrays, kinds
from instar.fields.digest import digest
from instar.sources import FileColumn, FileReference
from instar.sources.locate import locate

VOLUME = kinds["volume"]
PLAN = {
    "channels": 1,
    "extent": [9, 10, 12],
    "spacing": [2.5, 1.0, 1.0],
    "measured": True,
    "own_side": 12,
    "largest_side": 12,
    "maximum_voxels": 1 << 27,
}
SERIES = generate_uid(entropy_srcs=["series"])


def body() -> np.ndarray:
    """int16 (slices, rows, columns): places from feet to head, from front to back, from right to left."""
    return np.random.default_rng(1).integers(0, 1_000, (9, 10, 12)).astype(np.int16)


def slice_of(pixels: np.ndarray, number: int, **fields: object) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.SeriesInstanceUID = SERIES
    found.Rows, found.Columns = pixels.shape
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated = found.BitsStored = 16
    found.HighBit, found.PixelRepresentation = 15, 1
    found.PixelSpacing = [1.0, 1.0]
    found.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    found.ImagePositionPatient = [-20, -30, 2.5 * number]
    found.RescaleSlope, found.RescaleIntercept = 1, -1_000
    found.PixelData = pixels.astype("<i2").tobytes()
    for name, value in fields.items():
        if value is None:
            delattr(found, name)
        else:
            setattr(found, name, value)
    return found


def write(folder: Path, slices: list[FileDataset], suffix: str = ".dcm") -> Path:
    """The slices in an order of names that is not that of their places."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in np.random.default_rng(0).permutation(len(slices)):
        slices[number].save_as(folder / f"{(7 * number) % 23:03}{suffix}", enforce_file_format=True)
    return folder


def whole(**fields: object) -> list[FileDataset]:
    return [slice_of(pixels, number, **fields) for number, pixels in enumerate(body())]


def column(*folders: Path) -> FileColumn:
    return FileColumn([FileReference(folder.name, path=folder) for folder in folders])


def read(*folders: Path) -> Arrays:
    return VOLUME.read(column(*folders), PLAN)


def expected() -> np.ndarray:
    """DICOM's rows lead to the back and its columns to the left; the house's to the front and to the right."""
    return body()[:, ::-1, ::-1].astype(np.float32) - 1_000


@pytest.mark.parametrize("suffix", [".dcm", ".IMA", "", ".0001"])
def test_a_folder_of_slices_is_one_volume(tmp_path, suffix):
    folder = write(tmp_path / "scan", whole(), suffix)
    (folder / "readme.txt").write_text("the scanner's notes")
    (folder / ".hidden").write_bytes(b"")
    plan = VOLUME.survey(column(folder), VOLUME.settings())
    assert plan == PLAN
    arrays = read(folder)
    assert not arrays.problems
    assert np.array_equal(arrays.values[0, 0], expected())
    assert np.array_equal(arrays.digests, digest(column(folder)))


def test_it_reads_as_the_same_body_in_nifti_does(tmp_path):
    folder = write(tmp_path / "scan", whole())
    affine = np.diag([-1.0, -1.0, 2.5, 1.0])
    affine[:3, 3] = [20, 30, 0]
    image = nibabel.Nifti1Image(body().transpose(2, 1, 0).astype(np.int16) - np.int16(1_000), affine)
    path = tmp_path / "scan.nii.gz"
    image.to_filename(path)
    both = FileColumn([*column(folder).files, FileReference("scan.nii.gz", path=path)])
    one, other = VOLUME.read(both, VOLUME.survey(both, VOLUME.settings())).values
    assert np.array_equal(one, other)


def test_slices_from_the_side_are_turned(tmp_path):
    # Sagittal: rows lead to the feet, columns to the back, slices from right to left.
    pixels = body()
    slices = [
        slice_of(plane, number, ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=[2.5 * number, 0, 0])
        for number, plane in enumerate(pixels)
    ]
    arrays = VOLUME.read(
        column(write(tmp_path / "scan", slices)), {**PLAN, "extent": [10, 12, 9], "spacing": [1, 1, 2.5]}
    )
    assert not arrays.problems
    assert np.array_equal(arrays.values[0, 0], pixels.transpose(1, 2, 0)[::-1, ::-1, ::-1].astype(np.float32) - 1_000)


def test_names_do_not_matter_to_the_digest_and_content_does(tmp_path):
    one, other = write(tmp_path / "one", whole()), write(tmp_path / "other", whole(), ".ima")
    changed = write(tmp_path / "changed", whole(RescaleIntercept=0))
    same, equal, different = digest(column(one, other, changed))
    assert same == equal != different


def without(*numbers: int) -> list[FileDataset]:
    return [each for number, each in enumerate(whole()) if number not in numbers]


def one_with(**fields: object) -> list[FileDataset]:
    slices = whole()
    slices[4] = slice_of(body()[4], 4, **fields)
    return slices


@pytest.mark.parametrize(
    ("slices", "reason"),
    [
        (lambda: without(4), "misses 1 of its slices: they are 2.5 mm apart, and once 5 mm"),
        (lambda: without(3, 4, 6), "misses 3 of its slices"),
        (lambda: without(*range(1, 9)), "holds a single slice"),
        (lambda: one_with(SeriesInstanceUID=generate_uid()), "mixes 2 series"),
        (lambda: one_with(ImagePositionPatient=[-20, -30, 2.5]), "has several slices at one place"),
        (lambda: one_with(ImagePositionPatient=None), "do not tell their place"),
        (lambda: one_with(PixelSpacing=None), "do not tell their pixel size"),
        (lambda: one_with(ImageOrientationPatient=[0, 1, 0, 1, 0, 0]), "differ in their orientation"),
        (lambda: whole(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "not at right angles"),
        (lambda: whole(PixelSpacing=[0, 1]), "which cannot be"),
        (lambda: one_with(Rows=5), "differ in their size"),
        (lambda: one_with(PixelData=b"\0\0"), "has a slice that cannot be decoded"),
        (lambda: one_with(SamplesPerPixel=3), "holds a picture in colors"),
        (lambda: one_with(NumberOfFrames=5), "holds several slices in one file"),
    ],
)
def test_what_is_no_whole_scan_is_named(tmp_path, slices, reason):
    good, bad = write(tmp_path / "good", whole()), write(tmp_path / "bad", slices())
    arrays = read(good, bad)
    assert arrays.present.tolist() == [True, False]
    (problem,) = arrays.problems
    assert problem.reason.startswith("bad ") and reason in problem.reason


def test_damaged_files_in_a_folder_are_named(tmp_path):
    for name, content, reason in (
        ("empty.dcm", b"", "holds an empty file"),
        ("other.dcm", b"no DICOM" * 100, "holds a file that is not in DICOM's format"),
    ):
        folder = write(tmp_path / name.split(".")[0], whole())
        (folder / name).write_bytes(content)
        assert reason in read(folder).problems[0].reason


def test_what_could_unpack_to_anything_is_refused_unread(tmp_path):
    slices = whole()
    slices[3].file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert "packed as a whole (deflated)" in read(write(tmp_path / "scan", slices)).problems[0].reason
    large = VOLUME.read(column(write(tmp_path / "large", whole())), {**PLAN, "maximum_voxels": 100})
    assert "announces 1,080 voxels, more than the 100 of maximum_voxels" in large.problems[0].reason


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    folder = write(tmp_path / "scan", whole())
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for ask in (lambda: read(folder), lambda: VOLUME.survey(column(folder), VOLUME.settings())):
        with pytest.raises(ColumnError, match=r"pydicom, which is not installed.*instar\[dicom\]"):
            ask()


# Where they lie


def test_folders_of_slices_lie_in_the_folder_of_their_class(tmp_path):
    for name in ("a/one", "a/two", "b/three"):
        write(tmp_path / name, whole())
    source = locate(tmp_path)
    (chunk,) = source.chunks()
    assert [file.name for file in chunk.columns["file"].files] == ["a/one", "a/two", "b/three"]
    assert chunk.columns["class"].to_list() == ["a", "a", "b"]
    assert VOLUME.sniff(chunk.columns["file"]) > 0.9
    before = source.fingerprint()
    path = next((tmp_path / "a/one").iterdir())
    path.write_bytes(path.read_bytes() + b"\0\0")
    assert locate(tmp_path).fingerprint() != before, "a slice that changes in place changes the source"


def test_folders_of_slices_without_a_class_are_examples_and_one_alone_is_too(tmp_path):
    one, two = write(tmp_path / "one", whole()), write(tmp_path / "two", whole())
    source = locate(tmp_path)
    assert source.schema().columns == ("file",) and source.schema().rows == 2
    assert [file.path for file in next(iter(locate(one).chunks())).columns["file"].files] == [one]
    both = next(iter(locate([str(one), str(two)]).chunks()))
    assert VOLUME.read(both.columns["file"], PLAN).present.all()
    with pytest.raises(SourceError, match="This is no file"):
        locate([str(tmp_path)])


def test_a_slice_among_other_scans_makes_their_folder_no_example(tmp_path):
    for number in range(3):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"{number}.nii.gz").write_bytes(b"")
    write(tmp_path / "a", whole()[:1])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "4.nii").write_bytes(b"")
    (chunk,) = locate(tmp_path).chunks()
    assert chunk.columns["class"].to_list() == ["a"] * 4 + ["b"]


def test_cells_of_a_table_name_folders_of_slices_inside_its_own(tmp_path):
    write(tmp_path / "scans/one", whole())
    outside = write(tmp_path / "outside", whole())
    table = tmp_path / "scans/table.csv"
    pl.DataFrame({"scan": ["one", None], "age": [50, 60]}).write_csv(table)
    (chunk,) = locate(table).chunks()
    assert chunk.columns["scan"].files[0].is_folder
    (tmp_path / "scans/linked").mkdir()
    (tmp_path / "scans/linked/000.dcm").symlink_to(outside / "000.dcm")
    pl.DataFrame({"scan": ["one", "linked"], "age": [50, 60]}).write_csv(table)
    with pytest.raises(SourceError, match="lies outside"):
        list(locate(table).chunks())


def test_reading_pictures_of_a_folder_of_slices_is_a_problem_and_no_crash(tmp_path):
    folder = write(tmp_path / "scan", whole())
    plan = {"height": 8, "width": 8, "channels": 1, "maximum_pixels": 100, "levels": None, "fractions": False}
    assert len(kinds["image"].read(column(folder), plan).problems) == 1


def test_pydicom_is_imported_only_for_folders_of_slices():
    code = (
        "import sys; from instar.fields import kinds; list(kinds); assert not {'pydicom', 'nibabel'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert pydicom.__version__
