"""Drills: a known swap in a copy of a running call, to prove that an alert would arrive.

The copy hears what the participant says and sees somebody else's face: one of the synthetic people
that come with the package, the one that fits the voice least. It is judged by a copy of the
participant's own decider, so detection takes as long as it would take after a real swap. The
participant's own verdict is untouched, and everything that follows is marked as a drill.
"""

import asyncio
import copy
import dataclasses
import logging
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from engines.samples import Samples, load_samples, packaged_samples
from monitor.alert_words import SUMMARIES
from monitor.alerts import Alert, Alerter
from monitor.archive import Archive
from monitor.buffers import Snapshot
from monitor.events import EventBus
from monitor.metrics import Metrics
from monitor.sessions import Registry, Session
from vfd.decision import State
from vfd.types import Abstention, Box, FaceFrame, ParticipantKey, Score

MAX_RUNNING: Final = 4  # each costs what a participant costs
MAX_REMEMBERED: Final = 32
DELIVERY_PATIENCE_S: Final = 20.0
POLL_S: Final = 0.1

logger = logging.getLogger(__name__)


class DrillRefusedError(Exception):
    """A drill that cannot begin; the message says why. `missing`: there is no such participant."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class DrillState(StrEnum):
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(eq=False)
class Drill:
    """`session`: the copy. `tried`: the similarity of every donor that was looked at. `steps`: what
    was to happen, whether it did, and how."""

    key: ParticipantKey
    session: Session
    seconds: float
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: DrillState = DrillState.RUNNING
    steps: list[tuple[str, bool, str]] = field(default_factory=list)
    tried: list[float] = field(default_factory=list)
    donor: int | None = None
    swapped_s: float = 0.0
    alert: Alert | None = None
    event_id: int | None = None
    detected: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "call": self.key.call,
            "participant": self.key.participant,
            "state": self.state.value,
            "steps": [{"step": s, "ok": ok, "what": what} for s, ok, what in self.steps],
            "alert": self.alert.as_json() if self.alert else None,
            "event_id": self.event_id,
        }


class Drills:
    """Belongs to the event loop. `clock`: the monitor's."""

    def __init__(
        self,
        registry: Registry,
        alerter: Alerter,
        archive: Archive,
        bus: EventBus,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._alerter = alerter
        self._archive = archive
        self._bus = bus
        self._metrics = metrics
        self._clock = clock
        self._drills: dict[str, Drill] = {}
        self._donors: list[FaceFrame] = []

    def get(self, drill_id: str) -> Drill | None:
        return self._drills.get(drill_id)

    async def begin(self, key: ParticipantKey, seconds: float) -> Drill:
        """`seconds`: until the swap must be detected. Raises DrillRefusedError."""
        if not self._donors:
            samples = await asyncio.to_thread(load_samples, packaged_samples())
            self._donors = donor_faces(samples)
        session = self._registry.get(key)
        if session is None:
            raise DrillRefusedError(
                f"there is no participant {key.participant!r} in a call {key.call!r} now",
                missing=True,
            )
        running = self._running()
        if any(drill.key == key for drill in running):
            raise DrillRefusedError("a drill with this participant is running already")
        if len(running) >= MAX_RUNNING:
            raise DrillRefusedError(f"{MAX_RUNNING} drills are running already")
        if session.verdict.state in (State.SUSPECT, State.MISMATCH):
            raise DrillRefusedError("this participant is suspected: no drill could be told from it")
        drill = Drill(key, _copy_of(session), seconds)
        self._remember(drill)
        drill.task = asyncio.create_task(self._hold(drill), name=f"drill {drill.id}")
        return drill

    def copies(self, snapshots: Sequence[Snapshot]) -> list[tuple[Session, Snapshot]]:
        """What is to be scored besides `snapshots`: those of people with whom a drill is held, with
        another face."""
        found = []
        by_key = {snapshot.key: snapshot for snapshot in snapshots}
        for drill in self._running():
            snapshot = by_key.get(drill.key)
            if snapshot is not None and drill.alert is None:
                number = len(drill.tried) if drill.donor is None else drill.donor
                found.append((drill.session, swapped(snapshot, self._donors[number])))
        return found

    async def take(
        self, session: Session, result: Score | Abstention, speech: float, coverage: float
    ) -> None:
        """The outcome for one copy; `speech` and `coverage` as in Window."""
        drill = next((d for d in self._running() if d.session is session), None)
        if drill is None or drill.alert is not None:
            return
        if drill.donor is None:
            self._choose(drill, result)
            return
        session.apply(result, speech=speech, coverage=coverage)
        drill.alert = await self._alerter.observe(session)
        if drill.alert is not None:
            drill.detected.set()

    async def close(self) -> None:
        tasks = [drill.task for drill in self._drills.values() if drill.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _running(self) -> list[Drill]:
        return [d for d in self._drills.values() if d.state is DrillState.RUNNING]

    def _remember(self, drill: Drill) -> None:
        over = [d.id for d in self._drills.values() if d.state is not DrillState.RUNNING]
        for drill_id in over[: max(0, len(self._drills) + 1 - MAX_REMEMBERED)]:
            del self._drills[drill_id]
        self._drills[drill.id] = drill

    def _choose(self, drill: Drill, result: Score | Abstention) -> None:
        """A donor at every scored step; then the one that fits the voice least."""
        live = self._registry.get(drill.key)
        if not isinstance(result, Score) or live is None:
            return
        drill.tried.append(result.similarity)
        if len(drill.tried) < len(self._donors):
            return
        drill.donor = drill.tried.index(min(drill.tried))
        drill.session.take_over(live, copy.deepcopy(live.decider))
        drill.swapped_s = self._clock()
        drill.steps.append(("swapped", True, f"a face of similarity {min(drill.tried):+.2f}"))

    async def _hold(self, drill: Drill) -> None:
        self._say(drill)
        try:
            async with asyncio.timeout(drill.seconds):
                await drill.detected.wait()
        except TimeoutError:
            drill.steps.append(_undetected(drill))
        else:
            await self._follow(drill)
        await self._alerter.close(drill.session, SUMMARIES["drill"])
        passed = all(ok for _, ok, _ in drill.steps)
        drill.state = DrillState.PASSED if passed else DrillState.FAILED
        self._metrics.drill_ended(drill.state)
        self._say(drill)

    async def _follow(self, drill: Drill) -> None:
        """From the alert to those who must hear of it."""
        alert = drill.alert
        assert alert is not None
        after_s = self._clock() - drill.swapped_s
        similarity = "none" if alert.statistic is None else f"{alert.statistic:+.2f}"
        drill.steps.append(("detected", True, f"after {after_s:.1f} s, similarity {similarity}"))
        deliveries: dict[str, str] = {}
        episode = None
        waited_s = 0.0
        while waited_s < DELIVERY_PATIENCE_S:
            try:
                episode = await self._archive.read(lambda store: store.episode(alert.id))
            except sqlite3.Error:
                break  # the archive says what is wrong
            deliveries = episode["targets"] if episode else {}
            if episode and "waiting" not in deliveries.values():
                break
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S
        stored = episode is not None and self._archive.on_disk
        where = self._archive.trouble or ("on disk" if stored else "in memory only")
        drill.steps.append(("stored", stored, where))
        if episode:
            drill.event_id = episode["alerts"][0]["event_id"]
        for target, state in deliveries.items():
            drill.steps.append((f"webhook {target}", state == "delivered", state))

    def _say(self, drill: Drill) -> None:
        extra = {**drill.key._asdict(), "drill": drill.id, "state": drill.state.value}
        logger.info("drill", extra=extra)
        self._bus.publish(
            {"type": "drill", **drill.key._asdict(), "id": drill.id, "state": drill.state.value}
        )


def donor_faces(samples: Samples) -> list[FaceFrame]:
    """One face of each person."""
    first = {
        int(person): crop for crop, person in zip(samples.crops, samples.face_ids, strict=True)
    }
    return [FaceFrame(0.0, crop, Box(0, 0, 0, 0), 1.0) for crop in first.values()]


def swapped(snapshot: Snapshot, donor: FaceFrame) -> Snapshot:
    """The same, but with `donor`'s face at the time of the newest; none, where there is none."""
    faces = snapshot.faces[-1:]
    others = tuple(dataclasses.replace(donor, time_s=face.time_s) for face in faces)
    return dataclasses.replace(snapshot, faces=others)


def _copy_of(session: Session) -> Session:
    twin = Session(session.key, session.buffer, copy.deepcopy(session.decider), session.joined_s)
    twin.name, twin.drill = session.name, True
    return twin


def _undetected(drill: Drill) -> tuple[str, bool, str]:
    if drill.donor is None:
        reasons = "nothing of this participant was scored; do they speak and show their face?"
        return ("swapped", False, reasons)
    verdict = drill.session.verdict
    why = (
        f"{verdict.state.value}, {verdict.reason.value}" if verdict.reason else verdict.state.value
    )
    return ("detected", False, f"not in {drill.seconds:g} s: {why}")
