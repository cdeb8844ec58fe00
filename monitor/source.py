"""What every way into a call has in common: a `Source` finds the participants, a `Room` takes them.

A source says how it fails by `SourceError`; whether, and when, it is tried again is not its own
affair (`monitor.calls`).
"""

from enum import StrEnum
from typing import Protocol

from monitor.media import Hearable
from monitor.receiver import Receiver
from monitor.sessions import Session


class Trouble(StrEnum):
    """Why a call is not joined. One closed set for log, interface and metrics."""

    UNREACHABLE = "unreachable"  # no such host, nobody listens, no answer in time
    TLS_FAILED = "tls_failed"
    REFUSED = "refused"  # a wrong secret, or a right one that does not suffice
    NOT_FOUND = "not_found"  # no such room, or nobody sends the stream yet
    FULL = "full"  # the room, or this monitor
    UNSUPPORTED = "unsupported"  # media that we cannot take: codec, no sound
    PROTOCOL = "protocol"  # an answer that makes no sense here
    LOST = "lost"  # joined, and then the connection broke
    ENDED = "ended"  # the stream says itself that it is over

    @property
    def passing(self) -> bool:
        """Whether trying again can help without anybody changing what was asked for."""
        return self not in {
            Trouble.TLS_FAILED,
            Trouble.REFUSED,
            Trouble.UNSUPPORTED,
            Trouble.ENDED,
        }


class SourceError(Exception):
    """A call cannot be joined, or is over; the message is for its owner and holds no secret."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


class Intake(Protocol):
    """One participant's media, on its way in."""

    @property
    def media(self) -> Hearable: ...

    async def run(self) -> str:
        """Takes what comes until nothing more will; returns why, for the log. Closes."""
        ...

    async def close(self) -> None:
        """Ends it; idempotent."""
        ...


class Room(Protocol):
    """Where a source brings its participants. Belongs to the event loop."""

    def entered(self, note: str = "") -> None:
        """The call is joined: whoever is in it will be brought here. `note`: what its owner should
        know all the same."""
        ...

    def seat(self, participant: str, name: str = "") -> Session:
        """The session of a participant, the old one after a reconnect. `participant` must be the
        same whenever the same one comes; `name`: what people call them, for people to read.
        Raises SourceError with `full`, or `refused` where somebody else publishes as that one."""
        ...

    def fresh(self, stem: str) -> str:
        """A `participant`, "stem-NUMBER", that nobody in this call has had before."""
        ...

    def receiver(
        self, participant: str, name: str = "", *, may_be_silent: bool = False
    ) -> Receiver:
        """A seat, and the connection that is to fill it; to be negotiated, then followed.
        `may_be_silent`: as `Receiver` has it."""
        ...

    def follow(self, participant: str, intake: Intake) -> None:
        """Runs `intake` for a participant who has a seat. When it ends by itself, the participant
        is away, and what is known is kept for a minute. Takes the place of the intake before."""
        ...

    async def leave(self, participant: str) -> None:
        """The participant is gone for good; nothing happens if nobody is here by that name."""
        ...


class Source(Protocol):
    """One call, as it is reached."""

    async def run(self, room: Room) -> None:
        """Joins, and follows the call for as long as the connection holds; then raises SourceError.
        Cancelled when the call is to be left; it says goodbye then, within a second or two. May be
        run again after it ended. What it seated may stay seated: the caller clears the room."""
        ...
