"""What a loudspeaker and a room make of a voice, and how it is mixed in."""

import numpy as np
import pytest

from training.echo import loudspeaker, with_echo
from training.people import TEST_SEED, draw_person
from training.voice_synthesis import speak
from vfd.cross_talk import MAX_DELAY_S, echo_share, sound_of
from vfd.types import SAMPLE_RATE_HZ, WINDOW_SAMPLES, Audio


def voice(seed: int) -> Audio:
    return speak(draw_person(TEST_SEED + seed).voice, 3.0, np.random.default_rng(seed)).audio


def rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio))))


def test_the_loudspeaker_keeps_the_level_and_takes_the_ends_of_the_band() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, WINDOW_SAMPLES).astype(np.float32)
    heard = loudspeaker(noise, 0.1, np.random.default_rng(2))
    assert rms(heard) == pytest.approx(rms(noise), rel=0.02)
    power = np.abs(np.fft.rfft(heard)) ** 2
    hz = np.fft.rfftfreq(len(heard), 1 / SAMPLE_RATE_HZ)
    middle = power[(hz > 800) & (hz < 3_000)].mean()
    assert power[hz < 100].mean() < 0.05 * middle
    assert power[hz > 7_800].mean() < 0.5 * middle


@pytest.mark.parametrize("delay_s", [0.05, 0.4])
def test_it_comes_as_late_as_told(delay_s: float) -> None:
    click = np.zeros(WINDOW_SAMPLES, np.float32)
    click[1_000] = 1.0
    heard = loudspeaker(click, delay_s, np.random.default_rng(3))
    at = int(np.abs(heard).argmax())
    assert (at - 1_000) / SAMPLE_RATE_HZ == pytest.approx(delay_s, abs=0.002)


def test_the_level_is_that_of_the_loud_parts() -> None:
    own, other = voice(1), voice(2)
    own[len(own) // 2 :] = 0.0
    echo = with_echo(own, other, -10.0)[len(own) // 2 :]
    assert 20 * np.log10(rms(echo) / rms(own[: len(own) // 2])) == pytest.approx(-10.0, abs=2.5)
    assert np.abs(with_echo(own, other, 40.0)).max() <= 1.0


def test_an_echo_is_seen_for_what_it_is() -> None:
    other = voice(4)
    delay_s = MAX_DELAY_S / 2
    heard = with_echo(voice(3), loudspeaker(other, delay_s, np.random.default_rng(5)), 10.0)
    assert echo_share(sound_of(heard), sound_of(other)) > 0.3
