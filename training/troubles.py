"""Calls in which the voice of a track is not that of the person on screen, and nothing is wrong;
and one in which something is.

Everybody is drawn as in any other call; what is added lies around that.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Final

import numpy as np

from training.codecs import decode_opus, encode_opus, encode_vp8
from training.echo import loudspeaker, with_echo
from training.gallery import compose
from training.people import Person
from training.talking import DRAWN_FPS, FPS, KEYFRAME_EVERY, TalkingLoop, film, utter
from vfd.types import Audio

LOOP_S: Final = 12
ECHO_DELAY_S: Final = 0.24
ECHO_DB: Final = -8.0
MILD_ECHO_DB: Final = -12.0


class Trouble(StrEnum):
    """ECHO: a microphone hears the loudspeaker, also while its owner is silent. MILD_ECHO: it does,
    softly, and its owner's face is swapped. OFF_SCREEN: somebody beside the camera speaks, whoever
    is in the picture does not. INTERPRETER: they do, but another is heard. TWO_FACES: two people
    share a camera and take turns."""

    ECHO = "echo"
    MILD_ECHO = "mild-echo"
    OFF_SCREEN = "off-screen"
    INTERPRETER = "interpreter"
    TWO_FACES = "two-faces"


def talker(person: Person, seed: int) -> tuple[TalkingLoop, Audio]:
    """Who speaks all the time, and their voice as the others get to hear it."""
    speech = utter(person.voice, LOOP_S, 1.0, seed)
    packets = encode_opus(speech.audio)[: LOOP_S * 50]
    loop = TalkingLoop(tuple(film(person.face, speech.mouth_open, seed)), tuple(packets))
    return loop, decode_opus(packets)


def overhearing(
    person: Person, other: Audio, level_db: float, talk_share: float, seed: int
) -> TalkingLoop:
    """Who speaks for `talk_share` of the loop, and whose microphone always hears `other` (n,) out
    of a loudspeaker, `level_db` louder than them."""
    speech = utter(person.voice, LOOP_S, talk_share, seed)
    echo = loudspeaker(other[: len(speech.audio)], ECHO_DELAY_S, np.random.default_rng((seed, 5)))
    audio = with_echo(speech.audio, echo, level_db)
    return TalkingLoop(tuple(film(person.face, speech.mouth_open, seed)), _coded(audio))


def off_screen(person: Person, voice: Person, seed: int) -> TalkingLoop:
    """`voice` is heard; the mouth of `person` is shut."""
    speech = utter(voice.voice, LOOP_S, 1.0, seed)
    shut = np.zeros_like(speech.mouth_open)
    return TalkingLoop(tuple(film(person.face, shut, seed)), _coded(speech.audio))


def interpreted(person: Person, voice: Person, seed: int) -> TalkingLoop:
    """`voice` is heard, while the mouth of `person` moves to words of their own."""
    said = utter(person.voice, LOOP_S, 1.0, seed)
    heard = utter(voice.voice, LOOP_S, 1.0, seed + 100)
    return TalkingLoop(tuple(film(person.face, said.mouth_open, seed)), _coded(heard.audio))


def two_faces(people: tuple[Person, Person], seed: int) -> TalkingLoop:
    """Both in one picture, speaking in turn."""
    gallery = compose(people, seed, LOOP_S, DRAWN_FPS)
    frames = [rgb for _, rgb in gallery.pictures() for _ in range(FPS // DRAWN_FPS)]
    video = encode_vp8(frames, fps=FPS, keyframe_every=KEYFRAME_EVERY)
    return TalkingLoop(tuple(video), _coded(gallery.audio))


def swapped(loop: TalkingLoop, person: Person, donor: Person, seed: int) -> TalkingLoop:
    """`loop` of `person`, who speaks all the time, with the face of `donor`."""
    speech = utter(person.voice, LOOP_S, 1.0, seed)
    return replace(loop, video=tuple(film(donor.face, speech.mouth_open, seed)))


def _coded(audio: Audio) -> tuple[bytes, ...]:
    return tuple(encode_opus(audio)[: LOOP_S * 50])
