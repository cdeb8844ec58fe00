import dataclasses

import pytest

from monitor.assembly import decision_limits
from monitor.config import Config, ConfigError, DecisionConfig
from tests.fakes import CALIBRATION, checkpoint
from vfd.checkpoint import UNCALIBRATED, Checkpoint
from vfd.decision import Decider, State

RELEASED = dataclasses.replace(
    checkpoint(),
    info=dataclasses.replace(checkpoint().info, calibration=UNCALIBRATED, decision=None),
)


def asked(**keys: object) -> Config:
    return Config(decision=DecisionConfig(**keys))  # type: ignore[arg-type]


def states(config: Config, weights: Checkpoint) -> set[State]:
    """Of twenty seconds at +1, twenty at -1, and so on."""
    decider = Decider(decision_limits(config, weights))
    return {decider.update(float(n), (-1.0) ** (n // 20)).state for n in range(80)}


@pytest.mark.parametrize("rule", ["sequential", "paper"])
def test_nothing_is_decided_by_uncalibrated_scores(rule: str) -> None:
    assert states(asked(rule=rule), RELEASED) == {State.UNKNOWN}


def test_thresholds_of_ones_own_decide_by_the_papers_rule() -> None:
    published = asked(rule="paper", suspect_below=0.0, match_above=0.0)
    assert {State.MATCH, State.MISMATCH} <= states(published, RELEASED)


def test_the_papers_rule_takes_lambda() -> None:
    limits = decision_limits(asked(rule="paper", mismatch_after_s=0.0), checkpoint())
    assert limits.suspect_below == limits.match_above == CALIBRATION.threshold
    assert (limits.mismatch_after_s, limits.operating_point) == (0.0, None)


def test_the_default_is_an_operating_point_of_the_checkpoint() -> None:
    limits = decision_limits(Config(), checkpoint())
    assert limits.operating_point is not None
    assert limits.operating_point.false_alarms_per_1000_hours == 1.0
    assert limits.match_above == pytest.approx(0.2)
    assert limits.suspect_below == pytest.approx(0.1)  # an allowance of one nat, at slope 10


@pytest.mark.parametrize(
    "rate", [{"false_alarms_per_1000_hours": 0.1}, {"false_alarms_per_1000_people": 90.0}]
)
def test_rates_that_were_not_fitted_are_refused_by_name_and_range(rate: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"decision\.{next(iter(rate))} = .* holds \d+ to \d+"):
        decision_limits(asked(**rate), checkpoint())
