"""Streams of real servers, followed by a monitor: seated, heard, seen, scored."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from monitor import media_open
from monitor.calls import CallState
from monitor.source import Trouble
from tests.following import following, matched
from tests.peers import free_port, until
from tests.stream_servers import nginx, prepared, publishing, rtsp_server
from tests.talking_files import talking

ROOT = Path(__file__).parents[1]
FLV = ("-c", "copy", "-f", "flv")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who talks, in H.264 and AAC."""
    return prepared(tmp_path_factory.mktemp("talk") / "talk.mp4", "-c:a", "aac")


@asynccontextmanager
async def served(kind: str, talk: Path, folder: Path) -> AsyncIterator[str]:
    """The URL of a stream of `kind` that runs until the block ends."""
    log = folder / "ffmpeg.log"
    async with AsyncExitStack() as stack:
        if kind in ("rtmp", "hls"):
            server = await stack.enter_async_context(nginx(folder / "nginx"))
            to = (*FLV, f"{server.rtmp}/talk")
            await stack.enter_async_context(publishing(talk, *to, log=log))
            playlist = server.folder / "hls" / "talk.m3u8"
            await until(lambda: kind == "rtmp" or playlist.exists(), 15)
            yield f"{server.rtmp}/talk" if kind == "rtmp" else f"{server.http}/hls/talk.m3u8"
        elif kind == "rtsp":
            opus = ("-c:a", "libopus", "-ar", "48000")
            media = prepared(folder / "talk.mkv", *opus, source=talk, times=4)
            yield await stack.enter_async_context(rtsp_server(folder, media))
        elif kind == "udp":
            url = f"udp://127.0.0.1:{free_port()}"
            to = ("-c", "copy", "-f", "mpegts", url)
            await stack.enter_async_context(publishing(talk, *to, log=log))
            yield url
        else:
            sdp = folder / "talk.sdp"
            ports = [free_port() // 2 * 2 for _ in range(2)]  # RTCP takes the one above
            rtp = [("-f", "rtp", f"rtp://127.0.0.1:{port}") for port in ports]
            opus = ("-c:a", "libopus", "-ar", "48000")
            to = ("-an", "-c:v", "copy", *rtp[0], "-vn", *opus, *rtp[1], "-sdp_file", str(sdp))
            await stack.enter_async_context(publishing(talk, *to, log=log))
            await until(sdp.exists)
            yield str(sdp)


@pytest.mark.parametrize("kind", ["rtmp", "hls", "rtsp", "udp", "rtp"])
async def test_who_speaks_in_a_stream_is_matched(kind: str, talk: Path, tmp_path: Path) -> None:
    async with served(kind, talk, tmp_path) as url, following(url) as (service, call):
        found = await matched(service)
        assert call.state is CallState.JOINED
        assert (found["call"], found["participant"]) == ("call", "stream")
        delays = service.calls.delays()
        if kind == "rtsp":  # a recording, which says how long it is
            assert not delays
        else:
            assert 0 < delays["call"].latency_s < (8 if kind == "hls" else 4)


async def test_latency_is_shown_by_the_interface_and_the_metrics(
    talk: Path, tmp_path: Path
) -> None:
    url = f"udp://127.0.0.1:{free_port()}"
    to = ("-c", "copy", "-f", "mpegts", url)
    async with (
        publishing(talk, *to, log=tmp_path / "log"),
        following(url) as (service, call),
        httpx.AsyncClient(base_url=service.url) as client,
    ):
        await until(lambda: "call" in service.calls.delays(), 20)
        shown = (await client.get("/v1/calls/call")).json()
        assert shown["latency_s"] > 0
        text = (await client.get("/metrics")).text
        assert re.search(r'^vfd_stream_latency_seconds\{call="call"\} (0\.\d|[1-9])', text, re.M)
        await service.calls.remove(call.id)
        assert 'vfd_stream_latency_seconds{call="call"}' not in (await client.get("/metrics")).text


async def test_a_file_is_played_at_its_own_pace_and_ends(tmp_path: Path) -> None:
    path = talking(tmp_path / "a.mp4", seconds=4.0)
    begun_s = time.monotonic()
    async with following(str(path)) as (service, call):
        await until(lambda: call.over.is_set(), 20)
        assert time.monotonic() - begun_s > 4.0
        assert (call.state, call.trouble) == (CallState.ENDED, Trouble.ENDED)
        assert call.attempts == 1
        assert not service.calls.delays()


async def test_a_publisher_who_comes_back_is_followed_again(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_open, "READ_TIMEOUT_S", 3.0)
    async with nginx(tmp_path / "nginx") as server:
        url = f"{server.rtmp}/talk"
        async with following(url) as (service, call):
            async with publishing(talk, *FLV, url, log=tmp_path / "log"):
                await until(lambda: call.state is CallState.JOINED, 25)
            await until(lambda: call.state is not CallState.JOINED, 15)
            assert call.trouble is Trouble.LOST
            async with publishing(talk, *FLV, url, log=tmp_path / "log"):
                await until(lambda: call.state is CallState.JOINED, 25)
                assert call.attempts > 1
                await service.calls.remove(call.id)  # while something comes, or the thread stays


async def test_join_once_says_what_came_of_it(tmp_path: Path) -> None:
    path = talking(tmp_path / "a.mp4", seconds=6.0, codec="libx264")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "monitor.cli", "join", "--once", str(path), "rtmp://127.0.0.1:9/x"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert f"{path}: joined, 1 participant" in out.decode()
    assert "rtmp://127.0.0.1:9/x: not joined (unreachable)" in err.decode()
