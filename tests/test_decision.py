import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import DECISION, LIMITS
from vfd.decision import Decider, Signal, State, UnknownReason, Verdict
from vfd.limits import DecisionLimits, sequential_limits
from vfd.sequential import CAP

SEQUENTIAL = sequential_limits(DECISION, 1.0, 10.0)


def run(
    scores: Iterable[float | None], limits: DecisionLimits = LIMITS, start_s: float = 0.0
) -> list[Verdict]:
    """One outcome a second from `start_s` on."""
    decider = Decider(limits, start_s)
    return [decider.update(start_s + n, score) for n, score in enumerate(scores)]


def states(scores: Iterable[float | None]) -> list[State]:
    return [verdict.state for verdict in run(scores)]


def test_no_verdict_before_enough_windows() -> None:
    verdicts = run([0.6, 0.6, 0.6])
    assert [v.reason for v in verdicts[:2]] == [UnknownReason.TOO_FEW_WINDOWS] * 2
    assert (verdicts[2].state, verdicts[2].since_s, verdicts[2].reason) == (State.MATCH, 2.0, None)
    assert verdicts[2].statistic == pytest.approx(0.6)


def test_a_fresh_decider_is_unknown_since_it_began() -> None:
    assert Decider(LIMITS, 7.0).verdict == Verdict(
        State.UNKNOWN, None, 7.0, UnknownReason.TOO_FEW_WINDOWS
    )


def test_low_scores_make_suspect_then_mismatch_and_since_names_the_second() -> None:
    verdicts = run([-0.3] * 8)
    assert [v.state for v in verdicts[2:5]] == [State.SUSPECT, State.SUSPECT, State.MISMATCH]
    assert verdicts[3].since_s == 2.0
    assert verdicts[-1].since_s == 4.0


def test_silence_never_moves_towards_a_match() -> None:
    low = [-0.3] * 6
    verdicts = run([*low, *[None] * 10, -0.3])
    assert {v.state for v in verdicts[5:]} == {State.MISMATCH}
    assert verdicts[5].statistic == verdicts[15].statistic


def test_abstentions_are_no_scored_time() -> None:
    assert states([-0.3, -0.3, -0.3, None, None, None])[-1] is State.SUSPECT


def test_one_score_after_a_pause_does_not_outweigh_all_before() -> None:
    verdicts = run([*[0.6] * 10, *[None] * 10, -0.3])
    assert verdicts[-1].state is State.MATCH
    assert verdicts[-1].statistic is not None
    assert verdicts[-1].statistic > LIMITS.suspect_below


def test_between_the_thresholds_the_state_holds() -> None:
    assert states([*[0.6] * 4, *[0.2] * 60])[-1] is State.MATCH
    assert states([0.05, 0.05, 0.05, *[0.2] * 60])[-1] is State.SUSPECT
    held = run([0.2] * 20)[-1]
    assert (held.state, held.reason) == (State.UNKNOWN, UnknownReason.WEAK_EVIDENCE)


def test_a_mismatch_is_left_only_after_a_lasting_recovery() -> None:
    mismatch = [-0.3] * 6
    assert states([*mismatch, *[0.6] * 5])[-1] is State.MISMATCH
    assert states([*mismatch, *[0.2] * 60])[-1] is State.MISMATCH
    verdicts = run([*mismatch, *[0.6] * 20])
    assert verdicts[-1].state is State.MATCH
    above = next(
        n for n, v in enumerate(verdicts[6:], 6) if (v.statistic or 0) > LIMITS.match_above
    )
    assert verdicts[-1].since_s == above + LIMITS.recover_after_s


def test_everything_is_forgotten_after_a_long_silence() -> None:
    verdicts = run([*[0.6] * 5, *[None] * 16, 0.6, 0.6, 0.6])
    assert verdicts[19].state is State.MATCH
    assert verdicts[20] == Verdict(State.UNKNOWN, None, 20.0, UnknownReason.NO_RECENT_WINDOWS)
    assert verdicts[-2].reason is UnknownReason.TOO_FEW_WINDOWS
    assert verdicts[-1].state is State.MATCH


def test_a_silence_that_nobody_reported_is_forgotten_as_well() -> None:
    decider = Decider(LIMITS)
    for end_s in range(5):
        decider.update(end_s, 0.6)
    assert decider.update(100.0, 0.6).reason is UnknownReason.TOO_FEW_WINDOWS


def test_time_that_stands_still_or_runs_back_is_no_scored_time() -> None:
    decider = Decider(LIMITS)
    for _ in range(50):
        verdict = decider.update(10.0, -0.3)
    assert verdict.state is State.SUSPECT
    assert decider.update(5.0, -0.3).state is State.SUSPECT


def test_without_smoothing_the_statistic_is_the_last_score() -> None:
    limits = DecisionLimits(suspect_below=0.1, match_above=0.3, smoothing_s=0.0)
    assert run([0.6, 0.5, 0.4], limits)[-1].statistic == pytest.approx(0.4)


def test_smoothing_follows_time_not_count() -> None:
    dense, sparse = Decider(LIMITS), Decider(LIMITS)
    for n in range(39):
        dense.update(n * 0.5, 0.6)
    for n in range(20):
        sparse.update(n * 1.0, 0.6)
    dense.update(19.5, 0.0)
    dense.update(20.0, 0.0)
    sparse.update(20.0, 0.0)
    assert dense.verdict.statistic == pytest.approx(sparse.verdict.statistic, abs=0.05)
    assert dense.verdict.statistic == pytest.approx(0.6 * math.exp(-1 / 3), abs=0.01)


def test_numbers_that_are_not_finite_are_refused_and_change_nothing() -> None:
    for limits in (LIMITS, SEQUENTIAL):
        decider = Decider(limits)
        for end_s in range(5):
            before = decider.update(end_s, 0.6)
        for bad in ((math.nan, 0.6, 0.0), (5.0, math.nan, 0.0), (5.0, 0.6, math.inf)):
            with pytest.raises(ValueError, match="not finite"):
                decider.update(*bad)
        assert decider.verdict == before
        assert decider.update(5, 0.6).state is State.MATCH


def sequential(scores: Iterable[float | None], jump: float = 0.0) -> list[Verdict]:
    decider = Decider(SEQUENTIAL)
    return [decider.update(float(n), score, jump) for n, score in enumerate(scores)]


def test_a_swap_from_the_start_is_a_mismatch_of_identity() -> None:
    verdicts = sequential([-0.3] * 40)
    first = next(n for n, v in enumerate(verdicts) if v.state is State.MISMATCH)
    assert 2 <= first <= 5  # no single window decides: each is clipped
    assert verdicts[first].signal is Signal.IDENTITY
    assert verdicts[first].level == 1
    assert verdicts[-1].level == 2  # of twice the threshold by then
    assert verdicts[-1].since_s == float(first)
    assert verdicts[-1].log_likelihood_ratio == pytest.approx(5.0)  # slope * (centre - mean)


def test_a_fall_against_ones_own_baseline_is_a_change_before_it_is_a_mismatch_of_identity() -> None:
    verdicts = sequential([*[0.8] * 30, *[0.15] * 10])
    assert {v.state for v in verdicts[3:30]} == {State.MATCH}
    assert max(v.change or 0.0 for v in verdicts[:30]) == 0.0
    alarm = next(v for v in verdicts if v.state is State.MISMATCH)
    assert alarm.signal is Signal.CHANGE
    assert alarm.change is not None
    assert alarm.change >= 1.0
    # the same score from the start on is weak evidence: that may be how this person is
    weak = sequential([0.15] * 15)[-1]
    assert (weak.state, weak.reason) == (State.UNKNOWN, UnknownReason.WEAK_EVIDENCE)


def test_a_jump_of_an_embedding_counts_where_the_model_knows_what_it_means() -> None:
    model = replace(DECISION, jump_weight=20.0)
    decider = Decider(sequential_limits(model, 1.0, 10.0))
    for end_s in range(20):
        decider.update(end_s, 0.6)
    verdicts = [decider.update(end_s, 0.55, jump=0.9) for end_s in range(20, 26)]
    assert verdicts[-1].signal is Signal.CHANGE
    assert sequential([*[0.6] * 20, *[0.55] * 6], jump=0.9)[-1].state is State.MATCH


def test_what_cannot_reach_the_rate_is_unknown_and_never_suspect() -> None:
    blind = replace(DECISION.points[0], identity=None, slow=None, change=None)
    decider = Decider(sequential_limits(replace(DECISION, points=(blind,)), 1.0, 10.0))
    scores = [*[0.9] * 20, *[-0.9] * 60]
    verdicts = [decider.update(float(n), s) for n, s in enumerate(scores)]
    assert {v.state for v in verdicts} == {State.UNKNOWN}
    assert {v.reason for v in verdicts[5:]} == {UnknownReason.WEAK_EVIDENCE}


def test_evidence_outlasts_silences_but_the_verdict_does_not() -> None:
    """Somebody who speaks three windows at a time, half a minute apart."""
    decider, states, end_s = Decider(SEQUENTIAL), [], 0.0
    for _ in range(4):
        for _ in range(3):
            states.append(decider.update(end_s, 0.0).state)
            end_s += 1.0
        for _ in range(30):
            states.append(decider.update(end_s, None).state)
            end_s += 1.0
    assert State.MISMATCH in states
    assert states[-1] is State.UNKNOWN


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-2.0, 400.0), st.none() | st.floats(-1.0, 1.0), st.floats(0.0, 2.0)),
        max_size=60,
    )
)
def test_whatever_comes_and_whenever_the_verdict_is_sound(
    outcomes: list[tuple[float, float | None, float]],
) -> None:
    """Gaps, pauses, times that run back: the contract of Verdict holds."""
    decider, end_s = Decider(SEQUENTIAL), 0.0
    for step_s, similarity, jump in outcomes:
        end_s += step_s
        if step_s > 300.0:
            decider.pause(step_s)
        v = decider.update(end_s, similarity, jump)
        assert (v.reason is None) == (v.state is not State.UNKNOWN)
        assert (v.level > 0) == (v.state is State.MISMATCH) == (v.signal is not None)
        assert v.statistic is None or -1.0 <= v.statistic <= 1.0
        assert v.change is None or 0.0 <= v.change <= CAP
        if similarity is None:
            assert v.state is not State.MATCH or v == decider.verdict


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=12, max_size=60), st.data())
def test_abstentions_shift_evidence_in_time_and_nothing_else(
    scores: list[float], data: st.DataObject
) -> None:
    dense, holed, end_s = Decider(SEQUENTIAL), Decider(SEQUENTIAL), 0.0
    for n, score in enumerate(scores):
        expected = dense.update(float(n), score)
        end_s += 1.0
        found = holed.update(end_s, score)
        if n == len(scores) - 1:
            assert found.change == pytest.approx(expected.change)
        for _ in range(data.draw(st.integers(0, 2))):
            holed.update(end_s + 0.1, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("suspect_below", math.nan),
        ("match_above", 1.5),
        ("smoothing_s", -1.0),
        ("mismatch_after_s", -1.0),
        ("forget_after_s", 0.0),
        ("min_windows", 0),
    ],
)
def test_impossible_limits_are_named(field: str, value: float) -> None:
    values = {"suspect_below": 0.1, "match_above": 0.3, field: value}
    with pytest.raises(ValueError, match=field):
        DecisionLimits(**values)  # type: ignore[arg-type]


def test_a_suspicion_that_is_held_becomes_a_mismatch_as_soon_as_it_may() -> None:
    decider = Decider(LIMITS)
    held = [decider.update(float(n), -0.3, hold=True).state for n in range(8)]
    assert held[2:] == [State.SUSPECT] * 6
    assert decider.update(8.0, -0.3).state is State.MISMATCH
    assert decider.update(9.0, -0.3, hold=True).state is State.MISMATCH


def test_what_is_retracted_was_never_scored() -> None:
    decider = Decider(LIMITS)
    for n in range(5):
        decider.update(float(n), -0.3, hold=True)
    decider.retract(5.0)
    assert decider.verdict == Verdict(State.UNKNOWN, None, 5.0, UnknownReason.TOO_FEW_WINDOWS)
    later = [decider.update(6.0 + n, 0.6) for n in range(3)]
    assert [v.state for v in later] == [State.UNKNOWN, State.UNKNOWN, State.MATCH]
    assert later[-1].statistic == pytest.approx(0.6)


def test_evidence_that_is_held_makes_a_suspect_until_it_is_let_go() -> None:
    decider = Decider(SEQUENTIAL)
    held = [decider.update(float(n), -0.3, hold=True).state for n in range(20)]
    assert State.MISMATCH not in held
    assert held[-1] is State.SUSPECT
    assert decider.update(20.0, -0.3).state is State.MISMATCH
    assert decider.update(21.0, -0.3, hold=True).state is State.MISMATCH


def test_retracted_evidence_weighs_nothing() -> None:
    decider = Decider(SEQUENTIAL)
    for n in range(20):
        decider.update(float(n), -0.3, hold=True)
    decider.retract(20.0)
    assert decider.verdict == Verdict(State.UNKNOWN, None, 20.0, UnknownReason.TOO_FEW_WINDOWS)
    later = [decider.update(21.0 + n, 0.6).state for n in range(5)]
    assert State.SUSPECT not in later
    assert later[-1] is State.MATCH
