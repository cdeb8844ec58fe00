"""A VideoRoom of Janus: we join as a participant who publishes nothing, so that everybody sees us,
and subscribe to everybody who publishes, one connection each.

https://janus.conf.meetecho.com/docs/videoroom.html
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from monitor.call_urls import CallUrl
from monitor.config import JoinConfig
from monitor.janus import Handle, JanusSession, Message, janus_session
from monitor.janus_feed import Feed, Publisher
from monitor.source import Room, SourceError, Trouble

POLL_S: Final = 1.0  # in the hidden mode, in which nobody tells us who comes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RoomAddress:
    """`number`: an int, or text where the server uses such names."""

    url: str
    number: int | str
    pin: str
    credentials: dict[str, str]

    @property
    def request(self) -> dict[str, Any]:
        """What every request about the room carries."""
        return {"room": self.number} | ({"pin": self.pin} if self.pin else {})


def room_address(url: CallUrl) -> RoomAddress:
    """Takes `janus+wss://HOST[:PORT][/PATH]/ROOM?pin=&apisecret=&token=` apart."""
    parts = urlsplit(url.url)
    path, _, number = parts.path.rpartition("/")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return RoomAddress(
        url=f"{parts.scheme.removeprefix('janus+')}://{parts.netloc}{path or '/'}",
        number=int(number) if number.isdecimal() else number,
        pin=query.get("pin", ""),
        credentials={name: query[name] for name in ("apisecret", "token") if name in query},
    )


class JanusSource:
    """A `Source` (monitor.source)."""

    def __init__(self, url: CallUrl, config: JoinConfig) -> None:
        self._address = room_address(url)
        self._config = config

    async def run(self, room: Room) -> None:
        """See `Source.run`."""
        async with janus_session(self._address.url, self._address.credentials) as session:
            visit = _Visit(session, self._address, room)
            try:
                if self._config.hidden:
                    await visit.look_from_outside()
                else:
                    await visit.take_part(self._config.display_name)
            finally:
                await visit.end()


class _Visit:
    """One stay in the room. Events come one at a time; what they ask for is done in order."""

    def __init__(self, session: JanusSession, address: RoomAddress, room: Room) -> None:
        self._session = session
        self._address = address
        self._room = room
        self._feeds: dict[str, Feed] = {}
        self._events: asyncio.Queue[Message] = asyncio.Queue()

    async def take_part(self, display_name: str) -> None:
        """Joins under `display_name`, and follows who comes and goes, until it raises."""
        handle = await self._session.attach()
        handle.on_event = self._events.put_nowait
        joined, _ = await handle.ask(
            {
                "request": "join",
                "ptype": "publisher",
                "display": display_name,
                **self._address.request,
            }
        )
        self._room.entered()
        await self._meet(joined.get("publishers", []))
        while True:
            await self._on_event(await self._events.get())

    async def look_from_outside(self) -> None:
        """Asks every POLL_S who is there, without being there; until it raises."""
        handle = await self._session.attach()
        await self._find(handle)
        self._room.entered()
        while True:
            await asyncio.sleep(POLL_S)
            await self._find(handle)

    async def end(self) -> None:
        """Ends what watches over the feeds; their connections are the room's."""
        for feed in self._feeds.values():
            await feed.close()

    async def _find(self, handle: Handle) -> None:
        request = {"request": "listparticipants", **self._address.request}
        found, _ = await handle.ask(request)
        there = [p for p in found.get("participants", []) if p.get("publisher")]
        for gone in self._feeds.keys() - {str(p["id"]) for p in there}:
            await self._part(gone)
        await self._meet([p for p in there if str(p["id"]) not in self._feeds])

    async def _on_event(self, message: Message) -> None:
        data = message.get("plugindata", {}).get("data", {})
        if "publishers" in data:
            await self._meet(data["publishers"])
        for word in ("leaving", "unpublished", "kicked"):
            if word in data and data[word] != "ok":
                await self._part(str(data[word]))
        if data.get("leaving") == "ok":
            raise SourceError(Trouble.REFUSED, f"put out of the room ({data.get('reason', '')})")
        if data.get("videoroom") == "destroyed":
            raise SourceError(Trouble.NOT_FOUND, "the room was closed")
        if message.get("janus") in ("detached", "hangup"):
            ended = SourceError(Trouble.LOST, "Janus ended our place in the room")
            raise self._session.broken or ended

    async def _meet(self, publishers: list[Message]) -> None:
        """Those whom we know already have changed what they send."""
        for entry in publishers:
            publisher = Publisher.of(entry)
            if publisher.dummy:
                continue
            await self._part(publisher.id, for_good=False)
            feed = Feed(self._session, self._address.request, publisher, self._room)
            self._feeds[publisher.id] = feed
            feed.start()

    async def _part(self, feed_id: str, *, for_good: bool = True) -> None:
        feed = self._feeds.pop(feed_id, None)
        if feed is not None:
            await feed.close()
            if for_good:
                await self._room.leave(feed_id)
