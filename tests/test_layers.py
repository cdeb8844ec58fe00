"""How much video is asked for: little of those who are silent, more of those who are suspected."""

from monitor.config import Config
from monitor.layers import LOOK_EVERY_S, LOOK_FOR_S, MAX_LAYER, QUIET_AFTER_S, Layers, Wish
from monitor.sessions import Registry, Session
from tests.fakes import ALICE, LIMITS
from vfd.decision import State, Verdict
from vfd.types import Reason

SMALLEST = Wish(video=True, layer=0, every_frame=False)


def alice() -> Session:
    return Registry(Config(), LIMITS).join(ALICE, 0.0)


def test_a_newcomer_is_looked_at_and_whoever_talks_stays_in_the_picture() -> None:
    session, layers = alice(), Layers(0.0)
    assert layers.wish(session, 0.0) == SMALLEST
    session.speech = 0.5
    assert {layers.wish(session, float(second)) for second in range(60)} == {SMALLEST}


def test_whoever_is_silent_is_looked_at_now_and_then() -> None:
    session, layers = alice(), Layers(0.0)
    wishes = [layers.wish(session, second / 2).video for second in range(240)]
    assert all(wishes[: round(2 * QUIET_AFTER_S)])
    after = wishes[round(2 * QUIET_AFTER_S) :]
    share = LOOK_FOR_S / LOOK_EVERY_S
    assert share <= sum(after) / len(after) <= share + 0.05
    gaps = "".join("1" if wish else "0" for wish in after).split("1")
    assert max(map(len, gaps)) / 2 <= LOOK_EVERY_S


def test_who_begins_to_talk_is_seen_at_once() -> None:
    session, layers = alice(), Layers(0.0)
    assert layers.wish(session, QUIET_AFTER_S).video
    assert not layers.wish(session, QUIET_AFTER_S + LOOK_FOR_S + 1).video
    session.speech = 0.2
    assert layers.wish(session, QUIET_AFTER_S + LOOK_FOR_S + 1.5).video


def test_faces_that_are_too_small_bring_larger_layers_up_to_the_largest() -> None:
    session, layers = alice(), Layers(0.0)
    session.speech = 1.0
    seen = []
    for second in range(12):
        session.abstained[Reason.FACE_SMALL] += 1
        seen.append(layers.wish(session, float(second)).layer)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, MAX_LAYER)
    assert layers.wish(session, 100.0).layer == MAX_LAYER  # and stay there


def test_suspicion_wants_every_frame_of_a_larger_layer_and_no_pause() -> None:
    session, layers = alice(), Layers(0.0)
    for state in (State.SUSPECT, State.MISMATCH):
        session.verdict = Verdict(state, 0.0, 0.0)
        assert layers.wish(session, 500.0) == Wish(video=True, layer=1, every_frame=True)
    session.verdict = Verdict(State.MATCH, 0.9, 0.0)
    assert layers.wish(session, 501.0).layer == 0
