"""What a call does to media, done by the real encoders."""

import numpy as np
import pytest

from training.codecs import decode_opus, decode_vp8, encode_opus, encode_vp8
from vfd.types import SAMPLE_RATE_HZ, Rgb


def moving_bars(count: int) -> list[Rgb]:
    x = np.arange(320)
    rows = [127 + 100 * np.sin((x + 4 * i) / 12) for i in range(count)]
    return [np.repeat(np.tile(r, (180, 1))[..., None], 3, axis=2).astype(np.uint8) for r in rows]


def is_key(frame: bytes) -> bool:
    return not frame[0] & 1  # RFC 6386 section 9.1: bit 0 is 0 for key frames


def test_one_vp8_frame_a_picture_and_key_frames_where_asked() -> None:
    packets = encode_vp8(moving_bars(25), keyframe_every=10)
    assert [i for i, p in enumerate(packets) if is_key(p)] == [0, 10, 20]
    assert len(packets) == 25


def test_vp8_comes_back_as_the_same_pictures() -> None:
    frames = moving_bars(20)
    decoded = decode_vp8(encode_vp8(frames, bit_rate=1_000_000))
    assert len(decoded) == 20
    assert np.abs(decoded[-1].astype(int) - frames[-1]).mean() < 8


def test_a_lower_rate_costs_sharpness() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (180, 320, 3), dtype=np.uint8)] * 30
    sizes = [sum(map(len, encode_vp8(frames, bit_rate=rate))) for rate in (150_000, 1_000_000)]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("bit_rate", [16_000, 32_000])
def test_opus_keeps_time_pitch_and_rate(bit_rate: int) -> None:
    t = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    packets = encode_opus(tone, bit_rate=bit_rate)
    sound = decode_opus(packets)
    assert abs(len(sound) / SAMPLE_RATE_HZ - 2) <= 0.04  # a packet more for the encoder's delay
    assert sum(map(len, packets)) * 8 / 2 < 1.4 * bit_rate
    spectrum = np.abs(np.fft.rfft(sound[4_000:20_000]))
    assert np.argmax(spectrum) == 440
