"""Volumes: NIfTI files, folders of DICOM slices, or arrays; turned one way round, at one spacing and one size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl

from instar.errors import ColumnError, SettingError, UsageError
from instar.fields._files import problems_of, spread
from instar.fields._looking import FLIPS, Looking
from instar.fields._pixels import as_png, channels_last
from instar.fields._scan import LARGEST_SPACING, LARGEST_VALUE, LEAST_SPACING, MOST_CHANNELS
from instar.fields._scans import channels_of, grids, layouts, looks_like_scan
from instar.fields._state import array, expect, whole
from instar.fields._statistics import Reservoir
from instar.fields._voxels import LONGEST_SIDE, Triple, fitting, middle_slices
from instar.fields.base import Arrays, Field, Kind, Prepared, State, kinds, no_values
from instar.settings import Settings, setting
from instar.shapes import Grid, Image, Text, View
from instar.sources import Column, FileColumn, FileReference

SNIFFED_FILES = 16
LARGEST_SIDE = 512
# Numbers of one prepared volume: a quarter of a gigabyte.
LARGEST_GRID = 1 << 26
# Voxels of each training volume, and of all, that the range, mean and spread are taken from.
MEASURED_VOXELS, ALL_MEASURED, MEASURED_VOLUMES = 4_096, 1 << 18, 4_096
# Percentiles of the training voxels beyond which values are cut off, as nnU-Net does (Isensee et al. 2021).
LOWEST, HIGHEST = 0.5, 99.5
# Where the spreads of most volumes differ by more than this factor, their unit is the scanner's own, as in MRI.
UNEQUAL_SPREADS, SPREAD_QUANTILES = 3.0, (0.1, 0.9)
# Of the training voxels' spread: a volume that varies less is empty, and its noise is not to be made large.
LEAST_SPREAD = 0.01
# Farther from the mean than so many spreads no voxel is seen.
FARTHEST = 10.0


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
        "side in voxels of the part of a volume that a network sees: while training anywhere in it, another place "
        "every time, and when answering its middle",
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


@dataclass(frozen=True)
class Sight:
    """What of a volume is seen.

    extent: voxels along depth, height and width. spacing: from one to the next in millimeters, or without a unit where
    nothing was ``measured``. seen: the part that the network sees. own: whether each volume is scaled by its own mean
    and spread.
    """

    extent: Triple
    spacing: tuple[float, float, float]
    measured: bool
    seen: Triple
    own: bool

    @classmethod
    def from_json(cls, content: Any) -> Sight:
        """Raises ValueError or KeyError where that is none."""
        expect(isinstance(content, Mapping), "sight")
        extent, seen = _extent(content, "extent"), _extent(content, "seen")
        expect(all(part <= size for part, size in zip(seen, extent, strict=True)), "seen")
        expect(isinstance(content["measured"], bool) and isinstance(content["own"], bool), "sight")
        return cls(extent, _spacing(content), content["measured"], seen, content["own"])

    @property
    def middle(self) -> list[slice]:
        """Where the part lies that is seen when answering."""
        starts = [(size - part) // 2 for size, part in zip(self.extent, self.seen, strict=True)]
        return [slice(start, start + part) for start, part in zip(starts, self.seen, strict=True)]


class VolumeField(Field):
    """A volume as an input: values between two bounds, each channel with mean 0 and variance 1.

    mean, scale, low, high: (channels,), of the training voxels.

    Where only a part of a volume is seen, `prepare` gives its middle as the grid and the volume as ``whole``, out of
    which `augment` cuts other parts. A field gives a network one grid an example: to average over several parts when
    answering, every path from answers to export would have to know of parts.
    """

    kind = "volume"
    answer = None

    def __init__(
        self,
        name: str,
        sight: Sight,
        looking: Looking,
        *,
        mean: np.ndarray,
        scale: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
    ) -> None:
        self.name, self.sight, self.looking = name, sight, looking
        self.mean, self.scale, self.low, self.high = mean, scale, low, high
        self.shape: Grid = Grid(len(mean), sight.seen)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        bounds = (each.astype(np.float32).reshape(-1, 1, 1, 1) for each in (self.low, self.high))
        values = np.clip(arrays.values, *bounds)
        mean, scale = self._mean_and_scale(values)
        values -= mean.astype(np.float32)
        values *= (1 / scale).astype(np.float32)
        np.clip(values, -FARTHEST, FARTHEST, out=values)
        values[~arrays.present] = 0.0
        prepared = {"grid": torch.from_numpy(values), "present": torch.from_numpy(np.array(arrays.present))}
        if self.sight.seen != self.sight.extent:
            prepared["whole"] = prepared["grid"]
            prepared["grid"] = prepared["whole"][:, :, *self.sight.middle].contiguous()
        return prepared

    def _mean_and_scale(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Float64 (1 or n, channels, 1, 1, 1)."""
        if not self.sight.own:
            return self.mean.reshape(1, -1, 1, 1, 1), self.scale.reshape(1, -1, 1, 1, 1)
        flat = values.reshape(*values.shape[:2], -1)
        mean = flat.mean(axis=2, dtype=np.float64)
        spread = flat.std(axis=2, dtype=np.float64)
        wide = spread > LEAST_SPREAD * self.scale
        return mean[:, :, None, None, None], np.where(wide, spread, self.scale)[:, :, None, None, None]

    def augment(self, prepared: Prepared, generator: Any) -> Prepared:
        if self.looking == Looking() and "whole" not in prepared:
            return prepared
        whole, present = prepared.get("whole", prepared["grid"]), prepared["present"]
        return {**prepared, "grid": self.looking(whole, self.sight.seen, present, generator)}

    def check_leading(self) -> None:
        if self.sight.seen != self.sight.extent:
            raise UsageError(
                "Only a part of each volume is seen, and its answer is for the whole",
                remedy="Leave volume_patch out, or cut volumes and masks into parts yourself",
            )

    def motion(self, rows: int, generator: Any) -> Any | None:
        return None if self.looking == Looking() else self.looking.motion(rows, self.sight.extent, generator)

    def show(self, arrays: Arrays, row: int) -> View:
        if not arrays.present[row]:
            return Text("missing")
        picture = middle_slices(arrays.values[row][0], self.sight.spacing)
        return Image(as_png(picture), f"{self._size()}: middle slices from the front, the side and above")

    def _size(self) -> str:
        size = " x ".join(map(str, self.sight.extent))
        steps = sorted({f"{step:.3g}" for step in self.sight.spacing}, key=float)
        unit = f" of {' to '.join(dict.fromkeys((steps[0], steps[-1])))} mm" if self.sight.measured else ""
        return f"{size} voxels{unit}"

    def describe(self) -> str:
        channels = f", {self.shape.channels} channels" if self.shape.channels > 1 else ""
        part = " x ".join(map(str, self.sight.seen))
        seen = f", seen in parts of {part}" if self.sight.seen != self.sight.extent else ""
        own = ", each scaled by its own mean and spread" if self.sight.own else ""
        return f"volumes of {self._size()}{channels}{seen}{own}"

    def state(self) -> State:
        content = {"sight": asdict(self.sight), "looking": asdict(self.looking)}
        return content, {"mean": self.mean, "scale": self.scale, "low": self.low, "high": self.high}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> VolumeField:
        mean = array(arrays, "mean", np.float64, None)
        channels = len(mean)
        expect(1 <= channels <= MOST_CHANNELS, "channels")
        scale, low, high = (array(arrays, each, np.float64, channels) for each in ("scale", "low", "high"))
        expect(bool((scale > 0).all() and (low <= high).all()), "scale")
        sight = Sight.from_json(content["sight"])
        expect(channels * math.prod(sight.extent) <= LARGEST_GRID, "extent")
        looking = Looking.from_json(content["looking"])
        return cls(name, sight, looking, mean=mean, scale=scale, low=low, high=high)


class Volume(Kind):
    name = "volume"
    meaning = "scans and other volumes, in NIfTI files, folders of DICOM slices or arrays"
    settings = VolumeSettings
    reads_files = True

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """Arrays of four axes are pictures where one of them may be their channels."""
        if target or isinstance(sample, pl.Series):
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
        found = layouts(sample)
        channels = channels_of(found)
        if channels > MOST_CHANNELS:
            raise ColumnError(
                f"Volumes have {channels:,} numbers in a voxel (a scan over time?), and {MOST_CHANNELS} are the most",
                remedy="Give the mean over time, or a few of its volumes",
            )
        extent, spacing = fitting(
            found, settings.volume_size, settings.volume_spacing, measured=isinstance(sample, FileColumn)
        )
        if max(extent) > LARGEST_SIDE or channels * math.prod(extent) > LARGEST_GRID:
            raise ColumnError(
                f"Volumes of {' x '.join(map(str, extent))} voxels are too large",
                remedy="Take a coarser spacing (--set volume_spacing=2), or say a size (--set volume_size=128)",
            )
        return {
            "channels": channels,
            "extent": list(extent),
            "spacing": list(spacing),
            "measured": isinstance(sample, FileColumn),
            "maximum_voxels": settings.maximum_voxels,
        }

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        return 4 * plan["channels"] * math.prod(plan["extent"])

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: float32 (n, channels, depth, height, width) in the scans' own unit, 0 where absent."""
        results, digests = grids(column, plan)
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
        low, high = _range(voxels.rows, settings.volume_window)
        seen = np.clip(voxels.rows, low, high)
        spread_of_all = seen.std(axis=0)
        depth, height, width = plan["extent"]
        most = settings.volume_patch or LARGEST_SIDE
        sight = Sight(
            (depth, height, width),
            (plan["spacing"][0], plan["spacing"][1], plan["spacing"][2]),
            plan["measured"],
            (min(depth, most), min(height, most), min(width, most)),
            _has_own_scale(spreads.rows, settings),
        )
        return VolumeField(
            name,
            sight,
            _looking(settings),
            mean=seen.mean(axis=0),
            scale=np.where(spread_of_all > 0, spread_of_all, 1.0),
            low=low,
            high=high,
        )

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        return VolumeField.from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, VolumeField)
        expect(whole(plan, "channels", 1, MOST_CHANNELS) == field.shape.channels, "channels")
        expect(_extent(plan, "extent") == field.sight.extent, "extent")
        expect(_spacing(plan) == field.sight.spacing, "spacing")
        expect(plan["measured"] is field.sight.measured, "measured")
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


def _extent(content: Mapping[str, Any], name: str) -> Triple:
    sizes = content[name]
    expect(isinstance(sizes, list | tuple) and len(sizes) == 3, name)
    expect(all(type(each) is int and 1 <= each <= LARGEST_SIDE for each in sizes), name)
    return sizes[0], sizes[1], sizes[2]


def _spacing(content: Mapping[str, Any]) -> tuple[float, float, float]:
    steps = content["spacing"]
    expect(isinstance(steps, list | tuple) and len(steps) == 3, "spacing")
    expect(all(type(each) in (int, float) and 0 < each <= LARGEST_SPACING * LARGEST_SIDE for each in steps), "spacing")
    return float(steps[0]), float(steps[1]), float(steps[2])


kinds.register(Volume.name)(Volume())
