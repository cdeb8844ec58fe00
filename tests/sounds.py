"""Encoded sound and what to compare it with."""

import ctypes
from fractions import Fraction

import av
import numpy as np
from scipy.signal import resample_poly

from monitor.opus import opus_library
from vfd.types import SAMPLE_RATE_HZ, Audio

OPUS_DELAY = 104
"""Samples at 16 kHz by which Opus is late by design: 6.5 ms (RFC 6716 section 2)."""
PACKET_S = 0.02
_VOIP, _AUDIO = 2_048, 2_049  # opus_defines.h
_SET_BITRATE, _SET_FEC, _SET_LOSS, _SET_DTX = 4_002, 4_012, 4_014, 4_016


def opus_packets(
    sound: Audio,
    bit_rate: int = 32_000,
    layout: str = "mono",
    *,
    fec: bool = True,
    dtx: bool = False,
    frame_ms: int = 20,
) -> list[bytes]:
    """`sound` (n,) at 16 kHz as Opus packets. `voip` filters the low end away, so that nothing
    correlates with the source as it was; only where silence is suppressed it is needed."""
    library = opus_library()
    assert library is not None
    library.opus_encoder_create.restype = ctypes.c_void_p
    channels = 2 if layout == "stereo" else 1
    application = _VOIP if dtx else _AUDIO
    encoder = ctypes.c_void_p(library.opus_encoder_create(48_000, channels, application, None))
    settings = {
        _SET_BITRATE: bit_rate,
        _SET_FEC: int(fec),
        _SET_LOSS: 10 if fec else 0,
        _SET_DTX: int(dtx),
    }
    for request, value in settings.items():
        assert library.opus_encoder_ctl(encoder, request, ctypes.c_int(value)) == 0
    samples = np.repeat(resample_poly(sound, 3, 1), channels).astype(np.float32)
    size = 48 * frame_ms * channels
    packet = ctypes.create_string_buffer(1_500)
    packets = []
    for start in range(0, len(samples) - size + 1, size):
        frame = samples[start : start + size].tobytes()
        count = library.opus_encode_float(encoder, frame, size // channels, packet, len(packet))
        assert count > 0
        packets.append(packet.raw[:count])
    library.opus_encoder_destroy(encoder)
    return packets


def narrow_packets(codec: str, sound: Audio) -> list[bytes]:
    """`sound` (n,) at 16 kHz as packets of 20 ms; `codec` is pcm_mulaw, pcm_alaw or g722."""
    rate = SAMPLE_RATE_HZ if codec == "g722" else 8_000
    samples = sound if codec == "g722" else resample_poly(sound, 1, 2)
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    encoder.time_base = Fraction(1, rate)
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
    frame.sample_rate = rate
    cutter = av.AudioResampler("s16", "mono", rate, rate // 50)
    return [bytes(packet) for part in cutter.resample(frame) for packet in encoder.encode(part)]


def similarity(heard: Audio, source: Audio, delay: int, where: np.ndarray | None = None) -> float:
    """Correlation of `heard` with `source` when it is `delay` samples late, outside holes: only
    samples of `heard` for which `where` holds."""
    late = heard[delay:]
    count = min(len(late), len(source))
    mask = np.ones(count, bool) if where is None else where[delay : delay + count]
    return float(np.corrcoef(late[:count][mask], source[:count][mask])[0, 1])
