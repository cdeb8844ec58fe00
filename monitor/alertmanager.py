"""Alerts to a Prometheus Alertmanager (API v2), as a mirror of what the monitor itself knows.

Alertmanager forgets what is not repeated, so everything open is posted again and again with an
end in the near future: a monitor that dies leaves no alert burning. Nothing is queued: what is
posted is the state of now, so that whoever was away for an hour is told once and not for an hour.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from monitor.alerts import Alert, AlertKind
from monitor.assembly import delivery_allowed
from monitor.config import AlertmanagerConfig, Config
from monitor.metrics import Metrics, Outcome, Sink
from monitor.poster import POST_ERRORS, Poster
from monitor.public_hosts import http_url
from vfd.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

ALERT_NAME: Final = "IdentityMismatchSuspected"
"""That of the rule in monitor/ops too, so that one route serves both."""
REPOST_S: Final = 60.0
ENDS_AFTER_S: Final = 180.0
"""Two repetitions may be lost before Alertmanager takes an open alert for resolved."""
RETRY_S: Final = (1.0, 2.0, 5.0, 15.0, REPOST_S)
"""After the first, second, ... failure in a row; the last one repeats."""
TIMEOUT_S: Final = 5.0
MAX_EPISODES: Final = 1_000
"""As many as there may be participants, each of whom has one open episode at most."""
MAX_ANNOTATION: Final = 500
"""Characters; the longest of ours, a sentence for people, has under 300."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Episode:
    alert: Alert
    started: datetime
    ended: datetime | None = None
    told: bool = False
    """Whether Alertmanager knows its newest alert."""


class AlertmanagerSink:
    """An AlertSink. `send` only takes note; `run` posts. Raises ValueError, naming the key, for a
    URL that cannot work. `now` returns the time in UTC."""

    def __init__(
        self,
        config: AlertmanagerConfig,
        metrics: Metrics,
        now: Callable[[], datetime] = utc_now,
        repost_s: float = REPOST_S,
    ) -> None:
        self._poster = Poster(
            alerts_url(config),
            TIMEOUT_S,
            "alertmanager.allow_private_targets",
            allow_private=config.allow_private_targets,
        )
        self._metrics = metrics
        self._now = now
        self._repost_s = repost_s
        self._episodes: dict[str, _Episode] = {}
        self._changed = asyncio.Event()

    async def send(self, alert: Alert) -> None:
        """Replaces what was known of the alert's episode. Beyond MAX_EPISODES a new one is dropped
        and counted."""
        episode = self._episodes.get(alert.id)
        if episode is None:
            if len(self._episodes) >= MAX_EPISODES:
                self._metrics.delivery(Sink.ALERTMANAGER, Outcome.DROPPED)
                logger.error("alert dropped: %d wait for Alertmanager", MAX_EPISODES)
                return
            episode = self._episodes[alert.id] = _Episode(alert, self._now())
        episode.alert, episode.told = alert, False
        if alert.kind is AlertKind.CLOSED:
            episode.ended = self._now()
        self._changed.set()

    async def run(self) -> None:
        """Posts until cancelled: at every change, and everything that is open once a minute."""
        failures = 0
        try:
            while True:
                self._changed.clear()
                if await self._post():
                    failures = 0
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._repost_s):
                            await self._changed.wait()
                else:
                    await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                    failures += 1
        finally:
            await self._poster.close()

    async def _post(self) -> bool:
        """Whether Alertmanager knows now what there is to know."""
        self._forget_the_long_closed()
        posted = {episode_id: episode.alert for episode_id, episode in self._episodes.items()}
        if not posted:
            return True
        body = json.dumps([self._as_json(episode) for episode in self._episodes.values()])
        try:
            status, _ = await self._poster.post({"content-type": "application/json"}, body.encode())
        except POST_ERRORS as error:
            return self._not_told(posted, repr(error))
        if not 200 <= status < 300:
            return self._not_told(posted, f"status {status}")
        self._note_told(posted)
        return True

    def _not_told(self, posted: dict[str, Alert], why: str) -> bool:
        logger.warning("Alertmanager was not told: alerts=%d why=%s", len(posted), why)
        self._metrics.delivery(Sink.ALERTMANAGER, Outcome.FAILED)
        return False

    def _note_told(self, posted: dict[str, Alert]) -> None:
        """What came meanwhile is not told yet."""
        for episode_id, alert in posted.items():
            episode = self._episodes[episode_id]
            if episode.told or episode.alert is not alert:
                continue
            episode.told = True
            self._metrics.delivery(Sink.ALERTMANAGER, Outcome.DELIVERED)
            if episode.ended is not None:
                del self._episodes[episode_id]

    def _forget_the_long_closed(self) -> None:
        """Alertmanager has let them end by itself."""
        latest = self._now() - timedelta(seconds=ENDS_AFTER_S)
        for episode_id, episode in list(self._episodes.items()):
            if episode.ended is not None and episode.ended < latest:
                del self._episodes[episode_id]
                self._metrics.delivery(Sink.ALERTMANAGER, Outcome.GIVEN_UP)

    def _as_json(self, episode: _Episode) -> dict[str, object]:
        """One `postableAlert`. Labels are what makes it the same alert at the next repetition."""
        alert = episode.alert
        ends = episode.ended or self._now() + timedelta(seconds=ENDS_AFTER_S)
        return {
            "labels": {
                "alertname": ALERT_NAME,
                "severity": "none" if alert.drill else "critical",
                "source": "vfd-monitor",
                "call": alert.call,
                "participant": alert.participant,
                **({"drill": "true"} if alert.drill else {}),
            },
            "annotations": {
                name: _text(value) for name, value in alert.as_json().items() if value is not None
            },
            "startsAt": episode.started.isoformat(),
            "endsAt": ends.isoformat(),
        }


def alertmanager_sink(
    config: Config, checkpoint: Checkpoint, metrics: Metrics
) -> AlertmanagerSink | None:
    """The sink that the configuration asks for; None without a URL, or where alerts must not leave
    the monitor."""
    if not config.alertmanager.url:
        return None
    if not delivery_allowed(config, checkpoint):
        logger.warning(
            "Alertmanager stays off: the weights are trained on %s (model.allow_synthetic_alerts)",
            checkpoint.info.trained_on,
        )
        return None
    return AlertmanagerSink(config.alertmanager, metrics)


def alerts_url(config: AlertmanagerConfig) -> httpx.URL:
    """Raises ValueError, naming the key, for a URL that cannot work."""
    url = http_url("alertmanager.url", config.url)
    return url.copy_with(path=f"{url.path.rstrip('/')}/api/v2/alerts")


def _text(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:MAX_ANNOTATION]
