"""Decodes keyframes off the event loop, each with a decoder of its own.

A decoder that has seen another picture may show it again. Opening one costs 0.2 ms beside the 2 to
5 ms of the keyframe, and nothing of one participant can reach another's result.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import av
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from monitor.keyframe_assembly import Keyframe, VideoCodec
from monitor.keyframe_requests import KeyframeTally
from monitor.vp8 import vp8_keyframe_size
from vfd.types import Rgb

MAX_SIDE_PX: Final = 1_280
"""Longer sides are shrunk: faces are looked for at 640, crops are cut from the whole picture, and
beyond 720p they only cost more."""
MAX_PIXELS: Final = 4_096 * 4_096  # a hostile header must not claim gigabytes
MAX_PENDING: Final = 64  # keyframes that wait, some 40 kB each; beyond that they are dropped
THREADS: Final = 1

FFMPEG_NAMES: Final[dict[VideoCodec, str]] = {"VP8": "vp8", "H264": "h264"}

logger = logging.getLogger(__name__)


class DecoderPool:
    """A few threads and a bounded line in front of them; what does not fit into it is counted in
    `tally`. Belongs to the event loop."""

    def __init__(self, tally: KeyframeTally, threads: int = THREADS) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="video decoder")
        self._pending = 0
        self._tally = tally

    def decode(self, keyframe: Keyframe, on_picture: Callable[[Rgb | None], None]) -> None:
        """Calls `on_picture` on the event loop, with None if nothing sound came out of it, or the
        line is full."""
        self.run(partial(decode_keyframe, keyframe), on_picture)

    def run(self, job: Callable[[], Rgb | None], on_picture: Callable[[Rgb | None], None]) -> None:
        """As `decode`, for any job that makes a picture and does not raise."""
        loop = asyncio.get_running_loop()
        if self._pending >= MAX_PENDING:
            self._tally.dropped += 1
            loop.call_soon(on_picture, None)
            return
        self._pending += 1
        future = loop.run_in_executor(self._executor, job)
        future.add_done_callback(partial(self._done, on_picture))

    def close(self) -> None:
        """Waits for the keyframes that are being decoded; those that wait are dropped."""
        self._executor.shutdown(cancel_futures=True)

    def _done(
        self, on_picture: Callable[[Rgb | None], None], future: asyncio.Future[Rgb | None]
    ) -> None:
        self._pending -= 1
        if future.cancelled():
            return
        if error := future.exception():
            logger.error("a decoder failed", exc_info=error)
        on_picture(None if future.exception() else future.result())


def decode_keyframe(keyframe: Keyframe) -> Rgb | None:
    """The picture, (height, width, 3) uint8, of sides up to MAX_SIDE_PX; None for data that a
    decoder refuses or doubts. Any thread."""
    stated = vp8_keyframe_size(keyframe.data) if keyframe.codec == "VP8" else None
    if stated is not None and stated[0] * stated[1] > MAX_PIXELS:
        return None
    decoder = open_decoder(keyframe.codec)
    try:
        frames = decoder.decode(av.Packet(keyframe.data)) or decoder.decode(None)
    except av.FFmpegError as error:
        logger.info("keyframe refused", extra={"error": str(error)})
        return None
    if len(frames) != 1 or frames[0].is_corrupt:
        return None
    if stated is not None and stated != (frames[0].width, frames[0].height):
        return None
    return to_rgb(frames[0])


def open_decoder(codec: VideoCodec) -> VideoCodecContext:
    """A decoder that hands out every picture at once, in the calling thread."""
    decoder = av.CodecContext.create(FFMPEG_NAMES[codec], "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    decoder.flags |= Flags.low_delay
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    return decoder


def to_rgb(frame: VideoFrame) -> Rgb:
    """(height, width, 3) uint8, shrunk to MAX_SIDE_PX where a side is longer."""
    shrink = min(1.0, MAX_SIDE_PX / max(frame.width, frame.height))
    rgb = frame.to_ndarray(
        format="rgb24",
        width=max(1, round(frame.width * shrink)),
        height=max(1, round(frame.height * shrink)),
    )
    return np.ascontiguousarray(rgb, dtype=np.uint8)
