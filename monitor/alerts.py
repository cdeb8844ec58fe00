"""Alerts: one when a mismatch opens, one when it closes. They carry numbers, never media.

An alert never says "fake". It says that an identity mismatch is suspected, with the evidence.
"""

import dataclasses
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from monitor.events import EventBus
from monitor.metrics import Metrics
from monitor.sessions import Session
from vfd.checkpoint import Checkpoint
from vfd.decision import DecisionLimits, State
from vfd.types import ParticipantKey

logger = logging.getLogger(__name__)


class AlertKind(StrEnum):
    OPENED = "opened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Alert:
    """`id` is that of the episode: opened and closed share it. `since_s`: the first suspicion, on
    the monitor's clock. `statistic`: the smoothed similarity, `threshold` the one it fell below.
    `windows_scored` since joining. `demo`: the weights have seen synthetic people only."""

    id: str
    kind: AlertKind
    call: str
    participant: str
    since_s: float
    statistic: float | None
    threshold: float
    windows_scored: int
    model: str
    model_sha256: str
    trained_on: str
    demo: bool
    summary: str

    def as_json(self) -> dict[str, str | int | float | bool | None]:
        return {name: _rounded(value) for name, value in dataclasses.asdict(self).items()}


def _rounded(value: str | float | bool | None) -> str | int | float | bool | None:
    return round(value, 4) if isinstance(value, float) else value


class AlertSink(Protocol):
    async def send(self, alert: Alert) -> None:
        """Takes the alert over at once; whatever is slow is queued, bounded, inside the sink."""
        ...


class RecordSink:
    """The monitor's own record: log line, event, counter."""

    def __init__(self, bus: EventBus, metrics: Metrics) -> None:
        self._bus = bus
        self._metrics = metrics

    async def send(self, alert: Alert) -> None:
        logger.warning(
            "%s%s: call=%s participant=%s id=%s similarity=%s threshold=%.3f windows=%d model=%s",
            "[demo] " if alert.demo else "",
            alert.summary,
            alert.call,
            alert.participant,
            alert.id,
            "none" if alert.statistic is None else f"{alert.statistic:.3f}",
            alert.threshold,
            alert.windows_scored,
            alert.model,
        )
        self._metrics.alert_raised(alert.kind)
        self._bus.publish({"type": "alert", **alert.as_json()})


@dataclass(slots=True)
class Episode:
    """From the first suspicion to recovery. `id` is None until the mismatch is declared."""

    since_s: float
    id: str | None = None


class Alerter:
    """Keeps the episode of every participant. An episode survives times without a verdict: somebody
    who falls silent in a mismatch has not recovered, and raises no second alert on return."""

    def __init__(
        self, checkpoint: Checkpoint, limits: DecisionLimits, sinks: Sequence[AlertSink]
    ) -> None:
        self._checkpoint = checkpoint
        self._limits = limits
        self._sinks = tuple(sinks)
        self._episodes: dict[ParticipantKey, Episode] = {}

    async def observe(self, session: Session) -> Alert | None:
        """Looks at the session's verdict after a step; returns what it sent, if anything."""
        verdict = session.verdict
        episode = self._episodes.get(session.key)
        match verdict.state:
            case State.SUSPECT if episode is None:
                self._episodes[session.key] = Episode(verdict.since_s)
            case State.MISMATCH if episode is None or episode.id is None:
                episode = episode or Episode(verdict.since_s)
                episode.id = uuid.uuid4().hex
                self._episodes[session.key] = episode
                return await self._send(
                    session, episode.id, episode, AlertKind.OPENED, "identity mismatch suspected"
                )
            case State.MATCH if episode is not None:
                return await self._close(session, "identity mismatch no longer suspected")
        return None

    async def left(self, session: Session) -> Alert | None:
        """Closes the episode of a participant who is gone."""
        return await self._close(session, "participant left while a mismatch was suspected")

    async def _close(self, session: Session, summary: str) -> Alert | None:
        episode = self._episodes.pop(session.key, None)
        if episode is None or episode.id is None:
            return None
        return await self._send(session, episode.id, episode, AlertKind.CLOSED, summary)

    async def _send(
        self, session: Session, alert_id: str, episode: Episode, kind: AlertKind, summary: str
    ) -> Alert:
        info = self._checkpoint.info
        alert = Alert(
            id=alert_id,
            kind=kind,
            call=session.key.call,
            participant=session.key.participant,
            since_s=episode.since_s,
            statistic=session.verdict.statistic,
            threshold=self._limits.suspect_below,
            windows_scored=session.scored,
            model=info.config.preset,
            model_sha256=self._checkpoint.sha256,
            trained_on=info.trained_on,
            demo=info.synthetic,
            summary=summary,
        )
        for sink in self._sinks:
            try:
                await sink.send(alert)
            except Exception:
                logger.exception("an alert sink failed; the others still get the alert")
        return alert
