"""The front end against a slow definition, and what holes do to it."""

import numpy as np
import pytest

from vfd.spectrogram import BINS, FRAMES, stft512

SECONDS = np.arange(48_000) / 16_000


def noise(seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(48_000)).astype(np.float32)


def slow_stft512(audio: np.ndarray) -> np.ndarray:
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    padded = np.concatenate([audio.astype(np.float64), np.zeros(400)])
    columns = [
        np.abs(np.fft.fft(padded[160 * n : 160 * n + 400] * window, 1024)[1:513])
        for n in range(300)
    ]
    magnitude = np.stack(columns, axis=1)  # all frames of steady noise count alike
    log = np.log(magnitude + 0.1 * np.sqrt((magnitude**2).mean(1, keepdims=True)) + 1e-7)
    return (log - log.mean(1, keepdims=True)) / np.maximum(log.std(1, keepdims=True), 1e-5)


def test_equals_the_definition() -> None:
    spectrogram = stft512(noise())
    assert spectrogram.shape == (1, BINS, FRAMES)
    assert spectrogram.dtype == np.float32
    assert spectrogram.flags.c_contiguous
    np.testing.assert_allclose(spectrogram[0], slow_stft512(noise()), atol=2e-3)


def test_a_tone_switched_on_stands_in_its_bin() -> None:
    tone = np.where(SECONDS >= 1.5, np.sin(2 * np.pi * 1000 * SECONDS), 0)
    spectrogram = stft512((0.5 * tone + 0.03 * noise()).astype(np.float32))[0]
    bin_1khz = round(1000 / 15.625) - 1  # the first bin is 15.6 Hz
    assert spectrogram[bin_1khz, 160:298].min() > spectrogram[bin_1khz, :140].max() + 2


def test_level_does_not_matter() -> None:
    np.testing.assert_allclose(stft512(noise()), stft512(noise() * np.float32(0.25)), atol=0.05)


def test_holes_are_the_lowest_value_of_their_bin_and_leave_the_rest_alone() -> None:
    holed = noise()
    holed[16_000:32_000] = 0
    spectrogram, whole = stft512(holed)[0], stft512(noise())[0]
    received = np.r_[0:98, 200:300]
    hole = spectrogram[:, 101:197]
    assert (hole == hole[:, :1]).all()
    assert (hole <= spectrogram.min(axis=1, keepdims=True)).all()
    np.testing.assert_allclose(spectrogram[:, received].mean(axis=1), 0, atol=0.1)
    np.testing.assert_allclose(spectrogram[:, received].std(axis=1), 1, atol=0.1)
    correlation = np.corrcoef(spectrogram[:, received].ravel(), whole[:, received].ravel())
    assert correlation[0, 1] > 0.99


@pytest.mark.parametrize("room_db", [-60, -65, -80])
def test_a_pause_is_much_the_same_hole_whatever_the_room_sounds_like(room_db: float) -> None:
    rng = np.random.default_rng(3)
    holed = noise()
    holed[16_000:32_000] = 0
    room = 10 ** (room_db / 20) * rng.standard_normal(48_000)
    spectrogram, clean = stft512((holed + room).astype(np.float32))[0], stft512(holed)[0]
    pause, silence = spectrogram[:, 101:197], clean[:, 101:197]
    assert np.abs(pause - silence).mean() < 0.2 * np.abs(silence).mean()
    assert np.corrcoef(spectrogram.ravel(), clean.ravel())[0, 1] > 0.99


def test_a_little_more_noise_changes_little_even_at_the_edge_of_what_counts() -> None:
    """A hard limit would turn a pause on and off with the codec."""
    rng = np.random.default_rng(4)
    sound = noise()
    sound[16_000:32_000] *= 10 ** (-30 / 20)
    before = stft512(sound)[0]
    after = stft512(sound + (1e-4 * rng.standard_normal(48_000)).astype(np.float32))[0]
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99


def test_silence_is_zero() -> None:
    assert not stft512(np.zeros(48_000, np.float32)).any()


def test_extreme_sound_stays_finite() -> None:
    click = np.zeros(48_000, np.float32)
    click[20_000] = 1
    for audio in (click, np.ones(48_000, np.float32), np.full(48_000, 1e-30, np.float32)):
        assert np.isfinite(stft512(audio)).all()


@pytest.mark.parametrize("samples", [0, 47_999, 48_001])
def test_another_length_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match="48000"):
        stft512(np.zeros(samples, np.float32))
