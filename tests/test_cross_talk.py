"""Whose voice is in a window: the participant's, or that of somebody else in the call."""

import numpy as np
import pytest

from training.codecs import decode_opus, encode_opus
from training.echo import loudspeaker, with_echo
from training.people import TEST_SEED, draw_person
from training.voice_synthesis import record, speak
from vfd.cross_talk import MAX_OTHERS, MIN_SHARE, Sound, echo_share, is_cross_talk, sound_of
from vfd.types import SAMPLE_RATE_HZ, WINDOW_SAMPLES, Audio

SECONDS = 8.0
DELAY_S = 0.25


def coded(audio: Audio) -> Audio:
    return decode_opus(encode_opus(audio))[: len(audio)]


def said(person: int, seconds: float = SECONDS) -> Audio:
    seed = TEST_SEED + 400_000 + person
    return speak(draw_person(seed).voice, seconds, np.random.default_rng(seed)).audio


def windows(audio: Audio) -> list[Sound]:
    starts = range(SAMPLE_RATE_HZ, len(audio) - WINDOW_SAMPLES, SAMPLE_RATE_HZ)
    return [sound_of(audio[start : start + WINDOW_SAMPLES]) for start in starts]


class Call:
    """`other` speaks all the time; what `own`'s microphone hears of it comes `delay_s` later."""

    def __init__(self, seed: int, delay_s: float = DELAY_S) -> None:
        self._rng = np.random.default_rng(seed)
        self.own = said(2 * seed)
        self._played = coded(record(said(2 * seed + 1), self._rng))
        self.other = windows(self._played)
        self.echo = loudspeaker(self._played, delay_s, self._rng)

    def heard(self, microphone: Audio) -> list[Sound]:
        return windows(coded(record(microphone, self._rng)))

    def shares(self, microphone: Audio) -> list[float]:
        heard = self.heard(microphone)
        return [echo_share(a, b) for a, b in zip(heard, self.other, strict=True)]


@pytest.fixture(scope="module", params=[1, 2, 3])
def call(request: pytest.FixtureRequest) -> Call:
    return Call(request.param)


def test_a_voice_of_ones_own_is_no_echo(call: Call) -> None:
    assert max(call.shares(call.own)) < MIN_SHARE


def test_a_mild_echo_does_not_hide_who_speaks(call: Call) -> None:
    assert max(call.shares(with_echo(call.own, call.echo, -10.0))) < MIN_SHARE


def test_the_loudspeaker_alone_is_cross_talk(call: Call) -> None:
    heard = call.heard(call.echo)
    assert all(is_cross_talk(a, [b]) for a, b in zip(heard, call.other, strict=True))
    assert min(call.shares(call.echo)) > 2 * MIN_SHARE


def test_nor_is_one_as_loud_as_oneself_overheard(call: Call) -> None:
    shares = call.shares(with_echo(call.own, call.echo, 0.0))
    assert np.mean(np.array(shares) >= MIN_SHARE) >= 0.75


def test_whoever_is_played_is_not_taken_for_the_echo(call: Call) -> None:
    heard = call.heard(call.echo)
    assert not any(is_cross_talk(b, [a]) for a, b in zip(heard, call.other, strict=True))


@pytest.mark.parametrize(("delay_s", "found"), [(0.0, False), (0.06, True), (0.5, True)])
def test_what_comes_at_once_is_no_echo(delay_s: float, found: bool) -> None:
    """One voice in two microphones, or two publishers of one file."""
    call = Call(4, delay_s)
    heard = call.heard(call.echo)
    assert [is_cross_talk(a, [b]) for a, b in zip(heard, call.other, strict=True)] == [
        found for _ in heard
    ]


def test_only_the_loudest_are_asked() -> None:
    call = Call(5)
    heard, other = call.heard(call.echo)[0], call.other[0]
    louder = [sound_of(np.clip(3 * said(50 + k, 3.0), -1, 1)) for k in range(MAX_OTHERS)]
    assert is_cross_talk(heard, [other, *louder[1:]])
    assert not is_cross_talk(heard, [other, *louder])


def test_silence_is_nobodys_echo() -> None:
    silence, voice = np.zeros(WINDOW_SAMPLES, np.float32), said(9, 3.0)
    for heard, other in ((silence, voice), (voice, silence), (silence, silence)):
        assert echo_share(sound_of(heard), sound_of(other)) == 0.0
