"""Publishers for benchmarks: real WebRTC peers that replay packets encoded beforehand.

    python -m tests.packet_publisher --count 20 --codec VP8 --height 720 --core 1

A request for a keyframe is answered by going back to the start of the loop, a NACK by sending the
packet again. Offers go out and answers come in as JSON lines; a line "stop" ends it, and the last
line out tells what was sent.
"""

import argparse
import asyncio
import json
import math
import os
import random
import secrets
import struct
import sys
import time
from dataclasses import dataclass, field
from functools import partial

from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)

from tests.bench_media import FPS, Media, load_media

TICK_S = 0.005
AUDIO_STEP_S = 0.02
HISTORY = 2_048  # packets that can be sent again, some 10 s
NTP_EPOCH_S = 2_208_988_800
OPUS_RATE_HZ, VIDEO_RATE_HZ = 48_000, 90_000


@dataclass
class Loss:
    """Drops packets: each with `share`, or in runs of `run` that make up that share."""

    share: float
    run: int
    seed: int
    _left: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def drops(self) -> bool:
        if self._left > 0:
            self._left -= 1
            return True
        if self.run > 1:
            start = self.share / (self.run * (1 - self.share)) if self.share else 0.0
            if self._random.random() < start:
                self._left = self.run - 1
                return True
            return False
        return self._random.random() < self.share


@dataclass
class Stream:
    """One RTP source; `send(packet)` encrypts it and sends it."""

    payload_type: int
    rate_hz: int
    loss: Loss
    ssrc: int  # as in the offer, by which an SFU tells streams apart
    sequence: int = field(default_factory=lambda: secrets.randbits(16))
    origin: int = field(default_factory=lambda: secrets.randbits(32))
    sent: int = 0
    lost: int = 0
    octets: int = 0
    history: dict[int, bytes] = field(default_factory=dict)

    def timestamp(self, elapsed_s: float) -> int:
        return (self.origin + round(elapsed_s * self.rate_hz)) & 0xFFFFFFFF

    def packet(self, payload: bytes, elapsed_s: float, marker: bool) -> bytes:
        second = self.payload_type | (0x80 if marker else 0)
        header = struct.pack(
            "!BBHII", 0x80, second, self.sequence, self.timestamp(elapsed_s), self.ssrc
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.sent += 1
        self.octets += len(payload)
        return header + payload


class Publisher:
    """One participant. Its sending starts a frame's share of time after its neighbours'."""

    def __init__(self, index: int, count: int, args: argparse.Namespace, media: Media) -> None:
        self.index = index
        self._media = media
        self._phase_s = index / count / FPS
        self._losses = [
            Loss(args.loss, args.run, seed=1_000 * args.seed + 2 * index + i) for i in range(2)
        ]
        self._codec = args.codec
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._audio: Stream | None = None
        self._video: Stream | None = None
        self._dtls = None
        self._start_s = math.inf
        self._sent_audio = 0
        self._sent_video = 0
        self._cut = 0  # frame at which the loop was last begun
        self._report_s = 0.0
        self.keyframe_requests = 0
        self.resent = 0

    async def offer(self) -> str:
        for kind in ("audio", "video"):
            transceiver = self._peer.addTransceiver(kind, direction="sendonly")
            transceiver.sender.send = partial(self._begin, kind, transceiver.sender)
            if kind == "video":
                codecs = RTCRtpSender.getCapabilities("video").codecs
                wanted = [c for c in codecs if c.mimeType == f"video/{self._codec}"]
                transceiver.setCodecPreferences(wanted)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return self._peer.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        self._start_s = math.inf
        await self._peer.close()

    async def _begin(
        self, kind: str, sender: RTCRtpSender, parameters: RTCRtpSendParameters
    ) -> None:
        rate_hz = OPUS_RATE_HZ if kind == "audio" else VIDEO_RATE_HZ
        loss = self._losses[0 if kind == "audio" else 1]
        stream = Stream(parameters.codecs[0].payloadType, rate_hz, loss, sender._ssrc)
        sender._handle_rtcp_packet = partial(self._told, stream)
        self._dtls = sender.transport
        self._dtls._register_rtp_sender(sender, parameters)
        if kind == "audio":
            self._audio = stream
        else:
            self._video = stream
        if self._audio and self._video:
            self._start_s = time.monotonic() + self._phase_s

    async def _told(self, stream: Stream, packet: object) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            self.keyframe_requests += 1
            self._cut = self._sent_video
        elif isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            for sequence in packet.lost:
                if (again := stream.history.get(sequence)) is not None:
                    self.resent += 1
                    self._transmit(stream, again)

    def tick(self, now_s: float) -> None:
        """Sends what is due."""
        elapsed_s = now_s - self._start_s
        if elapsed_s < 0 or self._dtls is None or self._dtls.state != "connected":
            return
        assert self._audio is not None
        assert self._video is not None
        while self._sent_audio * AUDIO_STEP_S <= elapsed_s:
            payload = self._media.audio[self._sent_audio % len(self._media.audio)]
            at_s = self._sent_audio * AUDIO_STEP_S
            self._send(self._audio, self._audio.packet(payload, at_s, False))
            self._sent_audio += 1
        while self._sent_video / FPS <= elapsed_s:
            frame = self._media.video[(self._sent_video - self._cut) % len(self._media.video)]
            for number, payload in enumerate(frame, start=1):
                at_s = self._sent_video / FPS
                self._send(self._video, self._video.packet(payload, at_s, number == len(frame)))
            self._sent_video += 1
        if now_s >= self._report_s:
            self._report_s = now_s + 1.0
            self._report(elapsed_s)

    def _send(self, stream: Stream, packet: bytes) -> None:
        sequence = int.from_bytes(packet[2:4], "big")
        stream.history[sequence] = packet
        stream.history.pop((sequence - HISTORY) & 0xFFFF, None)
        self._transmit(stream, packet)

    def _transmit(self, stream: Stream, packet: bytes) -> None:
        if stream.loss.drops():
            stream.lost += 1
            return
        self._put(self._dtls._tx_srtp.protect(packet))

    def _report(self, elapsed_s: float) -> None:
        ntp = int((time.time() + NTP_EPOCH_S) * (1 << 32))
        for stream in (self._audio, self._video):
            info = RtcpSenderInfo(ntp, stream.timestamp(elapsed_s), stream.sent, stream.octets)
            report = bytes(RtcpSrPacket(stream.ssrc, info))
            self._put(self._dtls._tx_srtp.protect_rtcp(report))

    def _put(self, data: bytes) -> None:
        pair = self._dtls.transport._connection._nominated[1]
        pair.protocol.transport.sendto(data, pair.remote_addr)

    def sums(self) -> dict[str, int]:
        audio, video = self._audio, self._video
        return {
            "audio_sent": audio.sent if audio else 0,
            "audio_lost": audio.lost if audio else 0,
            "video_sent": video.sent if video else 0,
            "video_lost": video.lost if video else 0,
            "keyframe_requests": self.keyframe_requests,
            "resent": self.resent,
        }


async def pace(publishers: list[Publisher], late: list[float]) -> None:
    """Until cancelled. `late` gets how far behind time the last ticks were."""
    due_s = time.monotonic()
    while True:
        due_s += TICK_S
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        now_s = time.monotonic()
        late.append(now_s - due_s)
        for publisher in publishers:
            publisher.tick(now_s)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8")
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--run", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--core", type=int)
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    media = load_media(args.codec, args.height)
    publishers = [Publisher(i, args.count, args, media) for i in range(args.count)]
    late: list[float] = []
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    for publisher in publishers:
        say(index=publisher.index, offer=await publisher.offer())
        await publisher.accept(json.loads(await reader.readline())["answer"])
    pacing = asyncio.create_task(pace(publishers, late))
    began_s = time.process_time(), time.monotonic()
    await reader.readline()  # "stop"
    pacing.cancel()
    busy = (time.process_time() - began_s[0]) / (time.monotonic() - began_s[1])
    late.sort()
    say(
        busy=busy,
        late_p99_s=late[int(len(late) * 0.99)] if late else 0.0,
        sums=[publisher.sums() for publisher in publishers],
    )
    for publisher in publishers:
        await publisher.close()


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
