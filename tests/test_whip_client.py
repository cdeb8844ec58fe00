"""Debian's simple-whip-client publishes to the monitor: GStreamer's WebRTC, with trickle ICE, DTLS
with an RSA certificate, and a goodbye."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from monitor.config import Config, ServerConfig
from tests.peers import monitor, until
from tests.programs import program

pytestmark = pytest.mark.slow

SOUND = (
    "audiotestsrc is-live=true wave=red-noise ! audioconvert ! queue ! opusenc"
    " ! rtpopuspay pt=100 ssrc=1 ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100"
)
PICTURES = (
    "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=15/1 ! videoconvert"
    " ! queue ! vp8enc deadline=1 ! rtpvp8pay pt=96 ssrc=2"
    " ! application/x-rtp,media=video,encoding-name=VP8,payload=96"
)
UPNP = """
unsigned long gupnp_simple_igd_get_type(void) { return 0; }
void *gupnp_simple_igd_thread_new(void) { return 0; }
void gupnp_simple_igd_add_port(void) {}
void gupnp_simple_igd_remove_port_local(void) {}
"""


def libraries(folder: Path) -> Path:
    """A UPnP library that does nothing. Debian 12's client is linked with libsoup 2, and the UPnP
    of its ICE library with libsoup 3, which aborts a program in which it finds the other."""
    source = folder / "upnp.c"
    source.write_text(UPNP)
    compiler = program("the Tiny C Compiler", ("tcc",), "tcc")
    command = [compiler, "-nostdlib", "-shared", "-o", folder / "libgupnp-igd-1.0.so.4", source]
    subprocess.run(command, check=True, timeout=30)
    return folder


@asynccontextmanager
async def publishing(url: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    client = program("simple-whip-client", ("whip-client",), "simple-whip-client")
    environment = {"LD_LIBRARY_PATH": str(libraries(folder)), "HOME": str(folder)}
    with (folder / "client.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(client, "-u", url, "-A", SOUND, "-V", PICTURES, "-o"),
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_it_publishes_is_scored_and_says_goodbye(tmp_path: Path) -> None:
    async with (
        monitor(Config(server=ServerConfig(port=0))) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
        publishing(f"{service.url}/whip/standup/alice", tmp_path) as client,
    ):

        async def scored() -> bool:
            assert client.returncode is None, (tmp_path / "client.log").read_text()[-3_000:]
            people = (await http.get("/v1/participants")).json()["participants"]
            return any(p["windows_scored"] >= 2 and p["coverage"] > 0.9 for p in people)

        await until(scored, 30)
        client.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(client.wait(), 10) == 0
        assert not (await http.get("/v1/participants")).json()["participants"]
