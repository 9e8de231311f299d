"""Recordings to spectrograms, as a plan says: files or waveforms, what cannot be read named by row."""

from __future__ import annotations

from collections.abc import Mapping
from io import SEEK_END, BytesIO
from typing import Any

import numpy as np

from instar.errors import ColumnError
from instar.fields._files import Unreadable, on_each, problems_of, spread
from instar.fields._mel import LogMel, trimmed
from instar.fields._recordings import Header, RecordingError, as_fractions, check, decode, header, mixed
from instar.fields.digest import MISSING, digest, digest_bytes, digest_stream, in_threads
from instar.sources import Column, FileColumn, FileReference

# Headers looked at for rate and length.
HEADERS = 128
# Bytes up to which a file is read at once, and decoded from memory in half the time.
READ_WHOLE = 1 << 20

Results = list[np.ndarray | Unreadable | None]


def mel_of(plan: Mapping[str, Any]) -> LogMel:
    return LogMel(*(plan[name] for name in ("rate", "window", "hop", "bands", "pool")))


def size_of(plan: Mapping[str, Any]) -> int:
    """How many numbers are in memory at a time while a recording is read."""
    samples = round(plan["seconds"] * plan["rate"])
    return max(samples * plan["channels"], mel_of(plan).single_frames(samples) * plan["bands"])


def headers(sample: Column, rate: int | None) -> list[Header]:
    """What the files say of themselves, or what there is to say of arrays. Raises ColumnError."""
    if not isinstance(sample, FileColumn):
        waveforms = _waveforms(sample)
        if rate is None:
            raise ColumnError(
                "Arrays do not say how many samples a second has", remedy="Say it with --set audio_rate=16000"
            )
        return [Header(rate, *waveforms.shape[1:])]

    def look(_: int, file: FileReference) -> Header:
        with file.open() as stream:
            return header(stream)

    looks = on_each(spread(sample, HEADERS), look, RecordingError, "recording")
    found = [each for each in looks if isinstance(each, Header)]
    if not found:
        raise ColumnError(
            "None of the recordings can be read" + "".join(f": {each.reason}" for each in problems_of(looks)[:1]),
            remedy="Check that the files are recordings and not damaged",
        )
    return found


def _waveforms(column: Column) -> np.ndarray:
    """(n, channels, samples) of an array with or without channels. Raises ColumnError for any other column."""
    if not isinstance(column, np.ndarray) or column.ndim not in (2, 3):
        raise ColumnError(
            "Such a column cannot be read as recordings",
            remedy="Give files, or arrays (rows, samples) or (rows, channels, samples)",
        )
    return column if column.ndim == 3 else column[:, None]


def spectrogram(samples: np.ndarray, plan: Mapping[str, Any]) -> np.ndarray:
    """int16 (frames, channels, bands) of samples (channels, n)."""
    mel = mel_of(plan)
    frames = np.stack([mel(channel) for channel in samples], axis=1)
    return trimmed(frames, plan["trim"]) if plan["trim"] else frames


def spectrograms(column: Column, plan: Mapping[str, Any]) -> tuple[Results, np.ndarray]:
    """Of each row the `spectrogram`, None or why it cannot be read; and the rows' digests."""
    return _read_files(column, plan) if isinstance(column, FileColumn) else _read_arrays(column, plan)


def _read_files(column: FileColumn, plan: Mapping[str, Any]) -> tuple[Results, np.ndarray]:
    digests = np.full(len(column), MISSING, np.uint64)

    def read(row: int, file: FileReference) -> np.ndarray:
        with file.open() as stream:
            size = stream.seek(0, SEEK_END)
            stream.seek(0)
            content = stream.read(size) if size <= READ_WHOLE else b""
            digests[row] = digest_bytes(content) if content else digest_stream(stream)
            stream.seek(0)
            sound = BytesIO(content) if content else stream
            return spectrogram(decode(sound, plan["rate"], plan["channels"], plan["seconds"]), plan)

    return on_each(column.files, read, RecordingError, "recording"), digests


def _read_arrays(column: Column, plan: Mapping[str, Any]) -> tuple[Results, np.ndarray]:
    waveforms = _waveforms(column)
    if plan["channels"] not in (1, waveforms.shape[1]) and waveforms.shape[1] != 1:
        raise ColumnError(
            f"Recordings have {waveforms.shape[1]} channels where {plan['channels']} are expected",
            remedy="Give recordings like those that were learned from",
        )
    samples = waveforms[:, :, : round(plan["seconds"] * plan["rate"])]

    def read(row: int) -> np.ndarray | Unreadable:
        heard = mixed(as_fractions(samples[row]), plan["channels"])
        try:
            check(heard)
        except RecordingError as failure:
            return Unreadable(f"the recording {failure}")
        return spectrogram(heard, plan)

    return list(in_threads(read, range(len(column)))), digest(column)
