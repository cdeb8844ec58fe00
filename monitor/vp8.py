"""VP8 in RTP (RFC 7741): what a packet says about the frame it belongs to."""

from typing import NamedTuple


class Vp8Payload(NamedTuple):
    """`data`: the packet's part of the frame. `starts`: it is the first part of its frame.
    `key`: that frame is a keyframe; known from the first part alone."""

    data: bytes
    starts: bool
    key: bool


def parse_vp8(payload: bytes) -> Vp8Payload:
    """Takes the payload descriptor off. Raises ValueError where it is cut short or nothing
    follows it."""
    if not payload:
        raise ValueError("empty VP8 payload")
    first = payload[0]
    size = 1
    if first & 0x80:  # X: extensions follow (section 4.2)
        size = 2 + _extension_bytes(payload)
    if len(payload) <= size:
        raise ValueError("VP8 payload without data")
    starts = first & 0x17 == 0x10  # S = 1, PID = 0
    # The frame's own first bit is zero in keyframes (RFC 6386 section 9.1).
    return Vp8Payload(payload[size:], starts, starts and not payload[size] & 0x01)


def _extension_bytes(payload: bytes) -> int:
    """Bytes of the fields that the extension byte announces."""
    if len(payload) < 2:
        raise ValueError("VP8 descriptor cut short")
    announced = payload[1]
    size = 0
    if announced & 0x80:  # I: a picture ID of 7 or 15 bits
        if len(payload) < 3:
            raise ValueError("VP8 picture ID cut short")
        size += 2 if payload[2] & 0x80 else 1
    if announced & 0x40:  # L: TL0PICIDX
        size += 1
    if announced & 0x30:  # T or K: they share a byte
        size += 1
    return size


def vp8_keyframe_size(frame: bytes) -> tuple[int, int] | None:
    """(width, height) that the header of a keyframe states (RFC 6386 section 9.1); None for
    anything that is no keyframe with an intact header."""
    if len(frame) < 10 or frame[0] & 0x01 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    first_partition = (frame[0] | frame[1] << 8 | frame[2] << 16) >> 5
    if first_partition > len(frame) - 10:
        return None
    width = int.from_bytes(frame[6:8], "little") & 0x3FFF
    height = int.from_bytes(frame[8:10], "little") & 0x3FFF
    return (width, height) if width and height else None
