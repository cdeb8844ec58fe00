"""The voice front end: three seconds of sound become the picture that the voice tower reads.

The paper fixes the shape, 512 x 300 for 3 s at 16 kHz, 100 frames a second (sections 3.2.1 and
4.2). Window, transform length, logarithm and normalisation are our reading, after the usual recipe
for VoxCeleb: a mean and a deviation for every bin, which resist the codec of a call far better
than one pair for the whole picture. Ours is over loud frames, and the logarithm has a floor in
proportion to what is loud, because a call's window is seldom full of speech: on a plain
logarithmic scale a pause at -65 dB outweighs everything said.

Training and serving call the same function, chosen by the name stored in the checkpoint
(`vfd.front_ends`).
"""

import threading
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vfd.types import WINDOW_SAMPLES, Audio

BINS: Final = 512
FRAMES: Final = 300
HOP_SAMPLES: Final = 160
FRAME_SAMPLES: Final = 400
FFT_SAMPLES: Final = 1024
FLOOR: Final = 0.1  # of what a bin has in loud frames: details 20 dB below it fade
MIN_MAGNITUDE: Final = 1e-7
MIN_STD: Final = 1e-5
LOUD_QUANTILE: Final = 0.9
QUIET_DB: Final = 30.0  # below the loud frames: softer than nearly all speech, above most rooms
SLOPE_DB: Final = 3.0
SILENCE: Final = 1e-11  # as power: -110 dB of full scale, below one step of 16 bits

Spectrogram = NDArray[np.float32]
"""(1, 512, 300) float32: one channel, bins from 15.6 Hz to 8 kHz, frames 10 ms apart."""

_PADDED_SAMPLES: Final = (FRAMES - 1) * HOP_SAMPLES + FRAME_SAMPLES
_CHUNK_FRAMES: Final = 75  # divides FRAMES
"""Transformed at a time: what is in between stays in the cache, and OpenCV on one thread."""
_PHASE: Final = 2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
_WINDOW: Final = (0.54 - 0.46 * np.cos(_PHASE)).astype(np.float32)  # periodic Hamming


def stft512(audio: Audio, out: Spectrogram | None = None) -> Spectrogram:
    """Log magnitude of the short-time Fourier transform, normalised bin by bin over what is loud.

    `audio` (48000,) float32 in [-1, 1] at 16 kHz. Frame n starts at sample 160 n; the last two
    reach beyond the end and are filled with zeros. Every frame has a weight in [0, 1] by its level
    beside the loud frames of the window (`_weights`). With m the root mean square of a bin's
    magnitudes |X| over frames so weighted, the bin is log(|X| + FLOOR m), less its weighted mean,
    over its weighted deviation. Pauses, the noise of a room and holes (lost packets, or silence
    that the sender suppressed) all come out at the same low value, and do not move what is said
    beside them. A window without sound is 0. `out`: what is written to and returned; a new array
    costs a third more, in pages asked of the system. Raises ValueError for another length.
    """
    if audio.shape != (WINDOW_SAMPLES,):
        raise ValueError(f"audio has shape {audio.shape}, not ({WINDOW_SAMPLES},)")
    picture = np.empty((1, BINS, FRAMES), dtype=np.float32) if out is None else out
    sound = _SCRATCH.sound
    sound[:WINDOW_SAMPLES] = audio
    frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME_SAMPLES)[::HOP_SAMPLES]
    weights = _weights(frames)
    if weights.any():
        _normalise(_magnitudes(frames), weights / weights.sum(), picture[0])
    else:
        picture[:] = 0
    return picture


def _weights(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """(frames, 400) samples -> (frames,): 1 for loud frames, 0 for a hole, a half at QUIET_DB below
    the loud ones, with a logistic slope between. Soft, so that a codec on the way changes a
    spectrogram a little and never at a stroke."""
    power = np.einsum("fs,fs->f", frames, frames, dtype=np.float32) / FRAME_SAMPLES
    heard = power > SILENCE
    if not heard.any():
        return np.zeros(len(frames), dtype=np.float32)
    level_db = 10 * np.log10(np.maximum(power, SILENCE))
    quiet_db = _quantile(level_db[heard], LOUD_QUANTILE) - QUIET_DB
    weights: NDArray[np.float64] = heard / (1 + np.exp((quiet_db - level_db) / SLOPE_DB))
    return weights.astype(np.float32)


def _quantile(values: NDArray[np.float32], share: float) -> float:
    """As numpy's, which takes ten times as long for so few values."""
    ordered = np.sort(values)
    return float(np.interp(share * (len(ordered) - 1), np.arange(len(ordered)), ordered))


class _Scratch(threading.local):
    """What a thread computes in. To allocate it every time would cost more than all computing,
    because the pages go back to the system and come again."""

    def __init__(self) -> None:
        self.sound = np.zeros(_PADDED_SAMPLES, dtype=np.float32)
        self.magnitudes = np.empty((FRAMES, BINS), dtype=np.float32)
        self.squares = np.empty_like(self.magnitudes)
        self.padded = np.zeros((_CHUNK_FRAMES, FFT_SAMPLES), dtype=np.float32)
        # Packed rows begin at the second float, so that their pairs lie as complex numbers do.
        floats = np.zeros(self.padded.size + 2, dtype=np.float32)
        self.packed = floats[1:-1].reshape(self.padded.shape)
        self.pairs = floats[2:].view(np.complex64).reshape(_CHUNK_FRAMES, BINS)


_SCRATCH: Final = _Scratch()


def _magnitudes(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """(300, 400) samples -> (300, 512), in the thread's scratch. With OpenCV, whose transform takes
    half the time of scipy's."""
    padded, packed, pairs = _SCRATCH.padded, _SCRATCH.packed, _SCRATCH.pairs
    for start in range(0, FRAMES, _CHUNK_FRAMES):
        chunk = slice(start, start + _CHUNK_FRAMES)
        np.multiply(frames[chunk], _WINDOW, out=padded[:, :FRAME_SAMPLES])
        # A row: the constant part, real and imaginary parts of bins 1 to 511, and bin 512, which
        # is paired with the next row's constant part at first.
        cv2.dft(padded, packed, cv2.DFT_ROWS)
        found = np.abs(pairs, out=_SCRATCH.magnitudes[chunk])
        np.abs(packed[:, -1], out=found[:, -1])
    return _SCRATCH.magnitudes


def _normalise(
    found: NDArray[np.float32], shares: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """(300, 512) magnitudes, overwritten -> (512, 300), see `stft512`. `shares` (300,) sum to 1. A
    constant bin becomes 0."""
    squares = _SCRATCH.squares
    loud = np.sqrt(shares @ np.square(found, out=squares))
    found += FLOOR * loud + MIN_MAGNITUDE
    for start in range(0, FRAMES, _CHUNK_FRAMES):
        rows = found[start : start + _CHUNK_FRAMES]
        cv2.log(rows, rows)
    found -= shares @ found
    deviations = np.sqrt(shares @ np.square(found, out=squares))
    found /= np.maximum(deviations, MIN_STD)
    cv2.transpose(found, out)
