"""A room of LiveKit, through its Python SDK: we take part and publish nothing, so that everybody
sees us, and subscribe to the microphone and the camera of everybody who publishes.

https://docs.livekit.io/reference/python/livekit/rtc/
"""

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from livekit import rtc

from monitor.call_urls import CallUrl
from monitor.config import Config, JoinConfig
from monitor.livekit_guest import Guest, publishes
from monitor.media import FaceSink
from monitor.source import Room, SourceError, Trouble

ATTEMPT_TIMEOUT_S: Final = 5.0  # of the SDK's own attempts, of which it makes four
CONNECT_TIMEOUT_S: Final = 25.0
GOODBYE_S: Final = 1.5
NAMING_S: Final = 2.0
ATTEND_S: Final = 0.5
SEAT_AGAIN_S: Final = 3.0
MAX_MESSAGE: Final = 200
_STATUS: Final = re.compile(r"error: (\d{3}) ")
_TROUBLES: Final = {
    "401": Trouble.REFUSED,
    "403": Trouble.REFUSED,
    "404": Trouble.NOT_FOUND,
    "429": Trouble.FULL,  # more participants than the room may have
}
_ENDINGS: Final = {
    rtc.DisconnectReason.DUPLICATE_IDENTITY: (
        Trouble.REFUSED,
        "somebody else joined with the identity of our token",
    ),
    rtc.DisconnectReason.PARTICIPANT_REMOVED: (Trouble.REFUSED, "put out of the room"),
    rtc.DisconnectReason.ROOM_DELETED: (Trouble.NOT_FOUND, "the room was closed"),
    rtc.DisconnectReason.ROOM_CLOSED: (Trouble.NOT_FOUND, "the room was closed"),
}
_CHANGES: Final[tuple[rtc.room.EventTypes, ...]] = (
    "participant_connected",
    "participant_disconnected",
    "track_published",
    "track_unpublished",
    "track_subscribed",
    "track_unsubscribed",
)

logger = logging.getLogger(__name__)


class LiveKitSource:
    """A `Source` (monitor.source)."""

    def __init__(
        self, url: CallUrl, config: Config, faces: FaceSink, clock: Callable[[], float]
    ) -> None:
        parts = urlsplit(url.url)
        given = parse_qs(parts.query).get("token", [config.join.livekit_token])[0]
        if not given:
            raise SourceError(
                Trouble.REFUSED, "there is no token: ?token= in the URL, or join.livekit_token"
            )
        place = parts.netloc.rpartition("@")[2]
        self._server = urlunsplit(
            (parts.scheme.removeprefix("livekit+"), place, parts.path, "", "")
        )
        self._token = given
        self._config = config
        self._faces = faces
        self._clock = clock

    async def run(self, room: Room) -> None:
        """See `Source.run`."""
        sdk = rtc.Room()
        visit = _Visit(sdk, room, self._guest)
        try:
            await self._connect(sdk)
            room.entered(await _introduced(sdk.local_participant, self._config.join))
            await visit.follow()
        finally:
            await visit.end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await sdk.disconnect()

    def _guest(self, room: Room, participant: rtc.RemoteParticipant) -> Guest:
        interval_s = self._config.scoring.face_interval_s
        return Guest(room, opaque(participant), participant, self._faces, interval_s, self._clock)

    async def _connect(self, sdk: rtc.Room) -> None:
        options = rtc.RoomOptions(auto_subscribe=False, connect_timeout=ATTEMPT_TIMEOUT_S)
        attempt = asyncio.ensure_future(sdk.connect(self._server, self._token, options))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.shield(attempt)
        except rtc.ConnectError as error:
            raise self._refusal(error) from error
        except TimeoutError as error:
            raise SourceError(Trouble.UNREACHABLE, "no answer in time") from error
        finally:
            # An attempt that is merely cancelled would leave somebody in the room whom nobody owns.
            await asyncio.wait([attempt], timeout=GOODBYE_S)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)

    def _refusal(self, error: rtc.ConnectError) -> SourceError:
        said = error.message.replace(self._token, "***")[:MAX_MESSAGE]
        if status := _STATUS.search(said):
            trouble = _TROUBLES.get(status[1], Trouble.UNREACHABLE)
        elif "certificate" in said or "TLS" in said:
            trouble = Trouble.TLS_FAILED
        elif "WebSocket protocol error" in said:
            trouble = Trouble.PROTOCOL
        else:
            trouble = Trouble.UNREACHABLE
        return SourceError(trouble, said)


class _Visit:
    """One stay in the room. Events only say that something changed; what is there is looked up, so
    that nothing piles up and nothing can be missed."""

    def __init__(
        self,
        sdk: rtc.Room,
        room: Room,
        new_guest: Callable[[Room, rtc.RemoteParticipant], Guest],
    ) -> None:
        self._sdk = sdk
        self._room = room
        self._new_guest = new_guest
        self._guests: dict[str, Guest] = {}
        self._no_seat_s: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._over: SourceError | None = None
        for event in _CHANGES:
            sdk.on(event, lambda *_: self._changed.set())
        sdk.on("disconnected", self._on_disconnected)

    async def follow(self) -> None:
        """Who comes and goes, until it raises."""
        while self._over is None:
            self._changed.clear()
            await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ATTEND_S):
                    await self._changed.wait()
        raise self._over

    async def end(self) -> None:
        """Takes nothing more; the seats stay the room's."""
        for guest in self._guests.values():
            await guest.close()

    async def _look(self) -> None:
        here = {p.identity: p for p in self._sdk.remote_participants.values() if publishes(p)}
        for identity in self._guests.keys() - here.keys():
            await self._guests.pop(identity).leave()
        now_s = asyncio.get_running_loop().time()
        for identity, participant in here.items():
            guest = self._guests.get(identity) or self._met(participant, now_s)
            if guest is not None:
                await guest.attend(participant, now_s)

    def _met(self, participant: rtc.RemoteParticipant, now_s: float) -> Guest | None:
        """None where there is no seat, which is asked for again after a while."""
        identity = participant.identity
        if now_s < self._no_seat_s.get(identity, 0.0):
            return None
        try:
            guest = self._guests[identity] = self._new_guest(self._room, participant)
        except SourceError as error:
            self._no_seat_s[identity] = now_s + SEAT_AGAIN_S
            logger.warning(
                "no media of a participant: %s", error, extra={"participant": opaque(participant)}
            )
            return None
        self._no_seat_s.pop(identity, None)
        return guest

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        name = rtc.DisconnectReason.Name(reason).lower().replace("_", " ")
        trouble, message = _ENDINGS.get(
            reason, (Trouble.LOST, f"the connection to LiveKit broke ({name})")
        )
        self._over = SourceError(trouble, message)
        self._changed.set()


def opaque(participant: rtc.RemoteParticipant) -> str:
    """The same for the same identity, which may be a name or an address of the person's."""
    return hashlib.sha256(participant.identity.encode()).hexdigest()[:16]


async def _introduced(local: rtc.LocalParticipant, config: JoinConfig) -> str:
    """Shows our name; returns what the owner should know of how the monitor is seen. Raises
    SourceError if it would be there unseen without being told to, or is not let to see anybody."""
    permissions = local.permissions
    if permissions.hidden and not config.hidden:
        raise SourceError(Trouble.REFUSED, "the token hides us, which join.hidden does not allow")
    if not permissions.can_subscribe:
        raise SourceError(Trouble.REFUSED, "the token does not let us see anybody (canSubscribe)")
    if local.name == config.display_name or permissions.hidden:
        return ""
    if permissions.can_update_metadata:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NAMING_S):
                await local.set_name(config.display_name)
                return ""
    return f"seen as {local.name or local.identity!r}, which is the name in the token"
