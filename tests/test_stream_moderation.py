"""The recipe of the README: an alert about a stream takes its publisher off the air."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from monitor.call_urls import parse_call_url
from monitor.calls import CallState
from monitor.config import AlertConfig, Config, JoinConfig, ModelSection, ServerConfig
from tests.peers import free_port, monitor, until
from tests.stream_servers import Nginx, nginx, prepared, publishing, running
from tests.talking_files import face, talking

ROOT = Path(__file__).parents[1]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SWAPPED = 60  # a grey that FakeEngine holds for somebody else's face


def recipe() -> str:
    """The program in the README."""
    readme = (ROOT / "README.md").read_text()
    return readme.split("```python\n", 1)[1].split("```", 1)[0]


@asynccontextmanager
async def hook(server: Nginx, folder: Path) -> AsyncIterator[str]:
    """The recipe's program, for `server`; gives the address that it listens at."""
    port = free_port()
    script = folder / "hook.py"
    script.write_text(
        recipe()
        .replace("http://127.0.0.1:8080/control", f"{server.http}/control")
        .replace("9000", str(port))
        .replace("whsec_...", SECRET)
    )
    async with running(sys.executable, str(script), log=folder / "hook.log"):
        yield f"http://127.0.0.1:{port}/"


async def test_an_alert_drops_the_publisher_and_nobody_else(tmp_path: Path) -> None:
    dark = face(0) // 3
    swap = talking(tmp_path / "swap.mp4", seconds=6.0, picture=lambda _: dark)
    swapped = prepared(tmp_path / "swapped.mp4", "-c:a", "aac", source=swap)
    honest = prepared(tmp_path / "honest.mp4", "-c:a", "aac")
    flv = ("-c", "copy", "-f", "flv")
    async with (
        nginx(tmp_path / "nginx") as server,
        hook(server, tmp_path) as url,
        publishing(honest, *flv, f"{server.rtmp}/honest", log=tmp_path / "a.log") as good,
        publishing(swapped, *flv, f"{server.rtmp}/swapped", log=tmp_path / "b.log") as bad,
    ):
        config = Config(
            server=ServerConfig(port=0),
            join=JoinConfig(allow_private_targets=True),
            model=ModelSection(allow_synthetic_alerts=True),
            alerts=AlertConfig(url, SECRET, allow_private_targets=True),
        )
        async with monitor(config) as service:
            calls = [
                service.calls.add(parse_call_url(f"{server.rtmp}/{name}"), name)
                for name in ("honest", "swapped")
            ]
            async with asyncio.timeout(45):
                await bad.wait()
            await until(lambda: calls[1].state is not CallState.JOINED, 15)
            assert good.returncode is None
            assert calls[0].state is CallState.JOINED
