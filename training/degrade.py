"""Synthetic people as the other end of a call receives them: after VP8 and Opus."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.codecs import decode_opus, decode_vp8, encode_opus, encode_vp8
from training.face_drawing import FaceDrawer
from training.people import FaceTraits, VoiceTraits
from training.scenes import draw_scene, pose_track
from training.voice_synthesis import record, speak
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

DRAWN_FPS: Final = 15  # every picture is sent twice, at 30 frames a second
SENT_TWICE: Final = 2


@dataclass(frozen=True, slots=True)
class Line:
    """What media go through. Rates in bits a second; each clip draws its own between the two ends,
    evenly on a logarithmic scale. `pictures` at 15 a second are sent before the one that is kept:
    the rate control of VP8 starts coarse and needs some ten frames to settle. `complexity` of the
    Opus encoder, 0 to 10."""

    video_bit_rate: tuple[int, int]
    audio_bit_rate: tuple[int, int]
    pictures: int
    complexity: int


CALL: Final = Line((500_000, 500_000), (32_000, 32_000), pictures=5, complexity=10)
"""What accuracy is stated for, and what thresholds are fitted on."""
TRAINING: Final = Line((300_000, 3_000_000), (16_000, 64_000), pictures=1, complexity=2)
"""One picture a clip, because drawing and coding cost more than all else. Its rates reach higher:
what two frames look like at 2 Mbit/s a call reaches at 500 kbit/s once it has settled."""


def film(face: FaceTraits, line: Line, rng: np.random.Generator) -> Rgb:
    """The last picture of a short clip of `face` in a new scene, (360, 640, 3), as received."""
    drawer = FaceDrawer(face, draw_scene(rng))
    mouth = np.clip(rng.normal(0.3, 0.3, line.pictures), 0, 1)
    drawn = [drawer.draw(pose) for pose in pose_track(rng, mouth, DRAWN_FPS)]
    frames = [rgb for rgb in drawn for _ in range(SENT_TWICE)]
    return decode_vp8(encode_vp8(frames, bit_rate=_rate(line.video_bit_rate, rng)))[-1]


def say(voice: VoiceTraits, duration_s: float, line: Line, rng: np.random.Generator) -> Audio:
    """`duration_s` seconds of new words in `voice`, through a new room, as received at 16 kHz."""
    sound = record(speak(voice, duration_s, rng).audio, rng)
    rate = _rate(line.audio_bit_rate, rng)
    received = decode_opus(encode_opus(sound, bit_rate=rate, complexity=line.complexity))
    return received[: round(duration_s * SAMPLE_RATE_HZ)]


def _rate(ends: tuple[int, int], rng: np.random.Generator) -> int:
    return round(float(np.exp(rng.uniform(*np.log(ends)))))
