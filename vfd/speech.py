"""Where somebody speaks: the WebRTC voice activity detector on 30 ms frames."""

from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from vfd.types import SAMPLE_RATE_HZ, Audio

FRAME_SAMPLES: Final = SAMPLE_RATE_HZ * 30 // 1000  # the longest frame that the detector takes
_MODE: Final = 2  # of 0..3: 3 misses soft speech, 0 takes room noise for speech


def speech_frames(audio: Audio) -> NDArray[np.bool_]:
    """For every whole 30 ms frame of `audio`, whether it holds speech; (samples // 480,).

    Samples beyond [-1, 1] are clipped. The detector starts afresh on every call, so that the same
    audio always gets the same answer.
    """
    vad = webrtcvad.Vad(_MODE)
    frames = len(audio) // FRAME_SAMPLES
    pcm = (np.clip(audio[: frames * FRAME_SAMPLES], -1, 1) * 32767).astype(np.int16)
    return np.array(
        [vad.is_speech(f.tobytes(), SAMPLE_RATE_HZ) for f in pcm.reshape(frames, FRAME_SAMPLES)],
        np.bool_,
    )


def speech_share(audio: Audio) -> float:
    """Share of 30 ms frames with speech, in [0, 1]; 0 for audio shorter than one frame."""
    frames = speech_frames(audio)
    return float(frames.mean()) if frames.size else 0.0
