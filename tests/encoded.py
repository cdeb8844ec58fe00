"""Encoded pictures and their packets, small, as real encoders make them."""

from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from monitor.keyframe_assembly import VideoCodec
from monitor.rtp import RtpPacket
from vfd.types import Rgb

ENCODERS = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}),
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
}
FRAME_TICKS = 3_000  # of 90 kHz at 30 frames a second


def noise(seed: int, width: int, height: int) -> Rgb:
    """A picture like no other, which takes many packets."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 4, width // 4, 3)).astype(np.uint8)
    return np.kron(blocks, np.ones((4, 4, 1), np.uint8))


@lru_cache
def encoded(codec: VideoCodec, width: int, height: int, count: int, seed: int = 0) -> list[bytes]:
    """`count` frames of noise, the first of which is a keyframe and the only one."""
    name, options = ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt, encoder.options = "yuv420p", options
    encoder.bit_rate, encoder.gop_size = 2_000_000, 1_000
    encoder.framerate, encoder.time_base = Fraction(30), Fraction(1, 30)
    encoder.thread_count = 1
    packets: list[bytes] = []
    for index in range(count):
        picture = np.roll(noise(seed, width, height), 2 * index, axis=1)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index, encoder.time_base
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def packets_of(
    codec: VideoCodec, frames: list[bytes], sequence: int = 1_000, timestamp: int = 0
) -> list[list[RtpPacket]]:
    """The RTP packets of every frame, as aiortc cuts them."""
    packetiser = Vp8Encoder() if codec == "VP8" else H264Encoder()
    cut = []
    for number, frame in enumerate(frames):
        packet = av.Packet(frame)
        packet.pts, packet.time_base = 0, Fraction(1, 90_000)
        payloads = packetiser.pack(packet)[0]
        at = (timestamp + number * FRAME_TICKS) & 0xFFFFFFFF
        cut.append(
            [
                RtpPacket(sequence + i, at, 97, i == len(payloads) - 1, payload)
                for i, payload in enumerate(payloads)
            ]
        )
        sequence += len(payloads)
    return cut
