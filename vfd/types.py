"""The nouns of one datum, from packet to alert. Units and ranges are stated here once.

Times are seconds on the monitor's own monotonic clock (or, for a file, seconds of media time).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000  # paper 3.2.1
WINDOW_S = 3.0  # paper 3.2.1
WINDOW_SAMPLES = 48_000
FACE_SIZE_PX = 224  # paper 4.2

Rgb = NDArray[np.uint8]
"""A picture, (height, width, 3) uint8, channels red, green, blue."""
Audio = NDArray[np.float32]
"""Mono sound at SAMPLE_RATE_HZ, (samples,) float32 in [-1, 1]."""


class ParticipantKey(NamedTuple):
    """Two calls may both have an "alice": only the pair names somebody."""

    call: str
    participant: str


class Reason(StrEnum):
    """Why a second has no score. Closed: every unscored second is counted under one of these."""

    NO_AUDIO = "no_audio"
    NO_SPEECH = "no_speech"
    AUDIO_GAP = "audio_gap"
    NO_VIDEO = "no_video"
    VIDEO_PAUSED = "video_paused"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    FACE_SMALL = "face_small"
    FACE_DARK = "face_dark"
    FACE_BRIGHT = "face_bright"
    FACE_BLURRED = "face_blurred"
    FACE_TURNED = "face_turned"
    FACE_OCCLUDED = "face_occluded"
    FACE_STALE = "face_stale"
    SPEAKER_OFF_SCREEN = "speaker_off_screen"
    CROSS_TALK = "cross_talk"
    AV_SKEW = "av_skew"
    CODEC_UNSUPPORTED = "codec_unsupported"
    OVERLOADED = "overloaded"
    ENGINE_DOWN = "engine_down"


class Box(NamedTuple):
    """A rectangle in the pixels of the picture it was found in; it may reach over the edge."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detected face. `points` (5, 2) float32, x and y in pixels: the eye on the picture's
    left, the eye on its right, nose tip, mouth corner left, mouth corner right.
    `score` in [0, 1] says that it is a face, nothing about its quality."""

    box: Box
    points: NDArray[np.float32]
    score: float


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class FaceFrame:
    """One aligned crop, `rgb` (224, 224, 3) uint8, seen at `time_s`; `box` in the source picture;
    `quality` in [0, 1], higher is better, comparable only between crops of one participant."""

    time_s: float
    rgb: Rgb
    box: Box
    quality: float


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The evidence for one step.

    `audio` (48000,) float32 at 16 kHz; holes are zero. `faces` best first, each at most
    `face_max_age_s` older than `end_s`. `coverage` in [0, 1]: share of the audio that was received
    (silence that the sender suppressed counts as received). `speech` in [0, 1]: share of 30 ms
    frames with speech.
    """

    key: ParticipantKey
    start_s: float
    end_s: float
    audio: Audio
    faces: tuple[FaceFrame, ...]
    coverage: float
    speech: float


@dataclass(frozen=True, slots=True)
class Score:
    """`similarity` in [-1, 1], the cosine of paper eq. 1; higher means voice and face match.
    `jump` in [0, 2]: by how much more voice or face has changed in this call than the other."""

    key: ParticipantKey
    end_s: float
    similarity: float
    faces_used: int
    jump: float = 0.0


@dataclass(frozen=True, slots=True)
class Abstention:
    """There is no score for the second that ends at `end_s`, and why. `speech` and `coverage` as in
    Window, when known."""

    key: ParticipantKey
    end_s: float
    reason: Reason
    speech: float = 0.0
    coverage: float = 0.0


class FaceDetector(Protocol):
    """Finds faces in a picture of any size. Called from one thread at a time."""

    def detect(self, rgb: Rgb) -> Sequence[Face]:
        """Faces in `rgb`, most certain first; empty when there are none."""
        ...
