"""The trivial baseline: what colour and pitch alone say about whether voice and face match."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize

from training.clips import RECORDED
from training.shard_set import ShardSet
from vfd.types import SAMPLE_RATE_HZ, WINDOW_SAMPLES, Audio, Rgb

Floats = NDArray[np.float64]

MIN_PITCH_HZ: Final = 60
MAX_PITCH_HZ: Final = 400
FRAME: Final = 1024  # 64 ms: three periods of the lowest pitch
VOICED: Final = 0.5  # autocorrelation at the period, against that at 0


def mean_colour(crop: Rgb) -> Floats:
    """Mean red, green and blue, (3,) in [0, 1]."""
    colour: Floats = crop.reshape(-1, 3).mean(axis=0) / 255
    return colour


def median_pitch(audio: Audio) -> float:
    """Median over voiced frames of the logarithm of the pitch (Hz), by autocorrelation; that of
    the middle of the range when no frame is voiced."""
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.abs(fft.rfft(frames - frames.mean(axis=1, keepdims=True), 2 * FRAME)) ** 2
    correlation = fft.irfft(power)[:, :FRAME]
    shortest, longest = SAMPLE_RATE_HZ // MAX_PITCH_HZ, SAMPLE_RATE_HZ // MIN_PITCH_HZ
    lags = shortest + np.argmax(correlation[:, shortest:longest], axis=1)
    peak = correlation[np.arange(len(frames)), lags]
    voiced = peak > VOICED * correlation[:, 0]
    if not voiced.any():
        return float(np.log(MIN_PITCH_HZ * MAX_PITCH_HZ) / 2)
    return float(np.median(np.log(SAMPLE_RATE_HZ / lags[voiced])))


class Baseline:
    """Logistic regression on the pitch, the colours, their products and squared differences."""

    def __init__(self, pitch: Floats, colour: Floats, seed: int = 0) -> None:
        """Fits on people, a row each: `pitch` (n,) of their voice, `colour` (n, 3) of their face.
        Each is once matched with the own face and once with another's.

        Raises ValueError for fewer than two people.
        """
        people = len(pitch)
        if people < 2:
            raise ValueError("the trivial baseline wants at least two people to learn from")
        self._centre = np.array([pitch.mean(), *colour.mean(axis=0)])
        self._spread = np.array([pitch.std(), *colour.std(axis=0)]) + 1e-9
        away = np.random.default_rng(seed).integers(1, people, people)
        others = (np.arange(people) + away) % people
        features = np.concatenate(
            [self._features(pitch, colour), self._features(pitch, colour[others])]
        )
        self._weights = _fit(features, np.repeat([1.0, -1.0], people))

    def scores(self, pitch: Floats, colour: Floats) -> Floats:
        """(n,) log odds that pitch (n,) and colour (n, 3) are of one person."""
        logits: Floats = self._features(pitch, colour) @ self._weights
        return logits

    def _features(self, pitch: Floats, colour: Floats) -> Floats:
        """(n, 11): constant, pitch, colours, products, squared differences."""
        values = (np.column_stack([pitch, colour]) - self._centre) / self._spread
        voice, face = values[:, :1], values[:, 1:]
        ones = np.ones((len(values), 1))
        return np.concatenate([ones, values, voice * face, np.square(voice - face)], axis=1)


def fit_baseline(clips: ShardSet, line: str, people: int = 1000) -> Baseline:
    """On one real clip of each of the first `people` identities; as recorded where `line` was not
    made for them."""
    variant = clips.line(line) if line in known_lines(clips) else clips.line(RECORDED)
    _, first = np.unique(np.where(clips.real, clips.identity, -1), return_index=True)
    chosen = [int(c) for c in first if clips.real[c]][:people]
    pitch = [_pitch_of(clips, c, int(variant[c])) for c in chosen]
    colour = [mean_colour(clips.crop(c, 0, int(variant[c]))) for c in chosen]
    return Baseline(np.array(pitch), np.array(colour))


def known_lines(clips: ShardSet) -> tuple[str, ...]:
    """What the first clip went through; all clips of a split have the same."""
    return tuple(variant.line for variant in clips.records[0].variants)


def _pitch_of(clips: ShardSet, clip: int, variant: int) -> float:
    audio = clips.audio(clip, variant)[:WINDOW_SAMPLES].astype(np.float32) / np.float32(32_768)
    return median_pitch(audio)


def _fit(features: Floats, sign: Floats) -> Floats:
    """Weights of least logistic loss, with a little ridge; `sign` is 1 or -1."""

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (features @ weights)
        slope = -sign / (1 + np.exp(np.clip(margin, -50, 50)))
        value = np.logaddexp(0, -margin).mean() + 1e-4 * weights @ weights
        return float(value), features.T @ slope / len(sign) + 2e-4 * weights

    found = optimize.minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)
