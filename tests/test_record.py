import json
import logging

import pytest

from monitor.alerts import Alerter
from monitor.config import Config
from monitor.events import EventBus
from monitor.record import RecordSink
from monitor.sessions import Registry
from tests.episodes import Script
from tests.fakes import LIMITS, checkpoint
from tests.hooks import alert, metrics_of_nobody


async def test_the_record_is_a_log_line_an_event_and_a_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = metrics_of_nobody()
    bus = EventBus(metrics)
    alerter = Alerter(checkpoint(), LIMITS, [RecordSink(bus, metrics)])
    with bus.subscribe() as listener, caplog.at_level(logging.WARNING):
        await Script(Registry(Config(), LIMITS), alerter).play(*[-0.3] * 10)
        event = await anext(listener)
    assert "identity mismatch suspected" in caplog.text
    assert "[demo]" in caplog.text
    assert (event["type"], event["kind"], event["demo"]) == ("alert", "opened", True)
    assert len(json.dumps(dict(event), allow_nan=False)) < 2000
    assert 'vfd_alerts_total{kind="opened"} 1.0' in metrics.render().decode()


async def test_drills_are_marked_in_log_event_and_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = metrics_of_nobody()
    bus = EventBus(metrics)
    with bus.subscribe() as listener:
        await RecordSink(bus, metrics, lambda _: 77).send(alert(drill=True))
        event = await anext(listener)
    assert (event["event_id"], event["drill"]) == (77, True)
    assert "[drill] identity mismatch suspected" in caplog.text
    text = metrics.render().decode()
    assert 'vfd_alerts_total{kind="opened"} 0.0' in text
    assert 'vfd_drill_alerts_total{kind="opened"} 1.0' in text
