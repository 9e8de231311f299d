"""Augmentation: each setting does what it says, and nothing else."""

from __future__ import annotations

import math

import pytest
import torch

from instar.fields._augmentation import Augmentation, warp


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(rows: int = 64, channels: int = 3, height: int = 12, width: int = 16) -> torch.Tensor:
    return torch.rand((rows, channels, height, width), generator=draw(9)) - 0.5


def vary(grid: torch.Tensor, seed: int = 0, **settings: object) -> torch.Tensor:
    return Augmentation(**settings)(grid, torch.ones(len(grid), dtype=torch.bool), draw(seed))


def test_the_identity_changes_nothing():
    grid = pictures()
    identity = torch.eye(2, 3).repeat(len(grid), 1, 1)
    assert torch.allclose(warp(grid, identity), grid, atol=1e-5)


def test_a_shift_by_a_whole_pixel_moves_by_a_pixel():
    grid = pictures(1)
    right = torch.tensor([[[1.0, 0.0, 2 / 16], [0.0, 1.0, 0.0]]])
    assert torch.allclose(warp(grid, right)[..., :-1], grid[..., 1:], atol=1e-5)
    down = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 2 / 12]]])
    assert torch.allclose(warp(grid, down)[:, :, :-1], grid[:, :, 1:], atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(12, 12), (12, 20)])
def test_a_quarter_turn_keeps_pixels_square(height, width):
    grid = torch.zeros((1, 1, height, width))
    grid[0, 0, height // 2 - 1 : height // 2 + 1, width // 2 - 4 : width // 2 + 4] = 1.0
    turned = warp(grid, torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]]))
    expected = torch.zeros_like(grid)
    expected[0, 0, height // 2 - 4 : height // 2 + 4, width // 2 - 1 : width // 2 + 1] = 1.0
    assert torch.allclose(turned, expected, atol=1e-4)


def test_flips_mirror_about_half_of_the_pictures():
    grid = pictures(400)
    varied = vary(grid, horizontal=True)
    mirrored = torch.isclose(varied, grid.flip(3), atol=1e-5).flatten(1).all(1)
    kept = torch.isclose(varied, grid, atol=1e-5).flatten(1).all(1)
    assert (mirrored ^ kept).all() and 150 < mirrored.sum() < 250
    varied = vary(grid, vertical=True)
    assert 150 < torch.isclose(varied, grid.flip(2), atol=1e-5).flatten(1).all(1).sum() < 250


def test_shifts_rotations_and_zooms_stay_within_their_limits():
    maps = Augmentation(shift=0.1, rotate=20, zoom=0.25).geometry(2_000, draw())
    assert maps[:, :, 2].abs().max() <= 0.2 and maps[:, :, 2].abs().max() > 0.19
    scale = maps[:, :, :2].det().sqrt()
    assert 0.79 < scale.min() < 0.81 and 1.24 < scale.max() <= 1.2501
    angle = torch.atan2(maps[:, 1, 0], maps[:, 0, 0]).rad2deg()
    assert 19 < angle.abs().max() <= 20.001 and abs(angle.mean()) < 1


def test_small_pictures_are_shifted_by_less_than_a_pixel_by_default():
    from instar.fields.image import ImageSettings

    assert ImageSettings().crop * 8 < 1


def test_color_changes_each_picture_as_a_whole_and_leaves_alpha_alone():
    grid = pictures(channels=4)
    varied = vary(grid, color=0.3)
    assert torch.equal(varied[:, 3], grid[:, 3]) and not torch.allclose(varied[:, :3], grid[:, :3])
    grey = pictures(channels=1)
    varied = vary(grey, color=0.3)
    for row in range(5):
        contrast = varied[row].std() / grey[row].std()
        brightness = varied[row].mean() - grey[row].mean()
        assert torch.allclose(
            varied[row], (grey[row] - grey[row].mean()) * contrast + grey[row].mean() + brightness, atol=1e-5
        )
        assert 0.7 <= contrast <= 1.3 and abs(brightness) <= 0.3


def test_erasing_blanks_one_rectangle_of_the_share_that_is_asked_for():
    grid = pictures(1_000, height=32, width=32) + 2.0
    blank = (vary(grid, erase=0.5) == 0).all(1)
    erased = blank.flatten(1).any(1)
    assert 430 < erased.sum() < 570
    for each in blank[erased][:50]:
        rows, columns = each.any(1), each.any(0)
        assert each.sum() == rows.sum() * columns.sum()
    share = blank[erased].float().mean(dim=(1, 2))
    assert share.min() > 0.01 and share.max() < 0.36


def test_absent_pictures_stay_absent():
    present = torch.arange(64) % 2 == 0
    grid = pictures() * present[:, None, None, None]
    varied = Augmentation(horizontal=True, shift=0.1, color=0.5, erase=0.5)(grid, present, draw())
    assert not varied[~present].any() and varied[present].any()


@pytest.mark.parametrize(
    "settings", [{"shift": 0.1}, {"color": 0.2}, {"erase": 1.0}, {"shift": 0.1, "color": 0.1, "erase": 0.5}]
)
def test_the_batch_itself_is_not_touched_and_its_layout_kept(settings):
    grid = pictures().contiguous(memory_format=torch.channels_last)
    before = grid.clone()
    varied = vary(grid, **settings)
    assert torch.equal(grid, before) and not torch.equal(varied, grid)
    assert varied.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(varied, vary(grid, **settings)) and not torch.equal(varied, vary(grid, 1, **settings))


def test_aligned_grids_share_their_geometry():
    mask = (pictures(channels=1) > 0).float()
    photo = mask.expand(-1, 3, -1, -1).contiguous()
    turned = vary(photo, rotate=30.0, shift=0.1, color=0.0)
    assert torch.allclose(turned[:, :1], vary(mask, rotate=30.0, shift=0.1), atol=1e-5)


def test_state_is_json_and_is_checked():
    augmentation = Augmentation(horizontal=True, rotate=5.0)
    assert Augmentation.from_json(augmentation.as_json()) == augmentation
    for key, value in (("rotate", math.inf), ("color", "red"), ("horizontal", 1), ("erase", -1.0)):
        with pytest.raises(ValueError):
            Augmentation.from_json({**augmentation.as_json(), key: value})
