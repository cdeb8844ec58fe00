import pytest

from monitor.attention import (
    BURST_ANYBODY_EVERY_S,
    BURST_S,
    CALM_AFTER_S,
    SUSPECT_EVERY_S,
    Attention,
)
from tests.fakes import ALICE, BOB
from vfd.decision import State, UnknownReason, Verdict

UNKNOWN = Verdict(State.UNKNOWN, None, 0.0, UnknownReason.TOO_FEW_WINDOWS)


def verdict(state: State, since_s: float = 0.0) -> Verdict:
    return Verdict(state, 0.5, since_s)


@pytest.fixture
def attention() -> Attention:
    return Attention(interval_s=2.0, face_max_age_s=6.0)


def test_two_seconds_unless_something_says_otherwise(attention: Attention) -> None:
    for state in (State.MATCH, State.SUSPECT, State.MISMATCH):
        assert attention.interval_s(verdict(state), 10.0, busy=False) == 2.0
    assert attention.interval_s(UNKNOWN, 1e4, busy=False) == 2.0


def test_the_calm_are_looked_at_less_often(attention: Attention) -> None:
    calm = verdict(State.MATCH, since_s=100.0)
    assert attention.interval_s(calm, 100.0 + CALM_AFTER_S, busy=False) == 4.0
    assert attention.interval_s(calm, 99.0 + CALM_AFTER_S, busy=False) == 2.0


def test_a_busy_machine_looks_less_often_but_no_face_goes_stale(attention: Attention) -> None:
    calm = verdict(State.MATCH)
    assert attention.interval_s(UNKNOWN, 0.0, busy=True) == 4.0
    assert attention.interval_s(calm, 1e3, busy=True) == 4.5
    assert Attention(5.0, 6.0).interval_s(calm, 1e3, busy=True) == 5.0


def test_a_suspect_is_looked_at_frame_by_frame_now_and_then(attention: Attention) -> None:
    suspect = verdict(State.SUSPECT)
    assert attention.burst_s(ALICE, suspect, 0.0, busy=False) == BURST_S
    assert attention.burst_s(ALICE, suspect, SUSPECT_EVERY_S - 0.1, busy=False) == 0.0
    assert attention.burst_s(ALICE, suspect, SUSPECT_EVERY_S + 0.1, busy=False) == BURST_S


def test_few_suspects_at_a_time(attention: Attention) -> None:
    suspect = verdict(State.SUSPECT)
    assert attention.burst_s(ALICE, suspect, 0.0, busy=False) == BURST_S
    assert attention.burst_s(BOB, suspect, BURST_ANYBODY_EVERY_S - 0.1, busy=False) == 0.0
    assert attention.burst_s(BOB, suspect, BURST_ANYBODY_EVERY_S + 0.1, busy=False) == BURST_S


def test_no_burst_for_others_or_on_a_busy_machine(attention: Attention) -> None:
    assert attention.burst_s(ALICE, verdict(State.MATCH), 0.0, busy=False) == 0.0
    assert attention.burst_s(ALICE, verdict(State.MISMATCH), 0.0, busy=False) == 0.0
    assert attention.burst_s(ALICE, verdict(State.SUSPECT), 0.0, busy=True) == 0.0


def test_a_doubt_is_enough_for_a_burst_and_costs_a_suspect_none(attention: Attention) -> None:
    assert attention.burst_s(ALICE, UNKNOWN, 0.0, busy=False) == 0.0
    assert attention.burst_s(ALICE, UNKNOWN, 0.0, busy=False, doubted=True) == BURST_S
    match, suspect = verdict(State.MATCH), verdict(State.SUSPECT)
    assert attention.burst_s(ALICE, match, SUSPECT_EVERY_S + 0.1, False, doubted=True) == 0.0
    assert attention.burst_s(ALICE, suspect, SUSPECT_EVERY_S + 0.1, False) == BURST_S
    assert attention.burst_s(BOB, verdict(State.MISMATCH), 50.0, False, doubted=True) == 0.0
    assert attention.burst_s(BOB, match, 50.0, busy=True, doubted=True) == 0.0
