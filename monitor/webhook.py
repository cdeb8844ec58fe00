"""Alerts to somebody else's server: signed, retried, bounded (the Standard Webhooks specification).

One message at a time, in order, so that "closed" never overtakes "opened".
"""

import asyncio
import base64
import binascii
import email.utils
import json
import logging
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

import httpx
import standardwebhooks

from monitor.alerts import Alert
from monitor.assembly import delivery_allowed
from monitor.config import AlertConfig, Config
from monitor.metrics import Metrics
from monitor.public_hosts import check_http_url, refuse_private
from vfd.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

RETRY_AFTER_FAILURES_S: Final = (1.0, 5.0, 30.0, 120.0, 300.0)
"""The last one repeats; with the default of 6 attempts a receiver may be away for 7 minutes."""
MAX_RETRY_AFTER_S: Final = 600.0
"""A receiver may ask for a pause, not for silence."""
MIN_SECRET_BYTES: Final = 16


class _Outcome(Enum):
    DELIVERED = auto()
    GONE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class _Message:
    """Id and body are the same at every attempt; the receiver tells repeats by the id."""

    id: str
    body: str


class WebhookSink:
    """An AlertSink. `send` only queues; `run` delivers.

    Raises ValueError, naming the key, for a URL or a secret that cannot work. `retry_s`: the pause
    after the first, second, ... failure.
    """

    def __init__(
        self,
        config: AlertConfig,
        metrics: Metrics,
        retry_s: tuple[float, ...] = RETRY_AFTER_FAILURES_S,
    ) -> None:
        check_webhook(config)
        self._config = config
        self._metrics = metrics
        self._retry_s = retry_s
        self._signer = standardwebhooks.Webhook(_secret(config.webhook_secret))
        self._queue: asyncio.Queue[_Message] = asyncio.Queue(config.queue_size)
        self._gone = False

    async def send(self, alert: Alert) -> None:
        """Queues; when the queue is full or the receiver is gone, drops the alert and counts it."""
        body = {
            "type": f"identity_mismatch.{alert.kind.value}",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "data": alert.as_json(),
        }
        message = _Message(f"{alert.id}.{alert.kind.value}", json.dumps(body))
        try:
            if self._gone:
                raise asyncio.QueueFull
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._metrics.webhook_dropped()
            logger.error("webhook message dropped: id=%s", message.id)

    async def run(self) -> None:
        """Delivers until cancelled, or until the receiver answers 410 (gone)."""
        async with httpx.AsyncClient(
            timeout=self._config.timeout_s, follow_redirects=False, trust_env=False
        ) as client:
            while not self._gone:
                await self._deliver(client, await self._queue.get())

    async def _deliver(self, client: httpx.AsyncClient, message: _Message) -> None:
        for attempt in range(1, self._config.max_attempts + 1):
            outcome, wait_s = await self._attempt(client, message)
            match outcome:
                case _Outcome.DELIVERED:
                    self._metrics.webhook_delivered()
                    return
                case _Outcome.GONE:
                    self._give_up_for_good()
                    return
            if attempt < self._config.max_attempts:
                planned_s = self._retry_s[min(attempt, len(self._retry_s)) - 1]
                await asyncio.sleep(max(planned_s, wait_s))
        self._metrics.webhook_given_up()
        logger.error(
            "webhook message given up: id=%s attempts=%d", message.id, self._config.max_attempts
        )

    async def _attempt(
        self, client: httpx.AsyncClient, message: _Message
    ) -> tuple[_Outcome, float]:
        """What came of it, and how many seconds the receiver asks to be left alone."""
        try:
            if not self._config.allow_private_targets:
                await refuse_private("alerts", self._config.webhook_url)
            request = client.stream(
                "POST",
                self._config.webhook_url,
                content=message.body,
                headers=self._headers(message),
            )
            async with request as response:  # the body is not read: it may be of any size
                status, headers = response.status_code, response.headers
        except (httpx.HTTPError, OSError, UnicodeError) as error:  # UnicodeError: no DNS name
            logger.warning("webhook not delivered: id=%s error=%r", message.id, error)
            return _Outcome.FAILED, 0.0
        if 200 <= status < 300:
            return _Outcome.DELIVERED, 0.0
        logger.warning("webhook not accepted: id=%s status=%d", message.id, status)
        if status == httpx.codes.GONE:
            return _Outcome.GONE, 0.0
        return _Outcome.FAILED, retry_after_s(headers.get("retry-after"), time.time())

    def _headers(self, message: _Message) -> dict[str, str]:
        """The signature covers the time of the attempt, so it is made anew for each."""
        now = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message.id, now, message.body),
        }

    def _give_up_for_good(self) -> None:
        self._gone = True
        self._metrics.webhook_given_up()
        while not self._queue.empty():
            self._queue.get_nowait()
            self._metrics.webhook_dropped()
        logger.error("webhook receiver answered 410 (gone): no more messages until a restart")


def webhook_sink(config: Config, checkpoint: Checkpoint, metrics: Metrics) -> WebhookSink | None:
    """The sink that the configuration asks for. None without a URL, and with weights that have seen
    synthetic people only, whose alerts concern nobody, unless that is allowed by name."""
    if not config.alerts.webhook_url:
        return None
    if not delivery_allowed(config, checkpoint):
        logger.warning(
            "webhooks stay off: the weights are trained on %s (model.allow_synthetic_alerts)",
            checkpoint.info.trained_on,
        )
        return None
    return WebhookSink(config.alerts, metrics)


def check_webhook(config: AlertConfig) -> None:
    """Raises ValueError, naming the key, for a URL or a secret that cannot work."""
    check_http_url("alerts.webhook_url", config.webhook_url)
    _secret(config.webhook_secret)


def _secret(text: str) -> bytes:
    """The key of the signature: base64, after an optional "whsec_"."""
    try:
        secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError('alerts.webhook_secret must be base64, as in "whsec_..."') from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"alerts.webhook_secret must hold at least {MIN_SECRET_BYTES} bytes")
    return secret


def retry_after_s(header: str | None, now_unix_s: float) -> float:
    """RFC 9110 section 10.2.3: seconds or a date; 0 where there is none or it makes no sense."""
    if header is None:
        return 0.0
    try:
        wait_s = float(header)
    except ValueError:
        try:
            wait_s = email.utils.parsedate_to_datetime(header).timestamp() - now_unix_s
        except ValueError:
            return 0.0
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S) if not math.isnan(wait_s) else 0.0
