"""A stream that FFmpeg reads (RTMP, RTSP, HLS, MPEG-TS over UDP, plain RTP by an SDP file) or a
recorded file, as a call with one participant."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from monitor.call_urls import CallUrl
from monitor.config import Config
from monitor.file_source import FileSource
from monitor.live_edge import CONTINUOUS, SEGMENTED, LiveEdge, OwnPace, Pace
from monitor.media import FaceSink
from monitor.media_open import MediaError
from monitor.read_ahead import OPEN_PATIENCE_S, ReadAhead
from monitor.source import Room, SourceError, Trouble
from monitor.stream_player import OnePerson, StreamPlayer
from monitor.stream_probe import probed, source_error

PARTICIPANT: Final = "stream"
PARTING_S: Final = 1.5  # for the reading thread; FFmpeg may hold it for READ_TIMEOUT_S
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
        private = self._config.join.allow_private_targets
        location = await probed(self._url, private_redirects=private)
        async with _reading(self._reader(location), self._url) as (reader, source):
            note = "; ".join(source.remarks)
            if note:
                logger.warning("a stream: %s", note, extra={"url": self._url.shown})
            session = room.seat(PARTICIPANT)
            sink = OnePerson(session, self._faces)
            player = StreamPlayer(reader, sink, _pace(source), self._clock)
            room.entered(note)
            room.follow(PARTICIPANT, player)
            await player.ended.wait()
            raise self._ending(player, source)

    def _reader(self, location: str) -> "_Reader":
        return _Reader(location, self._config.receiver.keyframe_interval_s, self._clock)

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

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Until it holds; it is looked at when something changes."""
        while not condition():
            self._change.clear()
            await self._change.wait()

    def _changed(self) -> None:
        with suppress(RuntimeError):  # the loop is gone, and nobody waits
            self._loop.call_soon_threadsafe(self._change.set)


def _pace(source: FileSource) -> Pace:
    if not source.live:
        return OwnPace()
    segmented = source.format in SEGMENTED_FORMATS
    return LiveEdge(SEGMENTED if segmented else CONTINUOUS, in_bursts=segmented)


@asynccontextmanager
async def _reading(reader: _Reader, url: CallUrl) -> AsyncIterator[tuple[_Reader, FileSource]]:
    """Open and being read until the block ends. Raises SourceError."""
    reader.start()
    try:
        try:
            async with asyncio.timeout(OPEN_PATIENCE_S):
                await reader.wait(reader.opened.is_set)
        except TimeoutError as error:
            raise SourceError(Trouble.UNREACHABLE, f"{url.shown}: no answer in time") from error
        if reader.source is None:
            failure = reader.failure()
            if isinstance(failure, MediaError):
                raise source_error(failure, url) from failure
            raise failure
        yield reader, reader.source
    finally:
        reader.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING_S):
                await reader.wait(reader.done.is_set)
