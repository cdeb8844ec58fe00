"""What rooms, noise and noise suppression do to a voice before it is coded; drawn once for each
variant of a clip, when data are prepared.

All take (n,) float32 in [-1, 1] at 16 kHz and give as much back, in [-1, 1].
"""

from typing import Any, Final

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from vfd.types import SAMPLE_RATE_HZ, Audio

REVERBERATION_S: Final = (0.1, 0.6)  # time to fall by 60 dB: a furnished room to a bare one
DIRECT_DB: Final = (0.0, 12.0)  # of the voice over its echoes: at arm's length, or close
SIGNAL_TO_NOISE_DB: Final = (5.0, 30.0)
NOISE_SLOPE: Final = (0.0, 2.0)  # power falls with frequency to this: hiss to rumble
OVER_SUBTRACTION: Final = (1.0, 3.0)
GAIN_FLOOR: Final = (0.05, 0.3)  # of suppressed bins; what is left there tinkles
_FRAME: Final = 320  # 20 ms
_HOP: Final = 160


def room(audio: Audio, rng: np.random.Generator) -> Audio:
    """Echoes as decaying noise (Moorer, 1979) after the direct sound, at the same loudness."""
    seconds = rng.uniform(*REVERBERATION_S)
    length = round(seconds * SAMPLE_RATE_HZ)
    decay = 10 ** (-3 * np.arange(length) / length)
    echoes = rng.standard_normal(length) * decay
    echoes *= 10 ** (-rng.uniform(*DIRECT_DB) / 20) / np.linalg.norm(echoes)
    echoes[0] += 1
    wet = scipy.signal.fftconvolve(audio, echoes)[: len(audio)]
    return _bounded(wet * _rms(audio) / max(_rms(wet), 1e-9))


def noise(audio: Audio, rng: np.random.Generator) -> Audio:
    """Steady noise with a random slope, so many dB below the voice."""
    spectrum = scipy.fft.rfft(rng.standard_normal(len(audio)))
    frequencies = np.maximum(np.arange(len(spectrum)), 1)
    shaped = scipy.fft.irfft(spectrum * frequencies ** (-rng.uniform(*NOISE_SLOPE) / 2), len(audio))
    level = _rms(audio) * 10 ** (-rng.uniform(*SIGNAL_TO_NOISE_DB) / 20)
    return _bounded(audio + shaped * level / max(_rms(shaped), 1e-9))


def suppress_noise(audio: Audio, rng: np.random.Generator) -> Audio:
    """Spectral subtraction (Boll, 1979), which takes soft parts of the voice along with the noise
    and leaves tones that come and go."""
    if len(audio) < _FRAME:
        return audio
    _, _, spectra = scipy.signal.stft(audio, nperseg=_FRAME, noverlap=_FRAME - _HOP)
    magnitudes = np.abs(spectra)
    background = np.percentile(magnitudes, 20, axis=1, keepdims=True)
    removed = rng.uniform(*OVER_SUBTRACTION) * background / np.maximum(magnitudes, 1e-9)
    gain = np.maximum(1 - removed, rng.uniform(*GAIN_FLOOR))
    _, clean = scipy.signal.istft(spectra * gain, nperseg=_FRAME, noverlap=_FRAME - _HOP)
    result = np.zeros(len(audio))
    result[: min(len(audio), len(clean))] = clean[: len(audio)]
    return _bounded(result)


def _rms(audio: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(audio))))


def _bounded(audio: NDArray[Any]) -> Audio:
    """Scaled down where it would clip."""
    return (audio / max(1.0, float(np.abs(audio).max()))).astype(np.float32)
