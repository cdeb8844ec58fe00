import numpy as np
import pytest
import scipy.signal

from training.effects import noise, room, suppress_noise
from vfd.types import SAMPLE_RATE_HZ, Audio

EFFECTS = (room, noise, suppress_noise)


def bursts() -> Audio:
    """Two tones with silence between and after them, (32000,)."""
    time = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    return (tone * ((time % 1) < 0.4)).astype(np.float32)


def level(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio.astype(np.float64) ** 2)))


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_keeps_length_and_range_and_repeats(effect: object) -> None:
    assert callable(effect)
    audio = bursts() + (0.01 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)
    first, again = (effect(audio, np.random.default_rng(3)) for _ in range(2))
    other = effect(audio, np.random.default_rng(4))
    assert first.dtype == np.float32
    assert first.shape == audio.shape
    assert np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_room_rings_after_the_voice_at_the_same_loudness() -> None:
    audio = bursts()
    wet = room(audio, np.random.default_rng(0))
    after = slice(6_500, 7_200)  # the tone ends at 6,400
    assert level(audio[after]) == 0
    assert level(wet[after]) > 0.003
    assert level(wet) == pytest.approx(level(audio), rel=0.01)


def test_noise_lies_within_its_limits() -> None:
    audio = bursts()
    for seed in range(20):
        added = noise(audio, np.random.default_rng(seed)) - audio
        ratio = 20 * np.log10(level(audio) / level(added))
        assert 4.9 < ratio < 30.1


def test_suppression_takes_noise_out_of_pauses_and_leaves_the_voice() -> None:
    rng = np.random.default_rng(1)
    noisy = bursts() + (0.01 * rng.standard_normal(32_000)).astype(np.float32)
    clean = suppress_noise(noisy, np.random.default_rng(2))
    assert level(clean[8_000:15_000]) < 0.6 * level(noisy[8_000:15_000])
    correlation = np.corrcoef(clean[1_000:6_000], noisy[1_000:6_000])[0, 1]
    assert correlation > 0.95
    assert scipy.signal.periodogram(clean[:6_400])[1].argmax() == 176  # still 440 Hz


def test_very_short_and_silent_sound_is_no_error() -> None:
    for effect in EFFECTS:
        silent = effect(np.zeros(1_000, dtype=np.float32), np.random.default_rng(0))
        assert not silent.any()
        assert effect(np.ones(100, dtype=np.float32), np.random.default_rng(0)).shape == (100,)
