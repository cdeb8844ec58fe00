"""Whether the one face in the picture speaks, or somebody beside the camera, an interpreter, a
meeting room: then the mouth does something else than the voice.

Asked of a suspect before an episode opens, over the pictures of a burst. What is said of the limits
was measured on seven synthetic people (`training.talking`, 15 different pictures a second, VP8,
Opus), 49 windows of each kind, of which pictures cover the middle 1.6 s, the least that is taken.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vfd.active_speaker import agreement, is_dense, voice_envelope
from vfd.types import Audio

MOVES: Final = 0.5
"""Correlation with the voice: no mouth that spoke had less (0.59 in 95 of 100), of those that moved
to other words 4 in 100 had as much."""
ELSEWHERE: Final = 0.4
"""What 9 in 10 that moved to other words stay below."""
MIN_MOTION: Final = 0.015
"""Standard deviation of `vfd.mouth.mouth_contrast`: 0.04 and more while one speaks, 0.008 and less
of a shut mouth, whose noise may agree with anything."""


def move_with(mouth: NDArray[np.float64], audio: Audio) -> bool | None:
    """Whether `mouth` (n, 2), seconds from the beginning of a window and `vfd.mouth.mouth_contrast`
    of each, moves with the voice in `audio` (48000,); None where that cannot be told: there are too
    few pictures, or the two agree neither well nor badly. There has to be speech in it."""
    times_s, contrast = mouth.T
    if not is_dense(times_s):
        return None
    agree = agreement(times_s, contrast, voice_envelope(audio))
    still = bool(contrast.std() < MIN_MOTION)
    if agree >= MOVES:
        return None if still else True
    return False if still or agree < ELSEWHERE else None
