import json
import logging

import pytest

from monitor.alerts import Alert, Alerter, AlertKind, RecordSink
from monitor.config import Config, MetricsConfig
from monitor.cpu import StageCpu
from monitor.events import EventBus
from monitor.metrics import Metrics
from monitor.sessions import Registry, Session
from tests.fakes import ALICE, BOB, LIMITS, checkpoint
from vfd.types import Abstention, ParticipantKey, Reason, Score


class Collected:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    async def send(self, alert: Alert) -> None:
        self.alerts.append(alert)


class Broken:
    async def send(self, alert: Alert) -> None:
        raise OSError("disk full")


@pytest.fixture
def registry() -> Registry:
    return Registry(Config(), LIMITS)


@pytest.fixture
def sink() -> Collected:
    return Collected()


@pytest.fixture
def alerter(sink: Collected) -> Alerter:
    return Alerter(checkpoint(), LIMITS, [sink])


class Script:
    """Feeds one participant second by second."""

    def __init__(self, registry: Registry, alerter: Alerter, key: ParticipantKey = ALICE) -> None:
        self.session: Session = registry.join(key, 0.0)
        self._alerter = alerter
        self._end_s = 0.0

    async def play(self, *outcomes: float | Reason) -> None:
        for outcome in outcomes:
            self._end_s += 1.0
            if isinstance(outcome, Reason):
                self.session.apply(Abstention(self.session.key, self._end_s, outcome))
            else:
                self.session.apply(Score(self.session.key, self._end_s, outcome, 1))
            await self._alerter.observe(self.session)


def kinds(sink: Collected) -> list[AlertKind]:
    return [alert.kind for alert in sink.alerts]


async def test_one_alert_opens_and_one_closes(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    await script.play(*[0.6] * 10)
    assert sink.alerts == []
    await script.play(*[-0.3] * 20)
    assert kinds(sink) == [AlertKind.OPENED]
    await script.play(*[0.6] * 20)
    assert kinds(sink) == [AlertKind.OPENED, AlertKind.CLOSED]
    opened, closed = sink.alerts
    assert opened.id == closed.id
    assert (opened.call, opened.participant) == ALICE
    assert 11 <= opened.since_s <= 15
    assert opened.statistic is not None
    assert opened.statistic < opened.threshold == LIMITS.suspect_below
    assert opened.summary == "identity mismatch suspected"
    assert (opened.model, opened.trained_on) == ("nano", "synthetic people v1")


async def test_a_second_mismatch_is_a_second_episode(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    for _ in range(2):
        await script.play(*[-0.3] * 20, *[0.6] * 20)
    assert kinds(sink) == [AlertKind.OPENED, AlertKind.CLOSED] * 2
    assert len({alert.id for alert in sink.alerts}) == 2


async def test_suspicion_alone_raises_nothing(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    await script.play(-0.3, -0.3, -0.3, *[0.6] * 20)
    await script.play(*[Reason.NO_SPEECH] * 30)
    await alerter.left(script.session)
    assert sink.alerts == []


@pytest.mark.parametrize("reason", [Reason.NO_SPEECH, Reason.ENGINE_DOWN])
async def test_an_episode_survives_a_time_without_verdict(
    registry: Registry, alerter: Alerter, sink: Collected, reason: Reason
) -> None:
    script = Script(registry, alerter)
    await script.play(*[-0.3] * 10, *[reason] * 30, *[-0.3] * 10)
    assert kinds(sink) == [AlertKind.OPENED]


async def test_leaving_closes_the_episode(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    script = Script(registry, alerter)
    await script.play(*[-0.3] * 10)
    await alerter.left(script.session)
    await alerter.left(script.session)
    assert kinds(sink) == [AlertKind.OPENED, AlertKind.CLOSED]
    assert "left" in sink.alerts[-1].summary


async def test_participants_do_not_share_episodes(
    registry: Registry, alerter: Alerter, sink: Collected
) -> None:
    await Script(registry, alerter, ALICE).play(*[-0.3] * 10)
    await Script(registry, alerter, BOB).play(*[0.6] * 10)
    assert [alert.participant for alert in sink.alerts] == ["alice"]


async def test_a_broken_sink_does_not_keep_the_alert_from_others(
    registry: Registry, sink: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    alerter = Alerter(checkpoint(), LIMITS, [Broken(), sink])
    await Script(registry, alerter).play(*[-0.3] * 10)
    assert kinds(sink) == [AlertKind.OPENED]
    assert "disk full" in caplog.text


@pytest.mark.parametrize(("trained_on", "demo"), [("synthetic people v1", True), ("vox", False)])
async def test_alerts_of_synthetic_weights_are_marked(
    registry: Registry, sink: Collected, trained_on: str, demo: bool
) -> None:
    alerter = Alerter(checkpoint(trained_on), LIMITS, [sink])
    await Script(registry, alerter).play(*[-0.3] * 10)
    assert sink.alerts[0].demo is demo


async def test_the_record_is_a_log_line_an_event_and_a_count(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics(registry, MetricsConfig(), StageCpu())
    bus = EventBus(metrics)
    alerter = Alerter(checkpoint(), LIMITS, [RecordSink(bus, metrics)])
    with bus.subscribe() as listener, caplog.at_level(logging.WARNING):
        await Script(registry, alerter).play(*[-0.3] * 10)
        event = await anext(listener)
    assert "identity mismatch suspected" in caplog.text
    assert "[demo]" in caplog.text
    assert (event["type"], event["kind"], event["demo"]) == ("alert", "opened", True)
    assert len(json.dumps(dict(event), allow_nan=False)) < 1000
    assert 'vfd_alerts_total{kind="opened"} 1.0' in metrics.render().decode()
