"""A stream that FFmpeg reads (RTMP, RTSP, HLS, MPEG-TS over UDP, plain RTP by an SDP file) or a
recorded file, as a call of those whom it shows."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from monitor.call_urls import CallUrl
from monitor.cast import Cast
from monitor.config import Config
from monitor.file_source import FileSource
from monitor.live_edge import CONTINUOUS, SEGMENTED, LiveEdge, OwnPace, Pace
from monitor.media import FaceSink
from monitor.media_open import MediaError
from monitor.read_ahead import OPEN_PATIENCE_S, ReadAhead
from monitor.source import Room, SourceError, Trouble
from monitor.stream_player import StreamPlayer
from monitor.stream_probe import probed, source_error
from monitor.stream_seats import StreamSeats

PARTING_S: Final = 1.5  # for the reading thread; FFmpeg may hold it for READ_TIMEOUT_S
LOOK_AGAIN_S: Final = 10.0
"""After that long a stream without sound or video is opened once more; then after twice as long."""
MAX_DOUBLINGS: Final = 5
SEGMENTED_FORMATS: Final = frozenset({"hls", "dash"})

logger = logging.getLogger(__name__)


class StreamSource:
    """A `Source` (monitor.source)."""

    def __init__(
        self, url: CallUrl, config: Config, faces: FaceSink, clock: Callable[[], float]
    ) -> None:
        self._url = url
        self._config = config
        self._faces = faces
        self._clock = clock

    async def run(self, room: Room) -> None:
        """See `Source.run`."""
        join = self._config.join
        location = await probed(self._url, private_redirects=join.allow_private_targets)
        reading = await self._opened(location)
        seats = StreamSeats(room)
        cast = Cast(seats, self._faces, join.faces)
        try:
            seats.player = player = self._player(reading, cast)
            cast.begin()
            while (better := await self._played(room, player, reading, location)) is not None:
                await reading.reader.end()
                reading = better
                seats.player = player = self._player(reading, cast)
            raise self._ending(player, reading.source)
        finally:
            cast.end()
            await reading.reader.end()

    def _player(self, reading: "_Reading", cast: Cast) -> StreamPlayer:
        return StreamPlayer(reading.reader, cast, _pace(reading.source), self._clock)

    async def _played(
        self, room: Room, player: StreamPlayer, reading: "_Reading", location: str
    ) -> "_Reading | None":
        """Lets everybody have it until it is over, or can be had with sound and video at last."""
        note = "; ".join(reading.source.remarks)
        if note:
            logger.warning("a stream: %s", note, extra={"url": self._url.shown})
        room.entered(note)
        task = asyncio.create_task(player.run(), name="stream player")
        try:
            looks = 0
            while not await _ended(player, reading.source, LOOK_AGAIN_S * 2**looks):
                looks = min(looks + 1, MAX_DOUBLINGS)
                if (better := await self._completed(location)) is not None:
                    return better
            return None
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _opened(self, location: str) -> "_Reading":
        """Open and being read. Raises SourceError."""
        reader = _Reader(location, self._config.receiver.keyframe_interval_s, self._clock)
        try:
            return _Reading(reader, await reader.opening(self._url))
        except BaseException:
            await reader.end()
            raise

    async def _completed(self, location: str) -> "_Reading | None":
        """The stream once more, if now it has both sound and video: FFmpeg does not see tracks that
        begin after it has opened it."""
        try:
            reading = await self._opened(location)
        except SourceError:
            return None
        if reading.source.complete:
            return reading
        await reading.reader.end()
        return None

    def _ending(self, player: StreamPlayer, source: FileSource) -> SourceError:
        shown = self._url.shown
        if player.broke_off:
            return SourceError(Trouble.LOST, f"{shown}: {player.broke_off}")
        if source.live and source.format not in SEGMENTED_FORMATS:
            return SourceError(Trouble.LOST, f"{shown}: the sender stopped")
        return SourceError(Trouble.ENDED, f"{shown}: the stream is over")


class _Reader(ReadAhead):
    """Tells an event loop of its changes."""

    def __init__(self, location: str, interval_s: float, clock: Callable[[], float]) -> None:
        super().__init__(location, interval_s, followed=True, on_change=self._changed, clock=clock)
        self._loop = asyncio.get_running_loop()
        self._change = asyncio.Event()

    async def opening(self, url: CallUrl) -> FileSource:
        """Starts, and waits until the media is open. Raises SourceError."""
        self.start()
        try:
            async with asyncio.timeout(OPEN_PATIENCE_S):
                await self._until(self.opened)
        except TimeoutError as error:
            raise SourceError(Trouble.UNREACHABLE, f"{url.shown}: no answer in time") from error
        if self.source is None:
            failure = self.failure()
            if isinstance(failure, MediaError):
                raise source_error(failure, url) from failure
            raise failure
        return self.source

    async def end(self) -> None:
        """Stops, and waits as long as one can wait for the thread; idempotent."""
        self.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING_S):
                await self._until(self.done)

    async def _until(self, event: threading.Event) -> None:
        while not event.is_set():
            self._change.clear()
            await self._change.wait()

    def _changed(self) -> None:
        with suppress(RuntimeError):  # the loop is gone, and nobody waits
            self._loop.call_soon_threadsafe(self._change.set)


class _Reading(NamedTuple):
    reader: _Reader
    source: FileSource


async def _ended(player: StreamPlayer, source: FileSource, patience_s: float) -> bool:
    """Waits for the end, but no longer than `patience_s` if something may still join in."""
    may_grow = source.live and not source.complete
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s if may_grow else None):
            await player.ended.wait()
    return player.ended.is_set()


def _pace(source: FileSource) -> Pace:
    if not source.live:
        return OwnPace()
    segmented = source.format in SEGMENTED_FORMATS
    return LiveEdge(SEGMENTED if segmented else CONTINUOUS, in_bursts=segmented)
