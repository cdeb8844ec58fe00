"""What a suspicion waits for, and for how long."""

from monitor.lip_watch import CHANCE_S, CONFIRMED_S, FITTING, OFF_SCREEN_S, LipWatch
from vfd.decision import State, Verdict

SUSPECT = Verdict(State.SUSPECT, -0.2, since_s=10.0)
MATCH = Verdict(State.MATCH, 0.7, since_s=0.0)


def watch(able: bool = True) -> LipWatch:
    lips = LipWatch()
    lips.able = able
    return lips


def test_where_no_burst_is_to_be_had_nothing_waits() -> None:
    assert watch(able=False).settles(SUSPECT, 10.0)
    assert watch(able=False).settles(MATCH, 10.0)


def test_a_suspicion_waits_for_the_lips_but_not_for_ever() -> None:
    lips = watch()
    assert not lips.settles(MATCH, 10.0)
    assert not lips.settles(SUSPECT, 10.0 + CHANCE_S - 0.1)
    assert lips.settles(SUSPECT, 10.0 + CHANCE_S)


def test_lips_that_move_with_the_voice_vouch_for_it_for_a_while() -> None:
    lips = watch()
    lips.take(11.0, moved=True)
    assert lips.settles(SUSPECT, 11.0)
    assert lips.settles(MATCH, 12.0)  # where a mismatch takes no time
    assert not lips.settles(MATCH, 11.0 + CONFIRMED_S)
    assert not lips.off_screen(11.0)


def test_lips_that_do_not_say_so_until_they_are_seen_again() -> None:
    lips = watch()
    assert not lips.off_screen(0.0)
    lips.take(11.0, moved=False)
    assert lips.off_screen(11.0)
    assert not lips.settles(SUSPECT, 12.0)
    lips.take(12.0, moved=None)
    assert lips.off_screen(10.9 + OFF_SCREEN_S)
    assert not lips.off_screen(11.0 + OFF_SCREEN_S)
    lips.take(13.0, moved=True)
    assert not lips.off_screen(13.0)


def test_a_voice_that_goes_on_fitting_makes_up_for_lips_that_did_not_move() -> None:
    lips = watch()
    lips.take(11.0, moved=False)
    lips.take(12.0, moved=False, fits=True)  # not believed, and not counted as seen
    lips.take(13.0, moved=None, fits=True)
    lips.take(14.0, moved=None)  # it fitted by chance
    for end_s in range(15, 14 + FITTING):
        lips.take(end_s, moved=None, fits=True)
        assert lips.off_screen(end_s)
    lips.take(14 + FITTING, moved=None, fits=True)
    assert not lips.off_screen(14 + FITTING)
    lips.take(30.0, moved=True)
    for end_s in range(31, 31 + FITTING):
        lips.take(end_s, moved=None, fits=True)
    assert lips.settles(MATCH, 29.9 + CONFIRMED_S)  # what moved is not forgotten
