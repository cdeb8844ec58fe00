"""Where somebody speaks: the WebRTC voice activity detector on 30 ms frames."""

from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from vfd.types import SAMPLE_RATE_HZ, Audio

FRAME_SAMPLES: Final = SAMPLE_RATE_HZ * 30 // 1000  # the longest frame that the detector takes
_MODE: Final = 2  # of 0..3: 3 misses soft speech, 0 takes room noise for speech
_PAUSE_MARGIN_FRAMES: Final = 3  # 0.09 s on either side of speech: soft ends, and breath


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
    return share(speech_frames(audio))


def share(frames: NDArray[np.bool_]) -> float:
    """Share of `frames` with speech, in [0, 1]; 0 without any frame."""
    return float(frames.mean()) if frames.size else 0.0


def fill_pauses(audio: Audio, frames: NDArray[np.bool_]) -> Audio:
    """`audio` with long pauses cut out and what is left repeated until it is as long as before.

    A voice tower learns from windows full of speech. One that is half silent embeds far from the
    rest of its speaker: in `training/LOG.md`, 1.4 s of speech alone cost 0.22 of similarity, the
    same speech repeated 0.05. `frames` as `speech_frames` says. Pauses of up to 0.2 s belong to
    speech and stay; audio without speech stays as it is.
    """
    if not frames.any() or frames.all():
        return audio
    near = np.convolve(frames, np.ones(2 * _PAUSE_MARGIN_FRAMES + 1), mode="same") > 0
    kept = audio[: len(frames) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)[near].ravel()
    return np.resize(kept, len(audio))
