"""Synthetic people whom no training has seen, as the other end of a call receives them."""

from functools import cache

import numpy as np

from training.degrade import CALL, film, say
from training.people import TEST_SEED, draw_person
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.quality import QualityLimits
from vfd.types import WINDOW_S, Audio, FaceFrame, Rgb

FIRST_SEED = TEST_SEED + 70
TRIES = 9  # a face may be turned away or be missed


@cache
def unseen_person(number: int) -> tuple[Audio, Rgb]:
    """Three seconds of the voice and an aligned crop of the face."""
    traits = draw_person(FIRST_SEED + number)
    rng = np.random.default_rng(number)
    finder = FaceFinder(MtcnnDetector(), QualityLimits())
    found = (finder.find(film(traits.face, CALL, rng), 0.0) for _ in range(TRIES))
    face = next(f for f in found if isinstance(f, FaceFrame))
    return say(traits.voice, WINDOW_S, CALL, rng), face.rgb
