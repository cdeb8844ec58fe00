"""What the SDK of LiveKit hands over of one participant: sound and pictures, both decoded already.

What was lost on the way it conceals and does not tell: such sound counts as received.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

import numpy as np
from livekit import rtc

from monitor.media import FaceSink, Hearable
from monitor.media_clock import ArrivalClock
from monitor.sessions import Session
from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

HELD_SOUNDS: Final = 100  # of 10 ms: a stalled event loop loses what is older than a second
HELD_PICTURES: Final = 1  # only the newest is of use
FULL_SCALE: Final = np.float32(32_768.0)
QUARTERS: Final[dict[int, int]] = {
    rtc.VideoRotation.VIDEO_ROTATION_0: 0,
    rtc.VideoRotation.VIDEO_ROTATION_90: 1,
    rtc.VideoRotation.VIDEO_ROTATION_180: 2,
    rtc.VideoRotation.VIDEO_ROTATION_270: 3,
}
"""By how many right angles, clockwise, a picture must be turned to stand upright."""

logger = logging.getLogger(__name__)


class LiveKitMedia:
    """Takes the tracks of one participant. The SDK's queues are bounded and always drained; of the
    pictures at most one is converted every `face_interval_s`, off the event loop. An `Intake`."""

    def __init__(
        self,
        session: Session,
        faces: FaceSink,
        face_interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._faces = faces
        self._face_interval_s = face_interval_s
        self._clock = clock
        self._sound = _Playing(self._listen)
        self._pictures = _Playing(self._watch)

    @property
    def media(self) -> Hearable:
        return self

    def hear(self, end_s: float) -> None:
        """Nothing to do: sound is written as it comes."""

    async def play(self, sound: rtc.Track | None, pictures: rtc.Track | None) -> None:
        """Takes these from now on, and no others; to be called whenever they may have changed."""
        await self._sound.switch(sound)
        await self._pictures.switch(pictures)

    async def run(self) -> str:
        """See `Intake.run`: until cancelled, since the room says who leaves."""
        await asyncio.Event().wait()
        return ""

    async def close(self) -> None:
        """See `Intake.close`."""
        await self.play(None, None)

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream.from_track(
            track=track, capacity=HELD_SOUNDS, sample_rate=SAMPLE_RATE_HZ, num_channels=1
        )
        clock, heard = ArrivalClock(), 0  # frames tell no time: they are counted
        try:
            async for event in stream:
                samples = _to_audio(event.frame)
                end_s = (heard + len(samples)) / SAMPLE_RATE_HZ
                offset_s = clock.offset_s(end_s, self._clock())
                # Whole samples, or rounding might tear neighbours apart.
                start = heard + round(offset_s * SAMPLE_RATE_HZ)
                self._session.buffer.write_audio(start / SAMPLE_RATE_HZ, samples)
                heard += len(samples)
        finally:
            await stream.aclose()

    async def _watch(self, track: rtc.Track) -> None:
        stream = rtc.VideoStream.from_track(track=track, capacity=HELD_PICTURES)
        due_s = self._clock()
        try:
            async for event in stream:
                now_s = self._clock()
                self._session.buffer.note_video(now_s)
                if now_s >= due_s:
                    due_s = now_s + self._face_interval_s
                    rgb = await asyncio.to_thread(to_rgb, event)
                    self._faces.submit(self._session, now_s, rgb)
        finally:
            await stream.aclose()


class _Playing:
    """Does `take` with one track at a time, in a task of its own."""

    def __init__(self, take: Callable[[rtc.Track], Coroutine[Any, Any, None]]) -> None:
        self._take = take
        self._track: rtc.Track | None = None
        self._task: asyncio.Task[None] | None = None

    async def switch(self, track: rtc.Track | None) -> None:
        """To another track, or to none."""
        if track is self._track:
            return
        self._track = track
        if self._task is not None:
            # A stream of the SDK's does not end by itself when its track does.
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if track is not None:
            self._task = asyncio.create_task(self._run(track), name=f"livekit track {track.sid}")

    async def _run(self, track: rtc.Track) -> None:
        try:
            await self._take(track)
        except Exception:
            logger.exception("a track failed", extra={"track": track.sid})


def to_rgb(event: rtc.VideoFrameEvent) -> Rgb:
    """The picture, upright: (height, width, 3) uint8."""
    frame = event.frame.convert(rtc.VideoBufferType.RGB24)
    rgb = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
    return np.ascontiguousarray(np.rot90(rgb, -QUARTERS[cast(int, event.rotation)]))


def _to_audio(frame: rtc.AudioFrame) -> Audio:
    return np.frombuffer(frame.data, np.int16).astype(np.float32) / FULL_SCALE
