"""A second family of synthetic voices, for tests only: what a model learned from the first family
should hold for the same people when another machine speaks for them.

The traits mean what `training.people` says and move the same properties by the same amounts
(`training.voice_synthesis.timbre_of`). All else differs: harmonics are added up one by one instead
of filtering pulses, formants stand in a cascade instead of side by side, breath comes in puffs with
the glottis, the vowels are five and other ones, and the intonation sinks through a phrase.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from training.people import VoiceTraits
from training.phonemes import FRAME_RATE_HZ, Babble, Phone, babble
from training.voice_synthesis import (
    FFT,
    FRAME,
    FREQUENCY_HZ,
    HOP,
    ROOT_HANN,
    ROUGHNESS_HZ,
    SPEECH_RMS,
    TREMOR_HZ,
    Timbre,
    Utterance,
    overlap_add,
    overlapping,
    timbre_of,
    unsteady,
    within_range,
)
from vfd.types import SAMPLE_RATE_HZ

VERSION: Final = 1
"""Goes up with anything that alters what a given seed sounds like."""

_Floats = NDArray[np.float64]

_HIGHEST_HZ = 7600.0  # short of half the sampling rate: nothing may fold back
_BANDWIDTH_HZ = (90.0, 110.0, 170.0, 250.0, 300.0)
_FLATTENING = 0.45
_PULSE = 0.1  # amplitude of each harmonic, beside noise of unit power
_PHRASE_S = 2.6
_ACCENT_HZ = 1.3

# Formants of a five-vowel system such as Spanish, men; F4 and F5 move for the same reason as in
# training.phonemes.
VOWELS: Final = (
    Phone((300, 2150, 2850, 3550, 4650), voiced=0.85, mouth=0.25),
    Phone((480, 1850, 2500, 3450, 4350), voiced=0.95, mouth=0.5),
    Phone((720, 1400, 2450, 3300, 4250), voiced=1.0, mouth=1.0),
    Phone((500, 950, 2350, 3200, 4150), voiced=0.95, mouth=0.6),
    Phone((330, 720, 2200, 3100, 4050), voiced=0.8, mouth=0.2),
)


def speak_additive(voice: VoiceTraits, duration_s: float, rng: np.random.Generator) -> Utterance:
    """`duration_s` (> 0) seconds of random words in this voice, clean, speech at -20 dBFS."""
    samples = round(duration_s * SAMPLE_RATE_HZ)
    frames = -(-samples // HOP) + 3  # one more at either end for the overlap, one to interpolate to
    timbre = timbre_of(voice)
    words = babble(frames, timbre.syllables_per_s, rng, VOWELS)
    tremor = unsteady(frames, TREMOR_HZ, rng).astype(np.float64)
    roughness = unsteady(frames, ROUGHNESS_HZ, rng)
    loudness = np.exp(timbre.tremor_loudness * tremor + timbre.roughness * roughness)
    pitch_hz = _intonation(timbre, tremor, rng)
    turns = _turns(pitch_hz)
    voiced = _harmonics(turns, pitch_hz, words, timbre, loudness)
    voiced *= 1 + timbre.subharmonic * np.cos(np.pi * turns)  # every second pulse is weaker
    puffs = 1 + 0.5 * np.cos(2 * np.pi * turns)
    sound = voiced + _noise(puffs, words, timbre, loudness, rng)
    sound = sound[HOP : HOP + samples]
    sound *= SPEECH_RMS / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-9)
    mouth = words.mouth[1 : 1 + max(1, round(duration_s * FRAME_RATE_HZ))]
    return Utterance(within_range(sound), np.clip(mouth, 0, 1))


def _intonation(timbre: Timbre, tremor: _Floats, rng: np.random.Generator) -> _Floats:
    """Pitch (Hz) of every frame: accents of the voice's own range on a line that sinks by a third
    of it through each phrase."""
    time_s = np.arange(len(tremor)) / FRAME_RATE_HZ
    accent = np.sin(2 * np.pi * (_ACCENT_HZ * time_s + rng.random()))
    accent = np.tanh(2 * accent) * rng.uniform(0.85, 1.0)
    sinking = 0.5 - (time_s / _PHRASE_S + rng.random()) % 1.0
    own = timbre.pitch_range_st * (0.5 * accent + 0.33 * sinking)
    shaken = timbre.tremor_st * tremor + 12 * timbre.jitter * rng.standard_normal(len(tremor))
    return np.asarray(timbre.pitch_hz * 2 ** ((own + shaken) / 12))


def _turns(pitch_hz: _Floats) -> _Floats:
    """Turns of the glottis up to each sample, ((frames - 1) * HOP,)."""
    rate = _between(pitch_hz[:, None])[:, 0] / SAMPLE_RATE_HZ
    return np.cumsum(rate)


def _harmonics(
    turns: _Floats, pitch_hz: _Floats, words: Babble, timbre: Timbre, loudness: _Floats
) -> _Floats:
    """The voiced part, of the length of `turns`. sin(kx) follows from the two before it."""
    count = int(_HIGHEST_HZ / pitch_hz.min())
    hz = pitch_hz[:, None] * np.arange(1, count + 1)
    share = 1 / (1 + (hz / timbre.harmonics_end_hz) ** 4)  # the same power as the first family's
    gain = _tract(hz, words.formants_hz * timbre.formant_scale) * _slope(hz) * np.sqrt(share)
    gain *= _PULSE * (words.voiced * loudness)[:, None] * (hz < _HIGHEST_HZ)
    twice_cosine = 2 * np.cos(2 * np.pi * turns)
    before, now = np.zeros_like(turns), np.sin(2 * np.pi * turns)
    sound = np.zeros_like(turns)
    for k in range(count):
        sound += _between(gain[:, k : k + 1])[:, 0] * now
        before, now = now, twice_cosine * now - before
    return sound


def _noise(
    puffs: _Floats, words: Babble, timbre: Timbre, loudness: _Floats, rng: np.random.Generator
) -> _Floats:
    """Breath where harmonics end, aspiration and frication, of the length of `puffs`."""
    white = rng.standard_normal((2, len(puffs)))
    white[0] *= puffs
    breath, hiss = fft.rfft(overlapping(white.astype(np.float32)), FFT)
    frames = len(breath)
    hz = np.broadcast_to(FREQUENCY_HZ, (frames, len(FREQUENCY_HZ))).astype(np.float64)
    tract = _tract(hz, words.formants_hz[:frames] * timbre.formant_scale)
    ratio = (hz / timbre.harmonics_end_hz) ** 4
    voiced = (words.voiced * loudness)[:frames, None] * np.sqrt(ratio / (1 + ratio))
    puff = timbre.breath_gain * words.aspirated[:frames, None]
    centre = words.band_hz[:frames, None] * timbre.formant_scale
    away = (hz - centre) * (2 / words.width_hz[:frames, None])
    friction = 0.12 * words.fricated[:frames, None] * np.exp(-0.5 * away * away)
    spectrum = breath * (tract * _slope(hz) * voiced)
    spectrum += hiss * (tract * _slope(hz) * puff + friction)
    blocks = fft.irfft(spectrum, FFT)[:, :FRAME] * ROOT_HANN
    return overlap_add(blocks.astype(np.float32)).astype(np.float64)


def _tract(hz: _Floats, formants_hz: NDArray[np.floating]) -> _Floats:
    """Gain of a cascade of resonators, each 1 at 0 Hz: `hz` (frames, n), `formants_hz` (frames,
    FORMANTS)."""
    gain = np.ones_like(hz)
    for k, width_hz in enumerate(_BANDWIDTH_HZ):
        squared = formants_hz[:, k, None] ** 2
        gain *= squared / np.sqrt((squared - hz**2) ** 2 + (width_hz * hz) ** 2)
    # The cascade falls steeply where a real tract has further formants: flattened, or the room's
    # noise would hide all above 2 kHz.
    return np.asarray(np.maximum(gain, 1e-4) ** _FLATTENING)


def _slope(hz: _Floats) -> _Floats:
    """Glottis and lips together: -6 dB per octave from 350 Hz on."""
    return np.asarray(1 / np.sqrt(1 + (hz / 350) ** 2))


def _between(tracks: _Floats) -> _Floats:
    """(frames, n) at 100 Hz to ((frames - 1) * HOP, n) at the sampling rate, by straight lines."""
    ramp = (np.arange(HOP) / HOP)[:, None]
    steps = np.diff(tracks, axis=0)
    lines = tracks[:-1, None, :] + ramp * steps[:, None, :]
    return np.asarray(lines.reshape(-1, tracks.shape[1]))
