"""Every way in which a room of Janus cannot be entered has a name and a message. A script stands in
for Janus where the real one cannot be brought to say so."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tests.peers import free_port
from tests.watching import watching
from tests.web_pages import untrusted_web


@asynccontextmanager
async def saying(join: object) -> AsyncIterator[str]:
    """Where a Janus is that answers `join` to whoever wants to join."""

    async def talk(socket: ServerConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            said = {"janus": "success", "transaction": message["transaction"], "data": {"id": 7}}
            if message["janus"] == "message":
                said |= {"janus": "event", "sender": 7, "plugindata": {"data": join}}
            await socket.send(json.dumps(said))

    async with serve(talk, "127.0.0.1", 0, subprotocols=["janus-protocol"]) as server:
        yield f"janus+ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/1234"


@pytest.mark.parametrize(
    ("code", "state", "trouble"),
    [
        (432, "waiting", "full"),
        (433, "failed", "refused"),
        (403, "failed", "refused"),
        (426, "waiting", "not_found"),
        (499, "waiting", "protocol"),
    ],
)
async def test_what_janus_says_has_a_name(code: int, state: str, trouble: str) -> None:
    async with saying({"error_code": code, "error": "so it is"}) as url, watching(url) as w:
        await w.state(state)
        call = await w.call()
        assert call["trouble"] == trouble
        assert call["message"] == f"Janus says: so it is ({code})"
        assert f'vfd_calls_failed_total{{trouble="{trouble}"}}' in await w.metrics()


@asynccontextmanager
async def refusing(status: int, location: str = "") -> AsyncIterator[str]:
    """Where a server is that opens no WebSocket."""

    def refuse(socket: ServerConnection, _: Request) -> Response:
        response = socket.respond(HTTPStatus(status), "no")
        if location:
            response.headers["Location"] = location
        return response

    async def never(_: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        yield f"janus+ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/1234"


@pytest.mark.parametrize(
    ("status", "state", "trouble"),
    [(401, "failed", "refused"), (403, "failed", "refused"), (502, "waiting", "protocol")],
)
async def test_a_server_that_is_no_janus_is_named(status: int, state: str, trouble: str) -> None:
    async with refusing(status) as url, watching(url) as w:
        await w.state(state)
        call = await w.call()
        assert call["trouble"] == trouble
        assert str(status) in call["message"]


async def test_no_redirect_is_followed() -> None:
    async with (
        saying({"error_code": 432}) as elsewhere,
        refusing(307, elsewhere.removeprefix("janus+")) as url,
        watching(url) as w,
    ):
        await w.state("waiting")
        call = await w.call()
        assert (call["trouble"], "307" in call["message"]) == ("protocol", True)


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with untrusted_web(tmp_path) as (host, asked):
        async with watching(f"janus+wss://{host}/1234") as w:
            await w.state("failed")
            assert (await w.call())["trouble"] == "tls_failed"
        assert not asked


async def test_where_nobody_listens_it_is_tried_again() -> None:
    for host in (f"127.0.0.1:{free_port()}", "nobody.invalid"):
        async with watching(f"janus+ws://{host}/1234") as w:
            await w.state("waiting")
            assert (await w.call())["trouble"] == "unreachable"
