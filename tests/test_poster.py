"""To the host that was checked, and nowhere else; test_webhook has what is slow or broken."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from monitor.poster import POST_ERRORS, Poster

PERMIT = "webhooks.allow_private_targets"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serve(answer: Answer) -> tuple[asyncio.Server, str]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_what_is_sent_and_what_is_answered() -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"{}"))
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nX-A: b\r\n\r\n")
        writer.close()

    server, address = await serve(answer)
    async with server:
        url = httpx.URL(f"http://who:se%20cret@{address}/path?x=1")
        poster = Poster(url, 5.0, PERMIT, allow_private=True)
        status, headers = await poster.post({"content-type": "application/json"}, b"{}")
        await poster.close()
    assert (status, headers["x-a"]) == (302, "b")  # not followed
    (request,) = heard
    assert request.startswith(b"POST /path?x=1 HTTP/1.1\r\n")
    assert b"authorization: Basic d2hvOnNlIGNyZXQ=\r\n" in request  # who:se cret
    assert f"Host: {address}".encode() in request


async def test_a_private_host_is_named_with_what_permits_it() -> None:
    poster = Poster(httpx.URL("http://127.0.0.1:9"), 5.0, PERMIT, allow_private=False)
    with pytest.raises(POST_ERRORS, match=f"127.0.0.1 is a private address; {PERMIT} permits it"):
        await poster.post({}, b"{}")
    await poster.close()
