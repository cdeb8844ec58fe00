"""A minute of a real browser: every request for a keyframe is answered, the pictures are the ones
that its camera played, and asking does not cost it bitrate."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from monitor import keyframe_media, receiving
from monitor.config import Config, ServerConfig
from monitor.keyframe_media import KeyframeMedia
from monitor.rtp_session import RtpSession
from monitor.service import Service
from monitor.sessions import Session
from tests.alignment import nearest, thumbnail
from tests.browser import browsing, chromium_version
from tests.fakes import until
from tests.looped import Loop, write_loop
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.types import SAMPLE_RATE_HZ, Audio, FaceFrame, Reason, Rgb

JOIN_TIMEOUT_S = 20.0
LENGTH_S = 60.0
SETTLED_S = 20.0  # Chromium begins at a low bit rate
PICTURES_EVERY_S = 4.0  # or better
AUDIO_PACKET_S = 0.02
HOP_S = 1.0  # not heard yet when the call ends

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass
class Recorded:
    """What came from the browser, with times of the monotonic clock."""

    media: list[KeyframeMedia] = field(default_factory=list)
    datagrams: list[tuple[float, int]] = field(default_factory=list)
    pictures: list[tuple[float, Rgb]] = field(default_factory=list)
    heard_s: float = 0.0

    def bitrate_bps(self, start_s: float, end_s: float) -> float:
        octets = sum(size for at_s, size in self.datagrams if start_s <= at_s < end_s)
        return 8 * octets / (end_s - start_s)


class KeepingFinder(FaceFinder):
    """Keeps every picture that it looks at."""

    def __init__(self, recorded: Recorded) -> None:
        super().__init__(MtcnnDetector())
        self._recorded = recorded

    def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
        self._recorded.pictures.append((time.monotonic(), rgb))
        return super().find(rgb, time_s)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    record = Recorded()

    class KeptMedia(KeyframeMedia):
        def __init__(self, session: Session, *args: Any) -> None:  # noqa: ANN401
            super().__init__(session, *args)
            record.media.append(self)
            write_audio = session.buffer.write_audio

            def count_and_write(time_s: float, samples: Audio) -> None:
                record.heard_s += len(samples) / SAMPLE_RATE_HZ
                write_audio(time_s, samples)

            monkeypatch.setattr(session.buffer, "write_audio", count_and_write)

    class WeighedSession(RtpSession):
        def datagram(self, data: bytes, arrival_s: float) -> None:
            record.datagrams.append((arrival_s, len(data)))
            super().datagram(data, arrival_s)

    monkeypatch.setattr(receiving, "KeyframeMedia", KeptMedia)
    monkeypatch.setattr(keyframe_media, "RtpSession", WeighedSession)
    return record


@pytest.fixture
def loop(media: list[Path], tmp_path: Path) -> Loop:
    return write_loop(media, tmp_path)


async def test_a_minute_of_a_browser(recorded: Recorded, loop: Loop, tmp_path: Path) -> None:
    start_s = await _hold(recorded, loop, tmp_path)
    (media,) = recorded.media
    requests, keyframes = media.video.requests.sent, media.video.keyframes
    assert media.rtp is not None
    packets, lost = _audio_packets(media.rtp)
    early = recorded.bitrate_bps(start_s + SETTLED_S, start_s + 2 * SETTLED_S)
    late = recorded.bitrate_bps(start_s + 2 * SETTLED_S, start_s + LENGTH_S)
    gaps = np.diff([at_s for at_s, _ in recorded.pictures])
    settled = [rgb for at_s, rgb in recorded.pictures if at_s > start_s + SETTLED_S]
    likeness = _likeness(settled, loop)
    print(
        f"\n{chromium_version()}: {requests} requests, {keyframes} keyframes, "
        f"{len(recorded.pictures)} pictures of {settled[-1].shape}, at most {gaps.max():.1f} s "
        f"apart; {early / 1e3:.0f} kbit/s, then {late / 1e3:.0f}; SSIM median "
        f"{np.median(likeness):.3f}, least {min(likeness):.3f}; "
        f"{recorded.heard_s:.1f} s of sound in {packets} packets, {lost} lost"
    )
    assert keyframes >= 0.9 * requests > 0
    assert gaps.max() <= PICTURES_EVERY_S
    assert late >= 0.8 * early
    assert np.median(likeness) >= 0.85
    assert min(likeness) >= 0.7
    # A fake microphone on a busy machine makes less than a second of sound a second.
    assert recorded.heard_s == pytest.approx(packets * AUDIO_PACKET_S, abs=HOP_S + AUDIO_PACKET_S)
    assert recorded.heard_s > 0.8 * LENGTH_S
    assert lost == 0


async def _hold(recorded: Recorded, loop: Loop, folder: Path) -> float:
    """Watches a browser for LENGTH_S; returns when the first picture came."""
    finder = KeepingFinder(recorded)
    service = Service(Config(server=ServerConfig(port=0)), finder=finder)
    async with AsyncExitStack() as stack:
        await service.start()
        stack.push_async_callback(service.stop)
        url = f"{service.url}/publish?call=standup&name=alice&ec=0&ns=0&autostart=1"
        browser = await stack.enter_async_context(
            browsing(url, camera=loop.camera, microphone=loop.microphone, folder=folder)
        )
        try:
            await until(lambda: recorded.pictures, JOIN_TIMEOUT_S)
        except TimeoutError:
            pytest.fail(f"no picture came; Chromium said: {browser.said()}")
        start_s = time.monotonic()
        await asyncio.sleep(LENGTH_S)
    return start_s


def _audio_packets(rtp: RtpSession) -> tuple[int, int]:
    """Received and lost."""
    (source,) = [s for s in rtp._sources.values() if s.kind == "audio"]
    return source.reception.received, source.reception.lost


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
