"""The calls that the monitor has joined, or tries to: one supervised task each.

A call that fails touches no other. It is tried again for ever, with a jittered pause, wherever
trying can help; what is known of its participants outlasts a broken connection for a minute.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from monitor.attendance import Attendance
from monitor.call_urls import CallUrl
from monitor.collectors import Delay
from monitor.media import Delayed, Hearable
from monitor.metrics import Metrics
from monitor.rooms import CallRoom, NewReceiver
from monitor.source import Source, SourceError, Trouble

RETRY_S: Final = (1.0, 2.0, 4.0, 6.0)
"""On average, spread by a half; the last one repeats. Whoever comes back is joined within 10 s."""
PATIENT_RETRY_S: Final = 30.0  # where somebody has to act first, such as to open the room
STEADY_S: Final = 30.0  # joined for that long, a call begins again with the shortest pause
SWEEP_S: Final = 1.0

logger = logging.getLogger(__name__)


class CallState(StrEnum):
    JOINING = "joining"
    JOINED = "joined"
    WAITING = "waiting"  # for the next attempt
    FAILED = "failed"  # there will be none
    ENDED = "ended"  # the call says that it is over


class CallTakenError(Exception):
    """There is a call of this id, or there are too many."""


@dataclass(eq=False)
class Call:
    """One call. `since` is the time of the last change of `state`."""

    id: str
    url: CallUrl
    state: CallState = CallState.JOINING
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    trouble: Trouble | None = None
    message: str = ""
    """Why it is not joined; once it is, what its owner should know all the same."""
    attempts: int = 0
    retry_at: datetime | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there is nothing more to come: failed, ended, or removed."""
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self, state: CallState) -> None:
        if state is not self.state:
            self.state, self.since = state, datetime.now(UTC)


@dataclass(eq=False)
class _Joined:
    call: Call
    room: CallRoom
    task: asyncio.Task[None]


class Calls:
    """Joins, follows and leaves calls. `source_of(url)`: how to reach one. `once`: no call is tried
    a second time. Belongs to the event loop; `run` it."""

    def __init__(
        self,
        attendance: Attendance,
        source_of: Callable[[CallUrl], Source],
        new_receiver: NewReceiver,
        metrics: Metrics,
        max_calls: int,
        *,
        once: bool = False,
    ) -> None:
        self._attendance = attendance
        self._source_of = source_of
        self._new_receiver = new_receiver
        self._metrics = metrics
        self._max_calls = max_calls
        self._once = once
        self._joined: dict[str, _Joined] = {}

    def add(self, url: CallUrl, call_id: str = "") -> Call:
        """Begins to join. Raises CallTakenError."""
        call = Call(call_id or url.id, url)
        if call.id in self._joined:
            raise CallTakenError(f"there is a call {call.id!r} already")
        if len(self._joined) >= self._max_calls:
            raise CallTakenError(f"{self._max_calls} calls are joined already (join.max_calls)")
        room = CallRoom(
            call.id, self._attendance, self._new_receiver, lambda note: self._entered(call, note)
        )
        task = asyncio.create_task(self._follow(call, room), name=f"call {call.id}")
        self._joined[call.id] = _Joined(call, room, task)
        return call

    def turned_away(self, trouble: Trouble, message: str) -> None:
        """Somebody asked for a call that is not even tried."""
        self._metrics.call_failed(trouble)
        logger.warning("call refused: %s", message, extra={"trouble": trouble})

    async def remove(self, call_id: str) -> bool:
        """Leaves a call and forgets it; whether there was one."""
        joined = self._joined.pop(call_id, None)
        if joined is None:
            return False
        joined.task.cancel()
        await asyncio.gather(joined.task, return_exceptions=True)
        await joined.room.close()
        joined.call.over.set()
        logger.info("call left", extra={"call": call_id})
        return True

    def all(self) -> list[Call]:
        """In the order in which they were added."""
        return [joined.call for joined in self._joined.values()]

    def by_state(self) -> dict[str, int]:
        """How many there are, for every state. Callable from any thread."""
        states = [joined.call.state for joined in tuple(self._joined.values())]
        return {state.value: states.count(state) for state in CallState}

    def get(self, call_id: str) -> Call | None:
        joined = self._joined.get(call_id)
        return joined.call if joined else None

    def participants(self, call_id: str) -> int:
        """How many are followed there now."""
        return len(self._joined[call_id].room) if call_id in self._joined else 0

    def delays(self) -> dict[str, Delay]:
        """Of the calls that are live streams. Callable from any thread."""
        found = {}
        for call_id, joined in tuple(self._joined.items()):
            for media in joined.room.media():
                if isinstance(media, Delayed) and media.latency_s is not None:
                    found[call_id] = Delay(media.latency_s, media.skipped_s)
        return found

    def media(self) -> list[Hearable]:
        """Of everybody in every call."""
        return [media for joined in self._joined.values() for media in joined.room.media()]

    async def run(self) -> None:
        """Lets those go who were away for too long, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self._attendance.forget()

    async def close(self) -> None:
        """Leaves every call."""
        await asyncio.gather(*(self.remove(call_id) for call_id in list(self._joined)))

    def _entered(self, call: Call, note: str) -> None:
        call.enter(CallState.JOINED)
        call.trouble, call.message, call.retry_at = None, note, None
        call.entered.set()
        self._metrics.call_joined()
        logger.info("call joined", extra={"call": call.id, "url": call.url.shown})

    async def _follow(self, call: Call, room: CallRoom) -> None:
        failures = 0
        while True:
            began_s = time.monotonic()
            call.attempts += 1
            call.enter(CallState.JOINING)
            error = await self._attempt(call, room)
            if call.state is CallState.JOINED and time.monotonic() - began_s > STEADY_S:
                failures = 0
            failures += 1
            call.trouble, call.message = error.trouble, str(error)
            self._metrics.call_failed(error.trouble)
            if self._once or not error.trouble.passing:
                await self._give_up(call, room)
                return
            await room.suspend()
            await self._wait(call, _pause_s(error.trouble, failures))

    async def _attempt(self, call: Call, room: CallRoom) -> SourceError:
        """Why it ended."""
        try:
            await self._source_of(call.url).run(room)
        except SourceError as error:
            return error
        except Exception as error:
            logger.exception("a source failed", extra={"call": call.id})
            return SourceError(Trouble.PROTOCOL, f"unexpected {type(error).__name__}")
        return SourceError(Trouble.LOST, "the connection ended")

    async def _wait(self, call: Call, pause_s: float) -> None:
        call.enter(CallState.WAITING)
        call.retry_at = datetime.fromtimestamp(time.time() + pause_s, UTC)
        logger.warning(
            "call not joined: %s; next attempt in %.1f s",
            call.message,
            pause_s,
            extra={"call": call.id, "url": call.url.shown, "trouble": call.trouble},
        )
        await asyncio.sleep(pause_s)
        call.retry_at = None

    async def _give_up(self, call: Call, room: CallRoom) -> None:
        ended = call.trouble is Trouble.ENDED
        call.enter(CallState.ENDED if ended else CallState.FAILED)
        extra = {"call": call.id, "url": call.url.shown, "trouble": call.trouble}
        logger.log(
            logging.INFO if ended else logging.ERROR, "call over: %s", call.message, extra=extra
        )
        await room.close()
        call.over.set()


def _pause_s(trouble: Trouble, failures: int) -> float:
    patient = trouble in {Trouble.FULL, Trouble.NOT_FOUND, Trouble.PROTOCOL}
    middle = RETRY_S[min(failures, len(RETRY_S)) - 1]
    if patient and failures > len(RETRY_S):
        middle = PATIENT_RETRY_S
    return middle * random.uniform(0.5, 1.5)
