"""Alerts: one when a mismatch opens, one when it worsens, one when it closes. They carry numbers,
never media.

An alert never says "fake". It says that an identity mismatch is suspected, with the evidence.
"""

import asyncio
import dataclasses
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from monitor.alert_words import SUMMARIES, probability, safe_text, sentence, statistics, utc
from monitor.config import AlertConfig
from monitor.sessions import Session
from vfd.checkpoint import Checkpoint
from vfd.decision import DecisionLimits, State
from vfd.types import ParticipantKey

SWEEP_S: Final = 1.0
STRONG: Final = 2  # the level of a verdict that worsens an episode
logger = logging.getLogger(__name__)


class AlertKind(StrEnum):
    OPENED = "opened"
    WORSENED = "worsened"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Alert:
    """`id` is that of the episode: its alerts share it. `since_s`: the first suspicion, on the
    monitor's clock; `suspected_at`, `at`: that and the alert by the wall clock, ISO 8601 in UTC;
    `duration_s` between the two by the monotonic clock. `statistic`: the smoothed similarity,
    `threshold` the one it fell below, `similarity` the statistics of the last minute. Windows count
    since joining. `level`: 1 declared, 2 strong. `demo`: the weights have seen synthetic people
    only. `drill`: the swap was made by the monitor itself. `evidence`: names of pictures."""

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
    name: str = ""
    drill: bool = False
    suspected_at: str = ""
    at: str = ""
    duration_s: float = 0.0
    level: int = 1
    signal: str | None = None
    change: float | None = None
    log_likelihood_ratio: float | None = None
    probability: float | None = None
    false_alarms_per_1000_hours: float | None = None
    false_alarms_per_1000_people: float | None = None
    caught: float | None = None
    similarity: Mapping[str, float | int] = field(default_factory=dict)
    windows_not_scored: Mapping[str, int] = field(default_factory=dict)
    evidence: Sequence[str] = ()
    text: str = ""

    @property
    def message_id(self) -> str:
        """The same wherever and however often this alert is sent."""
        return f"{self.id}.{self.kind.value}"

    def as_json(self) -> dict[str, Any]:
        numbers = {name: _rounded(value) for name, value in dataclasses.asdict(self).items()}
        return {**numbers, "evidence": list(self.evidence)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Alert":
        """Of what `as_json` gave; keys of other versions are left out. Raises TypeError, KeyError
        or ValueError for what is no alert."""
        known = {f.name for f in dataclasses.fields(Alert)}
        kept = {name: value for name, value in data.items() if name in known}
        return Alert(**{**kept, "kind": AlertKind(data["kind"])})


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


class AlertSink(Protocol):
    async def send(self, alert: Alert) -> None:
        """Takes the alert over at once; whatever is slow is queued, bounded, inside the sink."""
        ...


class Witness(Protocol):
    """Keeps pictures of what an alert rests on."""

    def keep(self, session: Session, message_id: str) -> Sequence[str]:
        """The names under which they will be found; must not block."""
        ...


@dataclass(slots=True)
class Episode:
    """From the first suspicion to recovery. `last`: the newest of its alerts, None until the
    mismatch is declared. `left_s`: when the participant was last seen, if gone by now."""

    since_s: float
    since_unix_s: float
    last: Alert | None = None
    left_s: float | None = None


class Alerter:
    """Keeps the episode of every participant. It survives times without a verdict (somebody who
    falls silent in a mismatch has not recovered), a recovery shorter than `alerts.close_after_s`,
    and an absence shorter than `alerts.absence_s`: none of these raises a second alert.

    `wall`: seconds since 1970; only what people read comes from it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        limits: DecisionLimits,
        sinks: Sequence[AlertSink],
        config: AlertConfig | None = None,
        witness: Witness | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._checkpoint = checkpoint
        self._limits = limits
        self._sinks = tuple(sinks)
        self._config = config or AlertConfig()
        self._witness = witness
        self._wall = wall
        self._episodes: dict[tuple[ParticipantKey, bool], Episode] = {}

    def resume(self, alerts: Iterable[Alert], now_s: float) -> None:
        """Takes up the episodes that were open when the monitor ended, by the newest alert of each:
        their participants count as absent from now on."""
        for alert in alerts:
            since_s = now_s - alert.duration_s  # the monotonic clock may have begun anew
            key = ParticipantKey(alert.call, alert.participant)
            episode = Episode(since_s, self._wall(), alert, left_s=now_s)
            self._episodes[key, alert.drill] = episode

    async def run(self, clock: Callable[[], float]) -> None:
        """Closes the episodes of who stays away, until cancelled. `clock`: the monitor's."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.sweep(clock())

    async def sweep(self, now_s: float) -> None:
        for key, episode in list(self._episodes.items()):
            left_s = episode.left_s
            if left_s is not None and now_s - left_s >= self._config.absence_s:
                del self._episodes[key]
                await self._close_absent(episode, now_s)

    async def observe(self, session: Session) -> Alert | None:
        """Looks at the session's verdict after a step; returns what it sent, if anything."""
        verdict, key = session.verdict, (session.key, session.drill)
        episode = self._episodes.get(key)
        if episode is not None:
            episode.left_s = None
        match verdict.state:
            case State.SUSPECT if episode is None:
                self._episodes[key] = self._begin(session)
            case State.MISMATCH:
                episode = self._episodes.setdefault(key, episode or self._begin(session))
                if episode.last is None:
                    return await self._raise(session, episode, AlertKind.OPENED)
                if verdict.level >= STRONG > episode.last.level:
                    return await self._raise(session, episode, AlertKind.WORSENED)
            case State.MATCH if episode is not None:
                matched_s = session.last_end_s - verdict.since_s
                if episode.last is None or matched_s >= self._config.close_after_s:
                    return await self.close(session, SUMMARIES["closed"])
        return None

    async def left(self, session: Session) -> None:
        """The participant is gone; whoever is back soon goes on where they were."""
        key = session.key, session.drill
        episode = self._episodes.get(key)
        if episode is None:
            return
        if episode.last is None:
            del self._episodes[key]
        else:
            episode.left_s = session.last_end_s

    async def close(self, session: Session, summary: str) -> Alert | None:
        """Ends the session's episode, if there is one."""
        episode = self._episodes.pop((session.key, session.drill), None)
        if episode is None or episode.last is None:
            return None
        return await self._raise(session, episode, AlertKind.CLOSED, summary)

    def _begin(self, session: Session) -> Episode:
        since_s = session.verdict.since_s
        return Episode(since_s, self._wall() - max(session.last_end_s - since_s, 0.0))

    async def _raise(
        self, session: Session, episode: Episode, kind: AlertKind, summary: str = ""
    ) -> Alert:
        alert = self._alert(session, episode, kind, summary or SUMMARIES[kind])
        if self._witness and kind is not AlertKind.CLOSED and not session.drill:
            pictures = self._witness.keep(session, alert.message_id)
            alert = dataclasses.replace(alert, evidence=pictures)
        episode.last = alert
        await self._send(alert)
        return alert

    async def _close_absent(self, episode: Episode, now_s: float) -> None:
        if episode.last is not None:
            closed = dataclasses.replace(
                episode.last,
                kind=AlertKind.CLOSED,
                summary=SUMMARIES["left"],
                at=utc(self._wall()),
                duration_s=now_s - episode.since_s,
                evidence=(),
            )
            await self._send(dataclasses.replace(closed, text=sentence(closed)))

    def _alert(self, session: Session, episode: Episode, kind: AlertKind, summary: str) -> Alert:
        info, verdict, last = self._checkpoint.info, session.verdict, episode.last
        point, llr = self._limits.operating_point, verdict.log_likelihood_ratio
        alert = Alert(
            id=last.id if last else uuid.uuid4().hex,
            kind=kind,
            call=safe_text(session.key.call),
            participant=safe_text(session.key.participant),
            name=safe_text(session.name),
            since_s=episode.since_s,
            suspected_at=last.suspected_at if last else utc(episode.since_unix_s),
            at=utc(self._wall()),
            duration_s=max(session.last_end_s - episode.since_s, 0.0),
            statistic=verdict.statistic,
            threshold=self._limits.suspect_below,
            similarity=statistics(session.similarities),
            windows_scored=session.scored,
            windows_not_scored={reason.value: n for reason, n in session.abstained.items()},
            level=max(verdict.level, last.level if last else 1),
            signal=verdict.signal.value if verdict.signal else None,
            change=verdict.change,
            log_likelihood_ratio=llr,
            probability=probability(llr, self._config.prior),
            false_alarms_per_1000_hours=point.false_alarms_per_1000_hours if point else None,
            false_alarms_per_1000_people=point.false_alarms_per_1000_people if point else None,
            caught=point.caught if point else None,
            model=info.config.preset,
            model_sha256=self._checkpoint.sha256,
            trained_on=info.trained_on,
            demo=info.synthetic,
            drill=session.drill,
            summary=summary,
        )
        return dataclasses.replace(alert, text=sentence(alert))

    async def _send(self, alert: Alert) -> None:
        for sink in self._sinks:
            try:
                await sink.send(alert)
            except Exception:
                logger.exception("an alert sink failed; the others still get the alert")
