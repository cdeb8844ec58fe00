"""What a receiver needs of the way in which media is taken off a connection; there are two ways."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from aiortc import RTCConfiguration, RTCPeerConnection

from monitor.screen import Screen, Seen
from monitor.sessions import Session
from vfd.types import Rgb


class FaceSink(Protocol):
    """Takes pictures to look for faces in; must not block. `before`: pictures of the quarter of a
    second before, by time, of which only the mouth is of interest."""

    def submit(
        self, session: Session, time_s: float, rgb: Rgb, before: Sequence[tuple[float, Rgb]] = ()
    ) -> None: ...

    def watch(
        self, screen: Screen, time_s: float, rgb: Rgb, on_seen: Callable[[Seen], None]
    ) -> None:
        """The next picture of `screen`; what it shows is given to `on_seen` on the event loop."""
        ...


class Hearable(Protocol):
    """One participant's sound, on its way into the buffer. Belongs to the event loop."""

    def hear(self, end_s: float) -> None:
        """Writes into the buffer what was said before `end_s`, as far as it is not there yet."""
        ...


@runtime_checkable
class Delayed(Protocol):
    """Media that comes from a stream, and is played some time after it was sent."""

    @property
    def latency_s(self) -> float | None:
        """How far behind the live edge; None where there is none, as in a file."""
        ...

    @property
    def skipped_s(self) -> float:
        """Media left out so far, in order not to fall behind."""
        ...


class Media(Hearable, Protocol):
    """One participant's media on a peer connection."""

    @property
    def takes_comfort_noise(self) -> bool:
        """Whether senders of telephone codecs may say that they suppress silence (RFC 3389)."""
        ...

    def connect(self, configuration: RTCConfiguration, offer: str) -> RTCPeerConnection:
        """The connection that will answer `offer`; called once."""
        ...

    async def packets(self) -> int:
        """Received so far, of any kind."""
        ...

    def ended(self) -> str:
        """Why there will be no more, as one word for the log; empty while there may be."""
        ...

    async def close(self) -> None:
        """Ends what it started; the connection is closed by its owner. Idempotent."""
        ...
