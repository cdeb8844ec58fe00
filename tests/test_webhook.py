"""One attempt: what is sent, and what is made of the answer."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate

import pytest
import standardwebhooks

from monitor.alerts import AlertKind
from monitor.config import AlertConfig
from monitor.webhook import (
    MAX_BODY_BYTES,
    MAX_RETRY_AFTER_S,
    Answer,
    Outcome,
    Webhook,
    body_of,
    retry_after_s,
    webhook_targets,
)
from tests.hooks import HANG, RESET, SECRET, WEBHOOK, Receiver, alert, config
from vfd.types import Reason

OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@asynccontextmanager
async def webhook(settings: AlertConfig) -> AsyncIterator[Webhook]:
    (target,) = webhook_targets(settings)
    made = Webhook(target, settings)
    try:
        yield made
    finally:
        await made.close()


async def answer_to(script: tuple[int, str]) -> Answer:
    async with (
        Receiver(script).listening() as receiver,
        webhook(replace(config(receiver.url), timeout_s=0.5)) as hook,
    ):
        return await hook.post(alert())


async def test_a_message_is_signed_and_carries_the_alert() -> None:
    async with Receiver().listening() as receiver, webhook(config(receiver.url)) as hook:
        assert (await hook.post(alert())).outcome is Outcome.DELIVERED
    headers, body = receiver.received[0].headers, receiver.received[0].body
    decoded = standardwebhooks.Webhook(SECRET).verify(body, headers)
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "episode0.opened"
    assert decoded["type"] == "identity_mismatch.opened"
    assert decoded["timestamp"] == "2026-11-28T22:00:00.000+00:00"
    assert decoded["data"] == alert().as_json()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(body.replace("alice", "bob"), headers)


async def test_while_secrets_rotate_either_verifies() -> None:
    async with Receiver().listening() as receiver:
        settings = replace(config(receiver.url), webhook_secret=f"{SECRET} {OLD_SECRET}")
        async with webhook(settings) as hook:
            await hook.post(alert())
    for secret in (SECRET, OLD_SECRET):
        standardwebhooks.Webhook(secret).verify(
            receiver.received[0].body, receiver.received[0].headers
        )


def test_whoever_acts_on_a_mismatch_does_not_act_on_a_drill() -> None:
    assert json.loads(body_of(alert(drill=True)))["type"] == "drill.identity_mismatch.opened"
    closed = json.loads(body_of(alert(kind=AlertKind.CLOSED)))
    assert closed["type"] == "identity_mismatch.closed"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ((204, ""), Answer(Outcome.DELIVERED)),
        ((200, ""), Answer(Outcome.DELIVERED)),
        ((302, "location: /elsewhere\r\n"), Answer(Outcome.REFUSED)),
        ((404, ""), Answer(Outcome.REFUSED)),
        ((410, ""), Answer(Outcome.GONE)),
        ((429, "retry-after: 7\r\n"), Answer(Outcome.FAILED, 7.0)),
        ((500, ""), Answer(Outcome.FAILED)),
        ((503, "retry-after: 3\r\n"), Answer(Outcome.FAILED, 3.0)),
        ((RESET, ""), Answer(Outcome.FAILED)),
        ((HANG, ""), Answer(Outcome.FAILED)),
    ],
)
async def test_what_an_answer_means(script: tuple[int, str], expected: Answer) -> None:
    assert await answer_to(script) == expected


async def test_an_answer_that_drips_is_a_failure_in_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            while True:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()
            ended.set()

    ended = asyncio.Event()
    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with webhook(replace(config(url), timeout_s=0.3)) as hook:
            begun_s = time.monotonic()
            assert (await hook.post(alert())).outcome is Outcome.FAILED
            assert time.monotonic() - begun_s < 2
        await ended.wait()


async def test_nobody_there_and_a_name_that_is_none_are_failures() -> None:
    async with Receiver().listening() as receiver:
        dead = receiver.url
    for url in (dead, f"https://{'a' * 70}.example/", "https://nowhere.invalid/"):
        async with webhook(config(url)) as hook:
            assert (await hook.post(alert())).outcome is Outcome.FAILED


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]"])
async def test_private_targets_are_refused_unless_allowed(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(config(f"http://{host}:9/x"), allow_private_targets=False)
    async with webhook(settings) as hook:
        assert (await hook.post(alert())).outcome is Outcome.FAILED
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "alerts.allow_private_targets" in vars(record)["error"]


async def test_a_password_in_the_address_is_sent_and_not_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Receiver((500, "")).listening() as receiver:
        url = receiver.url.replace("http://", "http://user:sesame@")
        async with webhook(config(url)) as hook:
            await hook.post(alert())
            assert "sesame" not in hook.name
    assert receiver.received[0].headers["authorization"] == "Basic dXNlcjpzZXNhbWU="
    assert not any("sesame" in str(vars(record)) for record in caplog.records)


def test_the_largest_alert_fits() -> None:
    """Every text at its longest, and of characters that JSON writes with twelve."""
    name = "\U0001f600" * 128
    largest = alert(
        call=name,
        participant=name,
        name=name,
        text=name * 4,
        windows_not_scored={reason.value: 10**9 for reason in Reason},
        evidence=("e" * 60,) * 2,
    )
    assert len(body_of(largest)) < MAX_BODY_BYTES


async def test_what_is_too_large_is_not_sent() -> None:
    async with Receiver().listening() as receiver, webhook(config(receiver.url)) as hook:
        large = alert(text="x" * MAX_BODY_BYTES)
        assert (await hook.post(large)).outcome is Outcome.REFUSED
    assert receiver.received == []


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


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (replace(WEBHOOK, webhook_url="ftp://hooks.example.com"), "alerts.webhook_url must be"),
        (replace(WEBHOOK, webhook_url="hooks.example.com/x"), "alerts.webhook_url must be"),
        (replace(WEBHOOK, webhook_url="https://"), "alerts.webhook_url must be"),
        (replace(WEBHOOK, webhook_url="https://a b\n"), "alerts.webhook_url is no address"),
        (replace(WEBHOOK, webhook_url="https://a:port/"), "alerts.webhook_url is no address"),
        (replace(WEBHOOK, webhook_secret=""), "alerts.webhook_secret must hold"),
        (replace(WEBHOOK, webhook_secret="whsec_no!"), "alerts.webhook_secret must be base64"),
        (replace(WEBHOOK, webhook_secret="whsec_QUJD"), "alerts.webhook_secret must hold"),
        (replace(WEBHOOK, webhook_secret=f"{SECRET} " * 5), "at most 4 secrets"),
        (replace(WEBHOOK, webhooks=("https://b.example",)), "alerts.webhooks[0] must hold"),
        (replace(WEBHOOK, webhooks=(f"https://b {SECRET}", "c")), "alerts.webhooks[1] must be"),
        (replace(WEBHOOK, webhooks=(f"{WEBHOOK.webhook_url} {SECRET}",)), "stands there twice"),
    ],
)
def test_what_cannot_work_is_named(settings: AlertConfig, key: str) -> None:
    with pytest.raises(ValueError, match=r"alerts\.") as raised:
        webhook_targets(settings)
    assert key in str(raised.value)


def test_several_webhooks_have_names_of_their_own() -> None:
    settings = replace(WEBHOOK, webhooks=(f"https://b.example/secret {SECRET} {OLD_SECRET}",))
    first, second = webhook_targets(settings)
    assert first.name.startswith("hooks.example.com-")
    assert second.name.startswith("b.example-")
    assert (len(first.secrets), len(second.secrets)) == (1, 2)
