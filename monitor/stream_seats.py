"""The participants of one stream in the room of its call."""

import asyncio
from typing import Final

from monitor.media import Hearable
from monitor.sessions import Session
from monitor.source import Room
from monitor.stream_player import StreamPlayer
from vfd.types import ParticipantKey

PARTICIPANT: Final = "stream"


class StreamSeats:
    """`Seats` (monitor.cast). `player` must be set before anybody sits, and may change."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken: dict[ParticipantKey, _Taken] = {}
        self.player: StreamPlayer

    def sit(self, track: int | None = None) -> Session:
        """See `Seats.sit`. Nobody gets a name back that was a track's: it is not known whether they
        are the same."""
        name = PARTICIPANT if track is None else self._room.fresh(PARTICIPANT)
        session = self._room.seat(name)
        self._taken[session.key] = taken = _Taken(self)
        self._room.follow(name, taken)
        return session

    def rise(self, session: Session) -> None:
        """See `Seats.rise`. What is known is kept for a minute, as of anybody who goes."""
        self._taken.pop(session.key).risen.set()


class _Taken:
    """An `Intake` (monitor.source) of what the player plays to all."""

    def __init__(self, seats: StreamSeats) -> None:
        self._seats = seats
        self.risen = asyncio.Event()

    @property
    def media(self) -> Hearable:
        return self._seats.player

    async def run(self) -> str:
        """See `Intake.run`."""
        await self.risen.wait()
        return "not seen any more"

    async def close(self) -> None:
        """See `Intake.close`."""
        self.risen.set()
