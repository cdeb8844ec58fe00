"""Fits on made-up people whose truth is known, with fewer simulated people than a real fit has."""

from dataclasses import replace

import numpy as np
import pytest

import vfd.operating_fit
from tests.fakes import DECISION
from vfd.operating import HOURS_OF_A_PERSON, DecisionModel
from vfd.operating_fit import (
    TURN,
    Allowances,
    Genuine,
    Swaps,
    change_allowances,
    fit_points,
    genuine_peaks,
    threshold,
)
from vfd.turns import made_turns

MODEL = replace(DECISION, centre=0.3, slope=12.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of 75 windows, 4,000 people."""
    monkeypatch.setattr(vfd.operating_fit, "PEOPLE", 4_000)
    monkeypatch.setattr(vfd.operating_fit, "SCORED_SHARE", 75 / 3_600)
    monkeypatch.setattr(vfd.operating_fit, "SWAPS", 500)


def genuine(person_sd: float = 0.15, people: int = 400) -> Genuine:
    turns = made_turns(0.1)
    changes, of = np.random.default_rng(0).normal(-3.0, 0.5, 1_000), np.arange(1_000)
    return Genuine(1.0, person_sd, 0.05, turns, np.zeros_like(turns), changes, of, people, 5.0)


def swaps(level: float = 0.0) -> Swaps:
    rng = np.random.default_rng(2)
    return Swaps(rng.normal(level, 0.3, 500), made_turns(0.1), np.full(10, 0.9))


def alarmed(
    model: DecisionModel, people: Genuine, rates: tuple[float, float]
) -> tuple[float, float]:
    """Per 1,000 calls and per 1,000 people, of people drawn anew."""
    point = replace(model, points=fit_points(model, people, swaps())).point(*rates)
    allowances = Allowances(np.array([point.allowance]), np.array([point.change_allowance]))
    peaks = genuine_peaks(model, people, allowances, np.random.default_rng(99), 8_000)
    assert point.identity is not None
    assert point.slow is not None
    assert point.change is not None
    alarms = peaks.identity[0] >= point.identity
    alarms |= (peaks.slow >= point.slow) | (peaks.change[0] >= point.change)
    return 1_000 * alarms.mean(), 1_000 * alarms.any(axis=1).mean()


@pytest.mark.parametrize("rates", [(3.0, 100.0), (30.0, 10.0), (10.0, 30.0)])
def test_people_drawn_anew_keep_both_rates(rates: tuple[float, float]) -> None:
    found = alarmed(MODEL, genuine(), rates)
    print(f"asked {rates}, found {found}")
    assert found[0] <= 1.5 * rates[0]
    assert found[1] <= 1.5 * rates[1]


def test_people_who_differ_more_cost_swaps() -> None:
    alike, different = (
        {p.false_alarms_per_1000_people: p for p in fit_points(MODEL, genuine(sd), swaps())}[10.0]
        for sd in (0.1, 0.25)
    )
    assert alike.caught is not None
    assert different.caught is None or different.caught < alike.caught


def test_few_people_claim_less() -> None:
    many, few = (fit_points(MODEL, genuine(people=n), swaps())[0].caught for n in (400, 4))
    assert many is not None
    assert few is None or few < many


def test_what_cannot_tell_swaps_has_no_identity_threshold() -> None:
    point = fit_points(MODEL, genuine(), swaps(level=1.0))[0]
    assert (point.identity, point.slow, point.caught) == (None, None, None)


def test_people_who_hardly_differ_are_judged_by_the_likelihood_alone() -> None:
    """What they score wanders more than they differ, so that all of the allowances are slight."""
    alike = replace(genuine(person_sd=0.0), mean=0.365, call_sd=0.005, turns=made_turns(0.2))
    model = replace(MODEL, centre=0.05, slope=15.0)
    found = replace(model, points=fit_points(model, alike, swaps(-0.25))).point(30.0, 100.0)
    assert found.allowance == 0.0
    assert found.identity is not None
    assert found.caught is not None
    assert found.caught > 0.9


def test_looser_rates_never_catch_less() -> None:
    points = fit_points(MODEL, genuine(), swaps())
    strict, loose = points[0], points[-1]
    assert strict.caught is not None
    assert loose.caught is not None
    assert strict.caught <= loose.caught
    assert strict.change_allowance >= loose.change_allowance


def test_a_threshold_is_reached_by_as_many_as_are_allowed() -> None:
    peaks = np.arange(8_000, dtype=float).reshape(1_000, HOURS_OF_A_PERSON)
    hourly = threshold(peaks, (10.0, 1_000.0), 0.5)
    assert (peaks >= hourly).sum() == 40
    personal = threshold(peaks, (1_000.0, 10.0), 0.5)
    assert (peaks >= personal).any(axis=1).sum() == 5


def test_evidence_of_a_change_that_nothing_comes_near_needs_no_allowance() -> None:
    people = genuine()
    assert people.turns.shape[1] == TURN
    far = replace(people, changes=people.changes - 10.0)
    assert (change_allowances(far) == 0.0).all()
    near = change_allowances(replace(people, changes=people.changes + 3.0))
    assert (near > 0.0).all()
    assert (np.diff(near) < 0.0).all()  # a looser rate is granted less
