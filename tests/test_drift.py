import math

import pytest

from tests.fakes import DECISION
from vfd.drift import LEAST_PEOPLE, Drift, drift


def test_scores_as_calibrated_are_no_drift() -> None:
    usual = [
        math.tanh(DECISION.person_mean + d * DECISION.person_sd) for d in (-1, -0.5, 0, 0.5, 1)
    ]
    found = drift(usual, DECISION)
    assert found.people == 5
    assert found.shift == pytest.approx(0.0, abs=1e-9)
    assert not found.outside


@pytest.mark.parametrize("deviations", [-2.0, 2.0])
def test_everybody_lower_or_higher_is(deviations: float) -> None:
    level = math.tanh(DECISION.person_mean + deviations * DECISION.person_sd)
    found = drift([level] * 8, DECISION)
    assert found.shift == pytest.approx(deviations)
    assert found.outside


def test_a_few_people_may_be_atypical() -> None:
    assert drift([-1.0] * (LEAST_PEOPLE - 1), DECISION) == Drift(LEAST_PEOPLE - 1, None, False)
