"""The media of one peer: sorts its packets, drops what nobody wants before it is decrypted, and
reports to the sender as a receiver does that takes everything."""

import logging
import random
import secrets
import struct
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from monitor.keyframe_assembly import VideoCodec
from monitor.rtcp import (
    SenderReport,
    full_intra_request,
    maximum_bitrate,
    negative_acknowledgement,
    picture_loss,
    receiver_report,
    sender_reports,
)
from monitor.rtp import HEADER_BYTES, Reception, RtpPacket, is_padding, payload_of, unpack_header
from monitor.rtp_source import Kind, PayloadFormat, Source
from monitor.video_path import DECRYPT_EVERY, Feedback, VideoPath

REPORT_S: Final = 1.0  # on average, spread by half, as RFC 3550 section 6.2 wants
MAX_SOURCES: Final = 8  # audio, three layers of video, their retransmissions
SILENT_S: Final = 0.5  # after which another source of the same kind takes over
MAX_UNHEARD: Final = 64  # packets of sound that wait to be decrypted; more than a second of most

logger = logging.getLogger(__name__)


class SrtpError(Exception):
    """A packet that is not from the peer, or came before."""


class Srtp(Protocol):
    """The peer's encryption (RFC 3711) and the way to it. The first two raise SrtpError."""

    def unprotect(self, data: bytes) -> bytes: ...

    def unprotect_rtcp(self, data: bytes) -> bytes: ...

    def send_rtcp(self, data: bytes) -> None: ...


class AudioSink(Protocol):
    """Takes the voice; see AudioPath."""

    def packet(
        self, rtp_timestamp: int, sequence: int, payload_type: int, payload: bytes, arrival_s: float
    ) -> None: ...

    def reset(self) -> None: ...


class RtpSession:
    """A MediaSink. `on_sender_report(kind, report, arrival_s)` hears of the sources that are in
    use. `fir`: requests for keyframes are made by FIR, the only way the sender knows."""

    def __init__(
        self,
        srtp: Srtp,
        audio: AudioSink,
        video: VideoPath,
        max_bitrate_bps: int,
        on_sender_report: Callable[[Kind, SenderReport, float], None],
        fir: bool = False,
    ) -> None:
        self._srtp = srtp
        self._audio = audio
        self._video = video
        self._max_bitrate_bps = max_bitrate_bps
        self._on_sender_report = on_sender_report
        self._fir = fir
        self._ssrc = secrets.randbits(32)
        self._formats: dict[int, PayloadFormat] = {}
        self._sources: dict[int, Source] = {}
        self._current: dict[Kind, int] = {}
        self._in_use: frozenset[int] = frozenset()
        self._unheard: list[tuple[bytes, float]] = []
        self._report_s = 0.0
        self.due_s = 0.0
        self.packets = 0
        """RTP and RTCP, decrypted or not."""
        self.decrypted = 0

    def accept(self, formats: Iterable[PayloadFormat]) -> None:
        """Takes packets of these payload types from now on."""
        self._formats.update((form.payload_type, form) for form in formats)

    def first_datagram(self, data: bytes, arrival_s: float) -> bool:
        """As MediaSink has it: a packet counts if the peer's key made it."""
        if len(data) < HEADER_BYTES:
            return False
        if 191 < data[1] < 224:
            return self._rtcp(data, arrival_s)
        packet = self._decrypt(data)
        if packet is not None:
            self._rtp(data, arrival_s, packet)
        return packet is not None

    def datagram(self, data: bytes, arrival_s: float) -> None:
        """One packet off the wire."""
        if len(data) < HEADER_BYTES:
            return
        _, second, sequence, timestamp, ssrc = unpack_header(data)
        if 191 < second < 224:  # RFC 5761 section 4
            self._rtcp(data, arrival_s)
            return
        source = self._sources.get(ssrc)
        if source is None or source.first is not None or ssrc not in self._in_use:
            self._rtp(data, arrival_s, None)
            return
        # What nearly all packets go through; `_rtp` does the same and more.
        self.packets += 1
        if source.kind == "audio":
            self._unheard.append((data, arrival_s))
            if len(self._unheard) >= MAX_UNHEARD:
                self.listen()
            return
        source.heard_s = arrival_s
        extended = source.reception.add(sequence, timestamp, arrival_s)
        if extended is None:
            return
        if not self._video.wants(extended, timestamp, arrival_s, is_padding(data)):
            return
        packet = self._decrypt(data)
        if packet is not None:
            self._deliver("video", extended, second, timestamp, packet, arrival_s)

    def listen(self) -> None:
        """Hands over the sound that has come; to be called before it is taken.

        Many packets in one go cost half of what they do one by one, when everything between them
        has gone from the caches. Nobody notices the wait: they bear their times, and whatever asks
        for the state of a source, or may change it, has them heard first.
        """
        unheard, self._unheard = self._unheard, []
        for data, arrival_s in unheard:
            packet = self._decrypt(data)
            if packet is None:  # what is forged is not even counted
                continue
            _, second, sequence, timestamp, ssrc = unpack_header(data)
            source = self._sources[ssrc]
            source.heard_s = arrival_s
            extended = source.reception.add(sequence, timestamp, arrival_s)
            if extended is not None:
                self._deliver("audio", extended, second, timestamp, packet, arrival_s)

    def _rtp(self, data: bytes, arrival_s: float, packet: bytes | None) -> None:
        """`packet`: the same decrypted, if it is so already."""
        self.listen()
        _, second, sequence, timestamp, ssrc = unpack_header(data)
        self.packets += 1
        source = self._sources.get(ssrc) or self._new_source(data, arrival_s, packet)
        if source is None:
            return
        packet = packet or source.first
        if source.kind == "audio" and (packet := packet or self._decrypt(data)) is None:
            return
        source.heard_s, source.first = arrival_s, None
        extended = source.reception.add(sequence, timestamp, arrival_s)
        if extended is None:
            return
        kind = source.kind
        if kind == "rtx":
            wanted = self._video.wants_repair
        elif ssrc not in self._in_use and not self._takes_over(ssrc, kind, arrival_s):
            wanted = False
        else:
            wanted = kind == "audio" or self._video.wants(
                extended, timestamp, arrival_s, is_padding(data)
            )
        follow = ssrc not in self._in_use and extended - source.followed > DECRYPT_EVERY
        if not (wanted or follow) or (packet := packet or self._decrypt(data)) is None:
            return
        source.followed = extended
        if wanted:
            self._deliver(kind, extended, second, timestamp, packet, arrival_s)

    def poll(self, now_s: float) -> None:
        """Sends what is due."""
        if (media_ssrc := self._current.get("video")) is not None:
            self._feed_back(media_ssrc, self._video.poll(now_s))
        if self._sources and now_s >= self._report_s:
            self.listen()
            self._report_s = now_s + REPORT_S * random.uniform(0.5, 1.5)
            self._srtp.send_rtcp(self._reports(now_s))
        self.due_s = min(self._report_s, self._video.next_s(now_s))

    def _new_source(self, data: bytes, arrival_s: float, packet: bytes | None) -> Source | None:
        """A source is one once a packet of it was decrypted: nobody else can make us keep state."""
        _, second, sequence, _, ssrc = unpack_header(data)
        form = self._formats.get(second & 0x7F)
        if form is None or (packet := packet or self._decrypt(data)) is None:
            return None
        if len(self._sources) >= MAX_SOURCES:
            self._forget_oldest()
        source = Source(form.kind, Reception(sequence, form.clock_rate_hz), arrival_s, packet)
        self._sources[ssrc] = source
        if form.kind != "rtx":
            self._switch(ssrc, form.kind, arrival_s)
        return source

    def _deliver(
        self,
        kind: Kind,
        sequence: int,
        second: int,
        timestamp: int,
        packet: bytes,
        arrival_s: float,
    ) -> None:
        try:
            payload = payload_of(packet)
        except ValueError:
            return
        payload_type = second & 0x7F
        if kind == "audio":
            self._audio.packet(timestamp, sequence & 0xFFFF, payload_type, payload, arrival_s)
            return
        if kind == "rtx":
            if len(payload) < 2 or (media_ssrc := self._current.get("video")) is None:
                return
            # The original number stands in front of the original payload (RFC 4588 section 4).
            highest = self._sources[media_ssrc].reception.highest
            (original,) = struct.unpack_from("!H", payload)
            sequence = highest + ((original - highest + 0x8000) & 0xFFFF) - 0x8000
            payload = payload[2:]
            codec = self._video.codec
        else:
            form = self._formats.get(payload_type)
            codec = _video_codec(form) if form else None
        if codec is not None:
            marker = second > 127
            video_packet = RtpPacket(sequence, timestamp, payload_type, marker, payload)
            self._video.packet(codec, video_packet, arrival_s)
            if self._video.wants_repair:  # holes are asked for soon
                self.due_s = min(self.due_s, arrival_s)

    def _decrypt(self, data: bytes) -> bytes | None:
        self.decrypted += 1
        try:
            return self._srtp.unprotect(data)
        except SrtpError:
            return None

    def _takes_over(self, ssrc: int, kind: Kind, arrival_s: float) -> bool:
        current = self._sources.get(self._current[kind])
        if current is not None and arrival_s - current.heard_s < SILENT_S:
            return False
        self._switch(ssrc, kind, arrival_s)
        return True

    def _switch(self, ssrc: int, kind: Kind, now_s: float) -> None:
        known = kind in self._current
        self._current[kind] = ssrc
        self._in_use = frozenset(self._current.values())
        if not known:
            return
        if kind == "audio":
            self._audio.reset()
        else:
            self._video.restart(now_s)
            self.due_s = min(self.due_s, now_s)

    def _forget_oldest(self) -> None:
        idle = [ssrc for ssrc in self._sources if ssrc not in self._in_use]
        del self._sources[min(idle, key=lambda ssrc: self._sources[ssrc].heard_s)]

    def _rtcp(self, data: bytes, arrival_s: float) -> bool:
        """Whether it is the peer's."""
        try:
            plain = self._srtp.unprotect_rtcp(data)
        except SrtpError:
            return False
        self.packets += 1
        self.listen()
        for report in sender_reports(plain):
            source = self._sources.get(report.ssrc)
            if source is None:
                continue
            source.report, source.report_s = report, arrival_s
            if self._current.get(source.kind) == report.ssrc:
                self._on_sender_report(source.kind, report, arrival_s)
        return True

    def _feed_back(self, media_ssrc: int, feedback: Feedback) -> None:
        if feedback.missing:
            self._srtp.send_rtcp(negative_acknowledgement(self._ssrc, media_ssrc, feedback.missing))
        if not feedback.keyframe:
            return
        if self._fir:
            request = full_intra_request(self._ssrc, media_ssrc, self._video.requests.sent)
        else:
            request = picture_loss(self._ssrc, media_ssrc)
        self._srtp.send_rtcp(request)

    def _reports(self, now_s: float) -> bytes:
        blocks = [source.block(ssrc, now_s) for ssrc, source in self._sources.items()]
        data = receiver_report(self._ssrc, blocks)
        if video := [ssrc for ssrc, source in self._sources.items() if source.kind == "video"]:
            data += maximum_bitrate(self._ssrc, video, self._max_bitrate_bps)
        return data


def _video_codec(form: PayloadFormat) -> VideoCodec | None:
    match form.name.upper():
        case "VP8":
            return "VP8"
        case "H264":
            return "H264"
    return None
