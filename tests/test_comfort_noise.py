"""Comfort noise (RFC 3389), which the stack leaves out, against real peers."""

import asyncio
import re
import time
from typing import cast

from aiortc import RTCPeerConnection, RTCSessionDescription

from monitor.aiortc_hooks import DtlsSrtp
from monitor.keyframe_media import KeyframeMedia
from monitor.receiver import close_peer
from monitor.rtp_source import PayloadFormat
from tests.peers import Voice, make_offer, until
from tests.scripted_peer import FakeSrtp, rtp
from tests.test_receiver import PLAIN, new_receiver, with_codec


async def test_it_is_taken_without_being_offered() -> None:
    async with new_receiver() as (receiver, session, _):
        assert isinstance(receiver.media, KeyframeMedia)
        srtp = cast("DtlsSrtp", FakeSrtp())
        sink = receiver.media._open("audio", srtp, [PayloadFormat(0, "audio", "PCMU", 8_000, 1)])
        sink.datagram(rtp(bytes(160), 1, 0, payload_type=0), time.monotonic())
        sink.datagram(rtp(b"\x40", 2, 160, payload_type=13), time.monotonic() + 0.02)

        def covered() -> bool:
            received = session.buffer.snapshot(time.monotonic() - 0.2).received
            return bool(received[-8_000:].all())

        await until(covered)


def fall_silent(peer: RTCPeerConnection) -> None:
    """From now on the sender of PCMU, `peer`, sends nothing but one packet of comfort noise."""
    dtls = peer.getSenders()[0].transport
    send, said = dtls._send_rtp, False

    async def suppressed(data: bytes) -> None:
        nonlocal said
        if data[1] & 0x7F != 0:
            await send(data)  # reports
        elif not said:
            said = True
            await send(bytes([0x80, 13]) + data[2:12] + b"\x40")

    dtls._send_rtp = suppressed  # type: ignore[method-assign]


async def test_it_is_accepted_and_the_pause_after_it_counts_as_heard() -> None:
    peer = with_codec(Voice(), "audio/PCMU")
    offer = re.sub(r"(m=audio .*)\r", r"\1 13\r", await make_offer(peer))
    async with new_receiver() as (receiver, session, _):
        answer = await receiver.answer(offer)
        assert re.search(r"m=audio \d+ \S+ 0 13\r\n", answer)
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

        def covered() -> bool:
            received = session.buffer.snapshot(time.monotonic() - 0.2).received
            return bool(received[-24_000:].all())

        await until(covered)
        fall_silent(peer)
        await asyncio.sleep(2.0)
        assert covered()
        assert not session.buffer.snapshot(time.monotonic() - 0.2).audio[-8_000:].any()
        await close_peer(peer)


async def test_it_is_not_accepted_on_the_plain_path() -> None:
    """Where the stack drops it."""
    peer = with_codec(Voice(), "audio/PCMU")
    offer = re.sub(r"(m=audio .*)\r", r"\1 13\r", await make_offer(peer))
    async with new_receiver(PLAIN) as (receiver, _, _faces):
        assert re.search(r"m=audio \d+ \S+ 0\r\n", await receiver.answer(offer))
        await close_peer(peer)
