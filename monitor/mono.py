"""Any decoded sound -> 16 kHz mono float, the same for a live track and for a file."""

from typing import Final

import numpy as np
from av import AudioFrame, AudioResampler

from vfd.types import SAMPLE_RATE_HZ, Audio

_FULL_SCALE: Final = np.float32(32_768.0)


class MonoResampler:
    """One unbroken run of one format. A hole or another format wants a new one: the filter knows
    no holes."""

    def __init__(self) -> None:
        # Of 16 bits, mono is the mean of two channels; of floats it would be 1.4 times that.
        self._resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)

    def push(self, frame: AudioFrame | None) -> list[Audio]:
        """The samples in [-1, 1) that `frame` completes; None takes the last out of the filter."""
        return [
            resampled.to_ndarray().reshape(-1).astype(np.float32) / _FULL_SCALE
            for resampled in self._resampler.resample(frame)
        ]
