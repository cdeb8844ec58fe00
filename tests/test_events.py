import asyncio
import json

import pytest

from monitor.config import Config, MetricsConfig
from monitor.cpu import StageCpu
from monitor.events import (
    QUEUE_EVENTS,
    EventBus,
    abstention_event,
    joined_event,
    left_event,
    score_event,
    verdict_event,
)
from monitor.metrics import Metrics
from monitor.sessions import Registry
from tests.fakes import ALICE, LIMITS
from vfd.decision import State, UnknownReason, Verdict
from vfd.types import Abstention, Reason, Score


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Registry(Config(), LIMITS), MetricsConfig(), StageCpu())


@pytest.fixture
def bus(metrics: Metrics) -> EventBus:
    return EventBus(metrics)


async def test_every_listener_gets_every_event_in_order(bus: EventBus) -> None:
    with bus.subscribe() as one, bus.subscribe() as two:
        assert bus.listeners == 2
        for n in range(3):
            bus.publish({"n": n})
        assert [(await anext(one))["n"] for _ in range(3)] == [0, 1, 2]
        assert [(await anext(two))["n"] for _ in range(3)] == [0, 1, 2]
    assert bus.listeners == 0
    bus.publish({"n": 3})


async def test_a_waiting_listener_is_woken(bus: EventBus) -> None:
    with bus.subscribe() as listener:
        waiting = asyncio.create_task(anext(listener))
        await asyncio.sleep(0)
        bus.publish({"n": 7})
        assert await waiting == {"n": 7}


async def test_a_slow_listener_loses_the_oldest_and_it_is_counted(
    bus: EventBus, metrics: Metrics
) -> None:
    with bus.subscribe() as slow:
        for n in range(QUEUE_EVENTS + 10):
            bus.publish({"n": n})
        assert slow.dropped == 10
        assert (await anext(slow))["n"] == 10
    assert "vfd_events_dropped_total 10.0" in metrics.render().decode()


async def test_closing_ends_every_iteration_after_what_is_queued(bus: EventBus) -> None:
    with bus.subscribe() as listener:
        bus.publish({"n": 1})
        bus.close()
        assert [event async for event in listener] == [{"n": 1}]
    with bus.subscribe() as late:
        assert [event async for event in late] == []


def test_events_are_json_and_name_their_participant() -> None:
    unknown = Verdict(State.UNKNOWN, None, 1.0, UnknownReason.TOO_FEW_WINDOWS)
    events = [
        score_event(Score(ALICE, 3.0004, 0.123456, 2), speech=0.51, latency_s=0.21),
        abstention_event(Abstention(ALICE, 3.0, Reason.NO_SPEECH, 0.1, 1.0)),
        verdict_event(ALICE, 3.0, unknown),
        verdict_event(ALICE, 3.0, Verdict(State.MATCH, 0.5, 1.0)),
        joined_event(ALICE),
        left_event(ALICE),
    ]
    decoded = [json.loads(json.dumps(event, allow_nan=False)) for event in events]
    assert all((e["call"], e["participant"]) == ALICE for e in decoded)
    assert [e["type"] for e in decoded] == [
        "score",
        "abstention",
        "verdict",
        "verdict",
        "joined",
        "left",
    ]
    assert decoded[0]["similarity"] == 0.1235
    assert decoded[1]["reason"] == "no_speech"
    assert (decoded[2]["state"], decoded[2]["reason"]) == ("unknown", "too_few_windows")
    assert decoded[3]["reason"] is None
