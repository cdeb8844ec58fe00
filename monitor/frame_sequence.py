"""Every frame of a stream, in order and without a gap, from a keyframe on: what a burst decodes.

A delta frame is handed out only behind the frames that it builds upon. After a loss that nobody
repairs, nothing comes until the next keyframe.
"""

from typing import Final, NamedTuple

from monitor.h264 import annex_b, join_units, parse_h264
from monitor.keyframe_assembly import Keyframe, KeyframeAssembler, VideoCodec
from monitor.rtp import RtpPacket
from monitor.vp8 import parse_vp8

MAX_WAITING: Final = 512  # packets behind a hole: a second of video at 4 Mbit/s
MAX_MISSING: Final = 64


class Frame(NamedTuple):
    """One frame as its decoder takes it; `key` opens a new sequence."""

    codec: VideoCodec
    data: bytes
    timestamp: int
    key: bool


class FrameSequence:
    """Takes decrypted packets in any order."""

    def __init__(self, codec: VideoCodec) -> None:
        self.codec: VideoCodec = codec
        self._keyframes = KeyframeAssembler(codec)
        self._waiting: dict[int, RtpPacket] = {}
        self._next: int | None = None  # the number with which the next frame begins
        self.broken = True
        """A keyframe is needed before there is another frame."""

    def add(self, packet: RtpPacket) -> list[Frame]:
        """The frames that `packet` completes. Raises ValueError for a payload that is none."""
        if self._next is not None:
            if packet.sequence < self._next:
                return []
            if packet.sequence - self._next > MAX_WAITING:  # a restart, or a loss beyond repair
                self._break()
        self._waiting[packet.sequence] = packet
        frames = []
        keyframe = self._keyframes.add(packet)
        if keyframe is not None:
            frames.append(self._begin(keyframe))
        elif len(self._waiting) > MAX_WAITING:
            self._break()
        while (frame := self._take()) is not None:
            frames.append(frame)
        return frames

    def starts_keyframe(self, payload: bytes) -> bool:
        """As KeyframeAssembler has it."""
        return self._keyframes.starts_keyframe(payload)

    def missing(self) -> list[int]:
        """Extended numbers of packets that hold the sequence up."""
        if self._next is None:
            return self._keyframes.missing()
        newest = max(self._waiting, default=self._next)
        holes = (n for n in range(self._next, newest) if n not in self._waiting)
        return [n for _, n in zip(range(MAX_MISSING), holes, strict=False)]

    def _begin(self, keyframe: Keyframe) -> Frame:
        end = max(n for n, p in self._waiting.items() if p.timestamp == keyframe.timestamp)
        self._waiting = {n: p for n, p in self._waiting.items() if n > end}
        self._next, self.broken = end + 1, False
        return Frame(keyframe.codec, keyframe.data, keyframe.timestamp, key=True)

    def _break(self) -> None:
        self._waiting.clear()
        self._next, self.broken = None, True

    def _take(self) -> Frame | None:
        """The next frame, if it is there up to its marker."""
        if self._next is None:
            return None
        run: list[RtpPacket] = []
        at = self._next
        while (packet := self._waiting.get(at)) is not None:
            at += 1
            if packet.payload:  # padding alone takes a number too
                run.append(packet)
            if packet.marker:
                break
        else:
            return None
        for number in range(self._next, at):
            del self._waiting[number]
        self._next = at
        try:
            data = self._join(run)
        except ValueError:  # a payload that is none, which raised when it came
            data = None
        if data is None:
            self._break()
            return None
        return Frame(self.codec, data, run[0].timestamp, key=False)

    def _join(self, run: list[RtpPacket]) -> bytes | None:
        """None for packets that are not one frame."""
        if not run or len({packet.timestamp for packet in run}) > 1:
            return None
        if self.codec == "VP8":
            parts = [parse_vp8(packet.payload) for packet in run]
            starts = [part.starts for part in parts]
            whole = starts[0] and not any(starts[1:])
            return b"".join(part.data for part in parts) if whole else None
        units = join_units(part for packet in run for part in parse_h264(packet.payload))
        return None if units is None else annex_b(units)
