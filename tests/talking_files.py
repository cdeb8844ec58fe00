"""Media of synthetic people, encoded as data sets have them, for the tests of preparation."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from tests.clips import drawn
from tests.media_files import AAC, SoundForm, encode
from training.people import TEST_SEED, draw_person
from training.voice_synthesis import speak
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

PCM = SoundForm("pcm_s16le", SAMPLE_RATE_HZ, "mono")


@lru_cache
def face(index: int) -> Rgb:
    return drawn(index)


@lru_cache
def voice(index: int, seconds: float = 2.0) -> Audio:
    rng = np.random.default_rng(index)
    return speak(draw_person(TEST_SEED + index).voice, seconds, rng).audio


def two_faces(_time_s: float) -> Rgb:
    """Of equal size, side by side."""
    return np.concatenate([face(0)[:, 160:480], face(1)[:, 160:480]], axis=1)


def talking(
    path: Path,
    index: int = 0,
    *,
    seconds: float = 2.0,
    lead_in_s: float = 0.0,
    picture: Callable[[float], Rgb] | None = None,
    form: SoundForm = AAC,
    silent: bool = False,
    codec: str = "mpeg4",
) -> Path:
    """Person `index`, who says nothing for `lead_in_s`; `silent`: without a sound track."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.concatenate([np.zeros(round(lead_in_s * SAMPLE_RATE_HZ)), voice(index, seconds)])
    return encode(
        path,
        picture=picture or (lambda _time_s: face(index)),
        picture_s=seconds + lead_in_s,
        sound=None if silent else sound.astype(np.float32),
        form=form,
        codec=codec,
    )


def sound_file(path: Path, index: int = 0, form: SoundForm = PCM, seconds: float = 2.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return encode(path, sound=voice(index, seconds), form=form)


def picture_folder(folder: Path, index: int = 0, count: int = 50) -> Path:
    """JPEG files 001, 002, ... without extension."""
    folder.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(face(index), cv2.COLOR_RGB2BGR))
    for number in range(1, count + 1):
        (folder / f"{number:03}").write_bytes(data.tobytes())
    return folder
