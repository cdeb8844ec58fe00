"""Talking loops: a face that speaks a voice's words, encoded once, to be published for as long as
a call lasts. Everything that costs processor time is done before the call begins."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.codecs import encode_opus, encode_vp8
from training.face_drawing import FaceDrawer
from training.people import FaceTraits, VoiceTraits
from training.scenes import draw_scene, pose_track
from training.voice_synthesis import Utterance, record, speak
from vfd.types import SAMPLE_RATE_HZ

FPS = 30
DRAWN_FPS = 15  # every picture is sent twice: lips need no more, and drawing is what costs
KEYFRAME_EVERY = FPS  # a loop can be cut once a second, and a late viewer waits no longer
MOUTH_RATE_HZ = 100


@dataclass(frozen=True, slots=True)
class TalkingLoop:
    """Encoded media that repeats without a seam: VP8 at 30 frames a second, with a key frame at
    every multiple of KEYFRAME_EVERY, and Opus in packets of 20 ms."""

    video: tuple[bytes, ...]
    audio: tuple[bytes, ...]


def utter(voice: VoiceTraits, duration_s: int, talk_share: float, seed: int) -> Utterance:
    """Speech through a microphone in a room; silent after the first `talk_share` of it."""
    rng = np.random.default_rng((seed, 1))
    speech = speak(voice, float(duration_s), rng)
    talk_s = duration_s * talk_share
    audio, mouth = speech.audio.copy(), speech.mouth_open.copy()
    audio[round(talk_s * SAMPLE_RATE_HZ) :] = 0.0
    mouth[round(talk_s * MOUTH_RATE_HZ) :] = 0.0
    return replace(speech, audio=record(audio, rng), mouth_open=mouth)


def film(face: FaceTraits, mouth_open: NDArray[np.float32], seed: int) -> list[bytes]:
    """A face that speaks: VP8, FPS frames for each second of `mouth_open` (100 values a second)."""
    rng = np.random.default_rng((seed, 2))
    step = MOUTH_RATE_HZ / DRAWN_FPS
    at = (np.arange(int(len(mouth_open) / step)) * step).astype(int)
    drawer = FaceDrawer(face, draw_scene(rng))
    drawn = [drawer.draw(pose) for pose in pose_track(rng, mouth_open[at], DRAWN_FPS)]
    frames = [rgb for rgb in drawn for _ in range(FPS // DRAWN_FPS)]
    return encode_vp8(frames, fps=FPS, keyframe_every=KEYFRAME_EVERY)


def talking_loop(
    voice: VoiceTraits, face: FaceTraits, seed: int, duration_s: int = 12, talk_share: float = 1.0
) -> TalkingLoop:
    """`voice` speaks for `talk_share` of the loop while `face` moves its lips to the words."""
    speech = utter(voice, duration_s, talk_share, seed)
    video = film(face, speech.mouth_open, seed)
    return TalkingLoop(tuple(video), tuple(encode_opus(speech.audio)[: duration_s * 50]))
