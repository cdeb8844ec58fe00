"""Never a pixel of somebody else: everybody's picture is noise that is like nobody else's."""

import asyncio
from collections.abc import Iterator

import av
import numpy as np
import pytest

from monitor.keyframe_assembly import Keyframe, VideoCodec
from monitor.keyframe_decoder import (
    MAX_PENDING,
    MAX_SIDE_PX,
    DecoderPool,
    decode_keyframe,
    open_decoder,
)
from monitor.keyframe_requests import KeyframeTally
from tests.encoded import encoded, noise
from tests.fakes import until
from vfd.types import Rgb

WIDTH, HEIGHT = 320, 240
ALICE, BOB = 1, 2
both_codecs = pytest.mark.parametrize("codec", ["VP8", "H264"])


@pytest.fixture
def tally() -> KeyframeTally:
    return KeyframeTally()


@pytest.fixture
def pool(tally: KeyframeTally) -> Iterator[DecoderPool]:
    pool = DecoderPool(tally, threads=1)
    yield pool
    pool.close()


def keyframe(codec: VideoCodec, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Keyframe:
    return Keyframe(codec, encoded(codec, *size, 2, seed)[0], 0)


def likeness(picture: Rgb, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> float:
    """Correlation with the picture that `seed` draws; two seeds have none."""
    return float(np.corrcoef(picture.ravel(), noise(seed, *size).ravel())[0, 1])


async def decoded(pool: DecoderPool, keyframe: Keyframe) -> Rgb | None:
    future = asyncio.get_running_loop().create_future()
    pool.decode(keyframe, future.set_result)
    async with asyncio.timeout(10):
        picture: Rgb | None = await future
    return picture


@both_codecs
def test_a_keyframe_is_a_picture(codec: VideoCodec) -> None:
    picture = decode_keyframe(keyframe(codec, ALICE))
    assert picture is not None
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert likeness(picture, ALICE) > 0.9


@both_codecs
async def test_participants_take_turns_on_one_thread(codec: VideoCodec, pool: DecoderPool) -> None:
    for _ in range(5):
        for mine, other in ((ALICE, BOB), (BOB, ALICE)):
            picture = await decoded(pool, keyframe(codec, mine))
            assert picture is not None
            assert likeness(picture, mine) > 0.9
            assert abs(likeness(picture, other)) < 0.1


@both_codecs
async def test_half_a_keyframe_shows_nobody_else(codec: VideoCodec, pool: DecoderPool) -> None:
    """A decoder that had seen Alice would show her for Bob's keyframe cut short."""
    whole = keyframe(codec, BOB)
    for tenth in range(10):
        assert await decoded(pool, keyframe(codec, ALICE)) is not None
        cut = whole._replace(data=whole.data[: len(whole.data) * tenth // 10])
        picture = await decoded(pool, cut)
        assert picture is None or abs(likeness(picture, ALICE)) < 0.1


@both_codecs
async def test_a_delta_frame_is_no_picture(codec: VideoCodec, pool: DecoderPool) -> None:
    assert await decoded(pool, keyframe(codec, ALICE)) is not None
    delta = Keyframe(codec, encoded(codec, WIDTH, HEIGHT, 2, BOB)[1], 0)
    assert await decoded(pool, delta) is None


def test_a_decoder_kept_open_does_show_somebody_else() -> None:
    """Why every keyframe has a decoder of its own."""
    shared = open_decoder("VP8")
    shared.decode(av.Packet(keyframe("VP8", ALICE).data))
    delta = encoded("VP8", WIDTH, HEIGHT, 2, BOB)[1]
    (frame,) = shared.decode(av.Packet(delta))
    assert likeness(frame.to_ndarray(format="rgb24"), ALICE) > 0.3


@both_codecs
@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\1\x65", bytes(range(256)) * 8])
def test_rubbish_is_no_picture(codec: VideoCodec, data: bytes) -> None:
    assert decode_keyframe(Keyframe(codec, data, 0)) is None


def test_a_size_beyond_reason_is_not_tried() -> None:
    data = bytearray(keyframe("VP8", ALICE).data)
    data[6:10] = b"\xff\x3f\xff\x3f"
    assert decode_keyframe(Keyframe("VP8", bytes(data), 0)) is None


@both_codecs
def test_the_picture_has_the_size_of_its_keyframe(codec: VideoCodec) -> None:
    """The size may change from one keyframe to the next."""
    for size in ((64, 48), (320, 240), (48, 64)):
        picture = decode_keyframe(keyframe(codec, BOB, size))
        assert picture is not None
        assert picture.shape == (size[1], size[0], 3)


def test_large_pictures_are_shrunk() -> None:
    picture = decode_keyframe(keyframe("VP8", ALICE, (1920, 1080)))
    assert picture is not None
    assert picture.shape == (720, MAX_SIDE_PX, 3)


async def test_the_line_is_bounded(pool: DecoderPool, tally: KeyframeTally) -> None:
    results: list[Rgb | None] = []
    for _ in range(MAX_PENDING + 10):
        pool.decode(keyframe("VP8", ALICE), results.append)
    assert tally.dropped == 10
    await until(lambda: len(results) == MAX_PENDING + 10, 20)
    assert sum(picture is None for picture in results) == 10
    assert await decoded(pool, keyframe("VP8", ALICE)) is not None


async def test_a_job_that_fails_is_no_picture(
    pool: DecoderPool, caplog: pytest.LogCaptureFixture
) -> None:
    def job() -> Rgb | None:
        raise RuntimeError("out of cheese")

    results: list[Rgb | None] = []
    pool.run(job, results.append)
    await until(lambda: results)
    assert results == [None]
    assert "a decoder failed" in caplog.text
