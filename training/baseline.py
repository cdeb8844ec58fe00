"""The trivial baseline: what colour and pitch alone say about whether voice and face match."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize

from training.shards import PreparedPeople, window
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

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

    def __init__(self, people: PreparedPeople, seed: int = 0) -> None:
        """Fits on one matched and one swapped pair of every identity."""
        rng = np.random.default_rng(seed)
        pitch, colour = pitches(people, 0), colours(people, 0)
        self._centre = np.array([pitch.mean(), *colour.mean(axis=0)])
        self._spread = np.array([pitch.std(), *colour.std(axis=0)]) + 1e-9
        others = (np.arange(len(people)) + rng.integers(1, len(people), len(people))) % len(people)
        features = np.concatenate(
            [self._features(pitch, colour), self._features(pitch, colour[others])]
        )
        matched = np.repeat([1.0, -1.0], len(people))
        self._weights = _fit(features, matched)

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


def pitches(people: PreparedPeople, number: int) -> Floats:
    """Of clip `number` of every identity, (identities,)."""
    return np.array([median_pitch(window(people.clip(i, number))) for i in range(len(people))])


def colours(people: PreparedPeople, number: int) -> Floats:
    """Of crop `number` of every identity, (identities, 3)."""
    rows: Sequence[Floats] = [mean_colour(people.crop(i, number)) for i in range(len(people))]
    return np.array(rows)


def _fit(features: Floats, sign: Floats) -> Floats:
    """Weights of least logistic loss, with a little ridge; `sign` is 1 or -1."""

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (features @ weights)
        slope = -sign / (1 + np.exp(np.clip(margin, -50, 50)))
        value = np.logaddexp(0, -margin).mean() + 1e-4 * weights @ weights
        return float(value), features.T @ slope / len(sign) + 2e-4 * weights

    found = optimize.minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)
