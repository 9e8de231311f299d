"""Grids that are too large to be seen whole: where patches lie, and how answers are put together from them."""

import sys
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import instar
from instar import batches
from instar.batches import Batches
from instar.errors import UsageError
from instar.networks import Network, assemble
from instar.networks.planning import plan
from instar.patches import Patches
from instar.prepared import WATCHED_PATCHES, Examples
from instar.shapes import NO_CLASS, Choice, Grid, Mask, Picture
from instar.sources.locate import locate
from instar.store import Store, StorePlan
from interruption import learned_twice

SIDE, PATCH, ROWS = 24, 12, 36
QUICK = {
    "epochs": 8,
    "schedule": "constant",
    "width": 8,
    "batch": 4,
    "rate": 0.01,
    "rivals": False,
    "threads": 1,
    "relearn_below": 0,
}
LARGE = Grid(1, (20, 9, 17), patch=(8, 8, 8))


def part_of(row):
    return ("test", "train", "validation", "test", "train", "train")[row % 6]


@st.composite
def patches(draw):
    extent = tuple(draw(st.lists(st.integers(1, 40), min_size=1, max_size=3)))
    patch = tuple(draw(st.integers(1, size)) for size in extent)
    return Patches(("grid",), (), extent, patch)


@given(made=patches(), seed=st.integers(0, 99))
def test_patches_lie_everywhere_within_the_grid(made, seed):
    seen = np.zeros(made.extent, int)
    for place in made.everywhere():
        assert seen[place].shape == made.patch
        seen[place] += 1
    assert seen.min() >= 1
    assert seen[made.anywhere(np.random.default_rng(seed))].shape == made.patch


def test_each_class_of_a_mask_is_as_likely_to_be_seen():
    mask = np.zeros((30, 30, 30), np.uint8)
    mask[4, 5, 6], mask[29, 0, 29], mask[:, 20] = 1, 2, NO_CLASS
    made, generator = Patches(("grid",), ("mask",), mask.shape, (4, 4, 4)), np.random.default_rng(0)
    seen = [np.unique(mask[made.anywhere(generator, mask, 3)]) for _ in range(600)]
    for rare in (1, 2):
        assert 0.25 < np.mean([rare in classes for classes in seen]) < 0.42
    at_random = [np.unique(mask[made.anywhere(generator)]) for _ in range(600)]
    assert np.mean([1 in classes or 2 in classes for classes in at_random]) < 0.02
    nothing = np.full(mask.shape, NO_CLASS, np.uint8)
    assert len({str(made.anywhere(generator, nothing, 3)) for _ in range(50)}) > 40


def test_what_lies_otherwise_cannot_be_seen_in_patches():
    mask = Mask((1, 1), LARGE.extent)
    assert Patches.among({"one": Grid(1, (20, 9, 17))}, {"mask": mask}) is None
    made = Patches.among({"one": LARGE, "two": Grid(2, LARGE.extent), "small": Grid(1, (8, 8, 8))}, {"mask": mask})
    assert made.grids == ("one", "two") and made.answers == ("mask",) and made.seen(mask).extent == (8, 8, 8)
    assert Patches.among({"one": LARGE, "two": Grid(2, LARGE.extent)}, {"kind": Choice((1, 1))}).grids == ("one",)
    other = Grid(1, (10, 9, 9), patch=(8, 8, 8))
    for inputs, answer in (
        ({"one": LARGE, "two": other}, mask),
        ({"one": LARGE, "two": other}, Choice((1, 1))),
        ({"one": LARGE}, Mask((1, 1), (10, 9, 8))),
    ):
        with pytest.raises(UsageError, match="side by side"):
            Patches.among(inputs, {"answer": answer})
    finer = Grid(1, LARGE.extent, patch=(4, 4, 4))
    with pytest.raises(UsageError, match=r"cells, in patches of 8 x 8 x 8, .* cells, in patches of 4 x 4 x 4"):
        Patches.among({"one": LARGE, "two": finer}, {"mask": mask})


def test_what_has_no_patches_of_its_own_is_seen_beside_those_that_have():
    mask, organ = Mask((9, 1), LARGE.extent), Grid(2, LARGE.extent)
    inputs, answers = {"organ": organ, "scan": LARGE}, {"mask": mask}
    made = Patches.among(inputs, answers)
    assert set(made.grids) == {"organ", "scan"} and made.answers == ("mask",) and made.patch == LARGE.patch
    network = assemble(inputs, answers, None, {"width": 4}).eval()
    assert network.shapes["organ"] == Grid(2, LARGE.patch)
    assert network.answer(inputs_of(inputs))["mask"].shape == (2, *LARGE.extent)


def test_a_mask_of_a_picture_is_answered_beside_a_volume_that_is_seen_in_patches():
    inputs, answers = {"picture": Grid(1, (9, 10)), "scan": LARGE}, {"mask": Mask((9, 1), (9, 10))}
    network = assemble(inputs, answers, None, {"width": 4}).eval()
    assert network.patches.grids == ("scan",) and network.patches.answers == ()
    given = inputs_of(inputs)
    assert network.answer(given)["mask"].shape == (2, 9, 10)
    place = network.patches.everywhere()[0]
    seen = given | {"grid/scan": given["grid/scan"][place]}
    assert network.loss(seen, {"mask": torch.zeros(2, 9, 10, dtype=torch.uint8)}).isfinite()


def test_patches_too_small_for_the_network_are_named_and_not_the_scans(tmp_path):
    inputs, answers = {"scan": replace(LARGE, patch=(4, 4, 4))}, {"mask": Mask((1, 1), LARGE.extent)}
    with pytest.raises(UsageError) as caught:
        plan(inputs, answers, enlarging={"scan": "volume_patch"})
    assert "the patches of 'scan' have 4 x 4 x 4" in str(caught.value)
    assert "volume_patch=8" in str(caught.value) and "tabm" not in str(caught.value)
    scans = {"scan": np.random.default_rng(0).normal(size=(30, 12, 12, 12)), "kind": ["a", "b"] * 15}
    with pytest.raises(UsageError, match=r"patches of 'scan' have 4 x 4 x 4.*volume_patch=8"):
        instar.train(scans, "kind", out=tmp_path / "run", kind=["scan=volume"], volume_patch=4, network="lenet")
    with pytest.raises(UsageError, match="those of 'scan' have 20 x 4 x 17") as caught:
        plan({"scan": Grid(1, (20, 4, 17), patch=(8, 4, 8))}, {"mask": Mask((1, 1), (20, 4, 17))})
    assert "network" not in caught.value.remedy


def inputs_of(shapes, rows=2):
    draw = torch.Generator().manual_seed(0)
    grids = {
        f"grid/{name}": torch.randn(rows, each.channels, *each.extent, generator=draw) for name, each in shapes.items()
    }
    return grids | {f"present/{name}": torch.ones(rows, dtype=torch.bool) for name in shapes}


def test_a_window_slides_over_all_of_a_grid():
    shapes = {"one": LARGE, "two": Grid(2, LARGE.extent)}
    answers = {"mask": Mask((3, 1), LARGE.extent), "map": Picture(1, LARGE.extent, 0.0, 1.0), "kind": Choice((1, 2, 1))}
    torch.manual_seed(0)
    network = assemble(shapes, answers, None, {"width": 4}).eval()
    inputs, patches = inputs_of(shapes), network.patches
    for head in network.heads:  # those of maps begin as constant answers
        torch.nn.init.normal_(head.output.weight) if hasattr(head, "output") else None
    with torch.no_grad():
        whole = network(inputs)
        parts = [
            network(inputs | {name: inputs[name][place] for name in ("grid/one", "grid/two")})
            for place in patches.everywhere()
        ]
        loss = network.loss(
            inputs,
            {
                "mask": torch.zeros(2, *LARGE.extent, dtype=torch.uint8),
                "map": torch.zeros(2, 1, *LARGE.extent),
                "kind": torch.zeros(2, dtype=torch.int64),
            },
        )
    assert torch.allclose(whole["kind"], torch.stack([each["kind"] for each in parts]).mean(0), atol=1e-5)
    assert whole["mask"].shape == (2, 2, *LARGE.extent) and torch.isfinite(loss)
    seen = [torch.full((2, 1, *LARGE.extent), torch.nan) for _ in parts]
    for one, place, each in zip(seen, patches.everywhere(), parts, strict=True):
        one[place] = each["map"]
    low, high = torch.stack(seen).nan_to_num(torch.inf).amin(0), torch.stack(seen).nan_to_num(-torch.inf).amax(0)
    assert bool(((whole["map"] >= low - 1e-5) & (whole["map"] <= high + 1e-5)).all())
    assert torch.allclose(whole["map"][:, :, 0, 0, 0], parts[0]["map"][:, :, 0, 0, 0], atol=1e-5)
    assert network.answer(inputs)["mask"].shape == (2, *LARGE.extent)


def test_a_window_gives_the_network_as_many_patches_together_as_rows(monkeypatch):
    shapes, answers = {"one": LARGE}, {"mask": Mask((3, 1), LARGE.extent), "kind": Choice((1, 2, 1))}
    torch.manual_seed(0)
    network, sizes = assemble(shapes, answers, None, {"width": 4}).eval(), []
    torch.nn.init.normal_(network.heads[0].output.weight)
    network.heads[0].register_forward_hook(lambda _, given, said: sizes.append(len(said)))
    inputs, places = inputs_of(shapes), len(network.patches.everywhere())
    assert network.rows_at_a_time() > network.rows_at_a_time([LARGE])
    with torch.no_grad():
        together = network(inputs)
        assert sum(sizes) == 2 * places and len(sizes) == 1
        sizes.clear()
        module = sys.modules[Network.__module__]
        monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", 6 * (512 + network.features))
        few = network(inputs)
    assert sum(sizes) == 2 * places and max(sizes) == 6
    for name in answers:
        assert torch.allclose(together[name], few[name], atol=1e-5)


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_a_constant_answer_of_patches_has_loss_one_however_rare_a_class_is(weights):
    masks = torch.zeros(6, 32, 32, 32, dtype=torch.uint8)
    masks[:, 10:14, 20:24, 5:9] = 1
    counts = (int((masks == 0).sum()), int((masks == 1).sum()))
    shapes, answers = {"scan": Grid(1, (32,) * 3, patch=(8,) * 3)}, {"mask": Mask(counts, (32,) * 3)}
    network = assemble(shapes, answers, None, {"width": 4, "class_weights": weights})
    patches = network.patches

    def drawn(seed):
        generator = np.random.default_rng(seed)
        places = [patches.anywhere(generator, mask.numpy(), 2) for mask in masks for _ in range(10)]
        cut = torch.stack([masks[number // 10][place] for number, place in enumerate(places)])
        return inputs_of({"scan": Grid(1, (8,) * 3)}, 60), {"mask": cut}

    some, others = drawn(0), drawn(1)
    assert network.eval().loss(*some).item() > 2
    network.initialize(*some)
    assert network.loss(*some).item() == pytest.approx(1, abs=0.01)
    assert network.loss(*others).item() == pytest.approx(1, abs=0.3)
    with torch.device("meta"):
        again = Network(shapes, answers, network.plan).eval()
    again.load_state_dict(network.state_dict(), assign=True)
    assert torch.equal(again.loss(*others), network.loss(*others))
    whole = Network({"scan": Grid(1, (32,) * 3)}, answers, network.plan)
    assert not [name for name in whole.state_dict() if name.endswith("seen")]


def scan(generator):
    """Bright specks of two voxels a side in noise, and dim clouds that are none; and where the specks are."""
    specks = np.zeros((SIDE,) * 3, bool)
    for depth, height, width in generator.integers(0, SIDE - 1, (20, 3)):
        specks[depth : depth + 2, height : height + 2, width : width + 2] = True
    clouds = np.repeat(np.repeat(np.repeat(generator.normal(0, 0.5, (6,) * 3), 4, 0), 4, 1), 4, 2)
    return (specks * 3 + clouds + generator.normal(0, 0.2, specks.shape)).astype(np.float32), specks.astype(np.uint8)


@pytest.fixture(scope="module")
def specks():
    generator = np.random.default_rng(0)
    scans, masks = zip(*(scan(generator) for _ in range(ROWS)), strict=True)
    return {"scan": np.stack(scans), "specks": np.stack(masks), "split": [part_of(row) for row in range(ROWS)]}


def save(folder, source):
    for row, part in enumerate(source["split"]):
        for name in ("scan", "specks"):
            path = folder / part / name / f"{row:03}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            affine = np.diag([(-1.0) ** row, 1.0, 2.0, 1.0])
            nibabel.Nifti1Image(source[name][row], affine).to_filename(path)
    return folder


def dice(model, folder, out):
    """Of the specks in the scans of the test, where these have their own voxels."""
    both = total = 0
    for path in model.predict(folder / "test" / "scan", out=out)["prediction"]:
        answer, truth = nibabel.load(path), nibabel.load(folder / "test" / "specks" / path.rsplit("/", 1)[1])
        assert answer.shape == truth.shape and np.allclose(answer.affine, truth.affine)
        said, right = (np.asarray(each.dataobj) == 1 for each in (answer, truth))
        both, total = both + (said & right).sum(), total + said.sum() + right.sum()
    return 2 * both / total


def test_small_things_are_found_at_full_resolution(specks, tmp_path):
    """Whole, at half as many voxels a side, most specks are lost; in patches, with all their voxels, they are found."""
    folder = save(tmp_path / "scans", specks)
    coarse = instar.train(folder, "specks", out=tmp_path / "coarse", volume_size=SIDE // 2, **QUICK)
    fine = instar.train(folder, "specks", out=tmp_path / "fine", volume_size=SIDE, volume_patch=PATCH, **QUICK)
    assert "in patches of 12 x 12 x 12" in fine.inputs[0].describe()
    assert dice(coarse, folder, tmp_path / "a") < 0.3
    assert dice(instar.load(fine.folder), folder, tmp_path / "b") > 0.9


def test_a_mask_that_comes_before_the_scan_is_learned_from_beside_it(specks, tmp_path):
    organ = np.ones((8, *specks["scan"].shape[1:]), np.uint8)
    organ[:, :2] = 0
    source = {"organ": organ, "scan": specks["scan"][:8], "specks": specks["specks"][:8]}
    given = {"kind": ["organ=mask", "scan=volume", "specks=mask"], **QUICK, "epochs": 1}
    for patch in ({"volume_patch": PATCH}, {}):
        model = instar.train(source, "specks", out=tmp_path / str(len(patch)), volume_size=SIDE, **given, **patch)
        examples = Examples(None, model.inputs, model.targets)
        assert {target.name: leader.name for target, leader in examples.led.items()} == {"specks": "scan"}


def test_a_stop_in_the_middle_ends_with_the_same_bits(specks, tmp_path):
    source = {name: values[:18] for name, values in specks.items()}
    given = {"target": "specks", **QUICK, "volume_size": SIDE, "volume_patch": 8, "split": "split", "epochs": 3}
    model = learned_twice(source, {**given, "kind": ["scan=volume"]}, tmp_path, stop_at=4)
    store = Store.build(locate(source), StorePlan({name: model.plans[name] for name in ("scan", "specks")}))
    examples = Examples(store, model.inputs, model.targets)
    training, watched = (
        Batches(examples, np.arange(6), size=4, seed=0, augment=augment, shuffle=augment, watched=not augment)
        for augment in (True, False)
    )
    plain = Batches(examples, np.arange(6), size=4, seed=0, shuffle=False)
    brightest = examples.take(np.arange(6)).inputs["grid/scan"].amax()
    for each_epoch, rows in ((training, 6), (plain, 6), (watched, 6 * WATCHED_PATCHES)):
        first, again, later = (list(each_epoch.epoch(number)) for number in (0, 0, 1))
        assert sum(map(len, first)) == rows and all(each.inputs["grid/scan"].shape[2:] == (8, 8, 8) for each in first)
        for one, other in zip(first, again, strict=True):
            assert torch.equal(one.inputs["grid/scan"], other.inputs["grid/scan"])
            bright = one.inputs["grid/scan"][:, 0] > brightest / 2
            assert (bright == (one.targets["specks"] == 1)).float().mean() > 0.97
        differs = not torch.equal(first[0].inputs["grid/scan"], later[0].inputs["grid/scan"])
        assert differs is (each_epoch is not watched)


def test_patches_that_are_watched_are_fewer_where_there_are_many_and_else_cut_again(specks, tmp_path, monkeypatch):
    source = {name: specks[name][:6] for name in ("scan", "specks")}
    given = {**QUICK, "epochs": 1, "volume_size": SIDE, "volume_patch": 8, "kind": ["scan=volume"]}
    model = instar.train(source, "specks", out=tmp_path / "model", **given)
    store = Store.build(locate(source), StorePlan({name: model.plans[name] for name in source}))
    examples = Examples(store, model.inputs, model.targets)
    assert examples.seen_bytes < examples.row_bytes / 8

    def watched(most):
        monkeypatch.setattr(batches, "PREPARED_BYTES", most * examples.seen_bytes)
        made = Batches(examples, np.arange(6), size=4, seed=0, shuffle=False, watched=True)
        first, again = ({name: [] for name in ("grid/scan", "rows")} for _ in range(2))
        for epoch, found in enumerate((first, again)):
            for batch in made.epoch(epoch):
                found["grid/scan"].append(batch.inputs["grid/scan"])
                found["rows"].append(batch.rows)
        assert all(torch.equal(torch.cat(first[name]), torch.cat(again[name])) for name in first)
        return made, torch.cat(first["grid/scan"]), torch.cat(first["rows"]).tolist()

    made, twice, rows = watched(17)
    assert made._prepared.bytes <= 17 * examples.seen_bytes and rows == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    kept, again = watched(6), watched(5)
    assert kept[0]._prepared is not None and again[0]._prepared is None
    for _, scans, rows in (kept, again):
        assert rows == list(range(6)) and torch.equal(scans, twice[::2])
