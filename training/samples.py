"""From the media of one clip to what is kept of it: aligned face crops and its voice, once as
recorded and once for every line it is sent through."""

import hashlib
import io
import wave
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from training.clips import RECORDED, Clip, Record, Split, Variant
from training.crops import CropTaker, Rendering
from training.drops import Drop, DropError
from training.lines import draw_settings, lines_of, send_voice
from training.media import Media
from training.stopwatch import Stopwatch
from vfd.speech import FRAME_SAMPLES, speech_frames, speech_share
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

MIN_VOICE_S: Final = 1.0  # what is shorter says too little, however often it is repeated
MAX_LEAD_IN_S: Final = 5.0  # silence longer than that is no lead-in but a silent clip
_JPEG: Final = (
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,  # the video's own subsampling is loss enough
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A clip and where its media are."""

    clip: Clip
    media: Media


@dataclass(frozen=True, slots=True)
class Effort:
    """What is made of a clip: `faces` crops at most, `max_s` seconds at most from its first speech
    on, and in training `variants` beside the recorded one. `seed` of all that is drawn."""

    faces: int = 3
    max_s: float = 10.0
    variants: int = 2
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """A record and its files by name: `v0.wav`, `v0.f0.jpg`, ..."""

    record: Record
    files: dict[str, bytes]


class SampleMaker:
    """Makes samples of clips, one after another; holds the detector. For one thread."""

    def __init__(self, effort: Effort) -> None:
        self.stopwatch = Stopwatch()
        self._effort = effort
        self._crops = CropTaker(self.stopwatch)

    def make(self, entry: Entry, split: Split) -> Sample:
        """What is kept of `entry`, the same whenever and wherever it is made. Raises DropError."""
        rng = np.random.default_rng((self._effort.seed, clip_number(entry.clip)))
        with self.stopwatch.stage("decode"):
            heard = entry.media.sound(self._effort.max_s + MAX_LEAD_IN_S)
        sound = from_first_speech(heard)[: round(self._effort.max_s * SAMPLE_RATE_HZ)]
        lines = lines_of(split, self._effort.variants)
        renderings = [Rendering(None, {}), *(Rendering(n, draw_settings(n, rng)) for n in lines)]
        duration_s = len(heard) / SAMPLE_RATE_HZ
        self._crops.take(entry.media, duration_s, self._effort.faces, renderings)
        voices = [sound]
        with self.stopwatch.stage("degrade"):
            voices += [send_voice(sound, r.settings, rng) for r in renderings[1:]]
        with self.stopwatch.stage("write"):
            variants, files = [], dict[str, bytes]()
            for number, (rendering, voice) in enumerate(zip(renderings, voices, strict=True)):
                variants.append(_variant(rendering, voice))
                files[f"v{number}.wav"] = as_wav(voice)
                for k, crop in enumerate(rendering.crops):
                    files[f"v{number}.f{k}.jpg"] = as_jpeg(crop)
        return Sample(Record(entry.clip, split, tuple(variants)), files)


def clip_number(clip: Clip) -> int:
    """A number of the clip's own, in [0, 2**63): seeds what is drawn for it."""
    digest = hashlib.sha256(f"{clip.dataset}\n{clip.clip}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def from_first_speech(sound: Audio) -> Audio:
    """Without what comes before the first 30 ms with speech: cloned voices begin with a silence
    that would tell them from real ones.

    Raises DropError when there is no speech, or less than MIN_VOICE_S from there on.
    """
    speaks = speech_frames(sound[: round(MAX_LEAD_IN_S * SAMPLE_RATE_HZ)])
    if not speaks.any():
        raise DropError(Drop.NO_SPEECH, f"in the first {len(sound) / SAMPLE_RATE_HZ:.1f} s")
    rest = sound[int(speaks.argmax()) * FRAME_SAMPLES :]
    if len(rest) < MIN_VOICE_S * SAMPLE_RATE_HZ:
        raise DropError(Drop.TOO_SHORT, f"{len(rest) / SAMPLE_RATE_HZ:.2f} s from the first speech")
    return rest


def as_wav(sound: Audio) -> bytes:
    """16 kHz mono, 16 bits."""
    pcm = np.round(np.clip(sound, -1, 1) * 32_767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, SAMPLE_RATE_HZ, len(pcm), "NONE", ""))
        writer.writeframesraw(pcm.tobytes())
    return file.getvalue()


def as_jpeg(crop: Rgb) -> bytes:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), _JPEG)
    return data.tobytes()


def _variant(rendering: Rendering, voice: Audio) -> Variant:
    return Variant(
        line=rendering.line.name if rendering.line else RECORDED,
        settings=rendering.settings,
        samples=len(voice),
        speech=round(speech_share(voice), 4),
        faces=tuple(rendering.faces),
    )
