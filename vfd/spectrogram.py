"""The voice front end: three seconds of sound become the picture that the voice tower reads.

The paper fixes the shape, 512 x 300 for 3 s at 16 kHz, 100 frames a second (sections 3.2.1 and
4.2). Window, transform length, logarithm and normalisation are our reading, after the usual recipe
for VoxCeleb: a mean and a deviation for every bin, which resist the codec of a call far better
than one pair for the whole picture.

Training and serving call the same function, chosen by the name stored in the checkpoint.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from vfd.types import WINDOW_SAMPLES, Audio

BINS: Final = 512
FRAMES: Final = 300
HOP_SAMPLES: Final = 160
FRAME_SAMPLES: Final = 400
FFT_SAMPLES: Final = 1024
LOG_FLOOR: Final = 1e-5  # about -100 dB of a full-scale sine within one frame
MIN_STD: Final = 1e-5

Spectrogram = NDArray[np.float32]
"""(1, 512, 300) float32: one channel, bins from 15.6 Hz to 8 kHz, frames 10 ms apart."""

_PADDED_SAMPLES: Final = (FRAMES - 1) * HOP_SAMPLES + FRAME_SAMPLES
_PHASE: Final = 2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
_WINDOW: Final = (0.54 - 0.46 * np.cos(_PHASE)).astype(np.float32)  # periodic Hamming


def stft512(audio: Audio) -> Spectrogram:
    """Log magnitude of the short-time Fourier transform, normalised bin by bin.

    `audio` (48000,) float32 in [-1, 1] at 16 kHz. Frame n starts at sample 160 n; the last two
    reach beyond the end and are filled with zeros. Every bin of the result has mean 0 and standard
    deviation 1 over the frames that hold any sound. A frame whose samples are all exactly zero is a
    hole (lost packets, or silence that the sender suppressed): it takes no part in mean and
    deviation and is 0 in the result. Raises ValueError for another length.
    """
    if audio.shape != (WINDOW_SAMPLES,):
        raise ValueError(f"audio has shape {audio.shape}, not ({WINDOW_SAMPLES},)")
    padded = np.zeros(_PADDED_SAMPLES, dtype=np.float32)
    padded[:WINDOW_SAMPLES] = audio
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]
    received = frames.any(axis=1)
    spectrum = scipy.fft.rfft(frames[received] * _WINDOW, n=FFT_SAMPLES, axis=1)[:, 1:]
    result = np.zeros((1, BINS, FRAMES), dtype=np.float32)
    if len(spectrum):
        log_magnitude = np.log(np.abs(spectrum) + np.float32(LOG_FLOOR))
        result[0][:, received] = _normalise_bins(log_magnitude).T
    return result


def _normalise_bins(log_magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
    """(frames, bins) -> the same with mean 0 and deviation 1 for every bin; a constant bin is 0."""
    centred: NDArray[np.float32] = log_magnitude - log_magnitude.mean(axis=0)
    std: NDArray[np.float32] = np.sqrt(np.mean(np.square(centred), axis=0))
    np.divide(centred, np.maximum(std, np.float32(MIN_STD)), out=centred)
    return centred


FRONT_ENDS: Final[Mapping[str, Callable[[Audio], Spectrogram]]] = {"stft512": stft512}
"""By the name that a checkpoint stores."""
