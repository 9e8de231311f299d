"""Pictures from pictures and masks from pictures, from files to files."""

import json

import numpy as np
import pytest
from PIL import Image

import instar
from instar.errors import FolderError, UsageError
from instar.prepared import Examples
from interruption import learned_twice

QUICK = {"epochs": 2, "rivals": False, "batch": 16, "width": 4, "image_size": 16, "threads": 1}


ROWS = 260


def part_of(row):
    return ("test", "validation", *["train"] * 5)[row % 7]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Pictures with a bright square, masks of it, and a table that names both; the first are of odd sizes."""
    folder = tmp_path_factory.mktemp("scenes")
    generator = np.random.default_rng(0)
    lines = ["photo,mask,note,split"]
    for part in ("photos", "masks"):
        (folder / part).mkdir()
    for row in range(ROWS):
        height, width = (40, 40) if row < 2 else (16, 16)
        photo = generator.integers(0, 90, (height, width, 3), dtype=np.uint8)
        mask = np.zeros((height, width), np.uint8)
        top, left = generator.integers(0, height // 2, 2)
        place = slice(top, top + height // 2), slice(left, left + width // 2)
        photo[place], mask[place] = photo[place] + 120, 255
        Image.fromarray(photo).save(folder / "photos" / f"{row:04}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{row:04}.png")
        lines.append(f"photos/{row:04}.png,masks/{row:04}.png,{generator.normal():.2f},{part_of(row)}")
    (folder / "all.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def model(scenes, tmp_path_factory):
    return instar.train(
        scenes / "all.csv",
        "mask",
        out=tmp_path_factory.mktemp("m") / "run",
        **{**QUICK, "epochs": 6, "width": 8, "split": "split"},
    )


def test_a_mask_is_learned_and_told_class_by_class(model):
    score = model.report.metrics["mean_dice"]
    assert score["value"] > 0.9 and score["low"] <= score["value"] <= score["high"]
    facts = json.loads((model.folder / "report.json").read_text())
    assert [each["name"] for each in facts["targets"][0]["labels"]] == ["0", "255"]
    assert facts["targets"][0]["mistakes"] and facts["targets"][0]["typical"]
    page = (model.folder / "report.html").read_text()
    assert page.count("<figcaption>truth</figcaption>") == page.count("<figcaption>answer</figcaption>") == 18
    assert "NEW_EXAMPLES --out NEW_FOLDER" in page
    assert page.count("<figcaption>photo</figcaption>") == 18


def test_answers_are_files_of_the_size_and_name_of_what_they_are_made_of(model, scenes, tmp_path):
    frame = model.predict(scenes / "all.csv", out=tmp_path / "answers")
    assert frame.columns == ["prediction"] and frame["prediction"].null_count() == 0
    assert frame["prediction"][0] == str(tmp_path / "answers" / "photos" / "0000.png")
    with Image.open(frame["prediction"][0]) as answer, Image.open(scenes / "masks" / "0000.png") as truth:
        assert answer.size == truth.size == (40, 40)
        assert set(np.unique(answer)) <= {0, 255}
        assert (np.asarray(answer) == np.asarray(truth)).mean() > 0.85
    with pytest.raises(FolderError, match="not empty"):
        model.predict(scenes / "all.csv", out=tmp_path / "answers")
    arrays = model.predict(scenes / "all.csv")["prediction"].to_numpy()
    assert arrays.shape == (ROWS, 16, 16)
    with Image.open(frame["prediction"][7]) as answer:
        assert np.array_equal(np.asarray(answer) == 255, arrays[7] == 1)


def test_photos_alone_are_enough_and_one_that_cannot_be_read_has_no_answer(model, scenes, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    table = tmp_path / "new.csv"
    table.write_text(f"photo,note\n{scenes}/photos/0003.png,\n{bad},\n")
    frame = model.predict(table, out=tmp_path / "answers", allow_outside=True)
    assert frame["prediction"].to_list() == [str(tmp_path / "answers" / "0003.png"), None]


def test_what_has_no_pictures_to_answer_with_writes_none(tmp_path):
    generator = np.random.default_rng(0)
    number = generator.normal(size=100)
    columns = {"x": number, "y": np.where(number > 0, "a", "b")}
    model = instar.train(columns, "y", out=tmp_path / "run", network="linear", epochs=1, rivals=False, folds=2)
    with pytest.raises(UsageError, match="no pictures"):
        model.predict(columns, out=tmp_path / "answers")


def test_photo_and_mask_are_moved_alike(model, scenes):
    """What a varied photo shows is where its varied mask says."""
    fields = model.inputs, model.targets
    from instar.store import Store, StorePlan

    source = model.open(scenes / "all.csv")
    store = Store.build(source, StorePlan({each.name: model.plans[each.name] for part in fields for each in part}))
    batch = Examples(store, *fields).take(np.arange(64))
    varied = Examples(store, *fields).augment(batch, 5)
    (photo,) = [name for name in batch.inputs if name.startswith("grid/")]
    assert not np.array_equal(varied.targets["mask"], batch.targets["mask"])

    def agreement(one):
        bright = one.inputs[photo].mean(1) > 0
        return (bright == (one.targets["mask"] == 1)).float().mean().item()

    assert agreement(batch) > 0.95 and agreement(varied) > 0.9
    again = Examples(store, *fields).augment(batch, 5)
    assert np.array_equal(again.targets["mask"], varied.targets["mask"])


@pytest.mark.parametrize("target", ["mask", "negative"])
def test_a_stop_in_the_middle_ends_with_the_same_bits(target, tmp_path):
    generator = np.random.default_rng(1)
    photos = generator.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    answers = {"mask": (photos[..., 0] > 128).astype(np.uint8), "negative": 255 - photos}
    source = {"photo": photos, target: answers[target], "split": [part_of(row) for row in range(200)]}
    given = {"target": target, **QUICK, "batch": 64, "split": "split"}
    learned_twice(source, given, tmp_path, stop_at=4)


def test_rivals_answer_cell_by_cell(tmp_path):
    generator = np.random.default_rng(1)
    photos = generator.integers(0, 256, (42, 8, 8, 1), dtype=np.uint8)
    smooth = (photos.astype(int) + np.roll(photos.astype(int), 1, 2)) // 2
    source = {
        "split": ["test", "train"] * 21,
        "photo": photos,
        "blurred": smooth.astype(np.uint8),
        "mask": (photos[..., 0] > 128).astype(np.uint8),
    }
    model = instar.train(
        source, ["blurred", "mask"], out=tmp_path / "run", **{**QUICK, "rivals": True, "split": "split", "epochs": 1}
    )
    by_target = {result.name: {each.name: each for each in result.rivals} for result in model.report.targets}
    assert set(by_target["blurred"]) == {"usual_cells", "linear_filter", "cell_forest"}
    assert set(by_target["mask"]) == {"usual_cells", "cell_forest"}
    assert all(each.metrics for rivals in by_target.values() for each in rivals.values())
    filtered, usual = (by_target["blurred"][name].metrics["psnr"].value for name in ("linear_filter", "usual_cells"))
    assert filtered > usual + 5, "a mean of two neighbors is a linear filter"
    assert by_target["mask"]["cell_forest"].metrics["mean_iou"].value > 0.7


def test_a_class_is_told_at_each_place_of_a_volume_and_both_are_moved_alike(tmp_path):
    generator = np.random.default_rng(2)
    blocks = generator.integers(0, 2, (60, 2, 2, 2))
    truth = blocks.repeat(5, 1).repeat(5, 2).repeat(5, 3).astype(np.uint8)
    volumes = (truth * 100 + generator.normal(0, 5, truth.shape)).astype(np.float32)
    source = {"scan": volumes, "tissue": truth, "split": [part_of(row) for row in range(60)]}
    model = instar.train(
        source,
        "tissue",
        out=tmp_path / "run",
        kind=["scan=volume"],
        split="split",
        epochs=8,
        width=4,
        rivals=False,
        volume_shift=0.2,
        batch=4,
        threads=1,
    )
    (scan,), (tissue,) = model.inputs, model.targets
    assert scan.kind == "volume" and tissue.answer.extent == (10, 10, 10)
    said = model.predict(source)["prediction"].to_numpy()
    assert said.shape == (60, 10, 10, 10) and (said == truth).mean() > 0.9
    (path, *_) = model.predict({"scan": volumes[:2]}, out=tmp_path / "answers")["prediction"]
    assert np.array_equal(np.load(path), said[0])

    plan = {name: model.plans[name] for name in ("scan", "tissue")}
    from instar.sources.locate import locate
    from instar.store import Store, StorePlan

    examples = Examples(Store.build(locate(source), StorePlan(plan)), model.inputs, model.targets)
    varied = examples.augment(examples.take(np.arange(60)), 3)
    bright = varied.inputs["grid/scan"][:, 0] > 0
    assert (bright == (varied.targets["tissue"] == 1)).float().mean() > 0.99
    assert not np.array_equal(varied.targets["tissue"].numpy(), truth)
