"""What an alert says."""

import json
from dataclasses import replace

import pytest

from monitor.alert_words import probability, statistics
from monitor.alerts import Alerter
from monitor.config import AlertConfig, Config
from monitor.sessions import Registry
from tests.episodes import Collected, Script
from tests.fakes import ALICE, DECISION, LIMITS, checkpoint
from vfd.decision import OperatingPoint, State
from vfd.types import Abstention, ParticipantKey, Reason, Score


async def test_an_alert_says_what_it_rests_on() -> None:
    sink = Collected()
    point = OperatingPoint(1.0, 10.0, 0.8)
    limits = replace(LIMITS, model=DECISION, operating_point=point)
    alerter = Alerter(checkpoint(), limits, [sink], AlertConfig(prior=0.01), wall=lambda: 1.5e9)
    session = Registry(Config(), LIMITS).join(ALICE, 0.0)
    session.apply(Abstention(ALICE, 1.0, Reason.NO_SPEECH))
    for end_s in (2.0, 3.0, 4.0):
        session.apply(Score(ALICE, end_s, -end_s / 10, 1))
    session.verdict = replace(session.verdict, state=State.MISMATCH, log_likelihood_ratio=8.0)
    session.last_end_s = 64.0
    await alerter.observe(session)
    (alert,) = sink.alerts
    assert alert.at == "2017-07-14T02:40:00.000+00:00"
    assert alert.suspected_at == "2017-07-14T02:39:00.000+00:00"
    assert alert.duration_s == 60.0
    assert alert.similarity == {
        "windows": 3,
        "last": -0.4,
        "mean": pytest.approx(-0.3),
        "low": -0.4,
        "high": -0.2,
    }
    assert (alert.windows_scored, alert.windows_not_scored) == (3, {"no_speech": 1})
    assert (alert.false_alarms_per_1000_hours, alert.caught) == (1.0, 0.8)
    assert alert.probability == pytest.approx(0.9679, abs=1e-4)
    for part in (
        "For 60 s the voice of alice in call standup has not matched the face",
        "at most 1 such alerts in 1,000 hours",
        "probability 0.97",
        "synthetic people v1 only: nothing follows for real people",
        "suspicion, not proof",
    ):
        assert part in alert.text
    assert "\n" not in alert.text


async def test_a_clock_that_jumps_changes_no_duration() -> None:
    sink, now = Collected(), [1.5e9]
    alerter = Alerter(checkpoint(), LIMITS, [sink], wall=lambda: now[0])
    script = Script(Registry(Config(), LIMITS), alerter)
    await script.play(*[-0.3] * 10)
    now[0] -= 86_400.0
    await script.play(*[0.6] * 50)
    opened, closed = sink.alerts
    assert closed.at < opened.at
    assert closed.suspected_at == opened.suspected_at
    assert 30 < closed.duration_s < 60


@pytest.mark.parametrize("name", ["a\x00b\n\x1b[31m", 'say "hi"', "x" * 10_000, "\u202egnp.exe"])
async def test_any_name_is_safe_everywhere(name: str) -> None:
    sink = Collected()
    alerter = Alerter(checkpoint(), LIMITS, [sink])
    key = ParticipantKey("a file\r\n.mp4", name)
    script = Script(Registry(Config(), LIMITS), alerter, key)
    script.session.name = name
    await script.play(*[-0.3] * 10)
    (alert,) = sink.alerts
    for text in (alert.call, alert.participant, alert.name, alert.text):
        assert text.isprintable()
        assert len(text) < 700
    assert json.loads(json.dumps(alert.as_json()))["participant"] == alert.participant


def test_a_probability_needs_a_prior_and_a_ratio_and_never_overflows() -> None:
    assert probability(None, 0.5) is None
    assert probability(3.0, 0.0) is None
    assert probability(0.0, 0.5) == 0.5
    assert probability(1e6, 0.01) == 1.0
    assert probability(-1e6, 0.01) == 0.0


def test_statistics_leave_out_what_was_not_scored() -> None:
    assert statistics([None, None]) == {"windows": 0}
    assert statistics([0.5, None, -0.25])["mean"] == 0.125
