from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import DECISION
from vfd.sequential import BASELINE_AFTER, CAP, CLIP, SLOW_AFTER, Evidence


def test_many_at_once_are_what_each_is_alone() -> None:
    """What is simulated is what runs."""
    rng = np.random.default_rng(1)
    scores, jumps = rng.uniform(-1, 1, (60, 5)), rng.uniform(0, 2, (60, 5))
    many = Evidence(replace(DECISION, jump_weight=5.0), 1.0, 0.5, (5,))
    alone = [Evidence(replace(DECISION, jump_weight=5.0), 1.0, 0.5) for _ in range(5)]
    for score, jump in zip(scores, jumps, strict=True):
        many.take(score, jump)
        for one, s, j in zip(alone, score, jump, strict=True):
            one.take(float(s), float(j))
    for name in ("identity", "change", "baseline", "slow"):
        expected = [float(getattr(one, name)) for one in alone]
        np.testing.assert_allclose(getattr(many, name), expected)


def test_several_allowances_run_side_by_side() -> None:
    both = Evidence(DECISION, np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]]), (3,))
    strict = Evidence(DECISION, 2.0, 1.0, (3,))
    for _ in range(12):
        for evidence in (both, strict):
            evidence.take(np.array([0.1, -0.5, 0.5]), 0.0)
    np.testing.assert_allclose(both.identity[1], strict.identity)
    np.testing.assert_allclose(both.change[1], strict.change)
    assert (both.identity[0] >= strict.identity).all()


def test_a_single_wild_window_cannot_decide() -> None:
    evidence = Evidence(DECISION, 1.0, 0.0)
    for _ in range(30):
        evidence.take(0.8, 0.0)
    evidence.take(-1.0, 2.0)
    assert float(evidence.identity) <= CLIP
    assert float(evidence.change) <= CLIP


def test_the_long_mean_is_silent_at_first() -> None:
    evidence = Evidence(DECISION, 1.0, 0.0)
    for _ in range(SLOW_AFTER - 1):
        evidence.take(-0.5, 0.0)
    assert evidence.slow == -np.inf
    evidence.take(-0.5, 0.0)
    assert float(evidence.slow) == pytest.approx(7.0)  # slope * (centre + 0.5)


def test_a_swap_does_not_become_the_baseline() -> None:
    evidence = Evidence(DECISION, 1.0, 0.0)
    for _ in range(BASELINE_AFTER):
        assert evidence.usual is None
        evidence.take(0.8, 0.0)
    for _ in range(20):
        evidence.take(-0.5, 0.0)
    assert evidence.usual == pytest.approx(0.8, abs=0.05)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 2), st.floats(0, 1)), max_size=80))
def test_every_statistic_stays_bounded(windows: list[tuple[float, float, float]]) -> None:
    evidence = Evidence(replace(DECISION, jump_weight=15.0), 1.0, 0.5)
    for score, jump, step_s in windows:
        before = float(evidence.identity)
        evidence.take(score, jump, step_s)
        assert 0.0 <= float(evidence.identity) <= min(CAP, before + CLIP * step_s)
        assert 0.0 <= float(evidence.change) <= CAP
        assert -1.0 <= float(evidence.baseline) <= 1.0


def test_time_that_does_not_pass_changes_nothing() -> None:
    evidence = Evidence(DECISION, 1.0, 0.0)
    for _ in range(30):
        evidence.take(0.3, 0.0)
    before = [float(v) for v in (evidence.identity, evidence.change, evidence.slow)]
    evidence.take(-1.0, 2.0, 0.0)
    assert [float(v) for v in (evidence.identity, evidence.change, evidence.slow)] == before
