import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest
import standardwebhooks

from monitor.alerts import Alert, AlertKind
from monitor.config import AlertConfig, Config, MetricsConfig, ModelSection
from monitor.cpu import StageCpu
from monitor.metrics import Metrics
from monitor.sessions import Registry
from monitor.webhook import MAX_RETRY_AFTER_S, WebhookSink, retry_after_s, webhook_sink
from tests.fakes import LIMITS, checkpoint, until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NO_PAUSE = (0.01,)

Received = tuple[dict[str, str], str]


class Receiver:
    """An HTTP server that answers from a script of (status, further header lines); 204 after it."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self._answers = list(answers)
        self.received: list[Received] = []
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        lines = [line.split(": ", 1) for line in head[1:] if line]
        headers = {name.lower(): value for name, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append((headers, body.decode()))
        status, extra = self._answers.pop(0) if self._answers else (204, "")
        if status:  # 0 hangs up
            writer.write(f"HTTP/1.1 {status} X\r\nconnection: close\r\n{extra}\r\n".encode())
        writer.close()
        await writer.wait_closed()


def alert(number: int = 0, kind: AlertKind = AlertKind.OPENED) -> Alert:
    return Alert(
        id=f"episode{number}",
        kind=kind,
        call="standup",
        participant="alice",
        since_s=12.0,
        statistic=-0.21,
        threshold=0.06,
        windows_scored=31,
        model="nano",
        model_sha256="ab" * 32,
        trained_on="voxceleb",
        demo=False,
        summary="identity mismatch suspected",
    )


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Registry(Config(), LIMITS), MetricsConfig(), StageCpu())


WEBHOOK = AlertConfig("https://hooks.example.com/x", SECRET, allow_private_targets=True)


def config(url: str) -> AlertConfig:
    return replace(WEBHOOK, webhook_url=url)


@asynccontextmanager
async def running(sink: WebhookSink) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(sink.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def outcomes(metrics: Metrics) -> dict[str, int]:
    pattern = r'^vfd_deliveries_total{outcome="(\w+)",sink="webhook"} (\d+)'
    found = re.findall(pattern, metrics.render().decode(), re.MULTILINE)
    return {outcome: int(count) for outcome, count in found if int(count)}


async def test_a_message_is_signed_and_carries_the_alert(metrics: Metrics) -> None:
    async with Receiver().listening() as receiver:
        sink = WebhookSink(config(receiver.url), metrics)
        async with running(sink):
            await sink.send(alert())
            await until(lambda: outcomes(metrics))
    headers, body = receiver.received[0]
    decoded = standardwebhooks.Webhook(SECRET).verify(body, headers)
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "episode0.opened"
    assert decoded["type"] == "identity_mismatch.opened"
    assert decoded["data"]["participant"] == "alice"
    assert decoded["data"]["statistic"] == -0.21
    assert decoded["timestamp"].endswith("+00:00")
    assert len(body) < 1000
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(body.replace("alice", "bob"), headers)


async def test_failures_are_retried_with_the_same_id_until_one_succeeds(metrics: Metrics) -> None:
    script = [(0, ""), (500, ""), (302, "location: /elsewhere\r\n"), (404, "")]
    async with Receiver(*script).listening() as receiver:
        sink = WebhookSink(config(receiver.url), metrics, NO_PAUSE)
        async with running(sink):
            await sink.send(alert())
            await sink.send(alert(kind=AlertKind.CLOSED))
            await until(lambda: outcomes(metrics) == {"delivered": 2})
    ids = [headers["webhook-id"] for headers, _ in receiver.received]
    assert ids == ["episode0.opened"] * 5 + ["episode0.closed"]
    assert len({body for _, body in receiver.received[:5]}) == 1


async def test_nobody_there_is_given_up_after_so_many_attempts(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    async with Receiver().listening() as receiver:
        dead = receiver.url
    sink = WebhookSink(replace(config(dead), max_attempts=3), metrics, NO_PAUSE)
    async with running(sink):
        await sink.send(alert())
        await until(lambda: outcomes(metrics) == {"given_up": 1})
    assert caplog.text.count("webhook not delivered") == 3


async def test_a_silent_receiver_times_out(metrics: Metrics) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        sink = WebhookSink(replace(config(url), max_attempts=1, timeout_s=0.1), metrics, NO_PAUSE)
        async with running(sink):
            await sink.send(alert())
            await until(lambda: outcomes(metrics) == {"given_up": 1})


async def test_gone_means_never_again(metrics: Metrics) -> None:
    async with Receiver((410, "")).listening() as receiver:
        sink = WebhookSink(config(receiver.url), metrics, NO_PAUSE)
        for number in range(3):
            await sink.send(alert(number))
        async with running(sink) as task:
            await asyncio.wait_for(asyncio.shield(task), 5)
        await sink.send(alert(3))
    assert len(receiver.received) == 1
    assert outcomes(metrics) == {"given_up": 1, "dropped": 3}


async def test_retry_after_is_honoured(metrics: Metrics) -> None:
    async with Receiver((503, "retry-after: 0.4\r\n")).listening() as receiver:
        sink = WebhookSink(config(receiver.url), metrics, NO_PAUSE)
        begun = time.monotonic()
        async with running(sink):
            await sink.send(alert())
            await until(lambda: outcomes(metrics))
    assert time.monotonic() - begun >= 0.4


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, 0.0),
        ("30", 30.0),
        (formatdate(1000 + 90, usegmt=True), 90.0),
        (formatdate(10, usegmt=True), 0.0),
        ("99999999", MAX_RETRY_AFTER_S),
        ("inf", MAX_RETRY_AFTER_S),
        ("nan", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ],
)
def test_any_retry_after_is_bounded(header: str | None, wait_s: float) -> None:
    assert retry_after_s(header, now_unix_s=1000.0) == wait_s


async def test_a_full_queue_drops_the_newest_and_counts_it(metrics: Metrics) -> None:
    async with Receiver().listening() as receiver:
        sink = WebhookSink(replace(config(receiver.url), queue_size=2), metrics)
        for number in range(5):
            await sink.send(alert(number))
        assert outcomes(metrics) == {"dropped": 3}
        async with running(sink):
            await until(lambda: len(receiver.received) == 2)
    assert [h["webhook-id"] for h, _ in receiver.received] == [
        "episode0.opened",
        "episode1.opened",
    ]


async def test_a_name_that_cannot_be_looked_up_is_a_failure_like_any_other(
    metrics: Metrics,
) -> None:
    for host in ("a" * 70 + ".example", "nowhere.invalid"):
        sink = WebhookSink(
            replace(config(f"https://{host}/"), max_attempts=1, allow_private_targets=False),
            metrics,
        )
        async with running(sink):
            before = outcomes(metrics).get("given_up", 0)
            await sink.send(alert())
            await until(lambda: outcomes(metrics).get("given_up", 0) > before)  # noqa: B023


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]"])
async def test_private_targets_are_refused_unless_allowed(
    metrics: Metrics, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    target = replace(config(f"http://{host}:9/x"), allow_private_targets=False, max_attempts=1)
    sink = WebhookSink(target, metrics, NO_PAUSE)
    async with running(sink):
        await sink.send(alert())
        await until(lambda: outcomes(metrics) == {"given_up": 1})
    assert "alerts.allow_private_targets" in caplog.text


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"webhook_url": "ftp://example.com"}, "alerts.webhook_url"),
        ({"webhook_url": "https://"}, "alerts.webhook_url"),
        ({"webhook_url": "https://[::1"}, "alerts.webhook_url"),
        ({"webhook_url": "https://example.com:port/"}, "alerts.webhook_url"),
        ({"webhook_secret": ""}, "alerts.webhook_secret"),
        ({"webhook_secret": "whsec_c2hvcnQ="}, "alerts.webhook_secret"),
        ({"webhook_secret": "not base64!"}, "alerts.webhook_secret"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    metrics: Metrics, changes: dict[str, Any], key: str
) -> None:
    with pytest.raises(ValueError, match=key):
        WebhookSink(replace(WEBHOOK, **changes), metrics)


def test_synthetic_weights_alert_nobody_outside_unless_allowed(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    closed = Config(alerts=WEBHOOK)
    opened = Config(alerts=WEBHOOK, model=ModelSection(allow_synthetic_alerts=True))
    assert webhook_sink(Config(), checkpoint("voxceleb"), metrics) is None
    assert webhook_sink(closed, checkpoint("synthetic people v1"), metrics) is None
    assert "model.allow_synthetic_alerts" in caplog.text
    assert webhook_sink(opened, checkpoint("synthetic people v1"), metrics) is not None
    assert webhook_sink(closed, checkpoint("voxceleb"), metrics) is not None
