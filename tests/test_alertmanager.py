import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.alertmanager import (
    ENDS_AFTER_S,
    MAX_ANNOTATION,
    MAX_EPISODES,
    AlertmanagerSink,
    alertmanager_sink,
)
from monitor.alerts import AlertKind
from monitor.config import AlertmanagerConfig, Config, MetricsConfig, ModelSection
from monitor.cpu import StageCpu
from monitor.metrics import Metrics
from monitor.sessions import Registry
from tests.fakes import LIMITS, checkpoint, until
from tests.hooks import Receiver, alert

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATH = "/api/v2/alerts"


class Clock:
    """The time of day, moved by hand."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def pass_s(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Registry(Config(), LIMITS), MetricsConfig(), StageCpu())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def base(receiver: Receiver) -> str:
    return receiver.url.removesuffix("/hook")


def sink_to(url: str, metrics: Metrics, clock: Clock, repost_s: float = 60.0) -> AlertmanagerSink:
    config = AlertmanagerConfig(url, allow_private_targets=True)
    return AlertmanagerSink(config, metrics, clock, repost_s)


@asynccontextmanager
async def running(sink: AlertmanagerSink) -> AsyncIterator[None]:
    task = asyncio.create_task(sink.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def posted(receiver: Receiver) -> list[list[dict[str, str]]]:
    return [json.loads(received.body) for received in receiver.received]


def count(metrics: Metrics, outcome: str) -> int:
    wanted = f'vfd_deliveries_total{{outcome="{outcome}",sink="alertmanager"}} '
    lines = metrics.render().decode().splitlines()
    return int(float(next(x for x in lines if x.startswith(wanted)).removeprefix(wanted)))


async def test_an_episode_is_posted_open_and_then_ended(metrics: Metrics, clock: Clock) -> None:
    async with Receiver().listening() as receiver:
        sink = sink_to(base(receiver) + "/", metrics, clock)
        async with running(sink):
            await sink.send(alert())
            await until(lambda: count(metrics, "delivered") == 1)
            clock.pass_s(30)
            await sink.send(alert(kind=AlertKind.CLOSED))
            await until(lambda: count(metrics, "delivered") == 2)
    (opened,), (closed,) = posted(receiver)
    assert opened["labels"] == closed["labels"]
    assert opened["labels"]["alertname"] == "IdentityMismatchSuspected"
    assert (opened["labels"]["call"], opened["labels"]["participant"]) == ("standup", "alice")
    assert opened["annotations"]["summary"] == "identity mismatch suspected"
    assert opened["annotations"]["statistic"] == "-0.21"
    assert opened["startsAt"] == closed["startsAt"] == NOON.isoformat()
    assert opened["endsAt"] == (NOON + timedelta(seconds=ENDS_AFTER_S)).isoformat()
    assert closed["endsAt"] == (NOON + timedelta(seconds=30)).isoformat()


async def test_a_drill_is_another_alert_than_a_mismatch(metrics: Metrics, clock: Clock) -> None:
    async with Receiver().listening() as receiver:
        sink = sink_to(base(receiver), metrics, clock)
        async with running(sink):
            await sink.send(alert(1))
            await sink.send(replace(alert(2), drill=True))
            await until(lambda: count(metrics, "delivered") == 2)
    mismatch, drill = (told["labels"] for told in posted(receiver)[-1])
    assert "drill" not in mismatch
    assert (drill["drill"], drill["severity"]) == ("true", "none")
    assert drill["alertname"] == mismatch["alertname"]


async def test_what_is_open_is_repeated_and_what_is_closed_is_not(
    metrics: Metrics, clock: Clock
) -> None:
    async with Receiver().listening() as receiver:
        sink = sink_to(base(receiver), metrics, clock, repost_s=0.05)
        async with running(sink):
            await sink.send(alert(1))
            await until(lambda: len(receiver.received) >= 3)
            await sink.send(alert(1, AlertKind.CLOSED))
            await until(lambda: count(metrics, "delivered") == 2)
            told = len(receiver.received)
            await asyncio.sleep(0.3)
    assert len(receiver.received) == told
    assert count(metrics, "delivered") == 2  # a repetition is no further message


async def test_who_was_away_hears_the_state_of_now(
    metrics: Metrics, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.alertmanager.RETRY_S", (0.01,))
    answers = [(0, ""), (500, ""), (302, "location: /elsewhere\r\n"), (400, "")]
    async with Receiver(*answers).listening() as receiver:
        sink = sink_to(base(receiver), metrics, clock)
        await sink.send(alert(1))
        await sink.send(alert(2))
        async with running(sink):
            await until(lambda: count(metrics, "delivered") == 2)
    assert count(metrics, "failed") == 4
    assert len(posted(receiver)[-1]) == 2


async def test_what_ended_while_nobody_heard_it_is_given_up(
    metrics: Metrics, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.alertmanager.RETRY_S", (0.01,))
    async with Receiver().listening() as receiver:
        nobody = base(receiver)
    sink = sink_to(nobody, metrics, clock)
    async with running(sink):
        await sink.send(alert(1))
        await sink.send(alert(1, AlertKind.CLOSED))
        await until(lambda: count(metrics, "failed") > 2)
        clock.pass_s(ENDS_AFTER_S + 1)
        await until(lambda: count(metrics, "given_up") == 1)


async def test_what_is_kept_is_bounded(metrics: Metrics, clock: Clock) -> None:
    sink = sink_to("http://127.0.0.1:9", metrics, clock)
    for number in range(MAX_EPISODES + 2):
        await sink.send(alert(number))
    assert count(metrics, "dropped") == 2


async def test_a_long_text_is_cut(metrics: Metrics, clock: Clock) -> None:
    async with Receiver().listening() as receiver:
        sink = sink_to(base(receiver), metrics, clock)
        async with running(sink):
            await sink.send(replace(alert(), summary='"\n\x00' * 5_000))
            await until(lambda: count(metrics, "delivered") == 1)
    assert len(posted(receiver)[0][0]["annotations"]["summary"]) == MAX_ANNOTATION


async def test_private_targets_are_refused_unless_allowed(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    async with Receiver().listening() as receiver:
        sink = AlertmanagerSink(AlertmanagerConfig(base(receiver)), metrics)
        async with running(sink):
            await sink.send(alert())
            await until(lambda: count(metrics, "failed") == 1)
    assert not receiver.received
    assert "alertmanager.allow_private_targets" in caplog.text


@pytest.mark.parametrize("url", ["alertmanager:9093", "ftp://a.example", "http://", "http://[::1"])
def test_an_address_that_is_none_is_named(metrics: Metrics, url: str) -> None:
    with pytest.raises(ValueError, match=r"alertmanager\.url"):
        AlertmanagerSink(AlertmanagerConfig(url), metrics)


async def test_synthetic_weights_reach_no_alertmanager_unless_allowed(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    closed = Config(alertmanager=AlertmanagerConfig("https://alerts.example.com"))
    opened = replace(closed, model=ModelSection(allow_synthetic_alerts=True))
    assert alertmanager_sink(Config(), checkpoint("voxceleb"), metrics) is None
    assert alertmanager_sink(closed, checkpoint(), metrics) is None
    assert "model.allow_synthetic_alerts" in caplog.text
    assert alertmanager_sink(opened, checkpoint(), metrics) is not None
    assert alertmanager_sink(closed, checkpoint("voxceleb"), metrics) is not None
