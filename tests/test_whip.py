"""WHIP over HTTP, against a running monitor and real peers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio
from aiortc import RTCRtpSender

from monitor.config import Config, ServerConfig, WhipConfig
from monitor.receiver import close_peer
from monitor.service import Service
from tests.peers import Picture, Voice, make_offer, monitor, new_peer, publish, until

CONFIG = Config(server=ServerConfig(port=0))
SDP = {"Content-Type": "application/sdp"}
CANDIDATE = "a=candidate:1 1 udp 2130706431 192.0.2.7 {port} typ host\r\n"


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    async with monitor(CONFIG) as running:
        yield running


@pytest_asyncio.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as opened:
        yield opened


async def names(client: httpx.AsyncClient) -> list[str]:
    answer = await client.get("/v1/participants")
    return [person["participant"] for person in answer.json()["participants"]]


async def offer_of(*tracks: Voice | Picture) -> str:
    """An offer whose peer is gone already."""
    peer = new_peer(*tracks)
    offer = await make_offer(peer)
    await close_peer(peer)
    return offer


async def test_publishing_until_deleted(service: Service, client: httpx.AsyncClient) -> None:
    peer = new_peer(Voice())
    answer = await client.post("/whip/standup/alice", content=await make_offer(peer), headers=SDP)
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/sdp"
    assert answer.headers["ETag"].strip('"')
    assert "a=recvonly" in answer.text
    assert "a=candidate" in answer.text
    location = answer.headers["Location"]
    assert location.startswith("/whip/standup/alice/")
    assert await names(client) == ["alice"]

    assert (await client.delete(location + "x")).status_code == 404
    assert (await client.delete(location)).status_code == 200
    assert await names(client) == []
    assert (await client.delete(location)).status_code == 404
    await close_peer(peer)


async def test_two_calls_may_have_the_same_name(
    service: Service, client: httpx.AsyncClient
) -> None:
    one = publish(f"{service.url}/whip/one/alice", Voice())
    two = publish(f"{service.url}/whip/two/alice", Voice())
    async with one, two:
        assert await names(client) == ["alice", "alice"]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", 400, "empty"),
        (b"\x00\x01\x02garbage", 400, "not SDP"),
        (b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n", 422, "no audio section"),
        (b"v=0\r\n" + b"a=x\r\n" * 14_000, 413, "65536 bytes"),
    ],
)
async def test_bad_bodies_say_what_is_wrong(
    client: httpx.AsyncClient, body: bytes, status: int, expected: str
) -> None:
    answer = await client.post("/whip/standup/alice", content=body, headers=SDP)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert expected in answer.json()["detail"]
    assert await names(client) == []


async def test_a_body_of_unknown_length_is_cut_off(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"a=x\r\n" * 1_000

    answer = await client.post("/whip/standup/alice", content=endless(), headers=SDP)
    assert answer.status_code == 413


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
async def test_truncated_offers_are_refused(client: httpx.AsyncClient, share: float) -> None:
    offer = (await offer_of(Voice(), Picture())).split("a=candidate")[0]
    answer = await client.post(
        "/whip/standup/alice", content=offer[: round(len(offer) * share)], headers=SDP
    )
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]
    assert await names(client) == []


async def test_video_without_an_audio_section_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/whip/a/b", content=await offer_of(Picture()), headers=SDP)
    assert answer.status_code == 422
    assert "no audio section" in answer.json()["detail"]


async def test_an_offer_of_vp9_alone_is_told_what_is_taken(client: httpx.AsyncClient) -> None:
    peer = new_peer(Voice(), Picture())
    vp8 = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.name in ("VP8", "rtx")]
    peer.getTransceivers()[1].setCodecPreferences(vp8)
    offer = (await make_offer(peer)).replace("VP8", "VP9")
    await close_peer(peer)
    answer = await client.post("/whip/a/b", content=offer, headers=SDP)
    assert answer.status_code == 422
    assert "offers VP9; taken are VP8, H264" in answer.json()["detail"]


async def test_what_only_the_stack_refuses_is_a_problem_too(client: httpx.AsyncClient) -> None:
    offer = (await offer_of(Voice())).replace("a=rtcp-mux\r\n", "")
    answer = await client.post("/whip/a/b", content=offer, headers=SDP)
    assert answer.status_code == 422
    assert await names(client) == []


async def test_thousands_of_candidates_are_refused_at_once(client: httpx.AsyncClient) -> None:
    offer = await offer_of(Voice())
    many = offer + "".join(CANDIDATE.format(port=5000 + n) for n in range(900))
    answer = await client.post("/whip/a/b", content=many, headers=SDP)
    assert answer.status_code == 422
    assert "candidates" in answer.json()["detail"]
    assert answer.elapsed.total_seconds() < 1.0
    more = offer + "".join(CANDIDATE.format(port=5000 + n) for n in range(3_000))
    assert (await client.post("/whip/a/b", content=more, headers=SDP)).status_code == 413


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", ""])
async def test_other_content_types_are_refused(
    client: httpx.AsyncClient, content_type: str
) -> None:
    answer = await client.post("/whip/a/b", content=b"v=0", headers={"Content-Type": content_type})
    assert answer.status_code == 415
    assert answer.headers["Accept-Post"] == "application/sdp"


@pytest.mark.parametrize("name", ["a b", "a%00b", "ä", "a" * 65, "<script>", "a'b"])
async def test_odd_names_are_refused(client: httpx.AsyncClient, name: str) -> None:
    for path in (f"/whip/{name}/alice", f"/whip/standup/{name}"):
        answer = await client.post(path, content=b"v=0", headers=SDP)
        assert answer.status_code == 400
        assert "name is not usable" in answer.json()["detail"]


async def test_methods_that_mean_nothing_here(client: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = await client.request(method, "/whip/a/b")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    for method in ("GET", "PUT", "POST"):
        answer = await client.request(method, "/whip/a/b/c")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "PATCH, DELETE, OPTIONS")
        assert answer.json()["title"] == "Method Not Allowed"


async def test_pages_of_other_origins_may_publish(client: httpx.AsyncClient) -> None:
    answer = await client.options("/whip/a/b")
    assert answer.headers["Accept-Post"] == "application/sdp"
    preflight = await client.options(
        "/whip/a/b",
        headers={
            "Origin": "https://elsewhere.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]
    refused = await client.post("/whip/a/b", headers={"Origin": "https://elsewhere.example"})
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert "Location" in refused.headers["Access-Control-Expose-Headers"]


async def test_a_second_publisher_needs_the_token_of_the_first(
    service: Service, client: httpx.AsyncClient
) -> None:
    url = f"{service.url}/whip/standup/alice"
    async with publish(url, Voice(), Picture()) as first:
        for token in ({}, {"VFD-Session-Token": "guess"}):
            answer = await client.post(url, content=await offer_of(Voice()), headers=SDP | token)
            assert answer.status_code == 409
        assert first.peer.connectionState != "closed"


async def test_taking_over_keeps_the_session_and_ends_the_old_connection(
    service: Service, client: httpx.AsyncClient
) -> None:
    url = f"{service.url}/whip/standup/alice"

    async def joined_s() -> float:
        people = (await client.get("/v1/participants")).json()["participants"]
        assert len(people) == 1
        return float(people[0]["joined_s"])

    async with publish(url, Voice(), Picture()) as first:
        await until(lambda: first.peer.connectionState == "connected")
        before = await joined_s()
        token = {"VFD-Session-Token": first.token}
        # An offer that fails leaves the live one alone.
        bad = (await offer_of(Voice())).replace("a=rtcp-mux\r\n", "")
        assert (await client.post(url, content=bad, headers=SDP | token)).status_code == 422
        assert await joined_s() == before
        async with publish(url, Voice(), Picture(), token) as second:
            await until(lambda: second.peer.connectionState == "connected")
            await until(lambda: first.peer.connectionState == "closed")
            assert await joined_s() == before
            assert second.token != first.token
            assert (await client.delete(first.location)).status_code == 404
            assert await names(client) == ["alice"]


async def test_one_of_two_that_join_at_once_is_turned_away(client: httpx.AsyncClient) -> None:
    offers = [await offer_of(Voice()) for _ in range(2)]
    answers = await asyncio.gather(
        *(client.post("/whip/a/b", content=offer, headers=SDP) for offer in offers)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_a_full_monitor_says_when_to_come_back() -> None:
    config = replace(CONFIG, whip=WhipConfig(max_participants=1))
    async with monitor(config) as service, httpx.AsyncClient(base_url=service.url) as client:
        offers = [await offer_of(Voice()) for _ in range(2)]
        first = await client.post("/whip/a/b", content=offers[0], headers=SDP)
        assert first.status_code == 201
        second = await client.post("/whip/a/c", content=offers[1], headers=SDP)
        assert second.status_code == 503
        assert second.headers["Retry-After"] == "10"
        assert "whip.max_participants" in second.json()["detail"]
