"""Masks: read from any file that can hold one, told from pictures, and written as they were."""

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from instar.errors import ColumnError
from instar.fields import Frame, kinds
from instar.shapes import NO_CLASS, STRANGE_CLASS
from instar.sources import FileColumn, FileReference

MASK = kinds["mask"]


def file_of(image, name="m.png", style="PNG"):
    stream = BytesIO()
    image.save(stream, style)
    return FileReference(name, content=stream.getvalue())


def cells(seed=0, shape=(12, 16), classes=3):
    coarse = np.random.default_rng(seed).integers(0, classes, (shape[0] // 4, shape[1] // 4))
    return np.repeat(np.repeat(coarse, 4, 0), 4, 1).astype(np.uint8)


def gray(values):
    return Image.fromarray(values)


def with_palette(values):
    image = Image.fromarray(values)
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    return image


def colored(values):
    table = np.array([[10, 20, 30], [255, 0, 0], [0, 128, 255]], np.uint8)
    return Image.fromarray(table[values])


def life(column, **settings):
    given = MASK.settings(**settings)
    plan = json.loads(json.dumps(MASK.survey(column, given)))
    arrays = MASK.read(column, plan)
    return MASK.fit("m", [arrays], plan, given, target=True), arrays, plan


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda values: gray(values * 127), ["0", "127", "254"]),
        (with_palette, ["0", "1", "2"]),
        (colored, ["#0080ff", "#0a141e", "#ff0000"]),
        (lambda values: Image.fromarray(values.astype(np.uint16) * 300), ["0", "300", "600"]),
        (lambda values: gray((values > 0).astype(np.uint8) * 255).convert("1"), ["0", "255"]),
    ],
    ids=["gray", "palette", "colors", "numbers", "one bit"],
)
def test_every_form_is_recognized_read_and_written_again(make, names):
    column = FileColumn([file_of(make(cells(row))) for row in range(9)])
    assert MASK.sniff(column, target=True) > kinds["image"].sniff(column, target=True)
    field, arrays, plan = life(column)
    assert field.classes == names and not arrays.problems
    for row in range(9):
        _, content = field.written(field.truth(arrays)[row], Frame((12, 16)))
        again = MASK.read(FileColumn([FileReference("again.png", content=content)]), plan)
        assert np.array_equal(again.values[0], arrays.values[row])


def test_pictures_are_no_masks_and_masks_no_pictures_where_an_answer_is_looked_for():
    generator = np.random.default_rng(0)
    photos = [Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)) for _ in range(8)]
    lossy = FileColumn([file_of(gray(cells(row)), "m.jpg", "JPEG") for row in range(8)])
    for column in (FileColumn([file_of(photo) for photo in photos]), lossy):
        assert MASK.sniff(column, target=True) == 0 < kinds["image"].sniff(column, target=True)
    masks = FileColumn([file_of(gray(cells(row) * 100)) for row in range(8)])
    assert MASK.sniff(masks) == 0 < kinds["image"].sniff(masks), "as an input it may well be a drawing"


def test_a_value_that_was_never_learned_is_strange_and_one_that_is_ignored_says_nothing():
    column = FileColumn([file_of(gray(cells(row, classes=2))) for row in range(4)])
    field, _, plan = life(column)
    other = cells(1, classes=2)
    other[:4] = 9
    truth = field.truth(MASK.read(FileColumn([file_of(gray(other))]), plan))
    assert (truth[0, :4] == STRANGE_CLASS).all() and (truth[0, 4:] < 2).all()
    ignoring, arrays, _ = life(column, mask_ignore=1)
    assert ignoring.classes == ["0"]
    assert np.array_equal(ignoring.truth(arrays) == NO_CLASS, arrays.values == 1)
    assert sum(ignoring.answer.counts) == (arrays.values == 0).sum()


def test_a_mask_is_shrunk_without_values_that_were_not_there_and_grown_again():
    large = np.repeat(np.repeat(cells(2), 12, 0), 12, 1)
    column = FileColumn([file_of(gray(large * 100))])
    field, arrays, plan = life(column, image_size=16)
    assert tuple(plan["extent"]) == (12, 16) and set(np.unique(arrays.values)) <= {0, 100, 200}
    _, content = field.written(field.truth(arrays)[0], Frame(large.shape))
    again = np.asarray(Image.open(BytesIO(content)))
    assert again.shape == large.shape and (again == large * 100).mean() > 0.9
    assert [each.extent for each in MASK.frames(column)] == [large.shape]


def test_arrays_of_one_two_and_three_axes_are_masks():
    generator = np.random.default_rng(0)
    for extent in ((9,), (8, 9), (4, 5, 6)):
        values = generator.integers(0, 4, (7, *extent))
        field, arrays, _ = life(values)
        assert field.answer.extent == extent and np.array_equal(field.truth(arrays), values)
        assert field.draw(field.truth(arrays)[0])
        suffix, content = field.written(field.truth(arrays)[0], Frame(extent))
        again = np.load(BytesIO(content)) if suffix == ".npy" else np.asarray(Image.open(BytesIO(content)))
        assert np.array_equal(again, values[0])


def test_what_cannot_be_a_mask_is_refused_in_words():
    shades = FileColumn([file_of(Image.fromarray(np.arange(256 * 3, dtype=np.uint16).reshape(24, 32)))])
    with pytest.raises(ColumnError, match=r"768 different values.*--kind m=image"):
        life(shades)
    with pytest.raises(ColumnError, match="arrays of whole numbers"):
        MASK.survey(np.zeros((3, 4, 5)), MASK.settings())
    with pytest.raises(ColumnError, match="None of the masks"):
        MASK.survey(FileColumn([FileReference("x.png", content=b"no picture")]), MASK.settings())
    column = FileColumn([file_of(gray(cells())), file_of(colored(cells()), "colors.png"), None])
    _, _, plan = life(FileColumn([file_of(gray(cells()))]))
    arrays = MASK.read(column, plan)
    assert arrays.present.tolist() == [True, False, False]
    assert "colors.png" in arrays.problems[0].reason and "mode RGB" in arrays.problems[0].reason


def test_files_of_8_and_16_bits_are_numbers_together():
    small, large = cells(1) * 100, cells(2).astype(np.uint16) * 400
    column = FileColumn([file_of(gray(small)), file_of(Image.fromarray(large))])
    field, arrays, _ = life(column)
    assert set(field.classes) == {"0", "100", "200", "400", "800"}
    assert np.array_equal(arrays.values[1], large)


def test_whole_numbers_beyond_32_bits_are_refused():
    wide = cells()[None].astype(np.int64) * (2**32 + 1)
    with pytest.raises(ColumnError, match="32 bits"):
        life(wide)
