"""The keyframe way against real peers: bursts, loss, silence, senders that do not answer."""

import asyncio
import logging
import random
import re
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from monitor import aiortc_hooks
from monitor.buffers import judge
from monitor.keyframe_media import BURST_FACE_S, BURST_MOUTH_S, KeyframeMedia
from monitor.keyframe_requests import ANSWER_S
from monitor.receiver import close_peer
from monitor.receiving import Receiving
from monitor.sdp import accept_offer
from tests.encoded import encoded, noise
from tests.peers import Paced, Picture, Voice, make_offer, new_peer, until
from tests.test_receiver import KEYFRAME, Faces, Scene, new_receiver, receiving
from vfd.types import Abstention, Reason, Rgb

SIZE = (320, 240)


class Replayed(Paced):
    """Sends what was encoded before, so that nobody's request changes anything."""

    kind = "video"

    def __init__(self, frames: list[bytes], rate_hz: int = 30) -> None:
        super().__init__(1 / rate_hz)
        self._frames = frames
        self._clock = Fraction(1, rate_hz)

    async def recv(self) -> "av.Packet[Any]":
        index = await self.next_index()
        packet = av.Packet(self._frames[index % len(self._frames)])
        packet.pts, packet.time_base = index, self._clock
        return packet


class Pausing(Picture):
    """Shows nothing while `off`."""

    off = False

    async def recv(self) -> av.VideoFrame:
        while self.off:
            await self.next_index()
        return await super().recv()


def media(scene: Scene) -> KeyframeMedia:
    assert isinstance(scene.receiver.media, KeyframeMedia)
    return scene.receiver.media


def reason(scene: Scene) -> Reason | None:
    """Why the last three seconds would have no score."""
    judged = judge(scene.session.buffer.snapshot(time.monotonic() - 0.2))
    return judged.reason if isinstance(judged, Abstention) else None


def lose(peer: RTCPeerConnection, share: float, seed: int = 1) -> None:
    """From now on `share` of what `peer` sends is lost, retransmissions too."""
    dtls = peer.getSenders()[0].transport
    send, rng = dtls._send_rtp, random.Random(seed)

    async def lossy(data: bytes) -> None:
        if rng.random() >= share:
            await send(data)

    dtls._send_rtp = lossy  # type: ignore[method-assign]


def delay_pictures(peer: RTCPeerConnection, delay_s: float) -> "list[asyncio.Task[None]]":
    """From now on the video packets of `peer`, not its reports, leave so much later: by these."""
    sender = next(s for s in peer.getSenders() if s.kind == "video")
    send, ssrc = sender.transport._send_rtp, sender._ssrc
    under_way: list[asyncio.Task[None]] = []

    async def late(data: bytes) -> None:
        await asyncio.sleep(delay_s)
        await send(data)

    async def sorted_out(data: bytes) -> None:
        if not 191 < data[1] < 224 and int.from_bytes(data[8:12], "big") == ssrc:
            under_way.append(asyncio.create_task(late(data)))
        else:
            await send(data)

    sender.transport._send_rtp = sorted_out  # type: ignore[method-assign]
    return under_way


def likeness(picture: Rgb, seed: int) -> float:
    return float(np.corrcoef(picture.ravel(), noise(seed, *SIZE).ravel())[0, 1])


async def test_aiortc_bundles_what_was_not_offered_so() -> None:
    """Why sections with transports of their own are refused: once this fails, they need not be."""
    offerer, answerer = new_peer(Voice(), Picture()), new_peer()
    offer = re.sub(r"a=group:BUNDLE.*\r\n", "", await make_offer(offerer))
    await answerer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    assert "a=group:BUNDLE 0 1" in (await answerer.createAnswer()).sdp
    await close_peer(answerer)
    await close_peer(offerer)


async def test_an_offer_of_max_bundle_is_connected() -> None:
    """The second section has neither port nor transport attributes (RFC 9429 section 5.2.1)."""
    peer = new_peer(Voice(), Picture())
    offer = await make_offer(peer)
    at = offer.index("m=video")
    bare = re.sub(r"a=(ice|fingerprint|setup|candidate|rtcp|end)[^f\r].*\r\n", "", offer[at:])
    bare = re.sub(r"m=video \d+", "m=video 0", bare) + "a=bundle-only\r\n"
    accepted = accept_offer((offer[:at] + bare).encode(), 32)
    async with new_receiver() as (receiver, _, faces):
        answer = await receiver.answer(accepted)
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await until(lambda: faces.pictures)
        await close_peer(peer)


async def test_a_burst_shows_every_frame_and_then_no_more() -> None:
    async with receiving(new_peer(Voice(), Picture(noise(1, *SIZE)))) as scene:
        await until(lambda: scene.faces.pictures)
        shown: list[tuple[float, Rgb]] = []
        media(scene).burst(2.0, lambda time_s, rgb: shown.append((time_s, rgb)))
        await until(lambda: not media(scene).video.bursting)
        count = len(shown)
        assert count > 0.75 * 2.0 * 15
        assert np.diff([time_s for time_s, _ in shown]).min() > 0
        assert all(likeness(rgb, 1) > 0.5 for _, rgb in shown)
        await asyncio.sleep(1.0)
        assert len(shown) <= count + 1
        seen = len(scene.faces.pictures)
        await until(lambda: len(scene.faces.pictures) > seen)


async def test_of_a_burst_the_pictures_between_faces_are_kept_for_their_mouths() -> None:
    async with receiving(new_peer(Voice(), Picture(noise(1, *SIZE)))) as scene:
        await until(lambda: scene.faces.pictures)
        assert not scene.faces.before
        media(scene).burst(2.0)
        await until(lambda: not media(scene).video.bursting)
        faces_s = [time_s for time_s, _ in scene.faces.pictures[1:]]
        mouths_s = [time_s for time_s, _ in scene.faces.before]
        assert len(faces_s) >= 4
        assert np.diff(faces_s).min() >= BURST_FACE_S
        assert len(mouths_s) + len(faces_s) > 0.6 * 2.0 * 15
        assert np.diff(sorted(mouths_s + faces_s)).min() > 0
        assert np.diff(mouths_s).min() >= BURST_MOUTH_S
        assert all(likeness(rgb, 1) > 0.5 for _, rgb in scene.faces.before)


async def test_a_tenth_of_all_packets_lost_costs_a_tenth_of_the_sound_and_no_face() -> None:
    peer = new_peer(Voice(), Picture(noise(1, *SIZE)))
    async with receiving(peer) as scene:
        await until(lambda: scene.coverage(1.0) == 1.0 and scene.faces.pictures)
        lose(peer, 0.1)
        await asyncio.sleep(3.5)
        assert 0.75 < scene.coverage(3.0) < 1.0
        times = [at_s for at_s, _ in scene.faces.pictures if at_s > time.monotonic() - 3.5]
        assert len(times) >= 1
        assert all(likeness(rgb, 1) > 0.8 for _, rgb in scene.faces.pictures)


def garbage(rng: random.Random, ssrcs: list[int]) -> bytes:
    """Random, truncated or forged: STUN, DTLS, RTP of a live source, RTCP."""
    forged = struct.pack("!BBHII", 0x80, 111, rng.getrandbits(16), 0, rng.choice(ssrcs))
    binding = struct.pack("!HHI12s", 1, 100, 0x2112A442, rng.randbytes(12)) + rng.randbytes(100)
    kinds = [
        rng.randbytes(rng.randrange(1, 1_400)),
        binding[: rng.randrange(1, len(binding))],
        bytes([rng.randrange(20, 64)]) + rng.randbytes(rng.randrange(200)),
        forged + rng.randbytes(rng.randrange(200)),
        bytes([0x80, rng.randrange(192, 224)]) + rng.randbytes(rng.randrange(100)),
        b"",
    ]
    return rng.choice(kinds)


async def test_garbage_from_strangers_and_from_the_peer_itself_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng, peer = random.Random(3), new_peer(Voice(), Picture(noise(1, *SIZE)))
    async with receiving(peer) as scene:
        await until(lambda: scene.coverage(1.0) == 1.0 and scene.faces.pictures)
        session = media(scene).rtp
        assert session is not None
        sources = set(session._sources)
        pair = peer.getSenders()[0].transport.transport._connection._nominated[1]
        family = socket.AF_INET6 if ":" in pair.remote_addr[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as stranger:
            for turn in range(1_500):
                data = garbage(rng, list(sources))
                stranger.sendto(data, pair.remote_addr)
                await pair.protocol.send_data(data, pair.remote_addr)
                if turn % 5 == 0:
                    await asyncio.sleep(0.01)
        seen = len(scene.faces.pictures)
        assert scene.coverage(2.0) > 0.95
        await until(lambda: len(scene.faces.pictures) > seen)
        # What the flood pushed out of a socket the peer sends again, from a source of its own.
        again = {sender._rtx_ssrc for sender in peer.getSenders() if sender.kind == "video"}
        assert sources <= set(session._sources) <= sources | again
        assert not scene.running.done()
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_pictures_that_lag_behind_the_sound_are_seen_to_lag_and_placed_by_the_sound() -> None:
    peer = new_peer(Voice(), Picture(noise(1, *SIZE)))
    async with receiving(peer) as scene:
        under_way = delay_pictures(peer, 0.5)
        buffer = scene.session.buffer
        await until(lambda: buffer.skew_s is not None and abs(buffer.skew_s - 0.5) < 0.1, 15.0)
        seen = len(scene.faces.pictures)
        await until(lambda: len(scene.faces.pictures) > seen)
        asked_s, _ = scene.faces.pictures[-1]
        assert 0.4 < time.monotonic() - asked_s < 1.0  # when it was taken, not when it came
    await asyncio.gather(*under_way, return_exceptions=True)


async def test_two_participants_never_show_each_other() -> None:
    async with AsyncExitStack() as stack:
        scenes = []
        for seed in (1, 2):
            peer = new_peer(Voice(), Picture(noise(seed, *SIZE)))
            scenes.append(await stack.enter_async_context(receiving(peer)))
            await until(lambda: scenes[-1].faces.pictures)
            lose(peer, 0.05, seed)
        await asyncio.sleep(3.0)
        for seed, scene in enumerate(scenes, start=1):
            assert len(scene.faces.pictures) > 1
            for _, rgb in scene.faces.pictures:
                assert likeness(rgb, seed) > 0.8
                assert abs(likeness(rgb, 3 - seed)) < 0.1


async def test_a_sender_that_answers_nobody_is_asked_ever_less_and_its_own_keyframes_are_used() -> (
    None
):
    frames = encoded("VP8", *SIZE, 45, 1)
    async with receiving(new_peer(Voice(), Replayed(frames))) as scene:
        await until(lambda: len(scene.faces.pictures) > 2, 15.0)
        times = [at_s for at_s, _ in scene.faces.pictures]
        assert np.diff(times) == pytest.approx(1.5, abs=0.3)
        assert media(scene).video.requests.sent < 12


async def test_a_sender_without_keyframes_has_no_picture() -> None:
    """Its delta frames are never decoded."""
    begun_s = time.monotonic()
    async with receiving(new_peer(Voice(), Replayed(encoded("VP8", *SIZE, 45, 1)[1:]))) as scene:
        await until(lambda: scene.coverage(1.0) == 1.0)
        await asyncio.sleep(2.0)
        assert not scene.faces.pictures
        unanswered = media(scene).video.requests.unanswered
        assert unanswered >= 1  # and every one after twice the patience of the one before
        assert ANSWER_S * (2 ** (unanswered - 1) - 1) <= time.monotonic() - begun_s
        assert reason(scene) is Reason.NO_FACE  # the camera is on


async def test_a_camera_that_pauses_is_noticed_and_its_return_too() -> None:
    picture = Pausing(noise(1, *SIZE))
    async with receiving(new_peer(Voice(), picture)) as scene:
        await until(lambda: scene.faces.pictures)
        picture.off = True
        await asyncio.sleep(3.0)
        seen, asked = len(scene.faces.pictures), media(scene).video.requests.sent
        assert reason(scene) is Reason.VIDEO_PAUSED
        await asyncio.sleep(1.0)
        assert media(scene).video.requests.sent == asked
        picture.off = False
        await until(lambda: len(scene.faces.pictures) > seen)
        assert not scene.running.done()


async def test_the_size_may_change_in_the_middle() -> None:
    frames = [*encoded("VP8", 320, 240, 20, 1), *encoded("VP8", 160, 120, 20, 1)]
    async with receiving(new_peer(Voice(), Replayed(frames, 20))) as scene:

        def shapes() -> set[tuple[int, ...]]:
            return {rgb.shape for _, rgb in scene.faces.pictures}

        await until(lambda: shapes() == {(240, 320, 3), (120, 160, 3)}, 20.0)


async def test_the_plain_way_is_taken_where_the_libraries_have_changed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(aiortc_hooks.TESTED, "aioice", "0.12")
    with ThreadPoolExecutor(1) as executor:
        chosen = Receiving(KEYFRAME, Faces(), executor, time.monotonic)
        await chosen.open()
        chosen.close()
    assert chosen.path == "plain"
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert "plain" in record.message
    assert "aioice is 0.13" in record.__dict__["reason"]
