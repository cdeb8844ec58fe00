"""Streams that are played to us over WHEP: by the server's offer, by ours, and not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from fastapi import FastAPI, Request, Response

from monitor import stream_probe
from monitor.receiver import close_peer
from tests.janus_server import PIN, ROOM, Janus, running_janus, taking_part
from tests.peers import Picture, Voice, free_port, until
from tests.watching import Watching, watching
from tests.whep_server import whep_server

pytestmark = pytest.mark.slow

TOKEN = "let me in"
FEED = 77
VP9 = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        *("a=group:BUNDLE 0 1", "a=ice-ufrag:abcd", "a=ice-pwd:" + 22 * "x", "a=setup:active"),
        "a=fingerprint:sha-256 " + ":".join(["00"] * 32),
        *("m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2", "a=mid:0"),
        *("m=video 9 UDP/TLS/RTP/SAVPF 98", "a=rtpmap:98 VP9/90000", "a=mid:1"),
        "",
    ]
)


@asynccontextmanager
async def playing(folder: Path) -> AsyncIterator[tuple[Janus, str]]:
    """Janus and the base URL of a WHEP server; alice takes part, and is forwarded as a stream."""
    async with (
        running_janus(folder / "janus") as janus,
        taking_part(janus, "alice", Voice(), Picture(), number=FEED) as alice,
        whep_server(janus, FEED, TOKEN, folder / "whep.log") as url,
    ):
        sound, pictures = janus.ports
        await alice.ask(
            {
                "request": "rtp_forward",
                "room": ROOM,
                "pin": PIN,
                "publisher_id": FEED,
                "host": "127.0.0.1",
                "streams": [
                    {"mid": "0", "port": sound, "pt": 111},
                    {"mid": "1", "port": pictures, "pt": 96},
                ],
            }
        )
        yield janus, url


@asynccontextmanager
async def answering_peer() -> AsyncIterator[str]:
    """A WHEP server that answers our offers with 201; its URL."""
    app = FastAPI()
    peers: dict[str, RTCPeerConnection] = {}

    @app.post("/whep")
    async def play(request: Request) -> Response:
        peer = peers["one"] = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTrack(Voice())
        peer.addTrack(Picture())
        offer = (await request.body()).decode()
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return Response(peer.localDescription.sdp, 201, {"Location": "/resource/one"})

    @app.delete("/resource/one")
    async def end() -> Response:
        await close_peer(peers.pop("one"))
        return Response()

    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="warning"))
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield f"whep+http://127.0.0.1:{server.config.port}/whep"
        assert not peers, "nobody said goodbye"
    finally:
        server.should_exit = True
        await task


async def followed(address: str) -> None:
    async with watching(address) as w:
        await w.state("joined")
        await w.scored("", 3)
        (person,) = (await w.people()).values()
        assert person["participant"] == "stream"
        await until(lambda: coverage(w))


async def coverage(w: Watching) -> bool:
    (person,) = (await w.people()).values()
    return bool(person["coverage"] > 0.9)


async def test_janus_makes_the_offer_itself(tmp_path: Path) -> None:
    async with playing(tmp_path) as (_, url):
        await followed(f"{url}/endpoint/room".replace("http://", "whep+http://let%20me%20in@"))


async def test_janus_plays_what_is_streamed_to_it_or_is_too_old(tmp_path: Path) -> None:
    """That of Debian 12 answers an offer with an offer, newer ones as they should, with 201."""
    async with playing(tmp_path) as (_, url):
        address = f"{url}/endpoint/stream".replace("http://", "whep+http://let%20me%20in@")
        async with watching(address) as w:

            async def settled() -> bool:
                return (await w.call())["state"] in ("joined", "failed")

            await until(settled)
            call = await w.call()
            if call["state"] == "joined":
                await w.scored("", 3)
            else:
                assert call["trouble"] == "unsupported"
                assert "answers our offer with another" in call["message"]


async def test_a_server_that_answers_our_offer_plays_too_and_hears_goodbye() -> None:
    async with answering_peer() as url:
        await followed(url)


async def test_the_trouble_is_named_and_retried_where_it_may_pass(tmp_path: Path) -> None:
    async with playing(tmp_path) as (_, url):
        base = url.replace("http://", "whep+http://")
        for address, state, trouble in (
            (f"{base}/endpoint/room", "failed", "refused"),
            (f"{base}/endpoint/other", "waiting", "not_found"),
            (f"whep+https://{url.partition('//')[2]}/endpoint/room", "failed", "tls_failed"),
            (f"whep+http://127.0.0.1:{free_port()}/x", "waiting", "unreachable"),
            (f"{base}/endpoint/stream", "failed", "refused"),
        ):
            async with watching(address) as w:
                await w.state(state)
                call = await w.call()
                assert call["trouble"] == trouble, call
                assert call["message"]


async def test_a_server_that_dies_is_waited_for(tmp_path: Path) -> None:
    async with playing(tmp_path) as (janus, url):
        address = f"{url}/endpoint/room".replace("http://", "whep+http://let%20me%20in@")
        async with watching(address) as w:
            await w.scored("")
            await janus.kill()
            await w.state("waiting", 15)
            assert (await w.call())["trouble"] == "lost"


@asynccontextmanager
async def answering(text: str) -> AsyncIterator[str]:
    """A server that gives the same answer to everything; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "trouble", "message"),
    [
        ("HTTP/1.1 307 x\r\nLocation: /again\r\n\r\n", "protocol", "redirected more than 5 times"),
        ("HTTP/1.1 409 x\r\nContent-Length: 0\r\n\r\n", "not_found", "answers 409"),
        ("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", "full", "answers 503"),
        ("HTTP/1.1 201 x\r\nContent-Length: 5\r\n\r\nhello", "unsupported", "is not SDP"),
        (
            "HTTP/1.1 201 x\r\nContent-Length: 300000\r\n\r\n" + "v" * 300_000,
            "protocol",
            "too long",
        ),
        ("no HTTP at all\r\n\r\n", "unreachable", "cannot be reached"),
        ("HTTP/1.1 307 x\r\nLocation: file:///etc\r\n\r\n", "protocol", "from http to file"),
        ("HTTP/1.1 201 x\r\nLocation: http://a:b/\r\n\r\n", "protocol", "no address"),
        ("HTTP/1.1 307 x\r\nLocation: http://10.0.0.1/\r\n\r\n", "refused", "private network"),
        (f"HTTP/1.1 201 x\r\nContent-Length: {len(VP9)}\r\n\r\n{VP9}", "unsupported", "VP9"),
    ],
)
async def test_answers_that_make_no_sense(
    answer: str, trouble: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_public(host: str) -> bool:
        return host == "127.0.0.1"

    monkeypatch.setattr(stream_probe, "is_public", is_public)
    async with answering(answer) as host, watching(f"whep+http://{host}/whep", once=True) as w:
        await w.state("failed")
        call = await w.call()
        assert call["trouble"] == trouble
        assert message in call["message"]
