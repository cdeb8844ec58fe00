"""How much of a window is somebody else of the same call, come back through a loudspeaker.

Compared are not waveforms, which rooms, echo cancellers and two codecs leave little of, but how
loud it is when, in bands: a voice that comes back has the other's pattern, some time later. For
every delay each band of what is heard is fitted by the same band of the other voice, over the time
in which that other speaks. What the fit explains, times the share of the sound that falls into
that time, is the echo's share of the window.

What is said of the limits was measured on synthetic people who never stop talking, through rooms,
a loudspeaker and Opus twice (`training/reports/cross-talk.md`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from vfd.types import SAMPLE_RATE_HZ, Audio

MIN_SHARE: Final = 0.18
"""Of a window, from which on echo counts as its voice: in none of 72 windows without any, or with
an echo 10 dB below one's own voice (95 of 100 had less than 0.07 and 0.11). In the middle 0.11 at
6 dB below, 0.19 at 3 dB, 0.27 at the same level (0.39 where the two take turns) and 0.65 where
nobody but the loudspeaker speaks, of which all windows are told. At 6 dB below a tenth of one's
own windows are given up, and as many that are not come out low."""
MIN_DELAY_S: Final = 0.03
"""Loudspeaker, microphone, codec and jitter buffer take longer. What comes earlier is no echo: one
voice in two microphones of a room, whose owner a delay cannot tell."""
MAX_DELAY_S: Final = 0.6
MAX_OTHERS: Final = 4
"""The loudest of a call: more seldom talk at a time, and each costs half a millisecond."""

_FRAME: Final = 512  # 32 ms
_HOP: Final = 320
_RATE_HZ: Final = SAMPLE_RATE_HZ // _HOP
_REACH: Final = round(MAX_DELAY_S * _RATE_HZ)
_FIRST: Final = _REACH + round(MIN_DELAY_S * _RATE_HZ)
_BANDS: Final = 16
_BAND_HZ: Final = (200.0, 6_000.0)  # what small loudspeakers play
_ACTIVE_DB: Final = 20.0  # below the loud frames, and still speech
_TAIL: Final = 8  # frames in which a room goes on
_SILENCE: Final = 1e-6  # as power of a frame: some -90 dB of full scale

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """One voice over a window, 50 frames a second. `pattern` (17, t): root amplitudes of 16 bands
    less their mean, and that mean. `strength` (t,): amplitude. `active` (t,) in {0, 1}: whether it
    speaks, or has just done so. `level`: mean amplitude."""

    pattern: Floats
    strength: Floats
    active: Floats
    level: float


def sound_of(audio: Audio) -> Sound:
    """`audio` (n,), n > 512, such as that of a window. About a millisecond for 3 s."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, _FRAME)[::_HOP] * _TAPER
    spectrum = fft.rfft(frames, axis=1)[:, : _EDGES[-1]]
    power = np.add.reduceat(spectrum.real**2 + spectrum.imag**2, _EDGES[:-1], axis=1).T
    loudness = power.sum(axis=0)
    floor = max(float(np.quantile(loudness, 0.9)) * 10 ** (-_ACTIVE_DB / 10), _SILENCE)
    active = np.convolve(loudness >= floor, np.ones(_TAIL))[: len(loudness)] > 0
    roots = power ** np.float32(0.25)
    mean = roots.mean(axis=0, keepdims=True)
    # All bands share the rhythm of syllables, in which two talkers may agree by chance; what is
    # left without it they do not.
    pattern = np.concatenate([roots - mean, mean])
    strength = np.square(roots).sum(axis=0)
    return Sound(pattern, strength, active.astype(np.float32), float(strength.mean()))


def is_cross_talk(heard: Sound, others: Iterable[Sound]) -> bool:
    """Whether the voice in `heard` is mostly that of one of `others`, who share its call and its
    window; at most the MAX_OTHERS loudest of them are asked."""
    loudest = sorted(others, key=lambda other: -other.level)[:MAX_OTHERS]
    return any(echo_share(heard, other) >= MIN_SHARE for other in loudest)


def echo_share(heard: Sound, other: Sound) -> float:
    """The part of `heard` in [0, 1] that is `other`, MIN_DELAY_S to MAX_DELAY_S later. 0 where the
    two fit best at another delay: then `other` is the echo of `heard`, or there is none."""
    frames = heard.pattern.shape[1]
    size = 2 * fft.next_fast_len(frames, real=True)
    spoken = max(1.0, float(other.active.sum()))
    a = heard.pattern - heard.pattern.mean(axis=1, keepdims=True)
    mean = (other.pattern * other.active).sum(axis=1, keepdims=True) / spoken
    b = other.active * (other.pattern - mean)
    active, of_a = fft.rfft(other.active, size), fft.rfft(a, size)
    always = np.ones(frames, np.float32)
    covariance = _at_delays(fft.rfft(b, size), of_a)
    count = _at_delays(active, fft.rfft(always, size))
    mean_square = np.square(_at_delays(active, of_a)).sum(axis=0) / np.maximum(count, 1)
    spread = _at_delays(active, fft.rfft(np.square(a).sum(axis=0), size)) - mean_square
    fitted = np.square(np.maximum(covariance, 0))  # an echo makes nothing softer
    fitted /= np.maximum(np.square(b).sum(axis=1, keepdims=True), 1e-9)
    explained = fitted.sum(axis=0) / np.maximum(spread, 1e-9)
    within = _at_delays(active, fft.rfft(heard.strength, size)) / max(heard.strength.sum(), 1e-9)
    shares = np.clip(explained, 0, 1) * np.clip(within, 0, 1)
    best = int(shares.argmax())
    return float(shares[best]) if best >= _FIRST else 0.0


def _at_delays(first: NDArray[np.complex64], then: NDArray[np.complex64]) -> Floats:
    """(..., 2 reach + 1): sums over t of first(t) then(t + d), d = -reach to reach frames, of
    series whose transforms are given."""
    size = 2 * (first.shape[-1] - 1)
    sums = fft.irfft(np.conj(first) * then, size)
    return np.concatenate([sums[..., -_REACH:], sums[..., : _REACH + 1]], axis=-1)


def _edges() -> list[int]:
    """Bins at which the bands begin, equally wide in mel, and where the last one ends."""
    low, high = (2_595 * np.log10(1 + hz / 700) for hz in _BAND_HZ)
    edges_hz = 700 * (10 ** (np.linspace(low, high, _BANDS + 1) / 2_595) - 1)
    return [int(edge) for edge in np.round(edges_hz * _FRAME / SAMPLE_RATE_HZ)]


_EDGES: Final[Sequence[int]] = _edges()
_TAPER: Final = np.hanning(_FRAME).astype(np.float32)
