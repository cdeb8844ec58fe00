from dataclasses import replace

import numpy as np
import pytest

import vfd.operating_fit
from vfd.calibration import ScoredWindows
from vfd.operating_fit import TURN
from vfd.turns import (
    Windows,
    evidence_of,
    fit_decision,
    genuine_of,
    made_turns,
    swaps_of,
    windows_of,
)


def scored(
    people: int = 60, gap: float = 0.9, person_sd: float = 0.15, call_sd: float = 0.1
) -> ScoredWindows:
    """Two streams of 10 windows of each, genuine and with the next one's face; normal about 1 and
    1 - `gap` on the arctangent scale."""
    rng = np.random.default_rng(4)
    own = np.repeat(1.0 + person_sd * rng.standard_normal(people), 20)
    call = np.repeat(call_sd * rng.standard_normal(2 * people), 10)
    person = np.repeat(np.arange(people), 20)
    stream, time_s = np.repeat(np.arange(2 * people), 10), np.tile(np.arange(10.0), 2 * people)
    noise = np.concatenate([rng.choice(made_turns(0.1), 8 * people).reshape(-1)])
    level = np.concatenate([own + call, own + call - gap]) + noise
    return ScoredWindows(
        np.tanh(level),
        np.repeat([True, False], 20 * people),
        np.tile(person, 2).astype(str),
        np.concatenate([person, (person + 1) % people]).astype(str),
        np.tile(stream, 2).astype(str),
        np.tile(time_s, 2),
    )


def test_levels_are_found_again() -> None:
    windows = scored()
    found = genuine_of(
        windows_of(windows, np.zeros(len(windows.score)), real=True),
        evidence_of(windows, np.zeros(len(windows.score))),
    )
    assert found.mean == pytest.approx(1.0, abs=0.06)
    assert found.person_sd == pytest.approx(0.15, abs=0.05)
    assert found.call_sd == pytest.approx(0.1, abs=0.03)
    assert found.turns.shape == (240, TURN)  # two turns of each of 120 streams
    assert (found.people, found.hours) == (60, 1_200 / 3_600)


def test_evidence_speaks_against_swaps() -> None:
    windows = scored()
    jump = np.where(windows.real, 0.05, 0.9)
    model = evidence_of(windows, jump)
    low, high = np.quantile(windows.score[~windows.real], 0.5), np.quantile(windows.score, 0.9)
    assert model.log_likelihood_ratio(float(low)) > 1.0
    assert model.log_likelihood_ratio(float(high)) < -1.0
    assert model.jump_weight > 0.0
    assert evidence_of(windows, np.zeros(len(jump))).jump_weight == 0.0


def test_swaps_that_score_higher_decide_nothing() -> None:
    windows = scored(gap=-0.5)
    with pytest.raises(ValueError, match="nothing can be decided"):
        evidence_of(windows, np.zeros(len(windows.score)))


def test_too_few_people_are_refused() -> None:
    with pytest.raises(ValueError, match="2 genuine people; at least 3"):
        fit_decision(scored(people=2))


def test_windows_that_stand_alone_get_made_up_turns() -> None:
    windows = scored()
    alone = replace(windows, stream=np.arange(len(windows.score)).astype(str))
    swapped = swaps_of(windows_of(alone, np.zeros(len(windows.score)), real=False))
    assert len(swapped.turns) == len(made_turns(1.0))


def test_a_turn_has_no_gap_in_it() -> None:
    time_s = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0] * 30)
    stream = np.repeat(np.arange(30), 8).astype(str)
    score = np.tanh(np.tile([9.0, 9.0, 9.0, 1.0, 1.1, 1.2, 1.3, 1.4], 30) / 4)
    person = (np.arange(240) // 8 % 6).astype(str)
    windows = Windows(score, person, stream, time_s, np.zeros(240))
    turns = swaps_of(windows).turns
    np.testing.assert_allclose(np.diff(turns), 0.025, atol=1e-6)


def test_a_whole_fit_can_be_chosen_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vfd.operating_fit, "PEOPLE", 500)
    monkeypatch.setattr(vfd.operating_fit, "SCORED_SHARE", 75 / 3_600)
    model = fit_decision(scored())
    assert model.point(10.0, 30.0).caught is not None
    assert model.people == 60
