"""RTCP that a receiver sends and reads (RFC 3550, 4585, 5104, and the REMB draft)."""

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    pack_remb_fci,
)

NTP_UNIT: Final = 1 / (1 << 32)
MAX_REPORTS: Final = 31  # five bits count them


class SenderReport(NamedTuple):
    """The sender's wall clock and its RTP clock at one moment (RFC 3550 section 6.4.1)."""

    ssrc: int
    ntp: int
    rtp_timestamp: int

    @property
    def ntp_s(self) -> float:
        """Seconds since 1900."""
        return self.ntp * NTP_UNIT

    @property
    def middle(self) -> int:
        """The 32 bits of it that a receiver report quotes."""
        return self.ntp >> 16 & 0xFFFFFFFF


def sender_reports(data: bytes) -> list[SenderReport]:
    """Those in a compound packet; empty for anything malformed."""
    try:
        packets = RtcpPacket.parse(data)
    except (ValueError, struct.error, IndexError):
        return []
    return [
        SenderReport(p.ssrc, p.sender_info.ntp_timestamp, p.sender_info.rtp_timestamp)
        for p in packets
        if isinstance(p, RtcpSrPacket)
    ]


def receiver_report(ssrc: int, reports: Sequence[RtcpReceiverInfo]) -> bytes:
    return bytes(RtcpRrPacket(ssrc=ssrc, reports=list(reports[:MAX_REPORTS])))


def picture_loss(ssrc: int, media_ssrc: int) -> bytes:
    """PLI: a keyframe is wanted (RFC 4585 section 6.3.1)."""
    return bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=ssrc, media_ssrc=media_ssrc))


def full_intra_request(ssrc: int, media_ssrc: int, number: int) -> bytes:
    """FIR, the same wish, for senders that negotiated it alone (RFC 5104 section 4.3.1). `number`
    counts the requests; a repeated number is a repeated request."""
    fci = struct.pack("!IB3x", media_ssrc, number & 0xFF)
    return bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_FIR, ssrc=ssrc, media_ssrc=0, fci=fci))


def negative_acknowledgement(ssrc: int, media_ssrc: int, missing: Iterable[int]) -> bytes:
    """NACK: these 16-bit sequence numbers are wanted once more (RFC 4585 section 6.2.1)."""
    packet = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=ssrc, media_ssrc=media_ssrc)
    packet.lost = list(missing)
    return bytes(packet)


def maximum_bitrate(ssrc: int, media_ssrcs: Sequence[int], bitrate_bps: int) -> bytes:
    """REMB: the sources together may send this much."""
    fci = pack_remb_fci(bitrate_bps, list(media_ssrcs))
    return bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=ssrc, media_ssrc=0, fci=fci))
