"""Packets of one stream of sound, as the network delivered them, into the order of their time."""

from enum import Enum
from typing import Final, NamedTuple

from monitor.sound_codecs import AudioCodec

MAX_WAITING: Final = 600
"""More than a hop of the shortest packets (2.5 ms), 12 s of the usual ones."""
_SEQUENCES: Final = 1 << 16


class SoundPacket(NamedTuple):
    """`sequence` is 16 bits wide; `ticks` of the stream's clock is how long the payload plays."""

    sequence: int
    codec: AudioCodec
    ticks: int
    payload: bytes


class Gap(Enum):
    """Why the packet before does not reach up to this one."""

    NONE = "none"
    PAUSE = "pause"
    """The sender sent nothing meanwhile: sequence numbers go on."""
    LOSS = "loss"


class Due(NamedTuple):
    """A packet whose turn has come, which plays from the extended timestamp `start` on. `gap`, of
    `gap_ticks`, lies right before it."""

    start: int
    packet: SoundPacket
    gap: Gap
    gap_ticks: int


class PacketOrder:
    """Holds packets until their time is taken. What comes after that is late and dropped, and so
    is what came twice."""

    def __init__(self) -> None:
        self._waiting: dict[int, SoundPacket] = {}
        self._taken: int | None = None  # start of the last packet that was taken
        self._taken_sequence = 0
        self._end: int | None = None  # up to where the packets taken so far play

    def put(self, start: int, packet: SoundPacket) -> None:
        """`start`: the extended timestamp of `packet`."""
        if (self._taken is not None and start <= self._taken) or start in self._waiting:
            return
        self._waiting[start] = packet
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[min(self._waiting)]

    def take(self, before: float) -> list[Due]:
        """All packets that start before the extended timestamp `before`, in order."""
        return [self._next(start) for start in sorted(s for s in self._waiting if s < before)]

    def _next(self, start: int) -> Due:
        packet = self._waiting.pop(start)
        gap_ticks = 0 if self._end is None else max(0, start - self._end)
        gap = Gap.NONE
        if gap_ticks:
            follows = (packet.sequence - self._taken_sequence) % _SEQUENCES == 1
            gap = Gap.PAUSE if follows else Gap.LOSS
        end = start + packet.ticks
        self._end = end if self._end is None else max(end, self._end)
        self._taken, self._taken_sequence = start, packet.sequence
        return Due(start, packet, gap, gap_ticks)
