"""Headless Chromium whose camera and microphone play files."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tests.programs import program

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--mute-audio",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # aioice takes neither mDNS names nor 127.0.0.1
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
)
EXIT_TIMEOUT_S = 10.0


def chromium() -> str:
    """Its path."""
    return program("Chromium", ("chromium", "chromium-browser", "google-chrome"), "chromium")


def chromium_version() -> str:
    """As "Chromium 156.0.8078.79"."""
    answer = subprocess.run(
        [chromium(), "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    return " ".join(answer.stdout.split()[:2])


class Browser:
    """A running Chromium and all its processes."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def kill(self) -> None:
        """SIGKILL to every one of its processes, as in a crash: no goodbye is said. Idempotent."""
        if self._process.returncode is None:
            parent = psutil.Process(self._process.pid)
            family = [parent, *parent.children(recursive=True)]
            for member in family:
                _kill(member)
            await self._process.wait()
            await asyncio.to_thread(psutil.wait_procs, family, EXIT_TIMEOUT_S)

    def said(self) -> str:
        """The end of what it wrote to stderr, for a message that says why a test failed."""
        return self._log.read_text(errors="replace")[-3_000:]


@asynccontextmanager
async def browsing(
    url: str, *, camera: Path, microphone: Path, folder: Path
) -> AsyncIterator[Browser]:
    """Opens `url` with `camera` (y4m) and `microphone` (wav), each played round and round; its
    profile and log go to `folder`."""
    log = folder / "chromium.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            chromium(),
            *FLAGS,
            f"--user-data-dir={folder / 'profile'}",
            f"--use-file-for-fake-video-capture={camera}",
            f"--use-file-for-fake-audio-capture={microphone}",
            url,
            env={**os.environ, "TMPDIR": str(folder)},  # what it leaves there when it is killed
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    browser = Browser(process, log)
    try:
        yield browser
    finally:
        await browser.kill()


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return
