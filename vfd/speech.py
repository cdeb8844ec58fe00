"""Where somebody speaks: the WebRTC voice activity detector on 30 ms frames."""

from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from vfd.types import SAMPLE_RATE_HZ, Audio

FRAME_SAMPLES: Final = SAMPLE_RATE_HZ * 30 // 1000  # the longest frame that the detector takes
_MODE: Final = 2  # of 0..3: 3 misses soft speech, 0 takes room noise for speech
_MARGIN_FRAMES: Final = 1  # on either side of speech, for its soft ends
_QUIETEST_SPEECH: Final = 1e-3  # 30 dB below the loud frames of the same window, as power


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


def fill_pauses(audio: Audio, frames: NDArray[np.bool_]) -> Audio:
    """`audio` with its pauses cut out and what is left repeated until it is as long as before.

    A voice tower learns from windows full of speech. One that is partly silent, or holds only the
    noise of the room for a while, embeds far from the rest of its speaker (`training/LOG.md` has
    the numbers). `frames` as `speech_frames` says; of these, frames much quieter than the speech
    are pauses too: the detector hears speech in the noise that a call begins with, and for a while
    after a word. Pauses of up to 60 ms belong to speech and stay; audio without speech stays as it
    is.
    """
    if not frames.any():
        return audio
    framed = audio[: len(frames) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    power = np.mean(np.square(framed), axis=1)
    spoken = frames & (power > np.percentile(power[frames], 90) * _QUIETEST_SPEECH)
    near = np.convolve(spoken, np.ones(2 * _MARGIN_FRAMES + 1), mode="same") > 0
    return audio if near.all() else np.resize(framed[near], len(audio))


def spoken(audio: Audio) -> Audio:
    """What the voice tower reads of `audio`: its speech alone, as long as before."""
    return fill_pauses(audio, speech_frames(audio))
