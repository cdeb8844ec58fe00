"""One attempt to tell somebody else's server: signed, bounded (the Standard Webhooks
specification).

When and how often is the outbox' business.
"""

import base64
import binascii
import email.utils
import hashlib
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
from monitor.config import AlertConfig
from monitor.poster import POST_ERRORS, Headers, Poster
from monitor.public_hosts import http_url

MAX_RETRY_AFTER_S: Final = 3_600.0
"""A receiver may ask for a pause, not for silence."""
MIN_SECRET_BYTES: Final = 16
MAX_BODY_BYTES: Final = 20_480  # what the specification advises; ours have some 2,000
MAX_SECRETS: Final = 4

logger = logging.getLogger(__name__)


class Outcome(Enum):
    DELIVERED = auto()
    GONE = auto()
    REFUSED = auto()  # the receiver is there and does not want this one
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """`wait_s`: for how long the receiver asks to be left alone."""

    outcome: Outcome
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where alerts go. `name` tells it from others without its secrets: the path may be one."""

    url: httpx.URL
    secrets: tuple[bytes, ...]
    name: str


class Webhook:
    """One receiver."""

    def __init__(self, target: Target, config: AlertConfig) -> None:
        self.name = target.name
        self._signers = [standardwebhooks.Webhook(secret) for secret in target.secrets]
        self._poster = Poster(
            target.url,
            config.timeout_s,
            "alerts.allow_private_targets",
            allow_private=config.allow_private_targets,
        )

    async def post(self, alert: Alert) -> Answer:
        """One attempt. Id and body of an alert are the same at each; the receiver tells repeats by
        the id."""
        body = body_of(alert)
        if len(body) > MAX_BODY_BYTES:  # every part is bounded; a store may hold what is older
            self._say(alert, body_bytes=len(body))
            return Answer(Outcome.REFUSED)
        try:
            status, headers = await self._poster.post(
                self._headers(alert.message_id, body), body.encode()
            )
        except POST_ERRORS as error:
            self._say(alert, error=repr(error))
            return Answer(Outcome.FAILED)
        if 200 <= status < 300:
            return Answer(Outcome.DELIVERED)
        self._say(alert, status=status)
        if status == httpx.codes.GONE:
            return Answer(Outcome.GONE)
        refused = status < 500 and status != httpx.codes.TOO_MANY_REQUESTS
        wait_s = retry_after_s(headers.get("retry-after"), time.time())
        return Answer(Outcome.REFUSED if refused else Outcome.FAILED, wait_s)

    async def close(self) -> None:
        await self._poster.close()

    def _headers(self, message_id: str, body: str) -> Headers:
        """The signature covers the time of the attempt, so it is made anew for each; one for every
        secret, so that the receiver may know the old or the new one."""
        now = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(s.sign(message_id, now, body) for s in self._signers),
        }

    def _say(self, alert: Alert, **what: object) -> None:
        extra = {"webhook": self.name, "id": alert.message_id, **what}
        logger.warning("webhook not delivered", extra=extra)


def body_of(alert: Alert) -> str:
    """Its `type` is `identity_mismatch.opened`, `.worsened` or `.closed`; that of a drill begins
    with `drill.`: whoever acts on a mismatch must not act on a drill."""
    drill = "drill." if alert.drill else ""
    body = {
        "type": f"{drill}identity_mismatch.{alert.kind.value}",
        "timestamp": alert.at,
        "data": alert.as_json(),
    }
    return json.dumps(body)


def webhook_targets(config: AlertConfig) -> list[Target]:
    """Those of the configuration. Raises ValueError, naming the key, for an address or a secret
    that cannot work."""
    lines = []
    if config.webhook_url:
        lines.append(("alerts.webhook_url", config.webhook_url, config.webhook_secret))
    for number, line in enumerate(config.webhooks):
        url, _, secrets = line.strip().partition(" ")
        lines.append((f"alerts.webhooks[{number}]", url, secrets))
    targets = [_target(key, url, secrets) for key, url, secrets in lines]
    if len({target.name for target in targets}) < len(targets):
        raise ValueError("alerts.webhooks: an address stands there twice")
    return targets


def _target(key: str, text: str, secrets: str) -> Target:
    url = http_url(key, text)
    secret_key = key.replace("webhook_url", "webhook_secret")
    found = tuple(_secret(secret_key, secret) for secret in secrets.split() or [""])
    if len(found) > MAX_SECRETS:
        raise ValueError(f"{secret_key}: expected at most {MAX_SECRETS} secrets")
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Target(url, found, f"{url.host}-{digest}")


def _secret(key: str, text: str) -> bytes:
    """The key of the signature: base64, after an optional "whsec_"."""
    try:
        secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f'{key} must be base64, as in "whsec_..."') from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"{key} must hold at least {MIN_SECRET_BYTES} bytes")
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
