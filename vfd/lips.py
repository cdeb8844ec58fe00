"""Whether the one face in the picture speaks, or somebody beside the camera, an interpreter, a
meeting room: then the mouth does something else than the voice.

Asked of a suspect before an episode opens, over the pictures of a burst. What is said of the limits
was measured on seven synthetic people (`training.talking`, 15 different pictures a second, VP8,
Opus), 98 windows with their own voice and 1274 with that of others, 2 s of pictures in each.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vfd.active_speaker import agreement, is_dense, voice_envelope
from vfd.types import Audio

MOVES: Final = 0.55
"""Correlation with the voice: that of mouths that spoke was at least as much in 99 of 100, 0.62 in
95 and 0.74 in the middle; of those that moved to other words 6 in 100 had as much. At 0.6, which 3
in 100 of them have, suspicions that stand wait longer."""
ELSEWHERE: Final = 0.45
"""No mouth that spoke had less than 0.55 (real ones, over 3 s, than 0.53), four in five that moved
to other words have."""
LAGS_S: Final = tuple(0.04 * lag for lag in range(-10, 6))
"""Lips up to 0.4 s late, as slow cameras have them (Chromium's simulated one: 0.24), to 0.2 s
early, as wireless microphones do: late lips must not be taken for those of somebody silent."""
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
    agree = agreement(times_s, contrast, voice_envelope(audio), LAGS_S)
    still = bool(contrast.std() < MIN_MOTION)
    if agree >= MOVES:
        return None if still else True
    return False if still or agree < ELSEWHERE else None
