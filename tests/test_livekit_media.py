"""What the SDK of LiveKit decodes: bounded, converted where it is looked at, upright."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest_asyncio
from livekit import rtc

from monitor.livekit_media import to_rgb
from tests.fake_livekit import URL, FakeLiveKit, fake_livekit
from tests.watching import watching


@pytest_asyncio.fixture
async def livekit(nothing_left_behind: None) -> AsyncIterator[FakeLiveKit]:
    async with fake_livekit() as fake:
        yield fake


async def test_only_pictures_that_are_looked_at_are_converted_and_none_piles_up(
    livekit: FakeLiveKit,
) -> None:
    livekit.arrive("ben", "Ben")
    async with watching(URL) as w:
        await w.scored("Ben")
        before = livekit.converted
        await asyncio.sleep(2)
        assert 2 <= livekit.converted - before <= 5  # one every 0.5 s, of 30
        for _ in range(300):
            livekit.send("video", None)
        await asyncio.sleep(0.3)
        assert livekit.buffers < 10


def event_of(rotation: "rtc.VideoRotation.ValueType") -> rtc.VideoFrameEvent:
    """Red above, blue below."""
    luma = np.repeat(np.array([76, 29], np.uint8), 8)[:, None] * np.ones((1, 16), np.uint8)
    reds = np.repeat(np.array([255, 107], np.uint8), 4)[:, None] * np.ones((1, 8), np.uint8)
    blues = np.repeat(np.array([85, 255], np.uint8), 4)[:, None] * np.ones((1, 8), np.uint8)
    data = luma.tobytes() + blues.tobytes() + reds.tobytes()
    frame = rtc.VideoFrame(16, 16, rtc.VideoBufferType.I420, bytearray(data))
    return rtc.VideoFrameEvent(frame, 0, rotation)


async def test_pictures_are_turned_upright(livekit: FakeLiveKit) -> None:
    for rotation, red in (
        (rtc.VideoRotation.VIDEO_ROTATION_0, (0, 8)),
        (rtc.VideoRotation.VIDEO_ROTATION_90, (8, 15)),
        (rtc.VideoRotation.VIDEO_ROTATION_180, (15, 8)),
        (rtc.VideoRotation.VIDEO_ROTATION_270, (8, 0)),
    ):
        rgb = to_rgb(event_of(rotation))
        assert rgb.shape == (16, 16, 3)
        assert rgb[red][0] > 200 > 100 > rgb[red][2]


NATIVE = """
import time
from livekit import rtc
from monitor.livekit_media import to_rgb
from tests.test_livekit_media import event_of
rgb = to_rgb(event_of(rtc.VideoRotation.VIDEO_ROTATION_0))
assert rgb[0, 8, 0] > 200 > 100 > rgb[0, 8, 2], rgb[0, 8]
assert rgb[15, 8, 2] > 200 > 100 > rgb[15, 8, 0], rgb[15, 8]
time.sleep(1)  # the library aborts a process that ends while its threads begin
"""


def test_the_native_half_converts_pictures() -> None:
    """In a process of its own, because it leaves threads."""
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", NATIVE], check=True, timeout=60, cwd=root)
