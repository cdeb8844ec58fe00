"""Candidates that come after the offer: read, taken, and refused as RFC 9725 has it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from monitor.config import Config, ServerConfig, WhipConfig
from monitor.problems import Problem
from monitor.receiver import close_peer
from monitor.trickle import MEDIA_TYPE, parse_fragment
from tests.peers import Picture, Voice, make_offer, monitor, new_peer, until

CONFIG = Config(server=ServerConfig(port=0), whip=WhipConfig(max_candidates=20))
SDP = {"Content-Type": "application/sdp"}
UDP = "1 1 UDP 2130706431 192.0.2.7 50000 typ host"
CANDIDATES = re.compile(r"a=(candidate:.*|end-of-candidates)\r\n")


def fragment(*candidates: str, ufrag: str = "abcd", more: str = "") -> bytes:
    lines = [f"a=ice-ufrag:{ufrag}", "a=ice-pwd:x" * 3, "m=audio 9 RTP/AVP 0", "a=mid:0"]
    lines += [f"a=candidate:{candidate}" for candidate in candidates]
    return ("\r\n".join(lines) + "\r\n" + more).encode()


def test_a_fragment_holds_its_session_and_what_can_be_used() -> None:
    tcp = "2 1 TCP 2105524479 192.0.2.7 9 typ host tcptype active"
    hidden = "3 1 udp 2113937151 8c5.local 50001 typ host"
    found = parse_fragment(fragment(UDP, tcp, hidden))
    assert (found.ufrag, found.candidates, found.count, found.ended) == ("abcd", (UDP,), 3, False)
    assert parse_fragment(fragment(more="a=end-of-candidates\r\n")).ended


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no a=ice-ufrag"),
        (b"\xff\xfe", "not ASCII"),
        (b"a=ice-ufrag:x\n" * 600, "more than 512 lines"),
    ],
)
def test_a_fragment_that_cannot_be_read_is_named(body: bytes, message: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_fragment(body)
    assert refused.value.status == 400
    assert message in refused.value.detail


@asynccontextmanager
async def published() -> AsyncIterator[tuple[httpx.AsyncClient, RTCPeerConnection, str, str]]:
    """A client, a peer whose offer held no candidates, the address and the ETag of its session."""
    peer = new_peer(Voice(), Picture())
    try:
        async with (
            monitor(CONFIG) as service,
            httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
        ):
            offer = CANDIDATES.sub("", await make_offer(peer))
            answer = await client.post("/whip/standup/alice", content=offer, headers=SDP)
            assert answer.headers["Accept-Patch"] == MEDIA_TYPE
            await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            yield client, peer, answer.headers["Location"], answer.headers["ETag"]
    finally:
        await close_peer(peer)


def ufrag_of(peer: RTCPeerConnection) -> str:
    found = re.search(r"a=ice-ufrag:(\S+)", peer.localDescription.sdp)
    assert found is not None
    return found[1]


async def test_candidates_are_taken_and_the_session_goes_on_whatever_else_is_asked() -> None:
    async with published() as (client, peer, location, etag):
        own = ufrag_of(peer)
        lines = [match[1] for match in CANDIDATES.finditer(peer.localDescription.sdp)]
        candidates = [line.removeprefix("candidate:") for line in lines if ":" in line]
        good = fragment(*dict.fromkeys(candidates), ufrag=own, more="a=end-of-candidates\r\n")

        async def patched(content: bytes = good, **headers: str) -> int:
            given = {"Content-Type": MEDIA_TYPE, "If-Match": etag} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            given = {name: value for name, value in given.items() if value}
            return (await client.patch(location, content=content, headers=given)).status_code

        assert await patched(If_Match="") == 428
        assert await patched(If_Match='"another"') == 412
        assert await patched(Content_Type="application/sdp") == 415
        assert await patched(b"nothing") == 400
        assert await patched(fragment(UDP, ufrag="other")) == 422  # a restart of ICE
        assert await patched(fragment(UDP, ufrag=own), If_Match="*") == 204
        assert await patched(fragment(*[UDP] * 30, ufrag=own)) == 422
        assert (await client.patch(location + "x", content=good)).status_code == 404
        people = (await client.get("/v1/participants")).json()["participants"]
        assert [person["participant"] for person in people] == ["alice"]


async def test_candidates_that_come_late_connect_the_peer() -> None:
    async with published() as (client, peer, location, etag):
        lines = [match[1] for match in CANDIDATES.finditer(peer.localDescription.sdp)]
        content = fragment(
            *dict.fromkeys(line.removeprefix("candidate:") for line in lines if ":" in line),
            ufrag=ufrag_of(peer),
            more="a=end-of-candidates\r\n",
        )
        headers = {"Content-Type": MEDIA_TYPE, "If-Match": etag}
        assert (await client.patch(location, content=content, headers=headers)).status_code == 204
        await until(lambda: peer.connectionState == "connected")
