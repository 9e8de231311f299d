"""Recordings: files in any format that libsndfile reads, or waveforms; log-mel spectrograms for networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import PurePath
from typing import Any

import numpy as np

from instar.errors import ColumnError, SourceError
from instar.fields._files import problems_of, spread
from instar.fields._hearing import LOUDEST_GAIN, Hearing
from instar.fields._mel import STEPS, LogMel
from instar.fields._pixels import as_png
from instar.fields._ragged import padded
from instar.fields._recordings import LEAST_RATE, SUFFIXES, RecordingError, header
from instar.fields._series_grid import share
from instar.fields._spectrograms import headers, mel_of, size_of, spectrograms
from instar.fields._state import array, expect, whole
from instar.fields._statistics import Moments
from instar.fields.base import Arrays, Field, Kind, Prepared, State, kinds, no_values
from instar.settings import Settings, setting
from instar.shapes import Grid, Image, Text, View
from instar.sources import Column, FileColumn, FileReference

SNIFFED_FILES = 16
# Where nothing is said: speech and most of what is told apart by ear lies below half of this rate.
CUSTOMARY_RATE, CUSTOMARY_SECONDS = 16_000, 30.0
# A few recordings that are far longer than the others do not decide the length of all.
LONG_QUANTILE, FAR_LONGER = 0.95, 1.5
HIGHEST_RATE, LONGEST_WINDOW = 192_000, 250.0
LONGEST_SECONDS, MOST_CHANNELS, MOST_BANDS, MOST_FRAMES = 600.0, 16, 256, 1 << 13
# Samples of a recording, and numbers made of it, in memory at a time: half a gigabyte at most.
LARGEST_RECORDING = 1 << 27
# Networks halve the frames three times.
FRAMES_MULTIPLE = 8
# Decibels; what varies less is hardly heard, and scaled up it would be a roar.
LEAST_SPREAD = 3.0
# Frames of every chunk that the bands' mean and spread are taken from.
MEASURED_FRAMES = 1 << 14
SHOWN_FRAMES = 512


@dataclass(frozen=True)
class AudioSettings(Settings):
    """How recordings are heard, and how training recordings are varied."""

    audio_rate: int | None = setting(
        None,
        "samples in a second to which recordings are brought, and which arrays have; nothing said: the most frequent "
        f"of the files, at most {CUSTOMARY_RATE:,}",
        minimum=LEAST_RATE,
        maximum=HIGHEST_RATE,
    )
    audio_channels: int = setting(
        1, "channels of a recording that are heard; 1 is the mean of all", minimum=1, maximum=MOST_CHANNELS
    )
    audio_seconds: float | None = setting(
        None,
        "seconds from the beginning of a recording that are read; nothing said: as long as nearly all are, at most "
        f"{CUSTOMARY_SECONDS:g}",
        minimum=0.01,
        maximum=LONGEST_SECONDS,
    )
    audio_frames: int = setting(
        256,
        "most frames that a recording becomes; where there are more, neighboring ones are averaged",
        minimum=FRAMES_MULTIPLE,
        maximum=MOST_FRAMES,
    )
    audio_bands: int = setting(
        64,
        "pitches that are told apart, at even distances on the mel scale",
        minimum=8,
        maximum=MOST_BANDS,
        source="Davis & Mermelstein 1980; Slaney 1998",
    )
    audio_window: float = setting(25.0, "milliseconds that a frame hears", minimum=1.0, maximum=LONGEST_WINDOW)
    audio_hop: float = setting(10.0, "milliseconds from one frame to the next", minimum=1.0, maximum=1000.0)
    audio_trim: float = setting(
        0.0,
        "decibels below its loudest frame from which on the beginning and the end of a recording are cut off as "
        "silence; 0 cuts nothing",
        minimum=0.0,
        maximum=200.0,
    )
    audio_augmentation: bool = setting(True, "whether training recordings are varied at all")
    audio_shift: float = setting(
        0.0,
        "farthest shift of training recordings in time, as a fraction of the length; what is shifted out is lost, such "
        "as a word's first consonant",
        minimum=0.0,
        maximum=1.0,
    )
    audio_gain: float = setting(
        6.0, "most by which training recordings get louder or softer, in decibels", minimum=0.0, maximum=LOUDEST_GAIN
    )
    audio_noise: float = setting(
        0.0,
        "most white noise that is added to training recordings, as a fraction of the loudest sound in them",
        minimum=0.0,
        maximum=1.0,
    )
    audio_time_mask: float = setting(
        0.1,
        "longest stretch of training recordings that is hidden, as a fraction of the length",
        minimum=0.0,
        maximum=1.0,
        source="SpecAugment: Park et al. 2019",
    )
    audio_band_mask: float = setting(
        0.1,
        "widest range of pitches of training recordings that is hidden, as a fraction of all",
        minimum=0.0,
        maximum=1.0,
        source="SpecAugment: Park et al. 2019",
    )


class AudioField(Field):
    """A recording as an input: decibels, each band with mean 0 and variance 1 on training rows.

    mean, scale: (channels, bands), in decibels above silence. seconds: of a frame. longest: of the training recordings,
    in seconds.
    """

    kind = "audio"
    answer = None

    def __init__(
        self,
        name: str,
        frames: int,
        mean: np.ndarray,
        scale: np.ndarray,
        hearing: Hearing,
        *,
        seconds: float,
        longest: float,
    ) -> None:
        self.name, self.mean, self.scale, self.hearing = name, mean, scale, hearing
        self.seconds, self.longest = seconds, longest
        channels, bands = mean.shape
        self.shape: Grid = Grid(channels, (bands, frames), timed=True)

    def prepare(self, arrays: Arrays) -> Prepared:
        import torch

        assert arrays.lengths is not None
        # What a recording is shorter is silence, which 0 stands for.
        frames = torch.from_numpy(padded(arrays.values, arrays.lengths, self.shape.extent[1]))
        grid = torch.empty((len(arrays), self.shape.channels, *self.shape.extent))
        grid.copy_(frames.permute(0, 2, 3, 1))
        silence, scale = self._silence_and_scale()
        torch.addcmul(silence, grid, 1 / (STEPS * scale), out=grid)
        present = torch.from_numpy(np.array(arrays.present))
        if not bool(present.all()):
            grid[~present] = 0.0
        return {"grid": grid, "present": present}

    def _silence_and_scale(self) -> tuple[Any, Any]:
        """What stands for silence, and decibels for each 1: float32 tensors (channels, bands, 1)."""
        import torch

        both = (-self.mean / self.scale, self.scale)
        silence, scale = (torch.from_numpy(each.astype(np.float32)).unsqueeze(2) for each in both)
        return silence, scale

    def augment(self, prepared: Prepared, generator: Any) -> Prepared:
        if self.hearing == Hearing():
            return prepared
        grid, present = prepared["grid"], prepared["present"]
        silence, scale = (each.to(grid.device) for each in self._silence_and_scale())
        varied = self.hearing(grid, silence, scale, generator)
        return {"grid": varied * present[:, None, None, None], "present": present}

    def show(self, arrays: Arrays, row: int) -> View:
        if not arrays.present[row]:
            return Text("missing")
        frames = arrays.of_row(row)
        seconds = f"{len(frames) * self.seconds:.2g} s, low pitches at the bottom"
        shown = frames[:: -(-len(frames) // SHOWN_FRAMES), 0].astype(np.float32)
        low, high = float(shown.min()), float(shown.max())
        gray = 255 * (shown - low) / max(high - low, 1.0)
        return Image(as_png(gray.T[::-1, :, None].astype(np.uint8)), seconds)

    def describe(self) -> str:
        channels, (bands, frames) = self.shape.channels, self.shape.extent
        several = f"{channels} channels of " if channels > 1 else ""
        return (
            f"recordings of up to {self.longest:.2g} s, heard as {several}{bands} pitches in {frames:,} frames of "
            f"{1000 * self.seconds:.3g} ms"
        )

    def state(self) -> State:
        content = {
            "frames": self.shape.extent[1],
            "seconds": self.seconds,
            "longest": self.longest,
            "hearing": asdict(self.hearing),
        }
        return content, {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> AudioField:
        mean = array(arrays, "mean", np.float64, None, None)
        expect(1 <= mean.shape[0] <= MOST_CHANNELS and 1 <= mean.shape[1] <= MOST_BANDS, "bands")
        scale = array(arrays, "scale", np.float64, *mean.shape)
        expect(bool((scale > 0).all()), "scale")
        return cls(
            name,
            whole(content, "frames", 1, MOST_FRAMES + FRAMES_MULTIPLE),
            mean,
            scale,
            Hearing.from_json(content["hearing"]),
            seconds=share(content, "seconds", LONGEST_SECONDS),
            longest=share(content, "longest", 2 * LONGEST_SECONDS),
        )


class Audio(Kind):
    name = "audio"
    meaning = "recordings of sound, in files or as arrays of samples"
    settings = AudioSettings
    reads_files = True
    modality = "audio"

    def sniff(self, sample: Column, *, target: bool = False) -> float:
        """Arrays of samples look like any numbers: whoever has them says so."""
        if target or not isinstance(sample, FileColumn):
            return 0.0
        files = spread(sample, SNIFFED_FILES)
        return 0.95 * sum(map(_looks_like_recording, files)) / max(1, len(files))

    def sample(self, generator: np.random.Generator, rows: int = 64) -> Column:
        import soundfile

        files: list[FileReference | None] = []
        for row in range(rows):
            times = np.arange(int(generator.integers(400, 1_600))) / 8_000
            tone = np.sin(2 * np.pi * generator.uniform(100, 3_000) * times) + generator.normal(0, 0.1, len(times))
            stream = BytesIO()
            soundfile.write(stream, 0.3 * tone, 8_000, format="WAV")
            files.append(None if row % 19 == 7 else FileReference(f"{row}.wav", content=stream.getvalue()))
        return FileColumn(files)

    def survey(self, sample: Column, settings: Settings) -> dict[str, Any]:
        assert isinstance(settings, AudioSettings)
        found = headers(sample, settings.audio_rate)
        rates = Counter(each.rate for each in found).most_common()
        rate = settings.audio_rate or min(max(rate for rate, count in rates if count == rates[0][1]), CUSTOMARY_RATE)
        durations = np.array([each.seconds for each in found])
        long, longest = float(np.quantile(durations, LONG_QUANTILE, method="higher")), float(durations.max())
        nearly_all = longest if longest <= FAR_LONGER * long else long
        seconds = settings.audio_seconds or min(max(nearly_all, settings.audio_window / 1000), CUSTOMARY_SECONDS)
        mel = LogMel(
            rate,
            window=max(1, round(rate * settings.audio_window / 1000)),
            hop=max(1, round(rate * settings.audio_hop / 1000)),
            bands=settings.audio_bands,
            pool=1,
        )
        plan = {
            **asdict(mel),
            "pool": -(-mel.single_frames(round(seconds * rate)) // settings.audio_frames),
            "channels": settings.audio_channels,
            "seconds": seconds,
            "trim": settings.audio_trim,
        }
        if size_of(plan) > LARGEST_RECORDING:
            raise ColumnError(
                f"{seconds:g} s at {rate:,} samples in a second are too much of a recording",
                remedy="Read less of it (--set audio_seconds=...), or at a lower rate (--set audio_rate=...)",
            )
        return plan

    def bytes_of_a_row(self, plan: Mapping[str, Any]) -> int:
        return 4 * mel_of(plan).frames(round(plan["seconds"] * plan["rate"])) * plan["channels"] * plan["bands"]

    def read(self, column: Column, plan: Mapping[str, Any]) -> Arrays:
        """values: int16 (total frames, channels, bands), hundredths of a decibel above silence."""
        results, digests = spectrograms(column, plan)
        nothing = np.zeros((0, plan["channels"], plan["bands"]), np.int16)
        frames = [each if isinstance(each, np.ndarray) else nothing for each in results]
        lengths = np.array([len(each) for each in frames], np.int64)
        values = np.concatenate(frames) if frames else nothing
        return Arrays(values, lengths > 0, digests, problems=problems_of(results), lengths=lengths)

    def fit(
        self, name: str, chunks: Iterable[Arrays], plan: Mapping[str, Any], settings: Settings, *, target: bool
    ) -> Field:
        assert isinstance(settings, AudioSettings)
        moments, counts = Moments(plan["channels"] * plan["bands"]), np.zeros(1, np.int64)
        for chunk in chunks:
            assert chunk.lengths is not None
            step = max(1, len(chunk.values) // MEASURED_FRAMES)
            moments.add(chunk.values[::step].reshape(-1, plan["channels"] * plan["bands"]) / STEPS)
            more = np.bincount(chunk.lengths[chunk.present], minlength=len(counts))
            more[: len(counts)] += counts
            counts = more
        if not moments.rows:
            raise no_values(name)
        known = np.cumsum(counts)
        long, longest = int(np.searchsorted(known, LONG_QUANTILE * known[-1])), len(counts) - 1
        wanted = longest if longest <= FAR_LONGER * long else long
        seconds = plan["hop"] * plan["pool"] / plan["rate"]
        shape = (plan["channels"], plan["bands"])
        return AudioField(
            name,
            -(-wanted // FRAMES_MULTIPLE) * FRAMES_MULTIPLE,
            moments.mean.reshape(shape),
            np.maximum(moments.standard_deviation, LEAST_SPREAD).reshape(shape),
            _hearing(settings),
            seconds=seconds,
            longest=longest * seconds,
        )

    def restore(self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Field:
        return AudioField.from_state(name, content, arrays)

    def check(self, plan: Mapping[str, Any], field: Field) -> None:
        assert isinstance(field, AudioField)
        rate = whole(plan, "rate", LEAST_RATE, HIGHEST_RATE)
        channels, bands = whole(plan, "channels", 1, MOST_CHANNELS), whole(plan, "bands", 1, MOST_BANDS)
        expect((channels, bands) == field.mean.shape, "channels")
        whole(plan, "window", 1, round(rate * LONGEST_WINDOW / 1000))
        whole(plan, "hop", 1, rate)
        whole(plan, "pool", 1, LARGEST_RECORDING)
        share(plan, "seconds", LONGEST_SECONDS)
        share(plan, "trim", 200.0)
        expect(size_of(plan) <= LARGEST_RECORDING, "seconds")


def _hearing(settings: AudioSettings) -> Hearing:
    if not settings.audio_augmentation:
        return Hearing()
    return Hearing(
        settings.audio_shift,
        settings.audio_gain,
        settings.audio_noise,
        settings.audio_time_mask,
        settings.audio_band_mask,
    )


def _looks_like_recording(file: FileReference) -> bool:
    suffix = PurePath(file.name).suffix.lower()
    if suffix and not suffix[1:].isdigit():
        return suffix in SUFFIXES
    try:
        with file.open() as stream:
            header(stream)
    except (RecordingError, SourceError):
        return False
    return True


kinds.register(Audio.name)(Audio())
