"""One stream on its way from the thread that reads it to whoever is seen and heard in it."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from monitor.live_edge import Pace
from monitor.media_tracks import Picture, Sound
from monitor.read_ahead import ReadAhead
from vfd.types import SAMPLE_RATE_HZ, Audio

STEP_S: Final = 0.05  # how late what is due may be; a window waits 0.15 s for it
OVERLAP_S: Final = 0.01  # less than any frame of sound
SOUND_PATIENCE_S: Final = 1.0
"""How long a picture waits for the sound of its moment. Where a segment comes late, what follows is
played later: a picture that was given away before would lie earlier than its own sound."""
MAX_HELD: Final = 4_096  # items of each kind; twenty seconds of sound are a thousand
MAX_CONVERTED: Final = 64  # pictures; five seconds, and 100 MB at the most

logger = logging.getLogger(__name__)


class StreamSink(Protocol):
    """Where the sound and the pictures of one stream go when they are due. Event loop only; times
    on the monitor's clock."""

    def sound(self, time_s: float, samples: Audio) -> None:
        """`samples` float32 in [-1, 1], 16 kHz; the first belongs to `time_s`."""
        ...

    def picture(self, picture: Picture) -> None:
        """Its time is on the monitor's clock too."""
        ...

    @property
    def closely(self) -> bool:
        """Whether pictures in which mouths are watched are wanted."""
        ...


class StreamPlayer:
    """Plays what `reader` reads, open already, into `sink` at its `pace`; what can be heard of it.
    Belongs to the event loop; `run` it."""

    def __init__(
        self, reader: ReadAhead, sink: StreamSink, pace: Pace, clock: Callable[[], float]
    ) -> None:
        self._reader = reader
        self._sink = sink
        self._pace = pace
        self._clock = clock
        self._sounds: deque[Sound] = deque(maxlen=MAX_HELD)
        self._pictures: deque[Picture] = deque(maxlen=MAX_HELD)
        self._converted = 0  # pictures that are held, of those in which mouths are watched
        self._heard = False
        self._newest_s = 0.0  # media time
        self._played_s = -1.0  # up to where sound was given away, on the clock
        self._sounded_s = -math.inf  # the same in media time, with what was left out
        self._offset_s = math.inf  # by which the last were played
        self._skipped_to_s = -math.inf  # on the clock
        self._error: Exception | None = None
        self.ended = asyncio.Event()
        """Set when there will be no more."""

    @property
    def latency_s(self) -> float | None:
        """See `Delayed`."""
        return self._pace.latency_s

    @property
    def skipped_s(self) -> float:
        """See `Delayed`."""
        return self._pace.skipped_s

    async def run(self) -> str:
        """Until there is no more; returns why, for the log."""
        try:
            while not self._over:
                self._play()
                await asyncio.sleep(STEP_S)
        finally:
            self.ended.set()
        return self.broke_off or "the stream is over"

    @property
    def broke_off(self) -> str:
        """Why there is no more of it, though it is not over."""
        if self._error is None:
            return self._reader.broke_off
        return f"reading failed: {self._error}"

    def hear(self, end_s: float) -> None:
        """See `Hearable.hear`."""
        self._play()

    @property
    def _over(self) -> bool:
        done = self._reader.over or self._error is not None
        return done and not self._sounds and not self._pictures

    def _play(self) -> None:
        now_s = self._clock()
        self._fetch(now_s)
        offset_s = self._pace.offset_s
        if offset_s is None:
            return
        if offset_s < self._offset_s:
            self._skipped_to_s = self._played_s
        self._offset_s = offset_s
        while self._sounds and self._sounds[0].time_s + offset_s <= now_s:
            sound = self._sounds.popleft()
            self._sounded_s = sound.time_s + len(sound.samples) / SAMPLE_RATE_HZ
            self._give(sound, sound.time_s + offset_s)
        while self._pictures and self._is_due(self._pictures[0], now_s - offset_s):
            picture = self._pictures.popleft()
            self._converted -= picture.lips is not None
            # Where it would lie, other sound was heard, if the stream has skipped since.
            if picture.time_s + offset_s >= self._skipped_to_s:
                self._sink.picture(replace(picture, time_s=picture.time_s + offset_s))

    def _is_due(self, picture: Picture, media_s: float) -> bool:
        """Whether at `media_s` it is time for it, and its sound has come where there is any."""
        waits = self._heard and not self._reader.over and picture.time_s > self._sounded_s
        return picture.time_s <= media_s - (SOUND_PATIENCE_S if waits else 0.0)

    def _fetch(self, now_s: float) -> None:
        """Takes what was read, but holds no more of what is not due yet than the pace allows."""
        while not self._reader.over and self._error is None and self._converted < MAX_CONVERTED:
            if self._newest_s + (self._pace.offset_s or 0.0) > now_s + self._pace.ahead_s:
                return
            try:
                stamped = self._reader.take()
            except Exception as error:  # whatever ended the reading thread
                logger.warning("reading a stream failed", exc_info=error)
                self._error = error
                return
            if stamped is None:
                return
            self._hold(*stamped)

    def _hold(self, read_s: float, item: Sound | Picture) -> None:
        """Sound is what a stream goes by, as soon as there is any."""
        sound = isinstance(item, Sound)
        self._heard = self._heard or sound
        kept = self._pace.read(item.time_s, read_s, leads=sound or not self._heard)
        if self._reader.source is not None:
            self._reader.source.hurried = self._pace.behind
            self._reader.source.closely = self._sink.closely
        if not kept:
            return
        self._newest_s = item.time_s
        if isinstance(item, Sound):
            self._sounds.append(item)
        else:
            self._converted += item.lips is not None
            self._pictures.append(item)

    def _give(self, sound: Sound, time_s: float) -> None:
        """Sound that would lie over what was heard already is left out: the stream skipped."""
        if time_s < self._played_s - OVERLAP_S:
            return
        self._played_s = time_s + len(sound.samples) / SAMPLE_RATE_HZ
        self._sink.sound(time_s, sound.samples)
