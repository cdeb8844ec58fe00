"""Streams of real servers, followed by a monitor: seated, heard, seen, scored."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor import stream_source
from monitor.call_urls import parse_call_url
from monitor.calls import Call, CallState
from monitor.config import Config, JoinConfig, ServerConfig
from monitor.service import Service
from monitor.source import Trouble
from tests.peers import free_port, monitor, until
from tests.stream_servers import nginx, prepared, publishing, rtsp_server
from tests.talking_files import talking

CONFIG = Config(server=ServerConfig(port=0), join=JoinConfig(allow_private_targets=True))
ROOT = Path(__file__).parents[1]
FLV = ("-c", "copy", "-f", "flv")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who talks, in H.264 and AAC."""
    return prepared(tmp_path_factory.mktemp("talk") / "talk.mp4", "-c:a", "aac")


def person(service: Service) -> Callable[[], Any]:
    """Asks for the participants; for `until`, gives the state of the only one."""

    async def asked() -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=service.url) as client:
            people = (await client.get("/v1/participants")).json()["participants"]
        return people[0] if people else {"state": "", "coverage": 0}

    return asked


@asynccontextmanager
async def following(url: str) -> AsyncIterator[tuple[Service, Call]]:
    """A monitor that joined `url`."""
    async with monitor(CONFIG) as service:
        yield service, service.calls.add(parse_call_url(url), "call")


async def matched(service: Service, timeout_s: float = 25.0) -> dict[str, Any]:
    """The participant, once their voice was found to belong to their face."""
    ask = person(service)

    async def held() -> bool:
        return bool((await ask())["state"] == "match")

    await until(held, timeout_s)
    found: dict[str, Any] = await ask()
    return found


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
        assert re.search(r'^vfd_stream_latency_seconds\{call="call"\} 0\.\d+|[1-9]', text, re.M)
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


async def test_a_publisher_who_comes_back_is_followed_again(talk: Path, tmp_path: Path) -> None:
    async with nginx(tmp_path / "nginx") as server:
        url = f"{server.rtmp}/talk"
        async with following(url) as (_, call):
            async with publishing(talk, *FLV, url, log=tmp_path / "log"):
                await until(lambda: call.state is CallState.JOINED, 25)
            await until(lambda: call.state is not CallState.JOINED, 15)
            assert call.trouble is Trouble.LOST
            async with publishing(talk, *FLV, url, log=tmp_path / "log"):
                await until(lambda: call.state is CallState.JOINED, 25)
                assert call.attempts > 1


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (("-an",), "no sound"),
        (("-vn", "-c:a", "aac"), "no video"),
        (
            ("-map", "0:v", "-map", "0:a", "-map", "0:a", "-map", "0:a", "-c:a", "aac"),
            "3 tracks of sound: the first is taken",
        ),
    ],
)
async def test_what_is_missing_from_a_stream_is_said(
    tmp_path: Path, arguments: tuple[str, ...], note: str
) -> None:
    media = prepared(tmp_path / "m.ts", *arguments)
    url = f"udp://127.0.0.1:{free_port()}"
    to = ("-map", "0", "-c", "copy", "-f", "mpegts", url)
    async with (
        publishing(media, *to, log=tmp_path / "log"),
        following(url) as (service, call),
    ):
        await until(lambda: call.state is CallState.JOINED, 20)
        assert note in call.message
        abstained = "no_audio" if note == "no sound" else "no_video"
        if note.startswith("no "):
            await until(lambda: _abstained(service, abstained), 15)
        else:
            await matched(service)


async def _abstained(service: Service, reason: str) -> bool:
    return reason in (await person(service)()).get("windows_abstained", {})


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


async def test_video_that_joins_in_later_is_seen(
    talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_source, "LOOK_AGAIN_S", 1.0)
    late = ("-itsoffset", "9", "-re", "-stream_loop", "-1", "-i", str(talk))
    both = ("-map", "0:a", "-map", "1:v", "-max_interleave_delta", "1", *FLV)
    async with nginx(tmp_path / "nginx") as server:
        url = f"{server.rtmp}/talk"
        async with (
            publishing(talk, *late, *both, url, log=tmp_path / "log"),
            following(url) as (service, call),
        ):
            await until(lambda: call.message, 20)
            assert call.message == "no video so far: nobody is judged"
            await matched(service, 40)
            assert not call.message
