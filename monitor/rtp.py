"""RTP as it comes off the wire (RFC 3550): the fixed header, the payload, reception statistics."""

import struct
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct("!BBHII")
HEADER_BYTES: Final = _HEADER.size
unpack_header: Final = _HEADER.unpack_from
"""(flags, marker and payload type, sequence, timestamp, SSRC) of at least HEADER_BYTES bytes."""
SEQUENCES: Final = 1 << 16
MAX_DROPOUT: Final = 3_000
"""A sequence number further ahead belongs to a restarted sender (RFC 3550 A.1), as does one further
behind than this: 20 s of video at 1.5 Mbit/s."""
MAX_PADDING_BYTES: Final = 384
"""255 of padding, behind header and extensions, before the tag of SRTP."""
MAX_LOST: Final = (1 << 23) - 1  # 24 bits, signed (RFC 3550 section 6.4.1)


class RtpPacket(NamedTuple):
    """One packet, decrypted. `sequence` is extended: it counts on where 16 bits wrap around."""

    sequence: int
    timestamp: int
    payload_type: int
    marker: bool
    payload: bytes


def is_padding(packet: bytes) -> bool:
    """Whether `packet`, encrypted or not, is most likely padding alone: it is padded, ends no frame
    and is no longer than such packets get."""
    return bool(packet[0] & 0x20) and packet[1] < 128 and len(packet) <= MAX_PADDING_BYTES


def payload_of(packet: bytes) -> bytes:
    """What `packet` (decrypted) carries behind contributing sources and header extension, without
    padding; empty for padding alone. Raises ValueError for a packet that is cut short."""
    if len(packet) < HEADER_BYTES:
        raise ValueError("shorter than an RTP header")
    first = packet[0]
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if len(packet) < start + 4:
            raise ValueError("header extension cut short")
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    end = len(packet)
    if first & 0x20:
        padding = packet[-1]
        if not 0 < padding <= end - start:
            raise ValueError("padding longer than the packet")
        end -= padding
    if start > end:
        raise ValueError("header longer than the packet")
    return packet[start:end]


class Reception:
    """What a receiver report says about one source. Counts packets whether they are decrypted or
    not, so that the sender is told of no loss that was not one."""

    __slots__ = (
        "_after_stray",
        "_arrival",
        "_base",
        "_clock_rate_hz",
        "_expected_before",
        "_jitter",
        "_received_before",
        "_timestamp",
        "highest",
        "received",
    )

    def __init__(self, sequence: int, clock_rate_hz: int) -> None:
        self._clock_rate_hz = clock_rate_hz
        # One cycle up, so that packets from before the first one still have a positive number.
        self._restart(sequence + SEQUENCES)

    def _restart(self, extended: int) -> None:
        self._base = self.highest = extended
        self._after_stray = -1
        self.received = 0
        self._expected_before = self._received_before = 0
        self._jitter = 0.0
        self._timestamp = -1
        self._arrival = 0

    def add(self, sequence: int, timestamp: int, arrival_s: float) -> int | None:
        """Counts a packet; returns its extended sequence number.

        None for a stray one, far from the others: only the second in a row says that the sender
        has restarted (RFC 3550 A.1), a single one proves nothing and may be forged. Numbers never
        go back: those of a restart begin above all before.
        """
        ahead = (sequence - self.highest) & 0xFFFF
        if ahead < MAX_DROPOUT:
            extended = self.highest = self.highest + ahead
            if timestamp != self._timestamp:
                self._spread(timestamp, int(arrival_s * self._clock_rate_hz))
        elif ahead > SEQUENCES - MAX_DROPOUT:
            extended = self.highest + ahead - SEQUENCES
        elif sequence != self._after_stray:
            self._after_stray = (sequence + 1) & 0xFFFF
            return None
        else:
            self._restart((self.highest // SEQUENCES + 1) * SEQUENCES + sequence)
            extended = self.highest
        self.received += 1
        return extended

    def _spread(self, timestamp: int, arrival: int) -> None:
        """Interarrival jitter (RFC 3550 A.8), as coarse as the reading of sockets."""
        if self._timestamp >= 0:
            elapsed = (timestamp - self._timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            self._jitter += (abs(arrival - self._arrival - elapsed) - self._jitter) / 16
        self._timestamp, self._arrival = timestamp, arrival

    @property
    def reported_highest(self) -> int:
        """The highest number with its count of cycles, 32 bits (RFC 3550 section 6.4.1)."""
        return (self.highest - SEQUENCES) & 0xFFFFFFFF

    @property
    def expected(self) -> int:
        return self.highest - self._base + 1

    @property
    def lost(self) -> int:
        """Over the whole stream; negative when packets came twice."""
        return max(-MAX_LOST - 1, min(MAX_LOST, self.expected - self.received))

    @property
    def jitter(self) -> int:
        """In units of the timestamp."""
        return min(int(self._jitter), 0xFFFFFFFF)

    def fraction_lost(self) -> int:
        """Of 256, since it was last asked."""
        expected = self.expected - self._expected_before
        received = self.received - self._received_before
        self._expected_before, self._received_before = self.expected, self.received
        lost = expected - received
        return min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0
