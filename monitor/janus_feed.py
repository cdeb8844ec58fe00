"""The subscription to one publisher in a VideoRoom."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Final

from monitor.intakes import Unheard, Watched
from monitor.janus import Handle, JanusSession, Message
from monitor.layers import Layers, Wish
from monitor.problems import Problem
from monitor.sdp import TAKEN_CODECS, accept_offer
from monitor.source import Room, SourceError

RETRY_S: Final = 3.0
ATTEND_S: Final = 0.5
MAX_CANDIDATES: Final = 64

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who sends, and what: `mids` of one audio and one video stream at most that we can take; empty
    where we are not told, as in a list of participants: then all are taken. `untaken`: what they
    send of which we can take nothing, by kind, and the codec of it."""

    id: str
    feed: int | str
    name: str
    mids: tuple[str, ...]
    audible: bool
    dummy: bool
    untaken: dict[str, str]

    @staticmethod
    def of(entry: Message) -> "Publisher":
        """From Janus' own words; multistream Janus (1.0 and later) lists the streams."""
        chosen: dict[str, str] = {}
        sent: dict[str, str] = {}
        for stream in entry.get("streams", []):
            kind, codec = stream.get("type"), str(stream.get("codec", "")).lower()
            taken = {name.lower() for name in TAKEN_CODECS.get(kind, ())}
            if not taken or stream.get("disabled"):
                continue
            sent.setdefault(kind, codec)
            if codec in taken:
                chosen.setdefault(kind, str(stream["mid"]))
        return Publisher(
            id=str(entry["id"]),
            feed=entry["id"],
            name=str(entry.get("display", "")),
            mids=tuple(chosen.values()),
            audible="audio" in chosen or "streams" not in entry,
            dummy=bool(entry.get("dummy")),
            untaken={kind: codec for kind, codec in sent.items() if kind not in chosen},
        )


class Feed:
    """Keeps a subscription alive as long as its publisher is there."""

    def __init__(
        self, session: JanusSession, room_request: Message, publisher: Publisher, room: Room
    ) -> None:
        self._session = session
        self._room_request = room_request
        self._publisher = publisher
        self._room = room
        self._handle: Handle | None = None
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Subscribes, in a task of its own: no publisher waits for another."""
        self._task = asyncio.create_task(self._keep(), name=f"janus feed {self._publisher.id}")

    async def close(self) -> None:
        """Ends the subscription; the seat stays the room's."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            try:
                video = await self._subscribe()
                await self._attend(video)
            except (SourceError, Problem) as error:
                logger.warning(
                    "no media of a participant: %s", error, extra={"feed": self._publisher.id}
                )
                with contextlib.suppress(SourceError):
                    self._room.seat(self._publisher.id, self._publisher.name)
                    self._room.follow(self._publisher.id, Unheard())
            finally:
                if self._handle is not None:
                    await self._handle.detach()
                    self._handle = None
            await asyncio.sleep(RETRY_S)

    async def _subscribe(self) -> str:
        """The `mid` of the video in the subscription; empty where there is none."""
        publisher = self._publisher
        self._ended.clear()
        self._say_what_is_untaken()
        if not publisher.audible:
            self._room.follow(publisher.id, Unheard())
            return ""
        handle = self._handle = await self._session.attach()
        handle.on_event = self._on_event
        attached, jsep = await handle.ask(
            {
                "request": "join",
                "ptype": "subscriber",
                "streams": [
                    {"feed": publisher.feed, **_layers(Wish())} | ({"mid": mid} if mid else {})
                    for mid in publisher.mids or ("",)
                ],
                **self._room_request,
            }
        )
        receiver = self._room.receiver(publisher.id, publisher.name, may_be_silent=True)
        offer = accept_offer(str(jsep.get("sdp", "")).encode(), MAX_CANDIDATES)
        answer = await receiver.answer(offer)
        intake = Watched(receiver)
        intake.ended.add_done_callback(lambda _: self._ended.set())
        self._room.follow(publisher.id, intake)
        await handle.ask({"request": "start"}, {"type": "answer", "sdp": answer})
        streams = attached.get("streams", [])
        return next((str(s["mid"]) for s in streams if s.get("type") == "video"), "")

    def _say_what_is_untaken(self) -> None:
        """Takes a seat."""
        untaken = self._publisher.untaken
        session = self._room.seat(self._publisher.id, self._publisher.name)
        session.buffer.untaken = frozenset(untaken)
        for kind, codec in untaken.items():
            logger.warning(
                "a participant sends %s as %s, which is not taken",
                kind,
                codec[:16],
                extra={"feed": self._publisher.id},
            )

    async def _attend(self, video: str) -> None:
        """Asks for as much video as is needed, until the subscription ends."""
        clock = asyncio.get_running_loop().time
        layers, before = Layers(clock()), None
        session = self._room.seat(self._publisher.id, self._publisher.name)
        while not self._ended.is_set():
            wish = layers.wish(session, clock())
            if video and self._handle is not None and wish != before:
                await self._handle.ask({"request": "configure", "streams": [_asked(video, wish)]})
                before = wish
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ATTEND_S):
                    await self._ended.wait()

    def _on_event(self, message: Message) -> None:
        if message.get("janus") in ("hangup", "detached") or "jsep" in message:
            self._ended.set()


def _asked(mid: str, wish: Wish) -> Message:
    return {"mid": mid, "send": wish.video, **_layers(wish)}


def _layers(wish: Wish) -> Message:
    """Temporal ones: 0 is a quarter of the frames, 2 all of them."""
    return {"substream": wish.layer, "temporal": 2 if wish.every_frame else 0}
