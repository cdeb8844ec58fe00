import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.keyframe_requests import ANSWER_S, MAX_BACKOFF_S, MIN_REQUEST_S, Gate, KeyframeRequests

INTERVAL_S = 2.0


def requests(interval_s: float = INTERVAL_S) -> KeyframeRequests:
    return KeyframeRequests(interval_s, 0.0, lambda low, high: (low + high) / 2)


def asked(schedule: KeyframeRequests, start_s: float, end_s: float, flowing: bool) -> list[float]:
    """When it asks if nobody answers."""
    steps = (start_s + step * 0.02 for step in range(round((end_s - start_s) / 0.02)))
    return [now_s for now_s in steps if schedule.poll(now_s, flowing)]


def test_whoever_sends_is_asked_at_once() -> None:
    schedule = requests()
    assert not schedule.poll(0.0, flowing=False)
    assert schedule.gate is Gate.OPEN
    assert schedule.poll(0.02, flowing=True)
    assert schedule.gate is Gate.OPEN


def test_between_keyframes_nothing_is_wanted() -> None:
    schedule = requests()
    schedule.received(10.0)
    assert schedule.gate is Gate.SHUT
    gates = []
    for step in range(21):
        asks = schedule.poll(10.0 + step / 10, flowing=True)
        gates.append((schedule.gate, asks))
    assert gates[:16] == [(Gate.SHUT, False)] * 16
    assert gates[16:20] == [(Gate.PEEK, False)] * 4
    assert gates[20] == (Gate.OPEN, True)


def test_a_natural_keyframe_saves_the_request() -> None:
    schedule = requests()
    schedule.received(10.0)
    schedule.poll(11.8, flowing=True)
    schedule.started(11.8)
    assert schedule.gate is Gate.OPEN
    schedule.received(11.85)
    assert asked(schedule, 11.85, 13.8, flowing=True) == []


def test_a_natural_keyframe_that_stays_incomplete_is_asked_for_again() -> None:
    schedule = requests()
    schedule.received(10.0)
    schedule.poll(11.8, flowing=True)
    schedule.started(11.8)
    times = asked(schedule, 11.8, 13.0, flowing=True)
    assert len(times) == 1
    assert ANSWER_S - 0.03 < times[0] - 11.8 < ANSWER_S + 0.05


def test_a_sender_that_never_answers_is_asked_ever_less() -> None:
    schedule = requests()
    times = asked(schedule, 0.0, 300.0, flowing=True)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    # Time goes in steps of 0.02 s.
    assert all(later > earlier - 0.03 for earlier, later in itertools.pairwise(gaps))
    assert gaps[-1] <= MAX_BACKOFF_S + 0.03
    assert len(times) < 20
    assert schedule.gate in (Gate.PEEK, Gate.OPEN)  # one that comes by itself is still seen


def test_nobody_is_asked_who_sends_nothing() -> None:
    assert asked(requests(), 0.0, 60.0, flowing=False) == []


def test_an_answer_resets_the_patience() -> None:
    schedule = requests()
    asked(schedule, 0.0, 60.0, flowing=True)
    schedule.received(60.0)
    assert len(asked(schedule, 60.0, 64.0, flowing=True)) > 1


def test_another_sender_does_not_wait_for_the_one_before() -> None:
    schedule = requests()
    asked(schedule, 0.0, 60.0, flowing=True)
    schedule.restart(60.0)
    again = asked(schedule, 60.0, 63.0, flowing=True)
    assert np.diff(again).max() < 1.6


def test_hurry_still_keeps_the_rate() -> None:
    schedule = requests()
    times = []
    for step in range(200):
        schedule.hurry(step * 0.02)
        if schedule.poll(step * 0.02, flowing=True):
            times.append(step * 0.02)
            schedule.received(step * 0.02)
    assert min(b - a for a, b in itertools.pairwise(times)) >= MIN_REQUEST_S - 1e-9


def test_rooms_that_joined_together_do_not_ask_together() -> None:
    times = set()
    for _ in range(20):
        schedule = KeyframeRequests(INTERVAL_S, 0.0)
        schedule.received(0.0)
        times.add(asked(schedule, 0.0, 3.0, flowing=True)[0])
    assert len(times) > 5
    assert max(times) - min(times) > 0.1


@given(
    st.lists(
        st.tuples(
            st.floats(0.001, 5.0), st.booleans(), st.sampled_from(["", "started", "received"])
        )
    )
)
def test_requests_are_never_closer_than_the_limit(steps: list[tuple[float, bool, str]]) -> None:
    schedule, now_s, last_s = KeyframeRequests(0.5, 0.0), 0.0, -10.0
    for wait_s, flowing, event in steps:
        now_s += wait_s
        if schedule.poll(now_s, flowing):
            assert now_s - last_s >= MIN_REQUEST_S
            last_s = now_s
        assert schedule.next_s(now_s) > now_s
        if event == "started":
            schedule.started(now_s)
        elif event == "received":
            schedule.received(now_s)
