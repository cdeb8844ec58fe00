"""Every way in which a window of sound becomes the picture that a voice tower reads.

A checkpoint stores the name of the one that it was trained with; training and serving take it from
this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from vfd.mel import MEL_BANDS, MEL_FRAMES, mel128
from vfd.spectrogram import BINS, FRAMES, stft512
from vfd.types import Audio


class Compute(Protocol):
    """A window, (48000,) float32 at 16 kHz, to (1, height, width) float32, where height counts bins
    from low to high and width counts frames. `out`: an array of this kind to write to and return.
    """

    def __call__(
        self, audio: Audio, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """`shape`: (height, width) of what `compute` gives."""

    compute: Compute
    shape: tuple[int, int]


FRONT_ENDS: Final[Mapping[str, FrontEnd]] = {
    "stft512": FrontEnd(stft512, (BINS, FRAMES)),
    "mel128": FrontEnd(mel128, (MEL_BANDS, MEL_FRAMES)),
}
"""By the name that a checkpoint stores."""
