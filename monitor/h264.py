"""H.264 in RTP (RFC 6184): single NAL units, aggregates (STAP-A) and fragments (FU-A).

Those are what packetization modes 0 and 1 allow; mode 2, which interleaves, is not negotiated.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

START_CODE: Final = b"\x00\x00\x00\x01"


class Nal(IntEnum):
    """Types of NAL units that matter here (H.264 table 7-1, RFC 6184 table 1)."""

    SLICE = 1
    IDR = 5
    SPS = 7
    PPS = 8
    STAP_A = 24
    FU_A = 28


class Part(NamedTuple):
    """A NAL unit, or a piece of one: `data` begins with the NAL header where `starts`."""

    type: int
    data: bytes
    starts: bool
    ends: bool


def parse_h264(payload: bytes) -> list[Part]:
    """The NAL units and pieces that a packet carries. Raises ValueError for what is cut short or
    of a type that is not negotiated."""
    if len(payload) < 2:
        raise ValueError("H.264 payload cut short")
    kind = payload[0] & 0x1F
    if 1 <= kind <= 23:
        return [Part(kind, payload, True, True)]
    if kind == Nal.STAP_A:
        return list(_aggregated(payload))
    if kind == Nal.FU_A:
        return [_fragment(payload)]
    raise ValueError(f"NAL unit of type {kind} was not negotiated")


def _aggregated(payload: bytes) -> Iterator[Part]:
    """Section 5.7.1: each unit behind its 16-bit size."""
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + size]
        if not size or len(unit) < size:
            raise ValueError("STAP-A unit cut short")
        yield Part(unit[0] & 0x1F, unit, True, True)
        at += 2 + size


def _fragment(payload: bytes) -> Part:
    """Section 5.8: the NAL header is spread over the indicator and the FU header."""
    header = payload[1]
    starts, ends, kind = bool(header & 0x80), bool(header & 0x40), header & 0x1F
    if len(payload) < 3 or (starts and ends):
        raise ValueError("FU-A without data, or whole in one fragment")
    data = payload[2:]
    if starts:
        data = bytes([payload[0] & 0xE0 | kind]) + data
    return Part(kind, data, starts, ends)


def first_macroblock(part: Part) -> bool:
    """Whether a slice begins at the picture's first macroblock: ue(v) zero is a single 1 bit."""
    return part.starts and len(part.data) > 1 and bool(part.data[1] & 0x80)


def join_units(parts: Iterable[Part]) -> list[bytes] | None:
    """Whole NAL units from the parts of one access unit in order; None where one is torn."""
    units: list[bytes] = []
    open_unit: list[bytes] = []
    kind = 0
    for part in parts:
        if part.starts == bool(open_unit) or (open_unit and part.type != kind):
            return None
        kind = part.type
        open_unit.append(part.data)
        if part.ends:
            units.append(b"".join(open_unit))
            open_unit = []
    return None if open_unit else units


def annex_b(units: Iterable[bytes]) -> bytes:
    """NAL units as a byte stream (H.264 Annex B), which decoders take."""
    return b"".join(START_CODE + unit for unit in units)
