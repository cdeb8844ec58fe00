"""Of a live video only as much is decoded as faces are wanted.

Thirty pictures a second cost a core for ten streams. Where keyframes come often enough they are all
that is decoded; elsewhere every picture must be, because each rests on the one before.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

OFTEN_ENOUGH: Final = 2.0  # times the interval at which pictures are wanted
PATIENCE_S: Final = 12.0  # without a keyframe: some encoders never send one, and refresh in strips
MAX_PIXELS: Final = 4_096 * 4_096  # a hostile header must not claim gigabytes


class KeyframeGate:
    """Decodes what is worth it of one track. Raises what FFmpeg raises."""

    def __init__(self, video: VideoStream | None, picture_interval_s: float) -> None:
        self._interval_s = picture_interval_s
        self._keyframe_s: float | None = None
        self._waiting_since_s: float | None = None
        self._decoded_s = -math.inf
        self.keyframes_only = False
        """Whether they come often enough, by the last two that came."""
        self._whole = False  # whether everything since the last keyframe was decoded
        if video is not None:
            context = video.codec_context
            context.thread_count = 1
            context.options = {"max_pixels": str(MAX_PIXELS)}

    def decode(
        self, packet: "Packet[Any]", hurried: bool, closely: bool = False
    ) -> Sequence[VideoFrame] | None:
        """The pictures that come out of `packet`; None: it is not worth decoding, or, where
        `hurried`, there is no time for it. `closely`: from the next keyframe on all are wanted."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or packet.time_base is None:  # the end of the track
            return _frames(packet) if self._whole else []
        time_s = float(stamp * packet.time_base)
        if packet.is_keyframe:
            self._on_keyframe(time_s)
        self._whole = not hurried and self._goes_on(packet.is_keyframe, time_s, closely)
        if self._whole:
            return _frames(packet)
        if hurried or not packet.is_keyframe or time_s - self._decoded_s < self._interval_s / 2:
            return None
        self._decoded_s = time_s
        return _alone(packet)

    def _on_keyframe(self, time_s: float) -> None:
        gap_s = None if self._keyframe_s is None else time_s - self._keyframe_s
        self.keyframes_only = gap_s is not None and 0 < gap_s <= self._enough_s
        self._keyframe_s = self._waiting_since_s = time_s

    def _goes_on(self, keyframe: bool, time_s: float, closely: bool) -> bool:
        """Whether the run of pictures that are all decoded begins here, or continues."""
        if self._waiting_since_s is None:
            self._waiting_since_s = time_s
        waited_s = time_s - self._waiting_since_s
        if waited_s > self._enough_s:
            self.keyframes_only = False
        all_wanted = closely or not self.keyframes_only
        return (all_wanted and (keyframe or self._whole)) or waited_s > PATIENCE_S

    @property
    def _enough_s(self) -> float:
        return OFTEN_ENOUGH * self._interval_s


def _alone(packet: "Packet[Any]") -> Sequence[VideoFrame]:
    """A keyframe's picture at once: a decoder that thinks of reordering holds it back."""
    context = packet.stream.codec_context
    assert isinstance(context, VideoCodecContext)
    try:
        frames = [*context.decode(packet), *context.decode(None)]
        for frame in frames:
            frame.time_base = packet.time_base  # of which the decoder knows nothing
        return frames
    finally:
        context.flush_buffers()


def _frames(packet: "Packet[Any]") -> Sequence[VideoFrame]:
    return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
