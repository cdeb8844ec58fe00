"""Loops of synthetic people: as long as promised, silent when told, cut at key frames."""

import numpy as np

from training.codecs import decode_opus, decode_vp8
from training.people import TEST_SEED, draw_person
from training.talking import FPS, KEYFRAME_EVERY, talking_loop, utter
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.speech import speech_share
from vfd.types import SAMPLE_RATE_HZ, FaceFrame

PERSON = draw_person(TEST_SEED + 1)


def test_a_loop_talks_and_shows_a_face() -> None:
    loop = talking_loop(PERSON.voice, PERSON.face, seed=1, duration_s=3)
    assert len(loop.video) == 3 * FPS
    assert len(loop.audio) == 150
    assert all(not loop.video[i][0] & 1 for i in range(0, len(loop.video), KEYFRAME_EVERY))
    assert speech_share(decode_opus(loop.audio)[: 3 * SAMPLE_RATE_HZ]) > 0.6
    picture = decode_vp8(loop.video)[-1]
    assert picture.shape == (360, 640, 3)
    assert isinstance(FaceFinder(MtcnnDetector()).find(picture, 0.0), FaceFrame)


def test_half_a_loop_can_be_silent_with_the_mouth_shut() -> None:
    speech = utter(PERSON.voice, 4, talk_share=0.5, seed=2)
    talking, silent = speech.audio[: 2 * SAMPLE_RATE_HZ], speech.audio[-SAMPLE_RATE_HZ:]
    assert np.std(silent) < 0.1 * np.std(talking)
    assert not speech.mouth_open[200:].any()
    assert speech.mouth_open[:200].max() > 0.3


def test_the_same_seed_says_the_same() -> None:
    first, again = (utter(PERSON.voice, 2, 1.0, seed=5).audio for _ in range(2))
    assert np.array_equal(first, again)
