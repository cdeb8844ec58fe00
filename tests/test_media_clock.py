import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.datagrams import POLL_S
from monitor.media_clock import (
    AUDIO_RATE_HZ,
    JUMP_S,
    SLACK_S,
    VIDEO_RATE_HZ,
    MediaClock,
    StreamClock,
)

WRAP = 1 << 32
NTP_S = 3.9e9
TRANSIT_S = 0.05


def ticks(origin: int, media_s: float, rate_hz: int) -> int:
    return round(origin + media_s * rate_hz) % WRAP


@given(
    origin=st.integers(0, WRAP - 1),
    steps=st.lists(st.floats(0.0, 900.0), max_size=30),
    rate_hz=st.sampled_from([8_000, 48_000, 90_000]),
)
def test_timestamps_wrap_and_extended_ones_do_not(
    origin: int, steps: list[float], rate_hz: int
) -> None:
    """Over hours, with pauses of any length, every packet on time."""
    clock = StreamClock(rate_hz)
    first = clock.arrived(origin, TRANSIT_S)
    assert first is not None
    media_s = 0.0
    for step in steps:
        media_s += step
        extended = clock.arrived(ticks(origin, media_s, rate_hz), media_s + TRANSIT_S)
        assert extended == first + round(origin + media_s * rate_hz) - origin
        assert clock.time_s(extended) == pytest.approx(media_s + TRANSIT_S, abs=1e-3)


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1.5)), min_size=1, max_size=60))
def test_late_and_reordered_packets_keep_their_place(arrivals: list[tuple[int, float]]) -> None:
    origin = WRAP - 30 * 960  # it wraps among them
    clock = StreamClock(AUDIO_RATE_HZ)
    first = clock.arrived(origin, 10.0)
    assert first is not None
    for number, late_s in arrivals:
        extended = clock.arrived((origin + number * 960) % WRAP, 10 + number * 0.02 + late_s)
        assert extended == first + number * 960


def test_one_stray_timestamp_proves_nothing() -> None:
    clock = StreamClock(AUDIO_RATE_HZ)
    for n in range(10):
        clock.arrived(n * 960, n * 0.02)
    for stray in (1 << 31, 48_000 * 10):
        assert clock.arrived(stray, 0.2) is None
        assert not clock.jumped
        assert clock.arrived(10 * 960, 0.2) == 10 * 960
    assert clock.offset_s == pytest.approx(0.0)


@pytest.mark.parametrize("media_s", [-(JUMP_S + 5), JUMP_S + 5, 3_600.0])
def test_two_strays_that_agree_are_a_jump(media_s: float) -> None:
    clock = StreamClock(AUDIO_RATE_HZ)
    origin = 48_000 * 60
    for n in range(10):
        clock.arrived(origin + n * 960, n * 0.02)
    for n in (10, 11):
        assert clock.arrived(origin + n * 960 + round(media_s * 48_000), n * 0.02) is None
    assert clock.jumped


def test_a_stall_of_the_network_is_no_jump_to_those_that_come_in_time_again() -> None:
    clock = StreamClock(AUDIO_RATE_HZ)
    for n in range(50):
        clock.arrived(n * 960, n * 0.02)
    for n in range(50, 145):  # 1.9 s at once
        assert clock.arrived(n * 960, 2.9) == n * 960
    assert clock.offset_s == pytest.approx(0.0, abs=SLACK_S)


def test_without_reports_pictures_are_placed_by_arrival() -> None:
    clock = MediaClock()
    clock.audio.arrived(0, 5.0, 0.02)
    assert clock.video_time(0, 7.0) == 7.0
    assert clock.video_time(90_000, 8.2) == pytest.approx(8.0)  # the first waited less
    clock.sender_report("video", NTP_S, 0)
    assert clock.video_time(180_000, 9.0) == pytest.approx(9.0)
    assert clock.skew_s is None
    clock.sender_report("audio", 0.0, 0)  # a sender that has no clock
    assert clock.video_time(270_000, 10.0) == pytest.approx(10.0)
    assert clock.skew_s is None


@pytest.mark.parametrize("late_s", [0.0, 0.3, 1.5, -0.2])
@pytest.mark.parametrize("reports_first", [True, False])
def test_reports_bring_pictures_to_the_sound_of_the_same_instant(
    late_s: float, reports_first: bool
) -> None:
    clock = MediaClock()
    audio, video = WRAP - 9_600, WRAP - 900_000  # both wrap on the way
    rng = np.random.default_rng(5)

    def report(media_s: float) -> None:
        for kind, origin, rate_hz in (
            ("audio", audio, AUDIO_RATE_HZ),
            ("video", video, VIDEO_RATE_HZ),
        ):
            clock.sender_report(kind, NTP_S + media_s, ticks(origin, media_s, rate_hz))  # type: ignore[arg-type]

    if reports_first:
        report(0.0)
    seen = 0.0
    for n in range(1_000):
        media_s = n * 0.02
        jitter_s = rng.uniform(0, SLACK_S / 4)
        clock.audio.arrived(
            ticks(audio, media_s, AUDIO_RATE_HZ), 100 + media_s + TRANSIT_S + jitter_s
        )
        if n == 700:
            report(14.0)
        if n % 50 == 0:
            arrival_s = 100 + media_s + TRANSIT_S + late_s + jitter_s
            seen = clock.video_time(ticks(video, media_s, VIDEO_RATE_HZ), arrival_s)
    assert seen == pytest.approx(100 + 19.0 + TRANSIT_S, abs=SLACK_S)
    assert clock.skew_s == pytest.approx(late_s, abs=SLACK_S)


@given(st.floats(0, POLL_S), st.integers())
def test_that_packets_are_read_in_turns_moves_no_clock(phase_s: float, seed: int) -> None:
    """Packets of 20 ms that come `phase_s` after a turn, and turns that are up to 1 ms late; the
    network holds back as much as 5 ms."""
    clock, rng = StreamClock(AUDIO_RATE_HZ), random.Random(seed)
    offsets = set()
    for number in range(300):
        end_s = (number + 1) * 0.02
        turn_s = math.ceil((phase_s + end_s + rng.uniform(0, 0.005)) / POLL_S) * POLL_S
        clock.arrived(number * 960, turn_s - phase_s + rng.uniform(0, 0.001), 0.02)
        offsets.add(clock.offset_s)
    (offset_s,) = offsets
    assert offset_s is not None
    assert 0 <= offset_s <= POLL_S + 0.006


def test_another_stream_knows_nothing_of_the_reports_before() -> None:
    for reset in (lambda c: c.reset_audio(AUDIO_RATE_HZ), MediaClock.reset_video):
        clock = MediaClock()
        clock.audio.arrived(0, 5.0)
        clock.sender_report("audio", NTP_S, 0)
        clock.sender_report("video", NTP_S, 0)
        clock.video_time(0, 5.4)
        assert clock.skew_s == pytest.approx(0.4)
        reset(clock)
        assert clock.skew_s is None
        clock.audio.arrived(10**9, 6.0)
        assert clock.video_time(10**9, 6.4) == pytest.approx(6.4)
        assert clock.skew_s is None


def test_pictures_whose_timestamps_jump_are_followed() -> None:
    clock = MediaClock()
    assert clock.video_time(0, 5.0) == 5.0
    assert clock.video_time(10**9, 6.0) == 6.0
    assert clock.video_time(10**9 + 90_000, 7.0) == 7.0
    assert clock.video_time(10**9 + 180_000, 8.5) == pytest.approx(8.0)


@pytest.mark.parametrize("step_s", [-3_600.0, -11.0, 11.0, 1e9])
def test_reports_between_which_the_senders_clock_was_set_place_nothing(step_s: float) -> None:
    clock = MediaClock()
    clock.audio.arrived(0, 5.0)
    clock.sender_report("audio", NTP_S, 0)
    clock.sender_report("video", NTP_S + step_s, 0)
    assert clock.video_time(0, 5.4) == pytest.approx(5.4)
    assert clock.skew_s is None
    clock.sender_report("audio", NTP_S + step_s, 0)
    assert clock.video_time(90_000, 6.4) == pytest.approx(6.0)
