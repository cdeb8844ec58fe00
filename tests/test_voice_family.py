"""The second family says the traits as the first does, and sounds like another machine."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from training.baseline import median_pitch
from training.people import VoiceTraits
from training.phonemes import FRAME_RATE_HZ
from training.voice_family import speak_additive
from training.voice_synthesis import speak
from vfd.types import SAMPLE_RATE_HZ, Audio

MAN = VoiceTraits(male=True, age=0.0, size=0.0, larynx=0.0, breath=0.0, tempo=0.0, melody=0.0)
WOMAN = replace(MAN, male=False)
LEVELS = (-2.0, 0.0, 2.0)


def sound_of(voice: VoiceTraits, seed: int = 3, duration_s: float = 4.0) -> Audio:
    return speak_additive(voice, duration_s, np.random.default_rng(seed)).audio


def test_a_seed_repeats_the_sound_and_another_says_something_else() -> None:
    np.testing.assert_array_equal(sound_of(MAN), sound_of(MAN))
    assert np.abs(sound_of(MAN) - sound_of(MAN, seed=4)).max() > 0.05


@pytest.mark.parametrize("duration_s", [0.05, 0.5, 3.0, 12.34])
def test_shapes_and_ranges(duration_s: float) -> None:
    said = speak_additive(WOMAN, duration_s, np.random.default_rng(0))
    assert said.audio.dtype == said.mouth_open.dtype == np.float32
    assert said.audio.shape == (round(duration_s * SAMPLE_RATE_HZ),)
    assert said.mouth_open.shape == (round(duration_s * FRAME_RATE_HZ),)
    assert np.abs(said.audio).max() <= 1
    assert 0 <= said.mouth_open.min() <= said.mouth_open.max() <= 1


def test_extreme_voices_are_finite_and_never_clip() -> None:
    for sign in (-9.0, 9.0):
        audio = sound_of(VoiceTraits(sign > 0, *(6 * [sign])))
        assert np.isfinite(audio).all()
        assert 0.2 < np.abs(audio).max() <= 1


def test_pitch_follows_sex_and_larynx_as_in_the_first_family() -> None:
    for voice, expected_hz in ((MAN, 115), (WOMAN, 205)):
        assert np.exp(median_pitch(sound_of(voice))) == pytest.approx(expected_hz, rel=0.12)
    heard = [median_pitch(sound_of(replace(WOMAN, larynx=z))) for z in LEVELS]
    assert all(after > before + np.log(1.1) for before, after in pairwise(heard))


def test_breath_turns_high_harmonics_into_noise() -> None:
    def harmonicity(breath: float) -> float:
        band = signal.butter(4, (1200, 3200), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
        sound = signal.sosfilt(band, sound_of(replace(MAN, breath=breath, melody=-2.5, age=-2.5)))
        frames = np.lib.stride_tricks.sliding_window_view(sound, 640)[::160]
        correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)
        regular = correlation[:, 110:180].max(axis=1) / np.maximum(correlation[:, 0], 1e-9)
        return float(np.median(regular))

    values = [harmonicity(z) for z in LEVELS]
    assert all(after < before / 1.1 for before, after in pairwise(values)), values


def test_size_lowers_the_formants() -> None:
    """The average spectrum slides along the axis of log frequency."""
    log_hz = np.linspace(np.log(700), np.log(5000), 400)

    def outline(size: float) -> NDArray[np.float64]:
        hz, power = signal.welch(sound_of(replace(MAN, size=size)), SAMPLE_RATE_HZ, nperseg=256)
        return signal.detrend(np.interp(log_hz, np.log(hz[1:]), np.log(power[1:])))

    def slid(size: float) -> int:
        return int(np.correlate(outline(size), outline(0.0), mode="full").argmax()) - 399

    assert slid(-2.0) > 5 > -5 > slid(2.0)


def test_the_same_person_does_not_sound_like_the_first_family() -> None:
    def spectrum(audio: Audio) -> NDArray[np.float64]:
        power = signal.welch(audio.astype(np.float64), SAMPLE_RATE_HZ, nperseg=256)[1]
        return 10 * np.log10(np.asarray(power) + 1e-12)

    first = spectrum(speak(MAN, 4.0, np.random.default_rng(3)).audio)
    again = spectrum(speak(MAN, 4.0, np.random.default_rng(4)).audio)
    second = spectrum(sound_of(MAN))
    assert np.abs(first - second).mean() > 2 * np.abs(first - again).mean()
