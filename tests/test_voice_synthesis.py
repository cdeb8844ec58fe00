"""The voice traits can be measured in the sound, and nothing but the voice decides them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from training.people import VoiceTraits
from training.phonemes import FRAME_RATE_HZ, VOWELS, babble
from training.voice_synthesis import record, speak
from vfd.types import SAMPLE_RATE_HZ, Audio

MAN = VoiceTraits(male=True, age=0.0, size=0.0, larynx=0.0, breath=0.0, tempo=0.0, melody=0.0)
WOMAN = replace(MAN, male=False)
LEVELS = (-2.0, 0.0, 2.0)


def sound_of(voice: VoiceTraits, seed: int = 3, duration_s: float = 4.0) -> Audio:
    return speak(voice, duration_s, np.random.default_rng(seed)).audio


def pitch_track_hz(audio: Audio, lowest_hz: float, highest_hz: float) -> NDArray[np.float64]:
    """Autocorrelation peak of every voiced 40 ms frame, one each 10 ms."""
    low_passed = signal.sosfilt(
        signal.butter(4, 900, fs=SAMPLE_RATE_HZ, output="sos"), audio.astype(float)
    )
    frames = np.lib.stride_tricks.sliding_window_view(low_passed, 640)[::160]
    power = np.abs(np.fft.rfft(frames * np.hanning(640), 2048)) ** 2
    correlation = np.fft.irfft(power)
    shortest, longest = int(SAMPLE_RATE_HZ / highest_hz), int(SAMPLE_RATE_HZ / lowest_hz)
    lag = shortest + correlation[:, shortest:longest].argmax(axis=1)
    peak = correlation[np.arange(len(lag)), lag]
    voiced = (peak > 0.5 * correlation[:, 0]) & (peak > 0.1 * np.median(peak))
    return SAMPLE_RATE_HZ / lag[voiced]


def woman_pitch_hz(voice: VoiceTraits) -> NDArray[np.float64]:
    return np.concatenate([pitch_track_hz(sound_of(voice, seed), 120, 380) for seed in range(3)])


def rises(values: list[float], at_least: float) -> bool:
    return all(after > before * at_least for before, after in pairwise(values))


def test_a_seed_repeats_the_sound_and_another_seed_says_something_else() -> None:
    np.testing.assert_array_equal(sound_of(MAN), sound_of(MAN))
    assert np.abs(sound_of(MAN) - sound_of(MAN, seed=4)).max() > 0.05


@pytest.mark.parametrize("duration_s", [0.05, 0.5, 3.0, 12.34])
def test_shapes_and_ranges(duration_s: float) -> None:
    said = speak(WOMAN, duration_s, np.random.default_rng(0))
    assert said.audio.dtype == said.mouth_open.dtype == np.float32
    assert said.audio.shape == (round(duration_s * SAMPLE_RATE_HZ),)
    assert said.mouth_open.shape == (round(duration_s * FRAME_RATE_HZ),)
    assert np.abs(said.audio).max() <= 1
    assert said.mouth_open.min() >= 0
    assert said.mouth_open.max() <= 1


def test_extreme_voices_are_finite_and_never_clip() -> None:
    for sign in (-9.0, 9.0):
        voice = VoiceTraits(sign > 0, *(6 * [sign]))
        audio = sound_of(voice)
        assert np.isfinite(audio).all()
        assert 0.2 < np.abs(audio).max() <= 1


def test_sex_sets_the_register() -> None:
    man = np.median(pitch_track_hz(sound_of(MAN), 70, 300))
    woman = np.median(pitch_track_hz(sound_of(WOMAN), 70, 400))
    assert man == pytest.approx(115, rel=0.08)
    assert woman == pytest.approx(205, rel=0.08)


def test_larynx_sets_the_pitch_within_the_sex() -> None:
    pitch = [float(np.median(woman_pitch_hz(replace(WOMAN, larynx=z)))) for z in LEVELS]
    assert rises(pitch, 1.12)


def test_melody_widens_the_intonation() -> None:
    def spread(melody: float) -> float:
        low, high = np.percentile(woman_pitch_hz(replace(WOMAN, melody=melody, age=-2.5)), [10, 90])
        return float(np.log2(high / low))

    assert rises([spread(z) for z in LEVELS], 1.5)


def test_age_shakes_the_pitch() -> None:
    def shake(age: float) -> float:
        track = np.log2(woman_pitch_hz(replace(WOMAN, age=age, melody=-1.0)))
        slow = signal.savgol_filter(track, 31, 1)
        return float(np.median(np.abs(track - slow)))

    assert rises([shake(z) for z in LEVELS], 1.3)


def test_size_lowers_the_formants() -> None:
    """The average spectrum slides along the axis of log frequency."""
    log_hz = np.linspace(np.log(700), np.log(5000), 400)

    def outline(size: float) -> NDArray[np.float64]:
        hz, power = signal.welch(sound_of(replace(WOMAN, size=size)), SAMPLE_RATE_HZ, nperseg=256)
        return signal.detrend(np.interp(log_hz, np.log(hz[1:]), np.log(power[1:])))

    reference = outline(0.0)
    for size in (-2.0, 2.0):
        match = signal.correlate(outline(size), reference, "same")
        slide = (int(match.argmax()) - len(log_hz) // 2) * (log_hz[1] - log_hz[0])
        assert slide == pytest.approx(-size * np.log(1.06), abs=0.06)


def test_breath_turns_high_harmonics_into_noise() -> None:
    def harmonicity(breath: float) -> float:
        band = signal.butter(4, (1200, 3200), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
        sound = signal.sosfilt(band, sound_of(replace(MAN, breath=breath, melody=-2.5, age=-2.5)))
        frames = np.lib.stride_tricks.sliding_window_view(sound, 640)[::160]
        correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)
        return float(np.median(correlation[:, 110:180].max(axis=1) / correlation[:, 0]))

    assert rises([harmonicity(z) for z in reversed(LEVELS)], 1.15)


def test_tempo_sets_the_syllables_a_second() -> None:
    def openings_per_s(tempo: float) -> float:
        mouth = speak(replace(MAN, tempo=tempo), 12.0, np.random.default_rng(1)).mouth_open
        return len(signal.find_peaks(mouth, prominence=0.05)[0]) / 12

    rates = [openings_per_s(z) for z in LEVELS]
    assert rises(rates, 1.2)
    assert 2 < rates[0] < rates[2] < 7


def test_mouth_opens_with_the_sound() -> None:
    said = speak(MAN, 6.0, np.random.default_rng(2))
    loudness = np.sqrt(np.mean(said.audio.reshape(-1, 160) ** 2, axis=1))
    assert np.corrcoef(loudness, said.mouth_open)[0, 1] > 0.5


def test_phrases_pause() -> None:
    audio = sound_of(MAN, duration_s=20.0)
    loudness = np.sqrt(np.mean(audio.reshape(-1, 1600) ** 2, axis=1))
    quiet = int(np.sum(loudness < 0.15 * np.median(loudness)))
    assert 3 <= quiet <= 30  # of 200 tenths of a second


def test_three_seconds_hear_every_vowel() -> None:
    mouth = babble(300, 4.3, np.random.default_rng(0)).mouth
    seen = {v.mouth for v in VOWELS if np.abs(mouth - v.mouth).min() < 0.05}
    assert len(seen) == len({v.mouth for v in VOWELS})


def test_record_keeps_the_length_and_sets_the_level() -> None:
    speech = sound_of(MAN)
    levels_db = []
    for seed in range(20):
        heard = record(speech, np.random.default_rng(seed))
        assert heard.dtype == np.float32
        assert heard.shape == speech.shape
        assert np.abs(heard).max() <= 1
        levels_db.append(20 * np.log10(np.sqrt(np.mean(heard**2))))
    assert -33 < min(levels_db) < -27
    assert -20 < max(levels_db) < -13


def test_record_takes_silence_and_single_samples() -> None:
    for audio in (np.zeros(1, np.float32), np.zeros(1600, np.float32)):
        heard = record(audio, np.random.default_rng(0))
        assert np.isfinite(heard).all()
        assert heard.shape == audio.shape
