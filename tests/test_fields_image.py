"""Pictures: every mode and format put right, the size chosen from the data, and damaged files named, never raised."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from instar.errors import ColumnError
from instar.fields import Arrays, Field, kinds
from instar.fields.digest import MISSING, digest, digest_bytes
from instar.fields.image import ImageSettings
from instar.sources import Column, FileColumn, FileReference

IMAGE = kinds["image"]
PLAN = {"height": 16, "width": 16, "channels": 3, "maximum_pixels": 10**6, "levels": None, "fractions": False}


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def noise(width: int = 16, height: int = 16, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def halves(mode: str, left: object, right: object, size: int = 64) -> Image.Image:
    picture = Image.new(mode, (size, size), left)
    picture.paste(right, (size // 2, 0, size, size))
    return picture


def files(*contents: bytes | None) -> FileColumn:
    return FileColumn(
        [None if each is None else FileReference(f"{row}.png", content=each) for row, each in enumerate(contents)]
    )


def read_one(content: bytes, **plan: object) -> np.ndarray:
    arrays = IMAGE.read(files(content), {**PLAN, **plan})
    assert not arrays.problems and arrays.present.all()
    return arrays.values[0]


def survey(column: Column, **given_settings: object) -> dict:
    return IMAGE.survey(column, ImageSettings(**given_settings))


def fit(column: Column, **given_settings: object) -> tuple[Field, Arrays]:
    chosen = ImageSettings(**given_settings)
    plan = IMAGE.survey(column, chosen)
    arrays = IMAGE.read(column, plan)
    return IMAGE.fit("photo", [arrays], plan, chosen, target=False), arrays


def bomb(width: int, height: int) -> bytes:
    """A PNG that declares a huge picture, and holds nothing."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG", "PPM", "ICO", "TGA"])
def test_every_format_is_read(form):
    picture = halves("RGB", (250, 10, 10), (10, 10, 250), size=32)
    values = read_one(encoded(picture, form), height=8, width=8).astype(int)
    assert np.abs(values[:, 1] - (250, 10, 10)).max() < 12
    assert np.abs(values[:, 6] - (10, 10, 250)).max() < 12


@pytest.mark.parametrize(
    ("mode", "dark", "light", "form"),
    [
        ("L", 0, 255, "PNG"),
        ("1", 0, 1, "PNG"),
        ("RGB", (0, 0, 0), (255, 255, 255), "JPEG"),
        ("RGBA", (0, 0, 0, 255), (255, 255, 255, 255), "PNG"),
        ("RGBA", (0, 0, 0, 255), (9, 9, 9, 0), "PNG"),
        ("LA", (0, 255), (9, 0), "PNG"),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0, 0), "JPEG"),
        ("I;16", 0, 65535, "PNG"),
        ("I;16", 0, 65535, "TIFF"),
        ("F", 0.0, 1.0, "TIFF"),
        ("F", 0.0, 255.0, "TIFF"),
    ],
)
def test_every_mode_is_dark_on_the_left_and_light_or_white_paper_on_the_right(mode, dark, light, form):
    content = encoded(halves(mode, dark, light), form)
    for channels in (1, 3):
        values = read_one(content, channels=channels)
        assert values.shape == (16, 16, channels)
        assert values[:, :7].max() <= 3 and values[:, 9:].min() >= 252


def test_palettes_have_their_colors_and_their_transparent_place():
    picture = halves("RGB", (200, 30, 30), (30, 30, 200)).quantize(4)
    assert np.abs(read_one(encoded(picture))[8, 2].astype(int) - (200, 30, 30)).max() < 6
    clear = Image.new("P", (8, 8), 0)
    clear.putpalette([10, 20, 30])
    content = encoded(clear, "GIF", transparency=0)
    assert (read_one(content) == 255).all()
    assert (read_one(content, channels=4)[..., 3] == 0).all()


def test_transparency_is_a_channel_where_it_is_asked_for():
    values = read_one(encoded(halves("RGBA", (255, 0, 0, 255), (0, 255, 0, 0))), channels=4)
    assert values[8, 2].tolist() == [255, 0, 0, 255] and values[8, 14, 3] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation):
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :32] = 255
    back = {
        1: lambda each: each,
        2: np.fliplr,
        3: lambda each: np.rot90(each, 2),
        4: np.flipud,
        5: lambda each: each.transpose(1, 0, 2),
        6: np.rot90,
        7: lambda each: np.rot90(each, 2).transpose(1, 0, 2),
        8: lambda each: np.rot90(each, -1),
    }[orientation]
    picture = Image.fromarray(np.ascontiguousarray(back(upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    column = files(encoded(picture, "JPEG", exif=exif, quality=95))
    plan = survey(column)
    assert (plan["height"], plan["width"]) == (32, 64)
    values = IMAGE.read(column, {**plan, "channels": 3}).values[0].astype(int)
    assert np.abs(values - upright).max() < 30


def test_a_picture_of_one_pixel_is_read_like_any_other():
    assert (read_one(encoded(Image.new("RGB", (1, 1), (1, 2, 3)))) == (1, 2, 3)).all()
    assert survey(files(encoded(Image.new("RGB", (1, 1), (1, 2, 3)))))["height"] == 1


def test_reading_shrinks_by_averages_and_not_by_picking():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    values = read_one(encoded(Image.fromarray(stripes)), height=8, width=8)
    assert np.abs(values[:, 1:-1].astype(int) - 127).max() < 8


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is an empty file"),
        (b"dear diary", "is no picture"),
        (encoded(noise(64, 64), "JPEG")[:900], "is a damaged picture"),
        (encoded(noise(64, 64))[:2000], "is a damaged picture"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 30, "is"),
        (bomb(60_000, 60_000), "has 60,000 x 60,000 pixels, more than the 1,000,000 of maximum_pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "is no picture"),
    ],
    ids=["empty", "text", "truncated jpeg", "truncated png", "nonsense", "bomb", "postscript"],
)
def test_what_cannot_be_read_is_absent_and_named(content, reason):
    filters = list(warnings.filters)
    arrays = IMAGE.read(files(encoded(noise()), content, None, encoded(noise())), PLAN)
    assert [each.row for each in arrays.problems] == [1]
    assert arrays.problems[0].reason.startswith("1.png ") and reason in arrays.problems[0].reason
    assert arrays.present.tolist() == [True, False, False, True]
    assert arrays.digests.tolist()[1:3] == [digest_bytes(content), int(MISSING)]
    assert warnings.filters == filters


def test_a_missing_file_is_named(tmp_path):
    column = FileColumn([FileReference("cat.jpg", path=tmp_path / "cat.jpg"), FileReference("folder", path=tmp_path)])
    arrays = IMAGE.read(column, PLAN)
    assert "cat.jpg" in arrays.problems[0].reason and len(arrays.problems) == 2
    assert arrays.digests.tolist() == [int(MISSING)] * 2


@given(some.integers(0, 10**9), some.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
@settings(deadline=None)
def test_damaged_files_never_raise(seed, form):
    generator = np.random.default_rng(seed)
    content = bytearray(encoded(noise(20, 12), form))
    for place in generator.integers(0, len(content), 5):
        content[place] = generator.integers(0, 256)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoders warn of what they still can read
        arrays = IMAGE.read(files(bytes(content)), PLAN)
    assert len(arrays.problems) == (not arrays.present[0])


def test_digests_are_those_of_the_content():
    column = files(encoded(noise()), None, encoded(noise(8, 8)))
    assert np.array_equal(IMAGE.read(column, PLAN).digests, digest(column))
    pictures = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), dtype=np.uint8)
    assert np.array_equal(IMAGE.read(pictures, PLAN).digests, digest(pictures))


@pytest.mark.parametrize(
    ("sizes", "setting", "extent"),
    [
        ([(64, 64)] * 3, None, (64, 64)),
        ([(28, 28)], None, (28, 28)),
        ([(75, 90)], None, (90, 75)),
        ([(256, 256)] * 3, None, (96, 96)),
        ([(640, 480), (1280, 960)], None, (72, 96)),
        ([(480, 640)] * 2, None, (96, 72)),
        ([(640, 480), (480, 640), (50, 40)], None, (96, 96)),
        ([(50, 40), (40, 50), (44, 50)], None, (48, 48)),
        ([(64, 64)], 32, (32, 32)),
        ([(64, 32)], 100, (48, 100)),
        ([(2000, 1)], None, (1, 96)),
    ],
)
def test_the_size_is_chosen_from_the_data(sizes, setting, extent):
    column = files(*(encoded(Image.new("L", size)) for size in sizes))
    plan = survey(column, image_size=setting)
    assert (plan["height"], plan["width"]) == extent


@pytest.mark.parametrize(
    ("pictures", "channels"),
    [
        ([noise(mode="L"), noise(mode="1")], 1),
        ([noise(mode="L"), noise()], 3),
        ([noise(mode="L").convert("RGB")] * 2, 1),
        ([noise(mode="RGBA")], 3),
        ([noise(), halves("RGBA", (1, 2, 3, 255), (1, 2, 3, 90))], 4),
        ([noise().quantize(8)], 3),
    ],
)
def test_channels_are_those_that_the_pictures_need(pictures, channels):
    assert survey(files(*map(encoded, pictures)))["channels"] == channels


def test_a_sample_without_one_picture_is_an_error():
    with pytest.raises(ColumnError, match=r"None of the pictures can be read: 0.png is no picture"):
        survey(files(b"text", b"more text"))


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        (np.array([[[0, 8], [16, 4]]], np.float64), [0, 128, 255, 64]),
        (np.array([[[0, 0.5], [1, 0.25]]], np.float32), [0, 128, 255, 64]),
        (np.array([[[0, 0.5], [0.6, 0.25]]], np.float32), [0, 128, 153, 64]),
        (np.array([[[0, 128], [250, 64]]], np.int64), [0, 128, 250, 64]),
        (np.array([[[-1, 0], [1, 0.5]]], np.float32), [0, 128, 255, 191]),
        (np.array([[[0, 128], [250, 64]]], np.uint8), [0, 128, 250, 64]),
        (np.array([[[True, False], [True, False]]]), [255, 0, 255, 0]),
        (np.array([[[0, 32768], [65535, 16384]]], np.uint16), [0, 128, 255, 64]),
        (np.zeros((1, 2, 2)), [0, 0, 0, 0]),
    ],
)
def test_arrays_of_any_range_become_bytes(pictures, expected):
    values = IMAGE.read(pictures, survey(pictures)).values
    assert values.shape == (1, 2, 2, 1)
    assert np.abs(values.reshape(-1).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("learned", "given"), [(np.uint8, np.float32), (np.float32, np.uint8), (np.float64, np.uint8)])
def test_bytes_and_fractions_mean_the_same_whichever_was_learned_from(learned, given):
    shades = np.random.default_rng(0).integers(0, 256, (6, 5, 5), dtype=np.uint8)
    shades[0], shades[1], shades[2, 0, 0] = 0, 1, 255

    def of(dtype):
        return shades if dtype == np.uint8 else (shades / 255).astype(dtype)

    arrays = IMAGE.read(of(given), survey(of(learned)))
    assert np.array_equal(arrays.values[..., 0], shades) and arrays.present.all()


@pytest.mark.parametrize(
    ("learned", "given", "words"),
    [
        (np.float32([[[0, 1.0], [0.5, 0.2]]]), np.float32([[[0, 255.0], [128, 4]]]), "from 0 to 255, and 0 to 1 are"),
        (np.float32([[[0, 1.0], [0.5, 0.2]]]), np.int64([[[0, 255], [128, 4]]]), "from 0 to 255, and 0 to 1 are"),
        (np.uint8([[[0, 255], [128, 4]]]), np.float32([[[0, 255.0], [128, 4]]]), "from 0 to 255, and 0 to 1 are"),
        (np.uint8([[[0, 255], [128, 4]]]), np.float32([[[-2.1, 2.4], [0, 1]]]), "from -2.1 to 2.4"),
        (np.uint8([[[0, 255], [128, 4]]]), np.uint16([[[0, 60000], [128, 4]]]), "and 0 to 255 are expected"),
        (np.float32([[[-1, 1.0], [0.5, 0.2]]]), np.uint8([[[0, 255], [128, 4]]]), "and -1 to 1 are expected"),
        (np.int64([[[0, 1], [1, 0]]]), np.uint8([[[0, 255], [128, 4]]]), "and 0 to 1 are expected"),
    ],
)
def test_pictures_in_another_unit_than_those_learned_from_are_absent_and_say_so(learned, given, words):
    arrays = IMAGE.read(given, survey(learned))
    assert not arrays.present.any() and words in arrays.problems[0].reason


def test_a_mask_is_read_as_it_was_learned_whatever_the_type_of_its_numbers():
    mask = np.array([[[0, 1], [1, 0]]])
    values = IMAGE.read(mask.astype(np.uint8), survey(mask)).values
    assert values.reshape(-1).tolist() == [0, 255, 255, 0]


def test_arrays_with_channels_first_are_turned():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 3, 10, 12), dtype=np.uint8)
    values = IMAGE.read(pictures, survey(pictures)).values
    assert np.array_equal(values, pictures.transpose(0, 2, 3, 1))


def test_arrays_of_another_size_are_resized_and_bad_ones_are_absent():
    pictures = np.full((3, 32, 32, 3), 0.5, np.float32)
    pictures[1, 0, 0, 0] = np.nan
    arrays = IMAGE.read(pictures, {**PLAN, "levels": [0.0, 1.0], "fractions": True})
    assert arrays.values.shape == (3, 16, 16, 3) and arrays.present.tolist() == [True, False, True]
    assert [each.row for each in arrays.problems] == [1] and not arrays.values[1].any()


@pytest.mark.parametrize("column", [pl.Series(["a.png"]), np.zeros((2, 4)), np.zeros((2, 8, 8), np.uint8)])
def test_another_form_of_column_is_refused(column):
    with pytest.raises(ColumnError):
        IMAGE.read(column, PLAN)


def test_grids_are_normalized_and_absent_pictures_are_the_mean():
    pictures = np.random.default_rng(0).integers(100, 200, (40, 12, 12, 3), dtype=np.uint8)
    field, arrays = fit(pictures)
    grid = field.prepare(arrays)["grid"]
    assert grid.mean(dim=(0, 2, 3)).abs().max() < 1e-3 and (grid.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-2
    assert grid.is_contiguous(memory_format=torch.channels_last)
    absent = Arrays(arrays.values, np.zeros(40, bool), arrays.digests)
    assert not field.prepare(absent)["grid"].any()


def test_stored_arrays_that_cannot_be_written_are_prepared_and_left_alone():
    field, arrays = fit(np.random.default_rng(0).integers(0, 256, (4, 6, 6), dtype=np.uint8))
    arrays.values.flags.writeable = False
    before = arrays.values.copy()
    field.prepare(arrays)
    assert np.array_equal(arrays.values, before)


def test_mirroring_is_for_colored_pictures_unless_it_is_set():
    colored = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    assert fit(colored)[0].augmentation.horizontal and not fit(colored)[0].augmentation.vertical
    assert not fit(colored[..., 0])[0].augmentation.horizontal
    assert not fit(colored[:, :16, :16])[0].augmentation.horizontal
    assert not fit(colored, flip="none")[0].augmentation.horizontal
    assert fit(colored[..., 0], flip="both")[0].augmentation.vertical


def test_augmentation_can_be_switched_off_at_once():
    field, arrays = fit(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8), augmentation="no")
    prepared = field.prepare(arrays)
    assert torch.equal(field.augment(prepared, torch.Generator())["grid"], prepared["grid"])


def test_sniffing_knows_pictures_by_name_or_content():
    assert IMAGE.sniff(files(encoded(noise()), None)) > 0.9
    nameless = FileColumn([FileReference("upload", content=encoded(noise()))])
    assert IMAGE.sniff(nameless) > 0.9
    assert IMAGE.sniff(FileColumn([FileReference("notes.txt", content=b"text")])) == 0
    assert IMAGE.sniff(FileColumn([None])) == 0
    assert IMAGE.sniff(np.zeros((3, 8, 8), np.uint8)) > 0.9
    assert IMAGE.sniff(np.zeros((3, 64))) == 0
