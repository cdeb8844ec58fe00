"""Real peers on the machine's own addresses; only the offer is handed over by hand."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from av import AudioFrame

from monitor.buffers import ParticipantBuffer
from monitor.config import Config, ReceiverConfig, ScoringConfig, WhipConfig
from monitor.problems import Problem
from monitor.receiver import Receiver, close_peer
from monitor.receiving import Receiving
from monitor.sessions import Session
from tests.fakes import ALICE, LIMITS
from tests.peers import Picture, Voice, free_port, make_offer, new_peer, until
from vfd.decision import Decider
from vfd.types import Rgb

KEYFRAME = Config(
    scoring=ScoringConfig(face_interval_s=0.4), receiver=ReceiverConfig(keyframe_interval_s=0.6)
)
PLAIN = replace(KEYFRAME, receiver=ReceiverConfig(path="plain"))
HOP_S = 0.1

both_paths = pytest.mark.parametrize("config", [KEYFRAME, PLAIN], ids=["keyframe", "plain"])


@dataclass
class Faces:
    """Keeps what it is asked to look at."""

    pictures: list[tuple[float, Rgb]] = field(default_factory=list)
    before: list[tuple[float, Rgb]] = field(default_factory=list)

    def submit(
        self, session: Session, time_s: float, rgb: Rgb, before: Sequence[tuple[float, Rgb]] = ()
    ) -> None:
        self.pictures.append((time_s, rgb))
        self.before += before


@dataclass
class Scene:
    receiver: Receiver
    session: Session
    faces: Faces
    running: "asyncio.Task[str]"

    def coverage(self, span_s: float) -> float:
        received = self.session.buffer.snapshot(time.monotonic() - 0.2).received
        return float(received[-round(span_s * 16_000) :].mean())


@asynccontextmanager
async def new_receiver(config: Config = KEYFRAME) -> AsyncIterator[tuple[Receiver, Session, Faces]]:
    session = Session(ALICE, ParticipantBuffer(ALICE, config.scoring), Decider(LIMITS), 0.0)
    faces = Faces()
    with ThreadPoolExecutor(1) as executor:
        receiving = Receiving(config, faces, executor, time.monotonic)
        await receiving.open()
        assert receiving.path == config.receiver.path
        receiver = receiving.receiver(session)
        hearing = asyncio.create_task(hear(receiving, receiver))
        try:
            yield receiver, session, faces
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing
            await receiver.close()
            receiving.close()


async def hear(receiving: Receiving, receiver: Receiver) -> None:
    while True:
        await receiving.hear([receiver.media], time.monotonic() - 0.1)
        await asyncio.sleep(HOP_S)


@asynccontextmanager
async def receiving(peer: RTCPeerConnection, config: Config = KEYFRAME) -> AsyncIterator[Scene]:
    async with new_receiver(config) as (receiver, session, faces):
        answer = await receiver.answer(await make_offer(peer))
        running = asyncio.create_task(receiver.run())
        try:
            await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            yield Scene(receiver, session, faces, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await close_peer(peer)


def with_codec(track: MediaStreamTrack, mime_type: str) -> RTCPeerConnection:
    peer = new_peer(track)
    codecs = [c for c in RTCRtpSender.getCapabilities(track.kind).codecs if c.mimeType == mime_type]
    peer.getTransceivers()[0].setCodecPreferences(codecs)
    return peer


@both_paths
async def test_sound_and_pictures_arrive_in_their_time(config: Config) -> None:
    grey = np.full((120, 160, 3), 90, np.uint8)
    async with receiving(new_peer(Voice(), Picture(grey)), config) as scene:
        await until(lambda: scene.coverage(1.5) > 0.99)
        snapshot = scene.session.buffer.snapshot(time.monotonic())
        assert np.abs(snapshot.audio).max() > 0.1
        assert snapshot.last_video_s == pytest.approx(time.monotonic(), abs=1.0)
        times = [time_s for time_s, _ in scene.faces.pictures]
        assert len(times) > 1
        assert np.diff(times).min() >= 0.3  # half of the keyframe interval, if one came by itself
        picture = scene.faces.pictures[-1][1]
        assert picture.shape == (120, 160, 3)
        assert picture.dtype == np.uint8
        assert picture.mean() == pytest.approx(90, abs=6)


@both_paths
async def test_sound_keeps_its_pitch_through_opus(config: Config) -> None:
    """A tone of 440 Hz at 48 kHz is one of 440 Hz at 16 kHz."""
    t = np.arange(48_000) / 48_000
    tone = (np.sin(2 * np.pi * 440 * t) * 12_000).astype(np.int16)
    async with receiving(new_peer(Voice(tone)), config) as scene:
        await until(lambda: scene.coverage(1.0) == 1.0)
        audio = scene.session.buffer.snapshot(time.monotonic() - 0.2).audio[-16_000:]
    assert np.argmax(np.abs(np.fft.rfft(audio))) == 440
    assert np.abs(audio).max() == pytest.approx(12_000 / 32_768, rel=0.15)


class Halting(Voice):
    """Sends nothing for 0.2 s in every second, as a sender does that suppresses silence."""

    async def recv(self) -> AudioFrame:
        while True:
            frame = await super().recv()
            assert frame.time is not None
            if frame.time % 1 < 0.8:
                return frame


@both_paths
async def test_silence_that_the_sender_suppresses_counts_as_received(config: Config) -> None:
    peer = with_codec(Halting(), "audio/PCMU")  # aiortc's Opus encoder fills such gaps
    async with receiving(peer, config) as scene:
        await until(lambda: scene.coverage(2.0) > 0.98)
        audio = scene.session.buffer.snapshot(time.monotonic() - 0.2).audio[-32_000:]
    assert 0.1 < np.mean(audio == 0) < 0.35


async def test_sound_that_is_lost_does_not() -> None:
    peer = new_peer(Voice())
    async with receiving(peer) as scene:
        await until(lambda: scene.coverage(1.0) == 1.0)
        dtls = peer.getSenders()[0].transport
        send, sent = dtls._send_rtp, itertools.count()

        async def lossy(data: bytes) -> None:
            if next(sent) % 10:
                await send(data)

        dtls._send_rtp = lossy  # type: ignore[method-assign]
        await asyncio.sleep(3.0)
        assert 0.5 < scene.coverage(2.0) < 0.95


@both_paths
@pytest.mark.parametrize("mime_type", ["audio/PCMU", "audio/G722"])
async def test_telephone_speech_is_taken(mime_type: str, config: Config) -> None:
    async with receiving(with_codec(Voice(), mime_type), config) as scene:
        await until(lambda: scene.coverage(1.0) > 0.99)
        assert not scene.faces.pictures
        assert scene.session.buffer.snapshot(time.monotonic()).last_video_s is None


@both_paths
async def test_pictures_without_sound_are_taken(config: Config) -> None:
    peer = new_peer()
    peer.addTransceiver("audio", direction="sendonly")
    peer.addTransceiver(Picture(), direction="sendonly")
    async with receiving(peer, config) as scene:
        await until(lambda: scene.faces.pictures)
        assert scene.coverage(3.0) == 0.0


@pytest.mark.parametrize(
    "shape", [(16, 16), (90, 160), (160, 90), pytest.param((2160, 3840), marks=pytest.mark.slow)]
)
async def test_pictures_of_any_size_arrive_whole(shape: tuple[int, int]) -> None:
    """The plain path gives them as they are; the keyframe path shrinks what is beyond 720p."""
    rgb = np.zeros((*shape, 3), np.uint8)
    rgb[: shape[0] // 2] = 200  # bright above, dark below: upright
    async with receiving(new_peer(Voice(), Picture(rgb, rate_hz=4))) as scene:
        await until(lambda: scene.faces.pictures, 20.0)
        picture = scene.faces.pictures[0][1]
    height, width = picture.shape[:2]
    assert max(height, width) == min(1280, max(shape))
    assert width / height == pytest.approx(shape[1] / shape[0])
    assert picture[: height // 2].mean() > 150
    assert picture[height // 2 :].mean() < 60


@both_paths
async def test_h264_is_taken(config: Config) -> None:
    peer = with_codec(Picture(), "video/H264")
    peer.addTransceiver("audio", direction="sendonly")
    async with receiving(peer, config) as scene:
        await until(lambda: scene.faces.pictures)


@both_paths
async def test_a_peer_that_closes_has_left(config: Config) -> None:
    peer = new_peer(Voice())
    async with receiving(peer, config) as scene:
        await until(lambda: scene.coverage(0.5) > 0.5)
        await close_peer(peer)
        async with asyncio.timeout(5):
            assert await scene.running == "left"


@both_paths
async def test_a_peer_that_stops_sending_is_gone(config: Config) -> None:
    """Nothing more leaves its transport, not even a goodbye."""
    config = replace(config, whip=WhipConfig(no_media_timeout_s=1.0))
    peer = new_peer(Voice())
    async with receiving(peer, config) as scene:
        await until(lambda: scene.coverage(0.5) > 0.5)
        dtls = peer.getSenders()[0].transport

        async def swallow(data: bytes) -> None:
            await asyncio.sleep(0)

        dtls._send_rtp = swallow  # type: ignore[method-assign]
        async with asyncio.timeout(4):
            assert await scene.running == "silent"


async def test_a_peer_that_never_connects_is_given_up() -> None:
    config = replace(KEYFRAME, whip=WhipConfig(connect_timeout_s=1.0))
    peer = new_peer(Voice())
    async with new_receiver(config) as (receiver, _, _):
        await receiver.answer(await make_offer(peer))
        await close_peer(peer)
        async with asyncio.timeout(4):
            assert await receiver.run() == "never connected"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=rtcp-mux\r\n", ""),
        ("a=setup:actpass", "a=setup:nobody"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:sha-256"),
        ("a=ice-ufrag:", "a=ice-ufrag-"),
        ("m=audio", "m=smell"),
        ("a=rtpmap:96 opus/48000/2", "a=rtpmap:x opus/y"),
    ],
)
async def test_what_the_stack_does_not_take_is_a_problem_and_leaves_nothing(
    old: str, new: str
) -> None:
    peer = new_peer(Voice())
    offer = await make_offer(peer)
    await close_peer(peer)
    assert old in offer
    async with new_receiver() as (receiver, _, _):
        with pytest.raises(Problem) as raised:
            await receiver.answer(offer.replace(old, new))
    assert raised.value.status == 422


async def test_a_negotiation_that_takes_too_long_is_no_fault_of_the_offer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer = new_peer(Voice())
    offer = await make_offer(peer)
    await close_peer(peer)

    async def hang(_: RTCPeerConnection) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(RTCPeerConnection, "createAnswer", hang)
    monkeypatch.setattr("monitor.receiver.NEGOTIATION_TIMEOUT_S", 0.05)
    async with new_receiver() as (receiver, _, _):
        with pytest.raises(Problem) as raised:
            await receiver.answer(offer)
    assert raised.value.status == 503
    assert "Retry-After" in raised.value.headers


@both_paths
async def test_closing_while_connecting_leaves_nothing(config: Config) -> None:
    peer = new_peer(Voice(), Picture())
    async with new_receiver(config) as (receiver, _, _):
        await receiver.answer(await make_offer(peer))
        await receiver.close()
    await close_peer(peer)


@both_paths
@pytest.mark.parametrize("moment_s", [0.0, 0.02, 0.05, 0.1])
async def test_closing_at_the_moment_of_connecting_leaves_nothing(
    moment_s: float, config: Config
) -> None:
    async with receiving(new_peer(Voice(), Picture()), config):
        await asyncio.sleep(moment_s)


async def test_media_comes_to_the_ports_and_addresses_that_are_configured() -> None:
    low = free_port()
    settings = ReceiverConfig(
        udp_port_min=low, udp_port_max=low + 9, advertised_addresses=("203.0.113.7",)
    )
    peer = new_peer(Voice())
    async with receiving(peer, replace(KEYFRAME, receiver=settings)) as scene:
        answer = peer.remoteDescription.sdp
        found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer)
        assert found
        assert all(low <= int(port) <= low + 9 for _, port in found)
        assert "203.0.113.7" in {address for address, _ in found}
        await until(lambda: scene.coverage(0.5) > 0.5)


async def test_layers_that_are_offered_are_answered_by_one() -> None:
    """A simulcast offer (RFC 8853) is taken; the answer names no layer, so one is sent."""
    peer = new_peer(Voice(), Picture())
    offer = await make_offer(peer)
    layers = "a=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n"
    at = offer.index("a=sendonly", offer.index("m=video"))
    async with new_receiver() as (receiver, _, _):
        answer = await receiver.answer(offer[:at] + layers + offer[at:])
    await close_peer(peer)
    assert "m=video" in answer
    assert "a=simulcast" not in answer
