"""What benchmark publishers send: ten seconds of a moving picture and of speech, encoded once and
cut into RTP payloads as browsers cut them."""

import pickle
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from tests.fakes import voice
from tests.sounds import opus_packets
from vfd.types import Audio, Rgb

FPS = 30
SECONDS = 10
BITRATE_BPS = {720: 1_500_000, 360: 600_000}
OPUS_BPS = 32_000


@dataclass(frozen=True)
class Media:
    """`video`: the payloads of every frame, the first of which is a keyframe; `audio`: packets of
    20 ms that carry a copy of the one before, as browsers send them; `sound`: what they were made
    of."""

    video: list[list[bytes]]
    audio: list[bytes]
    sound: Audio


def load_media(codec: str, height: int) -> Media:
    """Encodes, or takes what was encoded before on this machine."""
    path = Path(tempfile.gettempdir()) / f"vfd-bench-{codec}-{height}-6.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())
    sound = voice(float(SECONDS))
    media = Media(_payloads(codec, _encode(codec, height)), opus_packets(sound, OPUS_BPS), sound)
    path.write_bytes(pickle.dumps(media))
    return media


def scene(index: int, height: int) -> Rgb:
    """A picture with structure that moves, and the noise of a camera."""
    width = height * 16 // 9
    rng = np.random.default_rng(5)
    wall = cv2.resize(rng.integers(60, 180, (18, 32, 3)).astype(np.uint8), (width, height))
    head = cv2.resize(
        rng.integers(80, 220, (24, 20, 3)).astype(np.uint8), (height // 3, height // 2)
    )
    x = round(width / 2 + width / 12 * np.sin(index / 17))
    y = round(height / 4 + height / 30 * np.sin(index / 11))
    picture = wall.copy()
    picture[y : y + head.shape[0], x : x + head.shape[1]] = head
    noise = np.random.default_rng(index).normal(0, 3, (height, width, 1))
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _encode(codec: str, height: int) -> list[bytes]:
    name, options = {
        "VP8": (
            "libvpx",
            # max-intra-rate: what libwebrtc allows a keyframe, in percent of a mean frame
            {
                "deadline": "realtime",
                "cpu-used": "-6",
                "lag-in-frames": "0",
                "qmin": "2",
                "max-intra-rate": "900",
            },
        ),
        "H264": ("libx264", {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline"}),
    }[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height = height * 16 // 9, height
    encoder.pix_fmt, encoder.options = "yuv420p", options
    encoder.bit_rate = BITRATE_BPS[height]
    encoder.gop_size = FPS * SECONDS
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    encoder.thread_count = 2
    encoded = []
    for index in range(FPS * SECONDS):
        frame = av.VideoFrame.from_ndarray(scene(index, height), format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = index, encoder.time_base
        encoded += [bytes(packet) for packet in encoder.encode(frame)]
    return encoded + [bytes(packet) for packet in encoder.encode(None)]


def _payloads(codec: str, frames: list[bytes]) -> list[list[bytes]]:
    packetiser = Vp8Encoder() if codec == "VP8" else H264Encoder()
    payloads = []
    for frame in frames:
        packet = av.Packet(frame)
        packet.pts, packet.time_base = 0, Fraction(1, 90_000)
        payloads.append(packetiser.pack(packet)[0])
    return payloads
