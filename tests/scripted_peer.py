"""A peer without network and encryption: both are played by a script."""

import struct
from dataclasses import dataclass, field

from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpPacket,
)

from monitor.keyframe_assembly import Keyframe
from monitor.keyframe_requests import KeyframeRequests, KeyframeTally
from monitor.rtcp import SenderReport
from monitor.rtp_session import RtpSession, SrtpError
from monitor.rtp_source import Kind, PayloadFormat
from monitor.video_path import VideoPath
from tests.encoded import encoded, packets_of

OPUS, VP8, RTX, H264 = 96, 97, 98, 99
AUDIO_SSRC, VIDEO_SSRC, RTX_SSRC = 0xA, 0xB, 0xC
FORMATS = [
    PayloadFormat(OPUS, "audio", "opus", 48_000, 2),
    PayloadFormat(VP8, "video", "VP8", 90_000, 1),
    PayloadFormat(RTX, "rtx", "rtx", 90_000, 1),
    PayloadFormat(H264, "video", "H264", 90_000, 1),
]
FORGED = b"FORGED"


@dataclass
class FakeSrtp:
    """Encrypts by doing nothing; a packet that ends with FORGED is somebody else's."""

    sent: list[AnyRtcpPacket] = field(default_factory=list)
    decrypted: int = 0

    def unprotect(self, data: bytes) -> bytes:
        self.decrypted += 1
        if data.endswith(FORGED):
            raise SrtpError
        return data

    unprotect_rtcp = unprotect

    def send_rtcp(self, data: bytes) -> None:
        self.sent += RtcpPacket.parse(data)


@dataclass
class FakeAudio:
    packets: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    resets: int = 0

    def packet(
        self, rtp_timestamp: int, sequence: int, payload_type: int, payload: bytes, arrival_s: float
    ) -> None:
        self.packets.append((rtp_timestamp, sequence, payload_type, payload))

    def reset(self) -> None:
        self.resets += 1


class Peer:
    """A session, its surroundings, and a clock."""

    def __init__(self, fir: bool = False) -> None:
        self.srtp, self.audio = FakeSrtp(), FakeAudio()
        self.keyframes: list[Keyframe] = []
        self.reports: list[tuple[Kind, SenderReport]] = []
        self.restarts = 0
        self.video = VideoPath(
            KeyframeRequests(2.0, 0.0),
            lambda k, at_s: self.keyframes.append(k),
            self.restarted,
            KeyframeTally(),
        )
        self.session = RtpSession(
            self.srtp,
            self.audio,
            self.video,
            1_000_000,
            lambda kind, report, at_s: self.reports.append((kind, report)),
            fir,
        )
        self.session.accept(FORMATS)
        self.now_s = 0.0

    def restarted(self) -> None:
        self.restarts += 1

    def take(self, *packets: bytes) -> None:
        """Sound is listened to at once."""
        for packet in packets:
            self.session.datagram(packet, self.now_s)
            self.session.listen()

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.now_s += 0.02
            if self.session.due_s <= self.now_s:
                self.session.poll(self.now_s)

    def sent(self, kind: type[AnyRtcpPacket], fmt: int | None = None) -> list[AnyRtcpPacket]:
        return [
            p for p in self.srtp.sent if isinstance(p, kind) and fmt in (None, getattr(p, "fmt", 0))
        ]


def rtp(
    payload: bytes,
    sequence: int,
    timestamp: int = 0,
    payload_type: int = OPUS,
    ssrc: int = AUDIO_SSRC,
    marker: bool = False,
) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, timestamp, ssrc) + payload


def video(
    count: int = 2, sequence: int = 65_500, ssrc: int = VIDEO_SSRC, timestamp: int = 0
) -> list[list[bytes]]:
    """Frames of VP8 as they come off the wire; the first is a keyframe."""
    frames = packets_of("VP8", encoded("VP8", 320, 240, count), sequence, timestamp)
    return [
        [rtp(p.payload, p.sequence, p.timestamp, VP8, ssrc, p.marker) for p in frame]
        for frame in frames
    ]
