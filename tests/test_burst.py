from collections.abc import Iterator

import numpy as np
import pytest

from monitor.burst import MAX_WAITING, Burst
from monitor.frame_sequence import Frame
from monitor.keyframe_assembly import VideoCodec
from monitor.keyframe_decoder import DecoderPool
from monitor.keyframe_requests import KeyframeTally
from tests.encoded import encoded, noise
from tests.fakes import until
from vfd.types import Rgb

COUNT = 8
both_codecs = pytest.mark.parametrize("codec", ["VP8", "H264"])


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(KeyframeTally(), threads=2)
    yield pool
    pool.close()


def frames(codec: VideoCodec, seed: int) -> list[Frame]:
    encoded_frames = encoded(codec, 320, 240, COUNT, seed)
    return [Frame(codec, data, n, n == 0) for n, data in enumerate(encoded_frames)]


def likeness(picture: Rgb, number: int, seed: int) -> float:
    wanted = np.roll(noise(seed, 320, 240), 2 * number, axis=1)
    return float(np.corrcoef(picture.ravel(), wanted.ravel())[0, 1])


@both_codecs
async def test_every_frame_is_shown_in_order(codec: VideoCodec, pool: DecoderPool) -> None:
    shown: list[tuple[float, Rgb]] = []
    burst = Burst(pool, lambda time_s, rgb: shown.append((time_s, rgb)))
    for number, frame in enumerate(frames(codec, 1)):
        assert burst.push(frame, number / 30)
    await until(lambda: len(shown) == COUNT)
    assert [time_s for time_s, _ in shown] == [n / 30 for n in range(COUNT)]
    assert all(likeness(rgb, n, 1) > 0.8 for n, (_, rgb) in enumerate(shown))


@both_codecs
async def test_two_bursts_keep_apart(codec: VideoCodec, pool: DecoderPool) -> None:
    shown: dict[int, list[Rgb]] = {1: [], 2: []}
    bursts = {
        seed: Burst(pool, lambda _, rgb, seed=seed: shown[seed].append(rgb)) for seed in shown
    }
    for pair in zip(frames(codec, 1), frames(codec, 2), strict=True):
        for seed, frame in zip(shown, pair, strict=True):
            assert bursts[seed].push(frame, 0.0)
    await until(lambda: all(len(pictures) == COUNT for pictures in shown.values()))
    for seed, pictures in shown.items():
        for number, rgb in enumerate(pictures):
            assert likeness(rgb, number, seed) > 0.8
            assert abs(likeness(rgb, number, 3 - seed)) < 0.2


@both_codecs
async def test_a_frame_that_is_refused_ends_it_until_a_keyframe(
    codec: VideoCodec, pool: DecoderPool
) -> None:
    shown: list[float] = []
    burst = Burst(pool, lambda time_s, _: shown.append(time_s))
    first, second, *_ = frames(codec, 1)
    assert burst.push(first, 0.0)
    await until(lambda: shown)
    burst.push(Frame(codec, b"\0", 1, False), 1.0)
    await until(lambda: not burst.push(second, 2.0))
    assert burst.push(first, 3.0)
    await until(lambda: shown == [0.0, 3.0])


async def test_a_delta_frame_first_is_not_taken(pool: DecoderPool) -> None:
    burst = Burst(pool, lambda time_s, rgb: None)
    assert not burst.push(frames("VP8", 1)[1], 0.0)


async def test_what_cannot_keep_up_gives_up(pool: DecoderPool) -> None:
    burst = Burst(pool, lambda time_s, rgb: None)
    first, second, *_ = frames("VP8", 1)
    taken = [burst.push(frame, 0.0) for frame in [first, *[second] * (MAX_WAITING + 5)]]
    assert not all(taken)
    await until(lambda: not burst._running)
