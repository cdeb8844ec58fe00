"""Voices of synthetic people: source-filter speech in which every voice trait can be heard.

Glottal pulses and noise are the sources; formants and frication bands shape them in the
short-time Fourier domain (Klatt, 1980, with magnitudes alone). A model normalises every frequency
over its window, so a static colour of the voice is lost to it: traits show in how things move, in
where harmonics end and noise begins, and in rhythm. What each trait does stands in `timbre_of`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from training.accents import USUAL, Accent
from training.people import VoiceTraits
from training.phonemes import FRAME_RATE_HZ, Babble, babble
from vfd.types import SAMPLE_RATE_HZ, Audio

VERSION: Final = 1
"""Goes up with anything that alters what a given seed sounds like."""

_Track = NDArray[np.float32]

HOP = SAMPLE_RATE_HZ // FRAME_RATE_HZ
FRAME = 2 * HOP
FFT = 512  # room for the ringing of a zero-phase filter around 320 samples
FREQUENCY_HZ = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE_HZ).astype(np.float32)
ROOT_HANN = np.sqrt(np.hanning(FRAME + 1)[:-1]).astype(np.float32)  # sums to 1 when squared

_FORMANT_GAIN = (1.0, 0.8, 0.6, 0.5, 0.5)
_FORMANT_WIDTH_HZ = (150.0, 180.0, 240.0, 300.0, 350.0)
TREMOR_HZ = 5.2
ROUGHNESS_HZ = 16.0  # faster than any syllables, slow enough for 10 ms windows
SPEECH_RMS = 0.1  # -20 dBFS, with room for the peaks


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Speech of one person: `audio` (n,) float32 at 16 kHz in [-1, 1], and how far the mouth is
    open, `mouth_open` (m,) float32 in [0, 1] at 100 Hz, over the same time."""

    audio: Audio
    mouth_open: NDArray[np.float32]


def speak(
    voice: VoiceTraits, duration_s: float, rng: np.random.Generator, accent: Accent = USUAL
) -> Utterance:
    """`duration_s` (> 0) seconds of random words in this voice, clean, speech at -20 dBFS."""
    samples = round(duration_s * SAMPLE_RATE_HZ)
    frames = -(-samples // HOP) + 2  # one more at either end for the overlap
    timbre = timbre_of(voice)
    words = babble(frames, timbre.syllables_per_s, rng, accent.vowels, accent.consonants)
    tremor = unsteady(frames, TREMOR_HZ, rng)
    roughness = unsteady(frames, ROUGHNESS_HZ, rng)
    pitch_hz = _pitch(timbre, tremor, rng, accent)
    pulses = _pulses(pitch_hz, timbre, rng)
    noise = rng.standard_normal(frames * HOP, dtype=np.float32)
    loudness = np.exp(timbre.tremor_loudness * tremor + timbre.roughness * roughness)
    if accent.puffs:
        noise *= _puffs(pitch_hz, accent.puffs)
    sound = _shape(pulses, noise, words, timbre, loudness, accent)[HOP : HOP + samples]
    sound *= SPEECH_RMS / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-9)
    mouth = words.mouth[1 : 1 + max(1, round(duration_s * FRAME_RATE_HZ))]
    return Utterance(within_range(sound), np.clip(mouth, 0, 1))


@dataclass(frozen=True, slots=True)
class Timbre:
    """What the traits make of a voice."""

    formant_scale: float
    pitch_hz: float
    pitch_range_st: float
    syllables_per_s: float
    harmonics_end_hz: float
    breath_gain: float
    tremor_st: float
    tremor_loudness: float
    roughness: float
    jitter: float
    subharmonic: float


def timbre_of(voice: VoiceTraits) -> Timbre:
    age, size, larynx, breath, tempo, melody = (
        2.5 * np.tanh(z / 2.5)  # rare extremes stay human; nearly linear within two sd
        for z in (voice.age, voice.size, voice.larynx, voice.breath, voice.tempo, voice.melody)
    )
    return Timbre(
        formant_scale=(1.0 if voice.male else 1.17) * 1.06**-size,  # a longer tract sounds lower
        pitch_hz=(115.0 if voice.male else 205.0) * 1.10**larynx,
        pitch_range_st=4.6 * 1.5**melody,
        syllables_per_s=4.3 * 1.19**tempo,
        harmonics_end_hz=2300.0 * 1.6**-breath,
        breath_gain=0.5 * 1.6**breath,
        tremor_st=0.6 * (1 + 0.38 * age),
        tremor_loudness=0.08 * (1 + 0.38 * age),
        roughness=0.45 * (1 + 0.38 * age),
        jitter=0.002 * 1.4**age,  # more would blur high harmonics and pass for breath
        subharmonic=0.06 * 1.6**age,
    )


def unsteady(frames: int, rate_hz: float, rng: np.random.Generator) -> _Track:
    """A swing in [-1, 1] at about `rate_hz`, never quite regular."""
    drift = np.cumsum(rng.normal(0, 0.08, frames))
    turns = np.arange(frames) * (rate_hz / FRAME_RATE_HZ)
    return np.sin(2 * np.pi * (turns + rng.random()) + drift).astype(np.float32)


def _pitch(timbre: Timbre, tremor: _Track, rng: np.random.Generator, accent: Accent) -> _Track:
    """Pitch (Hz) of every frame. It swings over the voice's own range about once a second,
    whatever the pace of the syllables; timing and depth are the words' business."""
    frames = len(tremor)
    knots = max(2, round(frames / FRAME_RATE_HZ * 2.4 * accent.pace) + 2)
    sign = np.where(np.arange(knots) % 2 == rng.integers(2), 1.0, -1.0)
    heights = sign * rng.uniform(0.85, 1.0, knots)
    times = np.cumsum(rng.uniform(0.33, 0.51, knots)) * (FRAME_RATE_HZ / accent.pace)
    times -= times[0] + rng.uniform(0, 0.3) * FRAME_RATE_HZ
    position = np.interp(np.arange(frames), times, np.arange(knots))
    low = np.minimum(position.astype(int), knots - 2)
    ease = 0.5 - 0.5 * np.cos(np.pi * (position - low))
    swing = heights[low] + (heights[low + 1] - heights[low]) * ease
    semitones = 0.5 * timbre.pitch_range_st * swing + timbre.tremor_st * tremor
    if accent.sinking:
        phrase = np.arange(frames) / (FRAME_RATE_HZ * accent.phrase_s) + rng.random()
        semitones += timbre.pitch_range_st * accent.sinking * (0.5 - phrase % 1.0)
    return np.asarray(timbre.pitch_hz * 2 ** (semitones / 12), np.float32)


def _puffs(pitch_hz: _Track, depth: float) -> Audio:
    """How loud breath is in each sample, (frames * HOP,)."""
    turns = np.cumsum(np.repeat(pitch_hz.astype(np.float64), HOP)) / SAMPLE_RATE_HZ
    return np.asarray(1 + depth * np.cos(2 * np.pi * turns), np.float32)


def _pulses(pitch_hz: _Track, timbre: Timbre, rng: np.random.Generator) -> Audio:
    """Glottal pulses of unit power, (frames * HOP,), each placed between samples."""
    samples = len(pitch_hz) * HOP
    cycles = np.concatenate([[0.0], np.cumsum(pitch_hz.astype(np.float64)) / FRAME_RATE_HZ])
    wanted = np.arange(rng.random(), cycles[-1])
    at = np.interp(wanted, cycles, np.arange(len(cycles)) * float(HOP))
    period = np.gradient(at)
    at += rng.normal(0, timbre.jitter, len(at)) * period
    uneven = 1 + timbre.subharmonic * np.where(np.arange(len(at)) % 2, 1.0, -1.0)
    shimmer = 1 + 6 * timbre.jitter * rng.standard_normal(len(at))
    offsets = np.arange(-7, 9)
    first = np.floor(at).astype(int)
    distance = offsets - (at - first)[:, None]
    kernel = np.sinc(0.95 * distance) * np.cos(np.pi * distance / 18) ** 2
    index = first[:, None] + offsets
    kernel *= (np.sqrt(period) * uneven * shimmer)[:, None]
    inside = (index >= 0) & (index < samples)
    return np.bincount(index[inside], kernel[inside], samples).astype(np.float32)


def _shape(
    pulses: Audio, noise: Audio, words: Babble, timbre: Timbre, loudness: _Track, accent: Accent
) -> _Track:
    """Sources through the vocal tract, frame by frame with overlap-add; same length as `pulses`."""
    source, hiss = fft.rfft(overlapping(np.stack([pulses, noise])), FFT)
    tract = _tract(words.formants_hz * timbre.formant_scale, accent)
    corner_hz = np.float32(500 * accent.slope)
    slope = 1 / np.sqrt(1 + np.square(FREQUENCY_HZ / corner_hz))  # glottis -12, lips +6 dB/octave
    ratio = np.square(FREQUENCY_HZ / timbre.harmonics_end_hz)
    harmonic = slope / np.sqrt(1 + ratio * ratio)
    breathy = slope * ratio / np.sqrt(1 + ratio * ratio)
    puff = timbre.breath_gain * slope
    voiced = (words.voiced * loudness)[:, None]
    spectrum = source * (tract * (voiced * harmonic))
    noise_gain = tract * (voiced * breathy + words.aspirated[:, None] * puff)
    noise_gain += np.float32(accent.friction) * _friction(words, timbre.formant_scale)
    spectrum += hiss * noise_gain
    return overlap_add(fft.irfft(spectrum, FFT)[:, :FRAME] * ROOT_HANN)


def _tract(formants_hz: _Track, accent: Accent) -> _Track:
    """Gain of the vocal tract, (frames, bins)."""
    gain = np.full((len(formants_hz), len(FREQUENCY_HZ)), 0.02, np.float32)
    factors = zip(_FORMANT_GAIN, accent.gain, _FORMANT_WIDTH_HZ, accent.width, strict=True)
    for k, (peak, louder, width_hz, wider) in enumerate(factors):
        x = (FREQUENCY_HZ - formants_hz[:, k, None]) * np.float32(2 / (width_hz * wider))
        x *= x
        x += 1
        gain += np.float32(peak * louder) / x
    return gain if accent.contrast == 1 else gain ** np.float32(accent.contrast)


def _friction(words: Babble, formant_scale: float) -> _Track:
    """Gain of the frication noise, (frames, bins)."""
    centre = words.band_hz[:, None] * np.float32(formant_scale)
    x = (FREQUENCY_HZ - centre) * (2 / words.width_hz[:, None])
    return np.asarray(0.12 * words.fricated[:, None] / (1 + x * x), np.float32)


def overlapping(signals: NDArray[np.float32]) -> NDArray[np.float32]:
    """(s, frames * HOP) to (s, frames, FRAME), windowed; frame k starts at HOP * (k - 1)."""
    s, n = signals.shape
    halves = np.concatenate([np.zeros((s, HOP), np.float32), signals], axis=1)
    halves = halves.reshape(s, n // HOP + 1, HOP)
    return np.concatenate([halves[:, :-1], halves[:, 1:]], axis=2) * ROOT_HANN


def overlap_add(frames: _Track) -> _Track:
    sound = frames[:, HOP:].copy()
    sound[:-1] += frames[1:, :HOP]
    return sound.reshape(-1)


def record(audio: Audio, rng: np.random.Generator) -> Audio:
    """What a microphone makes of clean speech, drawn anew for every clip and telling nothing about
    who speaks: room, slope of the microphone, level of -32 to -14 dBFS, background noise 18 to
    45 dB below it. `audio` (n,), n > 0; returns (n,)."""
    n = len(audio)
    size = fft.next_fast_len(n + SAMPLE_RATE_HZ // 4, real=True)
    frequency_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    slope = np.maximum(frequency_hz, 100) ** rng.uniform(-0.4, 0.4)  # +-2.4 dB per octave
    heard = fft.irfft(fft.rfft(audio, size) * fft.rfft(_room(rng), size) * slope, size)[:n]
    heard = heard / max(float(np.sqrt(np.mean(np.square(heard)))), 1e-9)
    heard = heard + 10 ** (-rng.uniform(18, 45) / 20) * _background(n, frequency_hz, rng)
    return within_range(heard * 10 ** (rng.uniform(-32, -14) / 20))


def _room(rng: np.random.Generator) -> NDArray[np.float64]:
    """Impulse response: the direct sound and a decaying tail 8 to 25 dB below it."""
    decay_s = rng.uniform(0.02, 0.06)  # to 1/e; 60 dB in 0.14 to 0.4 s
    time_s = np.arange(SAMPLE_RATE_HZ // 4) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(len(time_s)) * np.exp(-time_s / decay_s)
    tail *= 10 ** (-rng.uniform(8, 25) / 20) / np.sqrt(np.sum(tail * tail))
    tail[0] = 1.0
    return tail


def _background(
    n: int, frequency_hz: NDArray[np.floating], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Noise of unit power, (n,): white to pink, with or without the hum of the mains."""
    phases = rng.standard_normal((2, len(frequency_hz)))
    colour = np.maximum(frequency_hz, 50) ** -rng.uniform(0, 0.6)
    noise = fft.irfft((phases[0] + 1j * phases[1]) * colour)[:n]
    noise /= np.sqrt(np.mean(noise * noise))
    if rng.random() < 0.3:
        time_s = np.arange(n) / SAMPLE_RATE_HZ
        mains_hz = rng.choice([50.0, 60.0])
        for k in (1, 2, 3, 5):
            turn = k * mains_hz * time_s + rng.random()
            noise += rng.uniform(0, 1) / k * np.sin(2 * np.pi * turn)
    return np.asarray(noise / np.sqrt(np.mean(noise * noise)))


def within_range(sound: NDArray[np.floating]) -> Audio:
    """Turned down when a peak would clip."""
    peak = float(np.max(np.abs(sound)))
    return (sound * min(1.0, 0.99 / max(peak, 1e-9))).astype(np.float32)
