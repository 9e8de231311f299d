"""Volumes: NIfTI files, folders of DICOM slices, or arrays; turned one way round, at one spacing and one size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl

from instar.errors import SettingError
from instar.fields import _scans
from instar.fields._files import problems_of, spread
from instar.fields._looking import FLIPS, Looking
from instar.fields._pixels import channels_last
from instar.fields._scan import LARGEST_SPACING, LARGEST_VALUE, LEAST_SPACING, MOST_CHANNELS
from instar.fields._scans import LARGEST_SIDE, looks_like_scan, sight_of, surveyed
from instar.fields._state import expect, whole, word
from instar.fields._statistics import Reservoir
from instar.fields._volume_answers import VolumeAnswer
from instar.fields._volumes import Sight, VolumeField
from instar.fields._voxels import LONGEST_SIDE
from instar.fields.base import Arrays, Field, Frame, Kind, Problem, kinds, no_values
from instar.settings import Settings, setting
from instar.sources import Column, FileColumn, FileReference

SNIFFED_FILES = 16
# Voxels of each training volume, and of all, that the range, mean and spread are taken from.
MEASURED_VOXELS, ALL_MEASURED, MEASURED_VOLUMES = 4_096, 1 << 18, 4_096
# Percentiles of the training voxels beyond which values are cut off, as nnU-Net does (Isensee et al. 2021).
LOWEST, HIGHEST = 0.5, 99.5
# Where the spreads of most volumes differ by more than this factor, their unit is the scanner's own, as in MRI.
UNEQUAL_SPREADS, SPREAD_QUANTILES = 3.0, (0.1, 0.9)


@dataclass(frozen=True)
class VolumeSettings(Settings):
    """How volumes are brought to one size and scale, and how training volumes are varied."""

    volume_size: int | None = setting(
        None,
        f"most voxels of a volume along its longest side; nothing said: {LONGEST_SIDE}",
        minimum=1,
        maximum=LARGEST_SIDE,
    )
    volume_spacing: tuple[float, ...] = setting(
        (),
        "millimeters from one voxel to the next, one number or three along depth, height and width; nothing said: "
        "those of most scans, or as much coarser as the size demands",
        minimum=LEAST_SPACING,
        maximum=LARGEST_SPACING,
    )
    maximum_voxels: int = setting(
        1 << 27, "voxels in a scan's header beyond which it is refused unread", minimum=1, maximum=1 << 32
    )
    volume_window: tuple[float, ...] = setting(
        (),
        "lowest and highest value that is seen, as -1000,400 (Hounsfield units of the lung); nothing said: percentiles "
        f"{LOWEST:g} and {HIGHEST:g} of the training voxels",
        minimum=-1e9,
        maximum=1e9,
    )
    volume_scale: str = setting(
        "auto",
        "mean and spread by which volumes are scaled: those of all training voxels, or each volume's own; auto takes "
        f"its own where most volumes' spreads differ by more than a factor of {UNEQUAL_SPREADS:g}, as in MRI",
        choices=("auto", "all", "own"),
        source="nnU-Net: Isensee, Jaeger, Kohl, Petersen & Maier-Hein 2021",
    )
    volume_patch: int | None = setting(
        None,
        "side in voxels of the patch of a volume that a network sees at a time: another one in every epoch, and where "
        "it answers, patches that overlap, until all is seen; nothing said: the whole volume, and "
        f"{LONGEST_SIDE} where something is said of each voxel",
        source="sliding window: Isensee, Jaeger, Kohl, Petersen & Maier-Hein 2021",
        minimum=1,
        maximum=LARGEST_SIDE,
    )
    volume_augmentation: bool = setting(True, "whether training volumes are varied at all")
    volume_flip: str = setting(
        "none",
        "mirroring of training volumes: left and right, or every axis; a body has its heart on one side",
        choices=FLIPS,
    )
    volume_shift: float = setting(
        0.05, "farthest shift of training volumes, as a fraction of their side", minimum=0.0, maximum=0.5
    )
    volume_gain: float = setting(
        0.1, "most by which the contrast of training volumes changes, as a fraction", minimum=0.0, maximum=1.0
    )
    volume_offset: float = setting(
        0.1, "most by which the brightness of training volumes changes, in spreads", minimum=0.0, maximum=1.0
    )
    volume_noise: float = setting(
        0.0, "spread of the noise added to training volumes, in their own spreads", minimum=0.0, maximum=1.0
    )


class Volume(Kind):
    name = "volume"
    meaning = "scans and other volumes, in NIfTI files, folders of DICOM slices or arrays"
    settings = VolumeSettings
    patch_setting = "volume_patch"
    can_be_target = True
    reads_files = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """Arrays of four axes are pictures where one of them may be their channels."""
        if isinstance(sample, pl.Series):
            return 0.0
        if isinstance(sample, np.ndarray):
            if sample.dtype.kind not in "buif" or sample.ndim not in (4, 5):
                return 0.0
            return 0.9 if sample.ndim == 5 or channels_last(sample).shape[3] > 4 else 0.1
        files = spread(sample, SNIFFED_FILES)
        return 0.95 * sum(map(looks_like_scan, files)) / max(1, len(files))

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        import nibabel

        files: list[FileReference | None] = []
        for row in range(rows):
            voxels = generator.integers(-100, 400, (8, 10, 9)).astype(np.int16)
            affine = np.diag([*generator.choice([-2.0, 2.0], 2), 2.0, 1.0])
            stream = BytesIO()
            nibabel.Nifti1Image(voxels, affine).to_stream(stream)
            files.append(None if row % 19 == 7 else FileReference(f"{row}.nii", content=stream.getvalue()))
        return FileColumn(files)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        assert isinstance(settings, VolumeSettings)
        _check(settings)
        return surveyed(sample, settings.volume_size, settings.volume_spacing, settings.maximum_voxels)

    def within(self, plan: Mapping[str, Any], inputs: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
        return _scans.within(plan, inputs)

    def misplaced(self, column: Column, plan: Mapping[str, Any], beside: Mapping[str, Column]) -> list[Problem]:
        return _scans.misplaced(column, plan, beside)

    def frames(self, column: Column) -> Sequence[Frame | None]:
        return _scans.frames(column)

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        return 4 * plan["channels"] * math.prod(plan["extent"])

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: float32 (n, channels, depth, height, width) in the scans' own unit, 0 where absent."""
        results, digests = _scans.grids(column, plan)
        values = np.zeros((len(column), plan["channels"], *plan["extent"]), np.float32)
        present = np.array([isinstance(each, np.ndarray) for each in results], bool)
        for row in np.flatnonzero(present):
            values[row] = results[row]
        return Arrays(values, present, digests, problems=problems_of(results))

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, VolumeSettings)
        channels = plan["channels"]
        voxels, spreads = Reservoir(ALL_MEASURED, channels), Reservoir(MEASURED_VOLUMES, channels)
        # A step that is no multiple of a side, so that no plane is left out.
        step = max(1, math.prod(plan["extent"]) // MEASURED_VOXELS) | 1
        for chunk in chunks:
            for row in np.flatnonzero(chunk.present):
                measured = chunk.values[row].reshape(channels, -1)[:, ::step].T.astype(np.float64)
                voxels.add(measured)
                spreads.add(measured.std(axis=0, keepdims=True))
        if not len(voxels.rows):
            raise no_values(name)
        if target:
            return VolumeAnswer.fitted(name, plan, voxels.rows)
        low, high = _range(voxels.rows, settings.volume_window)
        seen = np.clip(voxels.rows, low, high)
        spread_of_all = seen.std(axis=0)
        sight = Sight(*sight_of(plan), plan["measured"], None, _has_own_scale(spreads.rows, settings))
        if settings.volume_patch is not None:
            sight = sight.at_a_time(settings.volume_patch)
        return VolumeField(
            name,
            sight,
            _looking(settings),
            mean=seen.mean(axis=0),
            scale=np.where(spread_of_all > 0, spread_of_all, 1.0),
            low=low,
            high=high,
            advice=_advice(plan, settings),
        )

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        is_target = word(content, "role", "input", "target") == "target"
        return (VolumeAnswer if is_target else VolumeField).from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, VolumeField | VolumeAnswer)
        own = field.sight if isinstance(field, VolumeField) else field
        channels = (field.shape if isinstance(field, VolumeField) else field.answer).channels
        expect(whole(plan, "channels", 1, MOST_CHANNELS) == channels, "channels")
        expect(sight_of(plan) == (own.extent, own.spacing), "extent")
        expect(plan["measured"] is own.measured, "measured")
        whole(plan, "maximum_voxels", 1, 1 << 32)


def _check(settings: VolumeSettings) -> None:
    """Raises SettingError for lists of another length than they can have."""
    window, spacing = settings.volume_window, settings.volume_spacing
    if window and not (len(window) == 2 and window[0] < window[1]):
        raise SettingError(
            f"Setting 'volume_window' must be two numbers, the lower first, and is {window}",
            remedy="Write it as --set volume_window=-1000,400",
        )
    if len(spacing) not in (0, 1, 3):
        raise SettingError(
            f"Setting 'volume_spacing' must be one number or three, and is {spacing}",
            remedy="Write it as --set volume_spacing=2, or volume_spacing=5,1,1 for depth, height and width",
        )


def _advice(plan: Mapping[str, Any], settings: VolumeSettings) -> str:
    """What helps where scans are read more coarsely than they are, and nobody has said how they are to be read."""
    seen, largest = max(plan["extent"]), plan["largest_side"]
    if settings.volume_size is not None or settings.volume_spacing or seen >= largest:
        return ""
    what = f"is read with {seen} voxels along its longest side, of {plan['own_side']} that most scans have"
    return f"{what}; where what matters is small, it takes longer and finds more with --set volume_size={largest}"


def _range(voxels: np.ndarray, window: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest value that is seen, (channels,) each."""
    if window:
        low, high = np.clip(np.array(window), -LARGEST_VALUE, LARGEST_VALUE)
        return np.full(voxels.shape[1], low), np.full(voxels.shape[1], high)
    low, high = np.percentile(voxels, [LOWEST, HIGHEST], axis=0)
    # What is nearly always one value, such as the mark of something rare, has no percentiles to speak of.
    flat = low == high
    return np.where(flat, voxels.min(axis=0), low), np.where(flat, voxels.max(axis=0), high)


def _has_own_scale(spreads: np.ndarray, settings: VolumeSettings) -> bool:
    """Whether each volume is scaled by itself; ``spreads`` are those of training volumes, (n, channels)."""
    if settings.volume_scale != "auto":
        return settings.volume_scale == "own"
    if settings.volume_window:  # who knows the unit means it
        return False
    low, high = np.quantile(spreads, SPREAD_QUANTILES, axis=0)
    return bool(((low > 0) & (high > UNEQUAL_SPREADS * low)).any())


def _looking(settings: VolumeSettings) -> Looking:
    if not settings.volume_augmentation:
        return Looking()
    return Looking(
        settings.volume_flip,
        settings.volume_shift,
        settings.volume_gain,
        settings.volume_offset,
        settings.volume_noise,
    )


kinds.register(Volume.name)(Volume())
