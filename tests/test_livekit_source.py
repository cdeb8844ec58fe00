"""A room of LiveKit. No server is in the packages: its SDK is the real one, but for its native
half, which is faked; what the real one says to servers that refuse is asked of it too."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from livekit import rtc

from tests.fake_livekit import URL, FakeLiveKit, fake_livekit
from tests.peers import free_port
from tests.watching import NAME, Watching, watching
from tests.web_pages import untrusted_web

APPEARS_WITHIN_S, VANISHES_WITHIN_S = 2.0, 5.0
FIRST_SCORE_WITHIN_S = 5.0


@pytest_asyncio.fixture
async def livekit(nothing_left_behind: None) -> AsyncIterator[FakeLiveKit]:
    async with fake_livekit() as fake:
        yield fake


async def refused(w: Watching, state: str = "failed") -> tuple[str, str]:
    await w.state(state)
    call = await w.call()
    return call["trouble"], call["message"]


async def test_people_are_found_followed_and_let_go_and_see_the_monitor(
    livekit: FakeLiveKit,
) -> None:
    livekit.arrive("alice@example.com", "Alice")
    async with watching(URL) as w:
        await w.state("joined")
        assert (livekit.token, livekit.local.name) == ("hunter2", NAME)
        await w.names("Alice", within_s=APPEARS_WITHIN_S)
        await w.scored("Alice", within_s=FIRST_SCORE_WITHIN_S)
        livekit.arrive("ben", "Ben")
        await w.names("Alice", "Ben", within_s=APPEARS_WITHIN_S)
        await w.scored("Ben", 3)
        livekit.leave("ben")
        await w.names("Alice", within_s=VANISHES_WITHIN_S)
        person = (await w.people())["Alice"]
        assert person["coverage"] > 0.9
        assert "alice" not in person["participant"]  # an id tells nobody who it is
        assert (await w.call())["message"] is None


async def test_a_connection_that_breaks_is_made_again_and_nothing_is_forgotten(
    livekit: FakeLiveKit,
) -> None:
    livekit.arrive("alice", "Alice")
    async with watching(URL) as w:
        await w.scored("Alice", 3)
        before = (await w.people())["Alice"]
        livekit.put_out(rtc.DisconnectReason.SIGNAL_CLOSE)
        assert await refused(w, "waiting") == (
            "lost",
            "the connection to LiveKit broke (signal close)",
        )
        await w.names(within_s=2)
        await w.state("joined", 5)
        await w.names("Alice", within_s=APPEARS_WITHIN_S)
        after = (await w.people())["Alice"]
        assert after["participant"] == before["participant"]
        assert after["windows_scored"] >= before["windows_scored"]
        await w.scored("Alice", after["windows_scored"] + 2)


@pytest.mark.parametrize(
    ("said", "state", "trouble"),
    [
        ("engine: signal failure: client error: 401 Unauthorized - no", "failed", "refused"),
        ("engine: signal failure: client error: 404 Not Found - no", "waiting", "not_found"),
        ("engine: signal failure: client error: 429 Too Many - hunter2", "waiting", "full"),
        ("engine: signal failure: server error: 503 Busy - no", "waiting", "unreachable"),
    ],
)
async def test_a_refusal_is_named(
    livekit: FakeLiveKit, said: str, state: str, trouble: str
) -> None:
    livekit.refusal = said
    async with watching(URL) as w:
        found, message = await refused(w, state)
    assert found == trouble
    assert message == said.replace("hunter2", "***")


@pytest.mark.parametrize(
    ("reason", "state", "trouble"),
    [
        (rtc.DisconnectReason.PARTICIPANT_REMOVED, "failed", "refused"),
        (rtc.DisconnectReason.DUPLICATE_IDENTITY, "failed", "refused"),
        (rtc.DisconnectReason.ROOM_DELETED, "waiting", "not_found"),
    ],
)
async def test_the_end_of_a_stay_is_named(
    livekit: FakeLiveKit,
    reason: "rtc.DisconnectReason.ValueType",
    state: str,
    trouble: str,
) -> None:
    async with watching(URL) as w:
        await w.state("joined")
        livekit.put_out(reason)
        assert (await refused(w, state))[0] == trouble


async def test_nobody_is_hidden_unless_told_to_be(livekit: FakeLiveKit) -> None:
    livekit.local.permission.hidden = True
    async with watching(URL) as w:
        assert await refused(w) == (
            "refused",
            "the token hides us, which join.hidden does not allow",
        )
    async with watching(URL, hidden=True) as w:
        await w.state("joined")
    livekit.local.permission.can_subscribe = False
    async with watching(URL, hidden=True) as w:
        assert "canSubscribe" in (await refused(w))[1]


async def test_a_token_that_fixes_the_name_is_told_of(livekit: FakeLiveKit) -> None:
    livekit.local.permission.can_update_metadata = False
    async with watching(URL) as w:
        await w.state("joined")
        note = (await w.call())["message"]
        assert note == "seen as 'as in the token', which is the name in the token"


async def test_without_a_token_nothing_is_tried(livekit: FakeLiveKit) -> None:
    async with watching("livekit+ws://127.0.0.1:7880") as w:
        trouble, message = await refused(w)
    assert trouble == "refused"
    assert "join.livekit_token" in message


async def test_without_the_sdk_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monitor.livekit_source", None)
    async with watching(URL) as w:
        trouble, message = await refused(w)
    assert trouble == "unsupported"
    assert "vfd-monitor[livekit]" in message


async def test_no_secret_gets_into_the_log(
    livekit: FakeLiveKit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    livekit.refusal = "no entry for hunter2"
    async with watching(URL) as w:
        assert await refused(w, "waiting") == ("unreachable", "no entry for ***")
    assert "hunter2" not in caplog.text


@asynccontextmanager
async def refusing(status: str) -> AsyncIterator[str]:
    """A server that gives the same answer to everything; its host and port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno".encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def once(url: str) -> str:
    """What `vfd-monitor join --once` says, with the whole of the SDK."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "monitor.cli", "join", "--once", url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert b"hunter2" not in err
    return err.decode()


@pytest.mark.slow
async def test_the_sdk_itself_says_why_it_is_not_let_in(tmp_path: Path) -> None:
    dead = f"livekit+ws://127.0.0.1:{free_port()}/?token=hunter2"
    assert "not joined (unreachable)" in await once(dead)
    for status, trouble in (("401 Unauthorized", "refused"), ("404 Not Found", "not_found")):
        async with refusing(status) as host:
            said = await once(f"livekit+ws://{host}/?token=hunter2")
            assert f"not joined ({trouble})" in said, said
    with untrusted_web(tmp_path) as (host, asked):
        said = await once(f"livekit+wss://{host}/?token=hunter2")
        assert "not joined (tls_failed)" in said, said
        assert not asked
