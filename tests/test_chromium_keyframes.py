"""A minute of a real browser: every request for a keyframe is answered, the pictures are the ones
that its camera played, and asking does not cost it bitrate."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from monitor.config import Config, ServerConfig
from monitor.service import Service
from tests.alignment import nearest, thumbnail
from tests.browser import browsing, chromium_version
from tests.fakes import until
from tests.kept_media import KeepingFinder, Kept, keep_media
from tests.looped import Loop, write_loop
from vfd.types import Rgb

JOIN_TIMEOUT_S = 20.0
LENGTH_S = 60.0
SETTLED_S = 20.0  # Chromium begins at a low bit rate
PICTURES_EVERY_S = 4.0  # or better

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    return keep_media(monkeypatch)


@pytest.fixture
def loop(media: list[Path], tmp_path: Path) -> Loop:
    return write_loop(media, tmp_path)


async def test_a_minute_of_a_browser(kept: Kept, loop: Loop, tmp_path: Path) -> None:
    start_s = await _hold(kept, loop, tmp_path)
    requests, keyframes = kept.asked_and_answered
    early = kept.bitrate_bps(start_s + SETTLED_S, start_s + 2 * SETTLED_S)
    late = kept.bitrate_bps(start_s + 2 * SETTLED_S, start_s + LENGTH_S)
    gaps = np.diff([at_s for at_s, _ in kept.pictures])
    settled = [rgb for at_s, rgb in kept.pictures if at_s > start_s + SETTLED_S]
    assert settled, (
        f"no picture after {SETTLED_S} s; before: {len(kept.pictures)}; {early / 1e3:.0f} kbit/s "
        f"then, {late / 1e3:.0f} at the end; {requests} requests, {keyframes} keyframes"
    )
    likeness = _likeness(settled, loop)
    print(
        f"\n{chromium_version()}: {requests} requests, {keyframes} keyframes, "
        f"{len(kept.pictures)} pictures of {settled[-1].shape}, at most {gaps.max():.1f} s "
        f"apart; {early / 1e3:.0f} kbit/s, then {late / 1e3:.0f}; SSIM median "
        f"{np.median(likeness):.3f}, least {min(likeness):.3f}; {kept.heard_s:.1f} s of sound, "
        f"packets received and lost: {kept.audio_packets}"
    )
    assert keyframes >= 0.9 * requests > 0
    assert gaps.max() <= PICTURES_EVERY_S
    assert late >= 0.8 * early
    assert np.median(likeness) >= 0.85
    assert min(likeness) >= 0.7
    assert kept.heard_s > 0.8 * LENGTH_S
    assert kept.sound_is_complete()


async def _hold(kept: Kept, loop: Loop, folder: Path) -> float:
    """Watches a browser for LENGTH_S; returns when the first picture came."""
    finder = KeepingFinder(kept)
    service = Service(Config(server=ServerConfig(port=0)), finder=finder)
    async with AsyncExitStack() as stack:
        await service.start()
        stack.push_async_callback(service.stop)
        url = f"{service.url}/publish?call=standup&name=alice&ec=0&ns=0&autostart=1"
        browser = await stack.enter_async_context(
            browsing(url, camera=loop.camera, microphone=loop.microphone, folder=folder)
        )
        try:
            await until(lambda: kept.pictures, JOIN_TIMEOUT_S)
        except TimeoutError:
            pytest.fail(f"no picture came; Chromium said: {browser.said()}")
        start_s = time.monotonic()
        await asyncio.sleep(LENGTH_S)
    return start_s


def _likeness(pictures: list[Rgb], loop: Loop) -> list[float]:
    """SSIM of each picture with the frame of the loop that it shows."""
    with av.open(str(loop.file)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    thumbnails = np.stack([thumbnail(frame) for frame in frames])
    return [_ssim(rgb, frames[nearest(thumbnail(rgb), thumbnails)]) for rgb in pictures]


def _ssim(picture: Rgb, source: Rgb) -> float:
    """Mean structural similarity of luminance (Wang et al. 2004: Gaussian window of 1.5 pixels,
    constants 0.01 and 0.03), at the size of `picture`."""
    height, width = picture.shape[:2]
    source = cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA)
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (picture, source))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    both = mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return float((ssim / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())
