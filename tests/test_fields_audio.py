"""Recordings: every format, rate and width put right, bounded however long, and damaged files named, never raised."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from instar.errors import ColumnError
from instar.fields import Arrays, Field, kinds
from instar.fields._hearing import hidden
from instar.fields._mel import SILENCE, STEPS, LogMel, edges, filters, hertz, mels, trimmed
from instar.fields.audio import AudioSettings
from instar.fields.digest import MISSING, digest, digest_bytes
from instar.sources import Column, FileColumn, FileReference

AUDIO = kinds["audio"]
PLAN = {
    "rate": 16_000,
    "window": 400,
    "hop": 160,
    "bands": 64,
    "pool": 1,
    "channels": 1,
    "seconds": 30.0,
    "trim": 0.0,
}


def tone(pitch: float = 440.0, rate: int = 16_000, seconds: float = 0.5, loudness: float = 0.5) -> np.ndarray:
    return loudness * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)


def encoded(samples: np.ndarray, rate: int = 16_000, form: str = "WAV", subtype: str | None = None) -> bytes:
    stream = BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=subtype)
    return stream.getvalue()


def files(*contents: bytes | None) -> FileColumn:
    return FileColumn(
        [None if each is None else FileReference(f"{row}.wav", content=each) for row, each in enumerate(contents)]
    )


def read_one(content: bytes, **plan: object) -> np.ndarray:
    """Decibels (frames, channels, bands)."""
    arrays = AUDIO.read(files(content), {**PLAN, **plan})
    assert not arrays.problems and arrays.present.all() and len(arrays.values) == arrays.lengths[0]
    return arrays.values / STEPS


def reason(content: bytes, **plan: object) -> str:
    arrays = AUDIO.read(files(content), {**PLAN, **plan})
    assert not arrays.present.any() and not len(arrays.values) and arrays.lengths.tolist() == [0]
    (problem,) = arrays.problems
    return problem.reason


def pitch_of(decibels: np.ndarray, rate: int = 16_000, bands: int = 64) -> float:
    """Hz of the middle of the loudest band."""
    return float(edges(rate, bands)[1:-1][decibels[:, 0].mean(axis=0).argmax()])


def survey(column: Column, **given_settings: object) -> dict:
    return AUDIO.survey(column, AudioSettings(**given_settings))


def fit(column: Column, **given_settings: object) -> tuple[Field, Arrays]:
    chosen = AudioSettings(**given_settings)
    plan = AUDIO.survey(column, chosen)
    arrays = AUDIO.read(column, plan)
    field = AUDIO.fit("sound", [arrays], plan, chosen, target=False)
    AUDIO.check(plan, field)
    return field, arrays


# The mel scale, its bands, and what they hear


def test_the_mel_scale_is_slaney_s():
    assert np.allclose(mels(np.array([60, 110, 220, 440, 1_000, 6_400])), [0.9, 1.65, 3.3, 6.6, 15, 42])
    frequencies = np.linspace(0, 20_000, 999)
    assert np.allclose(hertz(mels(frequencies)), frequencies)


@given(
    some.sampled_from([1_000, 8_000, 11_025, 16_000, 22_050, 48_000]),
    some.integers(8, 256),
    some.sampled_from([1.0, 25.0, 100.0]),
)
@settings(max_examples=40, deadline=None)
def test_every_band_hears_something_and_all_together_hear_evenly(rate, bands, window):
    from instar.fields._mel import _transform

    samples = max(1, round(rate * window / 1000))
    points, hann, weights = _transform(rate, samples, bands)
    weights = weights.toarray().T
    assert points >= samples == len(hann) and weights.shape == (points // 2 + 1, bands)
    assert np.array_equal(weights, filters(rate, points, bands))
    assert (weights.max(axis=0) > 0).all() and weights.min() >= 0 and weights.max() <= 1
    places, frequencies = edges(rate, bands), np.arange(points // 2 + 1) * rate / points
    between = (frequencies >= places[1]) & (frequencies <= places[-2])
    assert np.allclose(weights[between].sum(axis=1), 1, atol=1e-5), "neighboring triangles make up for each other"
    assert not weights[(frequencies <= places[0]) | (frequencies >= places[-1])].any()


@pytest.mark.parametrize("pitch", [100.0, 440.0, 1_000.0, 3_000.0, 7_000.0])
def test_a_full_scale_tone_is_loudest_in_its_band_at_nearly_full_scale(pitch):
    heard = read_one(encoded(tone(pitch, loudness=1.0), subtype="FLOAT"))
    places = edges(16_000, 64)
    band = heard[:, 0].mean(axis=0).argmax()
    assert places[band] < pitch < places[band + 2]
    assert abs(heard[5, 0].max() - SILENCE) < 3
    quiet = read_one(encoded(tone(pitch, loudness=0.1), subtype="FLOAT"))
    assert np.allclose(heard[5, 0, band] - quiet[5, 0, band], 20, atol=0.05)


def test_frames_are_what_a_plain_transform_gives():
    samples = np.random.default_rng(0).normal(0, 0.1, 1_000).astype(np.float32)
    mel = LogMel(8_000, window=200, hop=80, bands=20, pool=1)
    heard = mel(samples)
    assert heard.shape == (1 + 800 // 80, 20) and heard.dtype == np.int16
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(200) + 0.5) / 200)
    for number in (0, 7, 10):
        window = samples[80 * number : 80 * number + 200] * hann * 2 / hann.sum()
        angles = np.exp(-2j * np.pi * np.outer(np.arange(101), np.arange(200)) / 200)
        power = np.abs(angles @ window) ** 2 @ filters(8_000, 200, 20)
        assert np.allclose(heard[number] / STEPS, 10 * np.log10(power) + SILENCE, atol=0.02)


def test_frames_that_are_too_many_are_averaged_in_power():
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    fine = LogMel(16_000, 400, 160, 64, pool=1)
    coarse = replace(fine, pool=4)
    single, averaged = fine(samples) / STEPS, coarse(samples) / STEPS
    assert len(averaged) == coarse.frames(len(samples)) == -(-len(single) // 4)
    power = 10 ** (single / 10)
    assert np.allclose(averaged[3], 10 * np.log10(power[12:16].mean(axis=0)), atol=0.05)
    assert np.allclose(averaged[-1], 10 * np.log10(power[96:].mean(axis=0)), atol=0.05)


@given(some.integers(0, 3_000), some.integers(1, 500), some.integers(1, 400), some.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_the_number_of_frames_is_known_beforehand(samples, window, hop, pool):
    mel = LogMel(4_000, window, hop, 10, pool)
    assert len(mel(np.zeros(samples, np.float32))) == mel.frames(samples) >= 1


# Files


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("WAV", "ULAW"),
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
        ("AIFF", "PCM_16"),
        ("CAF", "PCM_16"),
    ],
)
def test_every_format_is_heard_alike(form, subtype):
    heard = read_one(encoded(tone(), form=form, subtype=subtype))
    exact = read_one(encoded(tone(), subtype="FLOAT"))
    assert abs(len(heard) - len(exact)) <= 15  # some coders fill up their last block
    assert abs(pitch_of(heard) - 440) < 25
    assert np.abs(heard[10:40, 0].max(axis=1) - exact[10:40, 0].max(axis=1)).max() < 1.5


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_every_rate_is_brought_to_one(rate):
    heard = read_one(encoded(tone(rate=rate), rate))
    assert heard.shape == (49, 1, 64) or len(heard) == 50
    assert abs(pitch_of(heard) - 440) < 25
    assert abs(heard[20, 0].max() - read_one(encoded(tone()))[20, 0].max()) < 0.5
    above = edges(16_000, 64)[:-2] > 1.1 * rate / 2
    assert (heard[10:40, 0, above] < 25).all(), "what a rate cannot hold is silence"


def test_channels_are_mixed_or_kept():
    left, right = tone(440), tone(2_000)
    stereo = encoded(np.stack([left, right], axis=1))
    both = read_one(stereo)
    assert both.shape[1] == 1
    assert np.allclose(both, read_one(encoded((left + right) / 2)), atol=2)
    kept = read_one(stereo, channels=2)
    assert kept.shape[1] == 2
    assert abs(pitch_of(kept[:, :1]) - 440) < 25 and abs(pitch_of(kept[:, 1:]) - 2_000) < 100
    mono = read_one(encoded(left), channels=2)
    assert np.array_equal(mono[:, 0], mono[:, 1]) and np.array_equal(mono[:, 0], kept[:, 0])
    assert "has 2 channels where 3 are expected" in reason(stereo, channels=3)
    six = read_one(encoded(np.stack([left] * 6, axis=1), 44_100))
    assert six.shape[1] == 1


def test_silence_and_very_short_recordings_are_sound():
    silent = read_one(encoded(np.zeros(8_000)))
    assert not silent.any() and len(silent) == 49
    assert read_one(encoded(np.zeros(1))).shape == (1, 1, 64)
    loud = read_one(encoded(np.full(8_000, 1e9), subtype="FLOAT"))
    assert np.isfinite(loud).all() and loud.max() > 200


def test_only_the_beginning_of_a_long_recording_is_decoded(tmp_path):
    path, rate = tmp_path / "long.wav", 48_000
    with soundfile.SoundFile(path, "w", rate, 2, "PCM_16") as sound:
        for second in range(120):
            sound.write(np.stack([tone(440 if second < 3 else 3_000, rate, 1.0)] * 2, axis=1))
    column = FileColumn([FileReference("long.wav", path=path)])
    assert path.stat().st_size > 20 * 2**20
    AUDIO.read(column, {**PLAN, "seconds": 0.1})  # imports take memory too
    tracemalloc.start()
    arrays = AUDIO.read(column, {**PLAN, "seconds": 3.0})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
    assert arrays.lengths.tolist() == [299] and abs(pitch_of(arrays.values / STEPS) - 440) < 25
    assert arrays.digests[0] == digest(column)[0] == digest_bytes(path.read_bytes()), "of all its bytes"


WAV = encoded(tone())
# A name for each, since libsndfile writes the time into some of them.
BROKEN = {
    "nothing": (b"", "is an empty file"),
    "text": (b"This is no recording but a text.\n" * 50, "is no recording in a known format"),
    "video": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 40, "is no recording in a known format"),
    "cut in its header": (WAV[:30], "is no recording in a known format"),
    "header alone": (WAV[:44], "has no samples"),
    "cut in its content": (encoded(tone(), form="FLAC")[:3_000], "is damaged"),
    "not a number": (encoded(np.array([0.1, np.nan, 0.2]), subtype="FLOAT"), "no finite numbers"),
    "infinite": (encoded(np.array([0.1, np.inf, 0.2]), subtype="DOUBLE"), "no finite numbers"),
    "slow": (encoded(tone(rate=500), 500), "has 500 samples in a second"),
}


@pytest.mark.parametrize(("content", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_recording_is_named(content, words):
    assert reason(content).startswith("0.wav ") and words in reason(content)


def test_a_recording_that_breaks_off_is_heard_so_far():
    heard, whole = read_one(WAV[: len(WAV) // 2]), read_one(WAV)
    assert 20 <= len(heard) <= 26
    assert np.array_equal(heard[:20], whole[:20])


def test_files_that_cannot_be_opened_are_named(tmp_path):
    (tmp_path / "headerless.raw").write_bytes(WAV[44:])
    paths = [tmp_path / "missing.wav", tmp_path, tmp_path / "headerless.raw"]
    column = FileColumn([FileReference(path.name, path=path) for path in paths])
    arrays = AUDIO.read(column, PLAN)
    assert [problem.row for problem in arrays.problems] == [0, 1, 2]
    assert "cannot be read" in arrays.problems[0].reason and "no regular file" in arrays.problems[1].reason
    assert "headerless.raw is no recording in a known format" in arrays.problems[2].reason
    assert arrays.digests[0] == MISSING


@given(some.integers(0, 2**32 - 1), some.sampled_from(["WAV", "FLAC", "OGG", "AIFF"]))
@settings(max_examples=40, deadline=None)
def test_damaged_files_never_raise(seed, form):
    generator = np.random.default_rng(seed)
    content = bytearray(encoded(tone(seconds=0.2), form=form))
    for place in generator.integers(0, len(content), 20):
        content[place] = generator.integers(256)
    content = bytes(content[: generator.integers(1, len(content) + 1)])
    arrays = AUDIO.read(files(content, WAV), PLAN)
    assert arrays.present[1] and (arrays.present[0] or arrays.problems[0].row == 0)
    assert arrays.digests[0] == digest_bytes(content)


def test_a_row_is_read_as_among_others():
    contents = [encoded(tone(pitch, seconds=seconds)) for pitch, seconds in ((300, 0.1), (500, 0.4), (900, 0.2))]
    together = AUDIO.read(files(*contents, None), PLAN)
    assert together.lengths[3] == 0 and not together.present[3]
    for row, content in enumerate(contents):
        assert np.array_equal(together.of_row(row) / STEPS, read_one(content))


# What is planned from headers


def test_the_rate_is_the_most_frequent_one_up_to_a_limit():
    low, high = encoded(tone(rate=8_000), 8_000), encoded(tone(rate=44_100), 44_100)
    assert survey(files(low, low, high))["rate"] == 8_000
    assert survey(files(low, high, high))["rate"] == 16_000
    assert survey(files(low, low, high), audio_rate=44_100)["rate"] == 44_100


def test_the_length_is_that_of_nearly_all():
    short, long = encoded(tone(seconds=0.2)), encoded(tone(seconds=5.0))
    assert survey(files(*[short] * 30))["seconds"] == pytest.approx(0.2)
    assert survey(files(*[short] * 30, long))["seconds"] == pytest.approx(0.2), "one alone does not decide"
    assert survey(files(*[short, long] * 9))["seconds"] == pytest.approx(5.0)
    very_long = encoded(np.zeros(40 * 1_000), 1_000)
    assert survey(files(very_long))["seconds"] == 30
    assert survey(files(very_long), audio_seconds=35.0)["seconds"] == 35
    assert survey(files(short), audio_seconds=9.0)["seconds"] == 9


def test_long_recordings_become_no_more_frames_than_short_ones():
    field, arrays = fit(files(encoded(tone(seconds=9.0))))
    assert field.shape.extent == (64, 232) and arrays.lengths.tolist() == [225]
    assert "9 s" in field.describe() and "40 ms" in field.describe()
    fine, _ = fit(files(encoded(tone(seconds=9.0))), audio_frames=1_000)
    assert fine.shape.extent == (64, 904)


def test_no_readable_file_and_too_much_of_one_are_errors():
    with pytest.raises(ColumnError, match=r"None of the recordings can be read: 0.wav is an empty file"):
        survey(files(b"", b"text"))
    with pytest.raises(ColumnError, match="None of the recordings can be read"):
        survey(files(None))
    with pytest.raises(ColumnError, match="too much of a recording"):
        survey(files(WAV), audio_seconds=600.0, audio_rate=192_000, audio_channels=16)


def test_trimming_cuts_the_silence_around():
    loud, pause = tone(seconds=0.5), 0.001 * tone(seconds=0.3)
    content = encoded(np.concatenate([pause, loud, pause, loud, pause]))
    assert len(read_one(content)) == 189
    assert 128 <= len(read_one(content, trim=30.0)) <= 136, "not the pause between"
    assert len(read_one(content, trim=80.0)) == 189
    silence = np.zeros((7, 1, 64), np.int16)
    assert len(trimmed(silence, 30.0)) == 7


@pytest.mark.parametrize(
    ("names", "content", "low", "high"),
    [
        (["a.wav", "b.FLAC", "c.mp3", "d.aiff"], b"", 0.9, 1.0),
        (["a.png", "b.txt", "c.mp4", "metadata.csv"], WAV, 0.0, 0.0),
        (["one", "two", "3.14", "4"], WAV, 0.9, 1.0),
        (["one", "two"], b"a text\n" * 99, 0.0, 0.0),
    ],
)
def test_files_are_recognized_by_name_or_content(names, content, low, high):
    column = FileColumn([FileReference(name, content=content) for name in names])
    assert low <= AUDIO.sniff(column) <= high
    assert AUDIO.sniff(column, target=True) == 0


# Waveforms in arrays


def test_arrays_need_a_rate_and_are_heard_like_files():
    waves = np.stack([tone(440), tone(2_000)]).astype(np.float32)
    assert AUDIO.sniff(waves) == 0, "any numbers look so"
    with pytest.raises(ColumnError, match="how many samples a second has"):
        survey(waves)
    plan = survey(waves, audio_rate=16_000)
    assert plan["rate"] == 16_000 and plan["seconds"] == 0.5
    arrays = AUDIO.read(waves, plan)
    for row in range(2):
        expected = read_one(encoded(waves[row], subtype="FLOAT"))
        assert np.array_equal(arrays.of_row(row) / STEPS, expected)
    for whole in (np.int16, np.uint8, np.int32):
        info = np.iinfo(whole)
        middle = 128 if whole == np.uint8 else 0
        coded = np.round(waves.astype(np.float64) * (info.max - middle) + middle).astype(whole)
        heard = AUDIO.read(coded, plan)
        assert abs(heard.values.max() - arrays.values.max()) < 0.2 * STEPS
        assert np.array_equal(heard.digests, digest(coded))


def test_arrays_with_channels_and_with_gaps():
    waves = np.stack([np.stack([tone(440), tone(2_000)])] * 3)
    plan = survey(waves, audio_rate=16_000, audio_channels=2)
    assert AUDIO.read(waves, plan).values.shape[1:] == (2, 64)
    waves[1, 0, 5] = np.nan
    arrays = AUDIO.read(waves, survey(waves, audio_rate=16_000))
    assert arrays.present.tolist() == [True, False, True]
    assert arrays.problems[0].row == 1 and "the recording has samples that are no finite" in arrays.problems[0].reason
    with pytest.raises(ColumnError, match="2 channels where 3"):
        AUDIO.read(waves, {**plan, "channels": 3})
    for other in (pl.Series(["a"]), np.zeros((2, 2, 2, 2))):
        with pytest.raises(ColumnError, match="cannot be read as recordings"):
            AUDIO.read(other, plan)


# What a network gets


def test_shorter_recordings_are_filled_up_with_silence_and_absent_ones_are_zero():
    field, arrays = fit(files(encoded(tone(seconds=0.5)), encoded(np.zeros(1_600)), None, encoded(tone(seconds=0.2))))
    prepared = field.prepare(arrays)
    grid = prepared["grid"]
    assert grid.shape == (4, 1, 64, 56) and grid.is_contiguous()
    silence = torch.from_numpy((-field.mean / field.scale).astype(np.float32))
    assert torch.allclose(grid[1], silence[:, :, None].expand(1, 64, 56))
    assert torch.allclose(grid[3, :, :, 20:], silence[:, :, None].expand(1, 64, 36))
    assert not grid[2].any() and prepared["present"].tolist() == [True, True, False, True]
    decibels = grid[0, 0, :, :49].numpy().T * field.scale[0] + field.mean[0]
    assert np.allclose(decibels, arrays.of_row(0)[:, 0] / STEPS, atol=1e-3)


def test_bands_have_mean_0_and_variance_1_and_quiet_ones_are_not_made_loud():
    generator = np.random.default_rng(0)
    field, arrays = fit(files(*(encoded(tone(generator.uniform(200, 3_000), 8_000), 8_000) for _ in range(20))))
    grid = field.prepare(arrays)["grid"][:, 0, :, :49]
    assert grid.mean(dim=(0, 2)).abs().max() < 0.01
    assert (grid.std(dim=(0, 2)) < 1.01).all() and grid.std(dim=(0, 2)).max() > 0.98
    low = encoded(tone(rate=8_000), 8_000)
    padded, _ = fit(files(low, low), audio_rate=16_000)
    assert (padded.scale >= 3).all(), "bands above what 8 kHz hold are silent"


def test_longer_recordings_than_in_training_lose_their_end():
    field, _ = fit(files(encoded(tone(seconds=0.3))))
    plan = survey(files(encoded(tone(seconds=2.0))))
    longer = AUDIO.read(files(encoded(np.concatenate([tone(seconds=0.5), tone(3_000, seconds=1.0)]))), plan)
    grid = field.prepare(longer)["grid"]
    assert grid.shape == (1, 1, 64, 32)
    assert np.allclose(grid[0, 0].numpy().T * field.scale[0] + field.mean[0], longer.values[:32, 0] / STEPS, atol=1e-3)


def varied(field: Field, arrays: Arrays, seed: int = 0) -> torch.Tensor:
    prepared = field.prepare(arrays)
    return field.augment(prepared, torch.Generator().manual_seed(seed))["grid"]


ALONE = {"audio_shift": 0.0, "audio_gain": 0.0, "audio_time_mask": 0.0, "audio_band_mask": 0.0}
SOUNDS = files(*(encoded(tone(300 + 100 * row, seconds=0.6)) for row in range(8)), None)


def decibels_of(field: Field, grid: torch.Tensor) -> np.ndarray:
    return grid[:, 0].numpy() * field.scale[0][:, None] + field.mean[0][:, None]


@pytest.mark.parametrize("changed", [{}, {"audio_noise": 0.3}])
def test_all_variations_together_stay_finite_differ_by_row_and_leave_absent_rows_alone(changed):
    field, arrays = fit(SOUNDS, **changed)
    grid, plain = varied(field, arrays), field.prepare(arrays)["grid"]
    assert grid.isfinite().all() and grid.shape == plain.shape and not grid[8].any()
    assert not torch.equal(grid, plain) and not torch.equal(grid, varied(field, arrays, seed=1))
    assert decibels_of(field, grid).min() > -0.01


def test_nothing_is_varied_where_nobody_wants_it():
    field, arrays = fit(SOUNDS, audio_augmentation=False)
    assert torch.equal(varied(field, arrays), field.prepare(arrays)["grid"])


def test_a_shift_moves_sound_in_time_and_silence_follows():
    field, arrays = fit(SOUNDS, **{**ALONE, "audio_shift": 0.5})
    plain, moved = decibels_of(field, field.prepare(arrays)["grid"]), decibels_of(field, varied(field, arrays))
    found = set()
    for row in range(8):
        expected = {}
        for by in range(-32, 33):
            place = np.zeros_like(plain[row])
            place[:, max(0, by) : 64 + min(0, by)] = plain[row][:, max(0, -by) : 64 - max(0, by)]
            expected[by] = place
        best = min(expected, key=lambda by: np.abs(expected[by] - moved[row]).max())
        assert np.abs(expected[best] - moved[row]).max() < 0.01
        found.add(best)
    assert len(found) > 4


def test_a_gain_is_the_same_in_all_places_but_silent_ones():
    field, arrays = fit(SOUNDS, **{**ALONE, "audio_gain": 6.0})
    plain, louder = decibels_of(field, field.prepare(arrays)["grid"]), decibels_of(field, varied(field, arrays))
    gains = []
    for row in range(8):
        heard = plain[row] > 10
        change = (louder[row] - plain[row])[heard]
        assert np.ptp(change) < 0.01 and abs(change[0]) <= 6
        assert np.abs(louder[row][plain[row] < 0.001]).max() < 0.01
        gains.append(change[0])
    assert np.ptp(gains) > 3


def test_noise_fills_the_gaps_and_leaves_what_is_louder():
    field, arrays = fit(SOUNDS, **{**ALONE, "audio_noise": 0.1})
    plain, noisy = decibels_of(field, field.prepare(arrays)["grid"]), decibels_of(field, varied(field, arrays))
    assert (noisy[:8] >= plain[:8] - 0.01).all()
    assert np.abs(noisy[:8] - plain[:8])[plain[:8] > 88].max() < 3
    silent = plain[:8] < 0.001
    assert 30 < noisy[:8][silent].mean() < 80


@given(some.integers(2, 40), some.floats(0.01, 1.0), some.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_mask_hides_one_stretch_of_at_most_the_share(size, most, seed):
    grid = torch.ones(16, 2, 5, size)
    mask = hidden(grid, 3, most, torch.Generator().manual_seed(seed)) == 0
    assert (mask == mask[:, :1, :1]).all()
    for row in mask[:, 0, 0]:
        places = torch.nonzero(row).flatten().tolist()
        assert places == list(range(places[0], places[-1] + 1)) if places else True
        assert len(places) <= most * size
    bands = hidden(grid, 2, 1.0, torch.Generator().manual_seed(seed)) == 0
    assert (bands == bands[:, :1, :, :1]).all() and bands.any() and not bands.all()


# A model folder is hostile


def test_a_field_comes_back_as_it_was_and_hostile_states_do_not():
    field, arrays = fit(SOUNDS, audio_noise=0.1)
    content, tensors = field.state()
    again = AUDIO.restore("sound", content, tensors)
    assert torch.equal(again.prepare(arrays)["grid"], field.prepare(arrays)["grid"])
    assert again.describe() == field.describe() and torch.equal(varied(again, arrays), varied(field, arrays))
    hostile = [
        {**content, "frames": 1 << 40},
        {**content, "seconds": float("nan")},
        {**content, "seconds": "1"},
        {**content, "hearing": {**content["hearing"], "gain": 1e9}},
        {**content, "hearing": {}},
        {name: value for name, value in content.items() if name != "longest"},
    ]
    for each in hostile:
        with pytest.raises((ValueError, KeyError)):
            AUDIO.restore("sound", each, tensors)
    with pytest.raises(ValueError, match="scale"):
        AUDIO.restore("sound", content, {**tensors, "scale": 0 * tensors["scale"]})
    with pytest.raises(ValueError, match="scale"):
        AUDIO.restore("sound", content, {**tensors, "scale": tensors["scale"][:, :5]})


@pytest.mark.parametrize(
    "changed",
    [
        {"rate": 1 << 40},
        {"rate": 16_000.0},
        {"window": 0},
        {"window": 1 << 30},
        {"hop": 0},
        {"pool": 0},
        {"channels": 2},
        {"bands": 65},
        {"seconds": 1e9},
        {"seconds": float("inf")},
        {"seconds": 600.0, "hop": 1},
        {"trim": -1.0},
    ],
)
def test_a_plan_that_no_survey_gives_is_refused(changed):
    field, _ = fit(SOUNDS)
    AUDIO.check(PLAN, field)
    with pytest.raises(ValueError):
        AUDIO.check({**PLAN, **changed}, field)


def test_it_is_shown_as_a_picture_of_its_pitches(tmp_path):
    from PIL import Image

    field, arrays = fit(files(encoded(np.concatenate([tone(200), tone(6_000)]))))
    view = field.show(arrays, 0)
    pixels = np.asarray(Image.open(BytesIO(view.png)))
    assert pixels.shape == (64, 99) and "0.99 s" in view.text
    assert pixels[:, 20].argmax() > 50 and pixels[:, 80].argmax() < 15, "low pitches are below"


# From files to answers


def test_tones_in_folders_are_learned_and_lists_of_files_answered(tmp_path):
    import instar

    generator = np.random.default_rng(3)
    pitches = {"low": 300.0, "middle": 900.0, "high": 2_500.0}
    for name, pitch in pitches.items():
        (tmp_path / "tones" / name).mkdir(parents=True)
        for number in range(20):
            sound = tone(pitch * generator.uniform(0.8, 1.25), 8_000, generator.uniform(0.2, 0.5))
            sound = sound + generator.normal(0, 0.05, len(sound))
            form = ("wav", "flac", "ogg")[number % 3]
            soundfile.write(tmp_path / "tones" / name / f"{number}.{form}", sound, 8_000)
    (tmp_path / "tones" / "low" / "text.wav").write_text("no recording")
    quick = {"epochs": 6, "batch": 16, "folds": 2, "rivals": False, "network": "lenet"}
    small = {"audio_bands": 16, "audio_frames": 24}
    model = instar.train(tmp_path / "tones", out=tmp_path / "run", **quick, **small)
    assert [each.kind for each in model.inputs] == ["audio"]
    some_files = [Path(tmp_path / "tones" / name / f"{number}") for name in pitches for number in (0, 3)]
    answers = instar.load(tmp_path / "run").predict([each.with_suffix(".wav") for each in some_files])
    assert answers["prediction"].to_list() == ["low", "low", "middle", "middle", "high", "high"]
    one = model.predict(tmp_path / "tones" / "high" / "1.flac")
    assert one["prediction"].to_list() == ["high"]
