import threading

import pytest

from monitor.config import Config, WhipConfig
from monitor.sessions import DOUBT_S, HISTORY, Registry, TooManyParticipants
from tests.fakes import ALICE, BOB, DECISION, LIMITS
from vfd.decision import State, UnknownReason
from vfd.drift import Drift
from vfd.limits import sequential_limits
from vfd.types import Abstention, ParticipantKey, Reason, Score


@pytest.fixture
def registry() -> Registry:
    return Registry(Config(whip=WhipConfig(max_participants=2)), LIMITS)


def test_join_get_leave(registry: Registry) -> None:
    alice = registry.join(ALICE, 5.0)
    assert registry.get(ALICE) is alice
    assert registry.sessions() == (alice,)
    assert (alice.joined_s, alice.verdict.since_s) == (5.0, 5.0)
    assert registry.leave(ALICE) is alice
    assert registry.get(ALICE) is None
    assert registry.leave(ALICE) is None
    assert registry.sessions() == ()


def test_a_reconnect_keeps_what_was_known(registry: Registry) -> None:
    alice = registry.join(ALICE, 5.0)
    alice.apply(Score(ALICE, 6.0, 0.5, 1))
    assert registry.join(ALICE, 9.0) is alice
    assert alice.scored == 1


def test_two_calls_may_both_have_an_alice(registry: Registry) -> None:
    other = ParticipantKey("retro", "alice")
    assert registry.join(ALICE, 0.0) is not registry.join(other, 0.0)


def test_the_monitor_is_full_at_its_limit(registry: Registry) -> None:
    registry.join(ALICE, 0.0)
    registry.join(BOB, 0.0)
    with pytest.raises(TooManyParticipants, match=r"2 .*whip\.max_participants"):
        registry.join(ParticipantKey("standup", "carol"), 0.0)
    registry.join(BOB, 1.0)
    registry.leave(ALICE)
    registry.join(ParticipantKey("standup", "carol"), 2.0)


def test_sessions_never_change_under_a_reader_in_another_thread(registry: Registry) -> None:
    stop = threading.Event()
    sizes = set()

    def read() -> None:
        while not stop.is_set():
            sizes.add(sum(1 for _ in registry.sessions()))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2000):
        registry.join(ALICE, 0.0)
        registry.leave(ALICE)
    stop.set()
    reader.join()
    assert sizes <= {0, 1}


def test_a_step_updates_everything_that_is_shown(registry: Registry) -> None:
    alice = registry.join(ALICE, 0.0)
    for end_s in (1.0, 2.0, 3.0):
        verdict = alice.apply(Score(ALICE, end_s, 0.6, 1), speech=0.7, coverage=0.9)
    assert verdict is alice.verdict
    assert verdict.state is State.MATCH
    assert (alice.speech, alice.coverage, alice.scored) == (0.7, 0.9, 3)
    silent = Abstention(ALICE, 4.0, Reason.NO_SPEECH, speech=0.1, coverage=1.0)
    assert alice.apply(silent).state is State.MATCH
    assert (alice.speech, alice.coverage) == (0.1, 1.0)
    assert alice.last_abstention is silent
    assert alice.last_score is not None
    assert alice.last_score.end_s == 3.0
    assert alice.abstained == {Reason.NO_SPEECH: 1}
    assert list(alice.similarities) == [0.6, 0.6, 0.6, None]


def test_the_history_is_bounded(registry: Registry) -> None:
    alice = registry.join(ALICE, 0.0)
    for end_s in range(3 * HISTORY):
        alice.apply(Score(ALICE, float(end_s), 0.6, 1))
    assert len(alice.similarities) == HISTORY


def test_nobody_is_vouched_for_while_the_engine_is_down(registry: Registry) -> None:
    alice = registry.join(ALICE, 0.0)
    for second in range(6):
        alice.apply(Score(ALICE, float(second), -0.3, 1))
    assert alice.verdict.state is State.MISMATCH
    for end_s in (6.0, 7.0):
        verdict = alice.apply(Abstention(ALICE, end_s, Reason.ENGINE_DOWN))
        assert (verdict.state, verdict.reason) == (State.UNKNOWN, UnknownReason.ENGINE_DOWN)
        assert verdict.since_s == 6.0
    assert alice.apply(Score(ALICE, 8.0, -0.3, 1)).state is State.MISMATCH


def test_a_suspicion_about_somebody_elses_voice_is_taken_back(registry: Registry) -> None:
    session = registry.join(ALICE, 0.0)
    session.lips.able = True
    for n in range(4):
        session.apply(Score(ALICE, float(n), -0.3, 1))
    assert session.verdict.state is State.SUSPECT
    assert session.doubted(4.0)
    assert not session.doubted(3.0 + DOUBT_S)
    session.lips.take(4.0, moved=False)
    session.apply(Abstention(ALICE, 4.0, Reason.SPEAKER_OFF_SCREEN))
    assert session.verdict.reason is UnknownReason.TOO_FEW_WINDOWS
    assert session.doubted(10.0)  # the lips are looked at again


def test_a_suspicion_waits_for_the_lips(registry: Registry) -> None:
    session = registry.join(ALICE, 0.0)
    session.lips.able = True
    states = [session.apply(Score(ALICE, float(n), -0.3, 1)).state for n in range(6)]
    assert states[2:] == [State.SUSPECT] * 4
    session.lips.take(6.0, moved=True)
    assert session.apply(Score(ALICE, 6.0, -0.3, 1)).state is State.MISMATCH


def test_drift_is_told_of_people_who_match() -> None:
    registry = Registry(Config(), sequential_limits(DECISION, 1.0, 10.0))
    assert registry.drift() == Drift(0, None, False)
    for number in range(6):
        key = ParticipantKey("standup", f"p{number}")
        session = registry.join(key, 0.0)
        for end_s in range(12):  # far above tanh(0.7), the mean of the calibration
            session.apply(Score(key, float(end_s), 0.9 if number else -0.9, 1))
    found = registry.drift()
    assert found is not None
    assert (found.people, found.outside) == (5, True)  # the sixth does not match
    assert Registry(Config(), LIMITS).drift() is None
