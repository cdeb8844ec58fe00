"""Encoded sound and what to compare it with."""

from fractions import Fraction

import av
import numpy as np
from scipy.signal import resample_poly

from vfd.types import SAMPLE_RATE_HZ, Audio

OPUS_DELAY = 104
"""Samples at 16 kHz by which Opus is late by design: 6.5 ms (RFC 6716 section 2)."""
PACKET_S = 0.02


def opus_packets(
    sound: Audio,
    bit_rate: int = 32_000,
    layout: str = "mono",
    *,
    fec: bool = True,
    dtx: bool = False,
    frame_ms: int = 20,
) -> list[bytes]:
    """`sound` (n,) at 16 kHz as Opus packets, as browsers make them for speech."""
    options = {
        "application": "voip" if dtx else "audio",  # voip alone suppresses silence
        "frame_duration": str(frame_ms),
        "fec": str(int(fec)),
        "packet_loss": "10" if fec else "0",
        "dtx": str(int(dtx)),
    }
    up = np.repeat(resample_poly(sound, 3, 1), 2 if layout == "stereo" else 1)
    return _encode("libopus", up.astype(np.float32), 48_000, layout, 48 * frame_ms, bit_rate, options)


def narrow_packets(codec: str, sound: Audio) -> list[bytes]:
    """`sound` (n,) at 16 kHz as packets of 20 ms; `codec` is pcm_mulaw, pcm_alaw or g722."""
    rate = SAMPLE_RATE_HZ if codec == "g722" else 8_000
    samples = sound if codec == "g722" else resample_poly(sound, 1, 2).astype(np.float32)
    return _encode(codec, samples, rate, "mono", rate // 50, 64_000, {})


def _encode(
    codec: str,
    samples: Audio,
    rate: int,
    layout: str,
    frame_size: int,
    bit_rate: int,
    options: dict[str, str],
) -> list[bytes]:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.bit_rate = rate, layout, bit_rate
    encoder.format = "flt" if codec == "libopus" else "s16"
    encoder.time_base = Fraction(1, rate)
    encoder.options = options
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout=layout)
    frame.sample_rate = rate
    cutter = av.AudioResampler(encoder.format, layout, rate, frame_size)
    packets = [bytes(p) for f in cutter.resample(frame) for p in encoder.encode(f)]
    return packets


def similarity(heard: Audio, source: Audio, delay: int, where: np.ndarray | None = None) -> float:
    """Correlation of `heard` with `source` when it is `delay` samples late, outside holes: only
    samples of `heard` for which `where` holds."""
    late = heard[delay:]
    count = min(len(late), len(source))
    mask = np.ones(count, bool) if where is None else where[delay : delay + count]
    return float(np.corrcoef(late[:count][mask], source[:count][mask])[0, 1])
