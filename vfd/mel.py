"""`mel128`, the front end of the authors' published code, which is not the one of the paper.

Their code calls torchaudio's MelSpectrogram with a rate of 16 kHz, a transform of 512, a hop of
160, a window of 480 and 128 bands, and leaves everything else as it is: periodic Hann window in the
middle of the transform, reflected edges, power, triangles on the HTK mel scale without area
normalisation. No logarithm. What is computed here is the same, with numpy and scipy alone.
"""

from typing import Final

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import NDArray

from vfd.types import SAMPLE_RATE_HZ, WINDOW_SAMPLES, Audio

MEL_BANDS: Final = 128
MEL_FRAMES: Final = 256
MEL_SAMPLES: Final = 40_960
"""2.56 s. They make 257 frames, of which a patch width of 32 reads 256."""
HOP_SAMPLES: Final = 160
FRAME_SAMPLES: Final = 480
FFT_SAMPLES: Final = 512
_CHUNK_FRAMES: Final = 64  # transformed at a time, for the cache


def hertz_to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mel scale of HTK."""
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `hertz_to_mel`."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def _triangles() -> NDArray[np.float32]:
    """(257, 128): how much each bin of the transform adds to each band. Peaks are 1, and each band
    reaches from the peak of the one below to the peak of the one above. Some of the lowest bands
    are narrower than a bin and stay empty, as they do in the published code."""
    nyquist_hz = SAMPLE_RATE_HZ / 2
    bins_hz = np.linspace(0.0, nyquist_hz, FFT_SAMPLES // 2 + 1)[:, None]
    top_mel = hertz_to_mel(np.array([nyquist_hz]))[0]
    edges_hz = mel_to_hertz(np.linspace(0.0, top_mel, MEL_BANDS + 2))
    low, peak, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - low) / (peak - low)
    falling = (high - bins_hz) / (high - peak)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def _window() -> NDArray[np.float32]:
    """(512,): a periodic Hann window of 480 samples with zeros on either side."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)
    return np.pad(hann, (FFT_SAMPLES - FRAME_SAMPLES) // 2).astype(np.float32)


_TRIANGLES: Final = scipy.sparse.csr_array(_triangles().T)
"""Sparse, as two bands share a bin at most; and a product with it asks for no threads."""
_WINDOW: Final = _window()


def mel128(audio: Audio, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """(1, 128, 256) float32, not negative: power in 128 bands, frames 10 ms apart.

    `audio` (48000,) float32 in [-1, 1] at 16 kHz, of which the last 40,960 samples are read: the
    published code reads as many, and the latest are what a monitor is asked about. Frame n stands
    around sample 160 n of them. Lost packets and silence are 0. `out`: what is written to and
    returned. Raises ValueError for another length.
    """
    if audio.shape != (WINDOW_SAMPLES,):
        raise ValueError(f"audio has shape {audio.shape}, not ({WINDOW_SAMPLES},)")
    latest = audio[-MEL_SAMPLES:].astype(np.float32, copy=False)
    padded = np.pad(latest, FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES]
    bands = np.empty((1, MEL_BANDS, MEL_FRAMES), dtype=np.float32) if out is None else out
    for start in range(0, MEL_FRAMES, _CHUNK_FRAMES):
        chunk = slice(start, start + _CHUNK_FRAMES)
        spectrum = scipy.fft.rfft(frames[chunk] * _WINDOW, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        bands[0, :, chunk] = _TRIANGLES @ power.T
    return bands
