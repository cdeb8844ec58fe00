"""Every frame of one participant for a while: mouths in motion, and a closer look at a suspect."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext

from monitor.frame_sequence import Frame
from monitor.keyframe_decoder import DecoderPool, open_decoder, to_rgb
from vfd.types import Rgb

MAX_WAITING: Final = 30  # a second of frames: who cannot keep up begins anew at a keyframe

logger = logging.getLogger(__name__)


class Burst:
    """Decodes one participant's frames in order, with a decoder of its own that is opened anew at
    every keyframe. `on_picture(time_s, rgb)` gets every one of them, on the event loop."""

    def __init__(self, pool: DecoderPool, on_picture: Callable[[float, Rgb], None]) -> None:
        self._pool = pool
        self._on_picture = on_picture
        self._waiting: deque[tuple[Frame, float]] = deque()
        self._running = False
        self._decoder: VideoCodecContext | None = None

    def push(self, frame: Frame, time_s: float) -> bool:
        """The next frame, seen at `time_s`. False if it was one too many or could not be decoded:
        nothing will come of those after it until a keyframe."""
        if frame.key:
            self._waiting.clear()  # what waits is older, and the keyframe does not need it
        elif self._decoder is None and not self._waiting and not self._running:
            return False
        elif len(self._waiting) >= MAX_WAITING:
            self._waiting.clear()
            self._decoder = None
            return False
        self._waiting.append((frame, time_s))
        self._run()
        return True

    def _run(self) -> None:
        if self._running or not self._waiting:
            return
        frame, time_s = self._waiting.popleft()
        if frame.key:
            self._decoder = open_decoder(frame.codec)
        if self._decoder is None:
            self._waiting.clear()
            return
        self._running = True
        job = partial(_decode, self._decoder, frame)
        self._pool.run(job, partial(self._done, self._decoder, time_s))

    def _done(self, decoder: VideoCodecContext, time_s: float, rgb: Rgb | None) -> None:
        self._running = False
        if rgb is not None:
            self._on_picture(time_s, rgb)
        elif decoder is self._decoder:
            self._decoder = None
        self._run()


def _decode(decoder: VideoCodecContext, frame: Frame) -> Rgb | None:
    """One picture; None where there is none or a doubtful one. On a thread of the pool."""
    try:
        frames = decoder.decode(av.Packet(frame.data))
    except av.FFmpegError as error:
        logger.info("frame refused", extra={"error": str(error)})
        return None
    if len(frames) != 1 or frames[0].is_corrupt:
        return None
    return to_rgb(frames[0])
