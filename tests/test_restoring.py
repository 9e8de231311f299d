"""Learning to restore: the input is made of the target."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import instar
from instar.errors import ColumnError, UsageError
from instar.restoring import spoil, to_restore
from instar.sources.locate import locate


@pytest.fixture
def photos(tmp_path):
    """Reds are bright and blues are dark, so that gray tells the color."""
    folder = tmp_path / "photos"
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
    generator = np.random.default_rng(0)
    for row in range(80):
        blocks = np.repeat(np.repeat(generator.integers(0, 2, (4, 4, 1)), 4, 0), 4, 1)
        picture = np.where(blocks, [250, 120, 110], [10, 20, 120]) + generator.integers(-8, 8, (16, 16, 3))
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(
            folder / ("test" if row % 4 == 0 else "train") / f"{row:02}.png"
        )
    return folder


def opened(file):
    return np.asarray(Image.open(BytesIO(file.read())))


def test_the_pictures_come_a_second_time_without_what_is_to_be_restored(photos):
    source = to_restore(locate(photos), "color", ())
    assert source.schema().columns == ("gray", "file", "split") and source.schema().target == "file"
    (chunk,) = source.chunks()
    gray, color = (opened(chunk.columns[name].files[3]) for name in ("gray", "file"))
    assert gray.shape == (16, 16) and color.shape == (16, 16, 3)
    assert np.abs(gray - color @ [0.299, 0.587, 0.114]).max() <= 0.5 + 1e-9
    assert to_restore(locate(photos), "none", ()).schema().columns == ("file", "split")
    assert source.fingerprint() != locate(photos).fingerprint()


def test_noise_and_lost_detail_are_the_same_every_time():
    picture = np.random.default_rng(1).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    noisy = spoil(picture, "clarity", b"content")
    assert np.array_equal(noisy, spoil(picture, "clarity", b"content"))
    assert not np.array_equal(noisy, spoil(picture, "clarity", b"other"))
    assert 15 < np.std(noisy.astype(float) - picture) < 26
    coarse = spoil(picture, "detail", b"")
    assert coarse.shape == picture.shape and coarse.std() < picture.std() / 2


def test_it_must_be_clear_whose_pictures_are_meant(photos, tmp_path):
    table = photos / "all.csv"
    table.write_text("photo,gray\ntest/00.png,1\ntrain/01.png,2\n")
    with pytest.raises(UsageError, match=r"which column's pictures.*--target"):
        to_restore(locate(table), "color", ())
    with pytest.raises(ColumnError, match="a column 'gray' already"):
        to_restore(locate(table), "color", ("photo",))
    assert to_restore(locate(table), "detail", ("photo",)).schema().columns == ("coarse", "photo", "gray")
    words = to_restore(locate({"word": ["a", "b"]}), "color", ("word",))
    with pytest.raises(ColumnError, match="no pictures that can be restored"):
        list(words.chunks())


def test_colors_are_learned_and_given_to_gray_photos(photos, tmp_path):
    model = instar.train(
        photos, restore="color", out=tmp_path / "run", epochs=8, width=6, batch=8, rivals=False, threads=1
    )
    assert [each.name for each in model.inputs] == ["gray"]
    assert model.report.metrics["psnr"]["value"] > 11
    old = tmp_path / "old.png"
    Image.open(photos / "train" / "07.png").convert("L").resize((40, 24)).save(old)
    (answer,) = model.predict([old], out=tmp_path / "answers")["prediction"]
    with Image.open(answer) as colored, Image.open(photos / "train" / "07.png") as truth:
        assert colored.size == (40, 24) and colored.mode == "RGB"
        small = np.asarray(colored.resize((16, 16))).astype(float)
        assert np.abs(small - np.asarray(truth)).mean() < 60
