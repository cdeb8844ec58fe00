import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import CALIBRATION, LIMITS
from vfd.checkpoint import Calibration
from vfd.decision import (
    Decider,
    DecisionLimits,
    State,
    UnknownReason,
    Verdict,
    limits_from_calibration,
)


def run(
    scores: Iterable[float | None], limits: DecisionLimits = LIMITS, start_s: float = 0.0
) -> list[Verdict]:
    """One outcome a second from `start_s` on."""
    decider = Decider(limits, start_s)
    return [decider.update(start_s + n, score) for n, score in enumerate(scores)]


def states(scores: Iterable[float | None]) -> list[State]:
    return [verdict.state for verdict in run(scores)]


def noise(rng: np.random.Generator, seconds: int, std: float = 0.15) -> NDArray[np.float64]:
    """Autocorrelation 0.6 from one second to the next."""
    white = rng.normal(size=seconds)
    for n in range(1, seconds):
        white[n] = 0.6 * white[n - 1] + 0.8 * white[n]
    return std * white


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
    assert limits_from_calibration(CALIBRATION, smoothing_s=0.0).smoothing_s == 0.0


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


def test_thresholds_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="match_above"):
        limits_from_calibration(CALIBRATION, suspect_below=0.5, match_above=0.3)


def test_derived_limits_lie_between_fake_mean_and_lambda() -> None:
    limits = limits_from_calibration(CALIBRATION)
    assert CALIBRATION.fake_mean < limits.suspect_below < CALIBRATION.threshold
    assert limits.suspect_below < CALIBRATION.real_mean - 2.5 * CALIBRATION.real_std_between
    assert limits.match_above == CALIBRATION.threshold


@pytest.mark.parametrize(("real_mean", "fake_mean"), [(0.9, -0.9), (0.2, 0.15), (0.05, 0.0)])
def test_any_model_gets_usable_limits(real_mean: float, fake_mean: float) -> None:
    """Also one that separates perfectly and one that hardly separates at all."""
    threshold = (real_mean + fake_mean) / 2
    model = Calibration(threshold, real_mean, 0.1, 0.1, fake_mean, 0.1, 0.1)
    limits = limits_from_calibration(model)
    assert limits.suspect_below <= threshold <= limits.match_above


def test_scores_that_hang_together_want_wider_limits() -> None:
    """Smoothing takes less noise off them, as measured with the model."""
    steady = replace(CALIBRATION, autocorrelation=0.9)
    free = replace(CALIBRATION, autocorrelation=0.0)
    below = [limits_from_calibration(c).suspect_below for c in (steady, CALIBRATION, free)]
    assert below == sorted(below)
    assert below[0] < below[2]


def test_a_swap_in_the_middle_of_a_call_is_found_within_ten_seconds() -> None:
    """The face changes at second 20; windows show it one second later."""
    limits = limits_from_calibration(CALIBRATION)
    rng = np.random.default_rng(1)
    delays = []
    for _ in range(500):
        scores = noise(rng, 60) + np.where(np.arange(60) <= 20, 0.6, -0.2)
        verdicts = run(scores.tolist(), limits)
        delays.append(next(n for n, v in enumerate(verdicts) if v.state is State.MISMATCH) - 20)
    p50, p95 = np.percentile(delays, [50, 95])
    print(f"seconds to detect: median {p50}, p95 {p95}, worst {max(delays)}")
    assert p50 <= 6
    assert p95 <= 10
    assert min(delays) > 0


def test_genuine_people_hardly_ever_alarm() -> None:
    """About one alarm in 1,000 participant-minutes, and only by people whose own mean lies far
    below that of others."""
    limits = limits_from_calibration(CALIBRATION)
    rng = np.random.default_rng(1)
    alarmed = []
    for _ in range(200):
        own = rng.normal()
        verdicts = run((0.6 + 0.12 * own + noise(rng, 600)).tolist(), limits)
        if any(v.state is State.MISMATCH for v in verdicts):
            alarmed.append(own)
    print(f"alarmed: {len(alarmed)} of 200 people in 10 minutes each, at deviations {alarmed}")
    assert len(alarmed) <= 4
    assert all(deviation < -1.5 for deviation in alarmed)


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
