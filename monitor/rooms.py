"""The participants of one joined call: whom the source brought, and what becomes of them."""

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Final

from monitor.attendance import Attendance
from monitor.media import Hearable
from monitor.receiver import Receiver
from monitor.sessions import Session, TooManyParticipants
from monitor.source import Intake, SourceError, Trouble
from vfd.types import ParticipantKey

MAX_NAME: Final = 64
_NOT_IN_A_KEY: Final = re.compile(r"[^A-Za-z0-9._~-]")

NewReceiver = Callable[[Session, bool], Receiver]
"""A connection for a session that may be silent, or may not."""

logger = logging.getLogger(__name__)


class CallRoom:
    """A `Room` (monitor.source)."""

    def __init__(
        self,
        call: str,
        attendance: Attendance,
        new_receiver: NewReceiver,
        on_entered: Callable[[str], None],
    ) -> None:
        self._call = call
        self._attendance = attendance
        self._new_receiver = new_receiver
        self._on_entered = on_entered
        self._intakes: dict[ParticipantKey, tuple[Intake, asyncio.Task[None]]] = {}
        self._seated: set[ParticipantKey] = set()
        self._given = 0  # fresh names; a call keeps its room when it is joined again

    def entered(self, note: str = "") -> None:
        """See `Room.entered`."""
        self._on_entered(note)

    def seat(self, participant: str, name: str = "") -> Session:
        """See `Room.seat`."""
        key = self._key(participant)
        try:
            session = self._attendance.join(key, self)
        except TooManyParticipants as error:
            raise SourceError(Trouble.FULL, f"the monitor is full: {error}") from error
        except KeyError as error:
            raise SourceError(
                Trouble.REFUSED, f"somebody else publishes as {key.call}/{key.participant}"
            ) from error
        session.name = readable(name)
        self._seated.add(key)
        return session

    def fresh(self, stem: str) -> str:
        """See `Room.fresh`."""
        self._given += 1
        return f"{stem}-{self._given}"

    def receiver(
        self, participant: str, name: str = "", *, may_be_silent: bool = False
    ) -> Receiver:
        """See `Room.receiver`."""
        return self._new_receiver(self.seat(participant, name), may_be_silent)

    def follow(self, participant: str, intake: Intake) -> None:
        """See `Room.follow`."""
        key = self._key(participant)
        self._attendance.announce(self._attendance.join(key, self))
        before = self._intakes.get(key)
        task = asyncio.create_task(
            self._run(key, intake, before), name=f"intake {key.call}/{key.participant}"
        )
        self._intakes[key] = intake, task

    async def leave(self, participant: str) -> None:
        """See `Room.leave`."""
        await self._drop(self._key(participant))

    def media(self) -> list[Hearable]:
        """Of everybody who is followed."""
        return [intake.media for intake, _ in tuple(self._intakes.values())]

    def __len__(self) -> int:
        return len(self._intakes)

    async def suspend(self) -> None:
        """The connection to the call is gone: nobody is heard, but what is known of them is kept
        for a while, for when they are back."""
        await asyncio.gather(*(self._stop(key) for key in list(self._intakes)))
        for key in self._seated:
            self._attendance.suspend(key, self)
        self._seated.clear()

    async def close(self) -> None:
        """Everybody leaves for good."""
        for key in list(self._seated):
            await self._drop(key)

    def _key(self, participant: str) -> ParticipantKey:
        return ParticipantKey(self._call, _NOT_IN_A_KEY.sub("_", participant)[:MAX_NAME])

    async def _run(
        self, key: ParticipantKey, intake: Intake, before: tuple[Intake, asyncio.Task[None]] | None
    ) -> None:
        if before is not None:
            await _end(*before)
        try:
            reason = await intake.run()
        except Exception:
            logger.exception("receiver failed", extra=key._asdict())
            reason = "failed"
        held = self._intakes.get(key)
        if held is not None and held[0] is intake:
            del self._intakes[key]
            self._seated.discard(key)
            logger.info("away", extra={**key._asdict(), "reason": reason})
            self._attendance.suspend(key, self)

    async def _drop(self, key: ParticipantKey) -> None:
        await self._stop(key)
        if key in self._seated:
            self._seated.discard(key)
            logger.info("left", extra={**key._asdict(), "reason": "left the call"})
            await self._attendance.leave(key, self)

    async def _stop(self, key: ParticipantKey) -> None:
        if (held := self._intakes.pop(key, None)) is not None:
            await _end(*held)


async def _end(intake: Intake, task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await intake.close()  # a task that is cancelled before it began closed nothing


def readable(name: str) -> str:
    """At most MAX_NAME printable characters of what somebody calls themselves."""
    return "".join(c for c in name[: 4 * MAX_NAME] if c.isprintable())[:MAX_NAME].strip()
