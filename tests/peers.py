"""Real WebRTC publishers, and a monitor for them to publish to."""

import asyncio
import fractions
import inspect
import itertools
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame, VideoFrame
from numpy.typing import NDArray

from engines.engine import Engine
from monitor.config import Config, ServerConfig
from monitor.receiver import close_peer
from monitor.service import Service
from tests.fakes import FakeEngine, checkpoint, voice
from vfd.finder import FaceFinder
from vfd.types import SAMPLE_RATE_HZ, Box, Face, FaceFrame, Reason, Rgb

SOUND_RATE_HZ = 48_000
PACKET_S = 0.02
PICTURE_HZ = 15


class Paced(MediaStreamTrack):
    """Hands out one frame every `step_s` of real time."""

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self._step_s = step_s
        self._count = 0
        self._start_s: float | None = None

    async def next_index(self) -> int:
        now_s = asyncio.get_running_loop().time()
        if self._start_s is None:
            self._start_s = now_s
        await asyncio.sleep(max(0.0, self._start_s + self._count * self._step_s - now_s))
        self._count += 1
        return self._count - 1


class Voice(Paced):
    """Speech-like sound, the same on both channels, and of everybody another's; `samples` (int16)
    go round and round."""

    kind = "audio"
    _seeds = itertools.count(1)

    def __init__(self, samples: NDArray[np.int16] | None = None) -> None:
        super().__init__(PACKET_S)
        if samples is None:
            samples = np.repeat(
                (voice(4.0, next(self._seeds)) * 32767).astype(np.int16),
                SOUND_RATE_HZ // SAMPLE_RATE_HZ,
            )
        self.samples = samples

    async def recv(self) -> AudioFrame:
        index = await self.next_index()
        size = round(SOUND_RATE_HZ * PACKET_S)
        part = np.take(self.samples, np.arange(index * size, (index + 1) * size), mode="wrap")
        frame = AudioFrame.from_ndarray(np.repeat(part, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts = SOUND_RATE_HZ, index * size
        frame.time_base = fractions.Fraction(1, SOUND_RATE_HZ)
        return frame


class Picture(Paced):
    """The same picture again and again: (height, width, 3) uint8, even sides."""

    kind = "video"

    def __init__(self, rgb: Rgb | None = None, rate_hz: int = PICTURE_HZ) -> None:
        super().__init__(1 / rate_hz)
        self._rate_hz = rate_hz
        grey = np.full((120, 160, 3), 160, np.uint8)
        self._frame = VideoFrame.from_ndarray(grey if rgb is None else rgb, format="rgb24")

    async def recv(self) -> VideoFrame:
        index = await self.next_index()
        frame = VideoFrame.from_ndarray(self._frame.to_ndarray(), format="rgb24")
        frame.pts, frame.time_base = index, fractions.Fraction(1, self._rate_hz)
        return frame


@dataclass
class Publisher:
    peer: RTCPeerConnection
    location: str
    token: str


async def make_offer(peer: RTCPeerConnection) -> str:
    """A complete offer: candidates of the machine's own addresses included."""
    await peer.setLocalDescription(await peer.createOffer())
    return peer.localDescription.sdp


def new_peer(*tracks: MediaStreamTrack | None) -> RTCPeerConnection:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for track in tracks:
        if track is not None:
            peer.addTransceiver(track, direction="sendonly")
    return peer


@asynccontextmanager
async def publish(
    url: str,
    audio: MediaStreamTrack | None = None,
    video: MediaStreamTrack | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Publisher]:
    """Publishes the tracks to the WHIP address `url` until the block ends."""
    peer = new_peer(audio, video)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.post(
                url,
                content=await make_offer(peer),
                headers={"Content-Type": "application/sdp", **(headers or {})},
            )
        response.raise_for_status()
        await peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        yield Publisher(peer, response.headers["Location"], response.headers["VFD-Session-Token"])
    finally:
        await close_peer(peer)


class NoDetector:
    """Never asked: `PlainFinder` takes every picture for a face."""

    def detect(self, rgb: Rgb) -> list[Face]:
        raise AssertionError("no picture should get here")


class PlainFinder(FaceFinder):
    """Every picture is a face of the picture's mean grey, which FakeEngine turns into a score."""

    def __init__(self) -> None:
        super().__init__(NoDetector())
        self.shapes: set[tuple[int, ...]] = set()

    def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
        self.shapes.add(rgb.shape)
        crop = np.full((224, 224, 3), round(float(rgb.mean())), np.uint8)
        return FaceFrame(time_s, crop, Box(0, 0, 90, 90), 0.8)

    def alone(self, rgb: Rgb) -> Face | Reason:
        """Asked during a burst: it has no mouth to be looked at."""
        return Reason.FACE_OCCLUDED


@asynccontextmanager
async def monitor(
    config: Config | None = None,
    engine: Engine | None = None,
    finder: FaceFinder | None = None,
) -> AsyncIterator[Service]:
    """A running service on a free port, with an engine and a finder that need no weights."""
    service = Service(
        config or Config(server=ServerConfig(port=0)),
        engine=engine or FakeEngine(),
        finder=finder or PlainFinder(),
        checkpoint=checkpoint(),
    )
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def until(
    condition: Callable[[], object | Awaitable[object]], timeout_s: float = 10.0
) -> None:
    """Waits until `condition`, a plain or an async function, holds."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = condition()
            if await held if inspect.isawaitable(held) else held:
                return
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


if __name__ == "__main__":  # a publisher of its own, to be killed: `python -m tests.peers URL`

    async def forever(url: str) -> None:
        async with publish(url, Voice(), Picture()):
            await asyncio.Event().wait()

    asyncio.run(forever(sys.argv[1]))
