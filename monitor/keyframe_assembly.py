"""Puts keyframes together from RTP packets, and hands out only those that are proven complete.

A decoder that is given half a keyframe, or a delta frame, shows what it saw before: with several
participants, somebody else's face. So a frame leaves here only if every packet from its first,
which says "keyframe", to its marker is there, by sequence number.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from monitor.h264 import Nal, annex_b, first_macroblock, join_units, parse_h264
from monitor.rtp import RtpPacket
from monitor.vp8 import parse_vp8, vp8_keyframe_size

VideoCodec = Literal["VP8", "H264"]

MAX_FRAMES: Final = 8  # a quarter of a second; the wanted frame is looked for among the newest
MAX_BYTES: Final = 2_000_000  # a keyframe of 4K has less than 600 kB
PACKET_BYTES: Final = 64  # that keeping one costs, were it empty
POSSIBLE_PACKETS: Final = 3
"""A frame of at least this many packets whose first is missing may be the keyframe."""
MAX_MISSING: Final = 256  # one feedback message asks for no more


class Keyframe(NamedTuple):
    """A complete keyframe as its decoder takes it, and the RTP timestamp it bears."""

    codec: VideoCodec
    data: bytes
    timestamp: int


class _Role(NamedTuple):
    """What one packet shows of its frame."""

    data: bytes
    starts: bool = False  # a keyframe that is whole from here on
    slices: bool = False  # of a keyframe begin here, which may lack its parameter sets
    key: bool = False
    delta: bool = False


@dataclass(slots=True)
class _Frame:
    timestamp: int
    lowest: int
    highest: int
    start: int | None = None
    slices: int | None = None
    end: int | None = None
    key: bool = False
    delta: bool = False
    packets: dict[int, bytes] = field(default_factory=dict)

    def add(self, packet: RtpPacket, role: _Role) -> None:
        sequence = packet.sequence
        self.lowest = min(self.lowest, sequence)
        self.highest = max(self.highest, sequence)
        if packet.marker:
            self.end = sequence
        if role.starts and (self.start is None or sequence < self.start):
            self.start = sequence
        if role.slices and (self.slices is None or sequence < self.slices):
            self.slices = sequence
        self.key = self.key or role.key
        self.delta = self.delta or role.delta
        if self.delta:
            self.packets.clear()
        else:
            self.packets[sequence] = role.data

    @property
    def first(self) -> int | None:
        """The packet with which it begins, as far as is known."""
        return self.slices if self.start is None else self.start

    def run(self) -> list[bytes] | None:
        """The packets from first to marker; None as long as one is missing."""
        if self.delta or self.first is None or self.end is None:
            return None
        count = self.end - self.first + 1
        if count < 1 or len(self.packets) < count:
            return None
        found = [self.packets.get(sequence) for sequence in range(self.first, self.end + 1)]
        return [data for data in found if data is not None] if None not in found else None


class KeyframeAssembler:
    """Belongs to one stream of one participant; everything it keeps is bounded."""

    def __init__(self, codec: VideoCodec) -> None:
        self.codec: VideoCodec = codec
        self._frames: dict[int, _Frame] = {}
        self._bytes = 0
        self._parameter_sets: list[bytes] = []  # SPS and PPS of the last keyframe that had them

    def clear(self) -> None:
        """Forgets all frames that are not complete."""
        self._frames.clear()
        self._bytes = 0

    def add(self, packet: RtpPacket) -> Keyframe | None:
        """The keyframe that `packet` completes. Raises ValueError for a payload that is none."""
        role = self._role(packet.payload)
        frame = self._frame_of(packet)
        frame.add(packet, role)
        if frame.delta:
            return None
        self._bytes += len(role.data) + PACKET_BYTES
        run = frame.run()
        keyframe = self._join(frame, run) if run is not None else None
        if keyframe or self._bytes > MAX_BYTES:
            self.clear()
        return keyframe

    def starts_keyframe(self, payload: bytes) -> bool:
        """Whether `payload` is the first of a keyframe; never raises."""
        try:
            role = self._role(payload)
        except ValueError:
            return False
        return role.starts or role.slices

    def missing(self) -> list[int]:
        """Extended sequence numbers that the keyframe, or what may be one, still lacks."""
        wanted = max(
            (f for f in self._frames.values() if not f.delta and self._may_be_key(f)),
            key=lambda f: f.highest,
            default=None,
        )
        if wanted is None:
            return []
        others = [f for f in self._frames.values() if f is not wanted]
        start = wanted.start
        if start is None:
            before = [f.highest for f in others if f.highest < wanted.lowest]
            start = max(before) + 1 if before else wanted.lowest
        end = wanted.end
        if end is None:
            after = [f.lowest for f in others if f.lowest > wanted.highest]
            end = min(after) - 1 if after else wanted.highest
        holes = (s for s in range(start, end + 1) if s not in wanted.packets)
        return [s for _, s in zip(range(MAX_MISSING), holes, strict=False)]

    def _may_be_key(self, frame: _Frame) -> bool:
        return frame.key or len(frame.packets) >= POSSIBLE_PACKETS

    def _frame_of(self, packet: RtpPacket) -> _Frame:
        frame = self._frames.get(packet.timestamp)
        if frame is None:
            frame = _Frame(packet.timestamp, packet.sequence, packet.sequence)
            self._frames[packet.timestamp] = frame
            if len(self._frames) > MAX_FRAMES:
                oldest = min(self._frames.values(), key=lambda f: f.highest)
                del self._frames[oldest.timestamp]
                kept = (data for f in self._frames.values() for data in f.packets.values())
                self._bytes = sum(len(data) + PACKET_BYTES for data in kept)
        return frame

    def _role(self, payload: bytes) -> _Role:
        if not payload:  # padding alone takes a sequence number and says nothing
            return _Role(b"")
        return _vp8_role(payload) if self.codec == "VP8" else _h264_role(payload)

    def _join(self, frame: _Frame, run: list[bytes]) -> Keyframe | None:
        data = b"".join(run) if self.codec == "VP8" else self._h264_unit(frame, run)
        if data is None or (self.codec == "VP8" and vp8_keyframe_size(data) is None):
            return None
        return Keyframe(self.codec, data, frame.timestamp)

    def _h264_unit(self, frame: _Frame, run: list[bytes]) -> bytes | None:
        """The access unit, headed by parameter sets: its own, or, where it has none, those that the
        stream had last."""
        parts = [part for payload in run if payload for part in parse_h264(payload)]
        units = join_units(parts)
        if units is None:
            return None
        kinds = [unit[0] & 0x1F for unit in units]
        slices = [part for part in parts if part.type in (Nal.SLICE, Nal.IDR)]
        if Nal.SLICE in kinds or not slices or not first_macroblock(slices[0]):
            return None
        own = [u for u, kind in zip(units, kinds, strict=True) if kind in (Nal.SPS, Nal.PPS)]
        if {Nal.SPS, Nal.PPS} <= set(kinds):
            self._parameter_sets = own
            return annex_b(units)
        if own or not self._parameter_sets or not self._follows_another(frame):
            return None
        return annex_b([*self._parameter_sets, *units])

    def _follows_another(self, frame: _Frame) -> bool:
        """Whether nothing of `frame`, parameter sets for one, was lost before its first packet."""
        assert frame.first is not None
        return any(other.end == frame.first - 1 for other in self._frames.values())


def _vp8_role(payload: bytes) -> _Role:
    part = parse_vp8(payload)
    delta = part.starts and not part.key
    return _Role(part.data, starts=part.key, key=part.key, delta=delta)


def _h264_role(payload: bytes) -> _Role:
    """A keyframe starts with its SPS or, where parameter sets are not repeated, with its first
    slice; whichever comes first counts."""
    parts = parse_h264(payload)
    kinds = {part.type for part in parts}
    return _Role(
        payload,
        starts=Nal.SPS in kinds,
        slices=any(part.type == Nal.IDR and first_macroblock(part) for part in parts),
        key=Nal.IDR in kinds or Nal.SPS in kinds,
        delta=Nal.SLICE in kinds,
    )
