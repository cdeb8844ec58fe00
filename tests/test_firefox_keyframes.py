"""A minute of Firefox: every request for a keyframe is answered, and all of its sound is heard."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from monitor.config import Config, ServerConfig
from monitor.service import Service
from tests.fakes import until
from tests.firefox import firefox_version, publishing
from tests.kept_media import KeepingFinder, Kept, keep_media

JOIN_TIMEOUT_S = 40.0
LENGTH_S = 60.0
PICTURES_EVERY_S = 4.0  # or better

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    return keep_media(monkeypatch)


async def test_a_minute_of_firefox(kept: Kept, tmp_path: Path) -> None:
    start_s = await _hold(kept, tmp_path)
    requests, keyframes = kept.asked_and_answered
    gaps = np.diff([at_s for at_s, _ in kept.pictures])
    bitrate = kept.bitrate_bps(start_s + LENGTH_S / 3, start_s + LENGTH_S)
    print(
        f"\n{firefox_version()}: {requests} requests, {keyframes} keyframes, "
        f"{len(kept.pictures)} pictures of {kept.pictures[-1][1].shape}, at most "
        f"{gaps.max():.1f} s apart; {bitrate / 1e3:.0f} kbit/s; {kept.heard_s:.1f} s of sound, "
        f"packets received and lost: {kept.audio_packets}"
    )
    assert keyframes >= 0.9 * requests > 0
    assert gaps.max() <= PICTURES_EVERY_S
    assert kept.heard_s > 0.8 * LENGTH_S
    assert kept.sound_is_complete()


async def _hold(kept: Kept, folder: Path) -> float:
    """Watches Firefox for LENGTH_S; returns when the first picture came."""
    service = Service(Config(server=ServerConfig(port=0)), finder=KeepingFinder(kept))
    async with AsyncExitStack() as stack:
        await service.start()
        stack.push_async_callback(service.stop)
        url = f"{service.url}/publish?call=standup&name=alice&ec=0&ns=0&autostart=1"
        browser = await stack.enter_async_context(publishing(url, folder))
        try:
            await until(lambda: kept.pictures, JOIN_TIMEOUT_S)
        except TimeoutError:
            pytest.fail(f"no picture came; Firefox said: {browser.said()}")
        start_s = time.monotonic()
        await asyncio.sleep(LENGTH_S)
    return start_s
