"""Synthetic people whom no training has seen, as the other end of a call receives them."""

from functools import cache

import numpy as np

from training.lines import CALL, draw_settings, send_pictures, send_voice
from training.people import TEST_SEED
from training.readers.synthetic import DrawnMedia
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.quality import QualityLimits
from vfd.types import WINDOW_S, Audio, FaceFrame, Rgb

FIRST_SEED = TEST_SEED + 70
TRIES = 9  # a face may be turned away or be missed


@cache
def unseen_person(number: int) -> tuple[Audio, Rgb]:
    """Three seconds of the voice and an aligned crop of the face."""
    seed, rng = FIRST_SEED + number, np.random.default_rng(number)
    media, settings = DrawnMedia(seed, seed, (number,), WINDOW_S), draw_settings(CALL, rng)
    finder = FaceFinder(MtcnnDetector(), QualityLimits())
    looks = media.looks(range(TRIES), CALL.pictures)
    found = (finder.find(send_pictures(look.run(), settings), 0.0) for look in looks)
    face = next(f for f in found if isinstance(f, FaceFrame))
    return send_voice(media.sound(WINDOW_S), settings, rng), face.rgb
