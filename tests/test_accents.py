"""Accents change how something is said, and nothing of who says it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from training.accents import USUAL, Accent, draw_accent
from training.baseline import median_pitch
from training.people import VoiceTraits
from training.phonemes import VOWELS
from training.voice_synthesis import speak
from vfd.types import SAMPLE_RATE_HZ, Audio

MAN = VoiceTraits(male=True, age=0.0, size=0.0, larynx=0.0, breath=0.0, tempo=0.0, melody=0.0)
LEVELS = (-2.0, 0.0, 2.0)
ACCENTS = [draw_accent(np.random.default_rng(seed)) for seed in range(6)]


def sound_of(voice: VoiceTraits, accent: Accent, duration_s: float = 6.0) -> Audio:
    return speak(voice, duration_s, np.random.default_rng(3), accent).audio


def outline(audio: Audio) -> NDArray[np.float64]:
    """Average spectrum along the axis of log frequency, where another length of the vocal tract
    slides it."""
    log_hz = np.linspace(np.log(700), np.log(5000), 400)
    hz, power = signal.welch(audio, SAMPLE_RATE_HZ, nperseg=256)
    return np.asarray(signal.detrend(np.interp(log_hz, np.log(hz[1:]), np.log(power[1:]))))


def test_the_usual_accent_is_what_is_spoken_without_one() -> None:
    plain = speak(MAN, 2.0, np.random.default_rng(3)).audio
    np.testing.assert_array_equal(plain, sound_of(MAN, USUAL, 2.0))
    assert np.abs(plain - sound_of(MAN, ACCENTS[0], 2.0)).max() > 0.05


def test_a_seed_repeats_an_accent() -> None:
    first, again = (draw_accent(np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(sound_of(MAN, first, 1.0), sound_of(MAN, again, 1.0))


@pytest.mark.parametrize("seed", range(40))
def test_vowels_are_some_of_the_usual_ones_moved(seed: int) -> None:
    accent = draw_accent(np.random.default_rng(seed))
    assert 5 <= len(accent.vowels) <= len(VOWELS)
    for phone in accent.vowels:
        assert all(low < high for low, high in pairwise(phone.formants_hz))
        assert phone.mouth in {vowel.mouth for vowel in VOWELS}
        assert not any(phone.formants_hz == vowel.formants_hz for vowel in VOWELS)


@pytest.mark.parametrize("accent", ACCENTS)
def test_extreme_voices_are_finite_and_never_clip(accent: Accent) -> None:
    for sign in (-9.0, 9.0):
        audio = sound_of(VoiceTraits(sign > 0, *(6 * [sign])), accent, 2.0)
        assert np.isfinite(audio).all()
        assert 0.2 < np.abs(audio).max() <= 1


@pytest.mark.parametrize("accent", ACCENTS)
def test_pitch_and_length_of_the_vocal_tract_are_the_persons(accent: Accent) -> None:
    pitch = [median_pitch(sound_of(replace(MAN, larynx=z), accent)) for z in LEVELS]
    assert all(after > before + np.log(1.1) for before, after in pairwise(pitch))
    small, usual, large = (outline(sound_of(replace(MAN, size=z), accent)) for z in LEVELS)
    for one, other in ((small, usual), (usual, large)):
        assert np.correlate(one, other, mode="full").argmax() - 399 > 5
