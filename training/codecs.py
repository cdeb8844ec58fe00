"""What a call does to media: VP8, H.264 and Opus as a browser's real-time encoder sets them."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.audio.resampler import AudioResampler

from vfd.types import SAMPLE_RATE_HZ, Audio, Rgb

OPUS_RATE_HZ = 48_000  # RFC 7587 section 4.1: the RTP clock, whatever was captured
OPUS_FRAME_S = 0.02

# libvpx as libwebrtc sets it for a call: no look-ahead, constant rate, frames may not be dropped
# here since a dropped frame would leave a hole in a loop.
_VP8_OPTIONS = {
    "deadline": "realtime",
    "cpu-used": "-8",  # negative: fixed; a positive one follows the clock and no run repeats
    "lag-in-frames": "0",
    "error-resilient": "1",
    "qmin": "2",
    "qmax": "56",
    "rc_init_occupancy": "500",
}

_H264_OPTIONS = {
    "preset": "veryfast",
    "tune": "zerolatency",
    "profile": "baseline",  # what browsers agree on in calls
    "x264-params": "scenecut=0",
}


def encode_vp8(
    frames: Sequence[Rgb], bit_rate: int = 500_000, fps: int = 30, keyframe_every: int = 3_000
) -> list[bytes]:
    """One VP8 frame per picture, a key frame at every `keyframe_every`-th. All of one size."""
    options = _VP8_OPTIONS | {"minrate": str(bit_rate), "maxrate": str(bit_rate)}
    return _encode("libvpx", options, frames, bit_rate, fps, keyframe_every)


def encode_h264(frames: Sequence[Rgb], bit_rate: int = 500_000, fps: int = 30) -> list[bytes]:
    """One H.264 constrained-baseline frame per picture after one key frame. All of one size, with
    even sides."""
    options = _H264_OPTIONS | {"maxrate": str(bit_rate), "bufsize": str(bit_rate // 2)}
    return _encode("libx264", options, frames, bit_rate, fps, len(frames))


def _encode(
    codec: str,
    options: dict[str, str],
    frames: Sequence[Rgb],
    bit_rate: int,
    fps: int,
    keyframe_every: int,
) -> list[bytes]:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.options = options
    encoder.bit_rate = bit_rate
    encoder.gop_size = keyframe_every
    encoder.height, encoder.width = frames[0].shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(fps)
    encoder.time_base = Fraction(1, fps)
    encoder.thread_count = 1
    packets: list[bytes] = []
    for index, rgb in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = index, encoder.time_base
        if index % keyframe_every == 0:
            frame.pict_type = av.video.frame.PictureType.I
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def decode_vp8(packets: Sequence[bytes]) -> list[Rgb]:
    """The pictures of an unbroken VP8 stream that begins with a key frame."""
    return _decode("vp8", packets)


def decode_h264(packets: Sequence[bytes]) -> list[Rgb]:
    """The pictures of an unbroken H.264 stream that begins with a key frame."""
    return _decode("h264", packets)


def _decode(codec: Literal["vp8", "h264"], packets: Sequence[bytes]) -> list[Rgb]:
    decoder = av.CodecContext.create(codec, "r")
    decoder.thread_count = 1
    frames = [f for data in packets for f in decoder.decode(av.Packet(data))]
    frames += decoder.decode(None)
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def encode_opus(audio: Audio, bit_rate: int = 32_000, complexity: int = 10) -> list[bytes]:
    """16 kHz mono -> Opus packets of 20 ms at 48 kHz, as `voip` speech. `complexity` 0 to 10: less
    is faster and a little worse."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.options = {
        "application": "voip",
        "frame_duration": "20",
        "compression_level": str(complexity),
    }
    encoder.bit_rate = bit_rate
    encoder.sample_rate = OPUS_RATE_HZ
    encoder.layout = "mono"
    encoder.format = "s16"
    encoder.time_base = Fraction(1, OPUS_RATE_HZ)
    encoder.open()
    resampler = AudioResampler("s16", "mono", OPUS_RATE_HZ, frame_size=encoder.frame_size)
    pcm = np.clip(audio * 32_767, -32_768, 32_767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    packets = [p for piece in frames for p in encoder.encode(piece)]
    return [bytes(packet) for packet in [*packets, *encoder.encode(None)]]


def decode_opus(packets: Sequence[bytes]) -> Audio:
    """Opus packets of 20 ms -> 16 kHz mono; lasts as long as the packets say."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate = OPUS_RATE_HZ
    decoder.layout = "mono"
    resampler = AudioResampler("fltp", "mono", SAMPLE_RATE_HZ)
    pieces: list[Audio] = []
    for index, data in enumerate(packets):
        packet = av.Packet(data)
        packet.pts = packet.dts = index * int(OPUS_RATE_HZ * OPUS_FRAME_S)
        packet.time_base = Fraction(1, OPUS_RATE_HZ)
        for frame in decoder.decode(packet):
            pieces += [f.to_ndarray()[0] for f in resampler.resample(frame)]
    pieces += [f.to_ndarray()[0] for f in resampler.resample(None)]
    return np.concatenate(pieces).astype(np.float32)
