"""`vfd-monitor join`, as somebody types it."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.janus_server import Janus, running_janus, taking_part
from tests.peers import Picture, Voice, free_port

pytestmark = pytest.mark.slow


async def join(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "monitor.cli", "join", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_once_says_what_happened(tmp_path: Path) -> None:
    dead = f"janus+ws://127.0.0.1:{free_port()}/1234"
    async with (
        running_janus(tmp_path / "janus") as janus,
        taking_part(janus, "alice", Voice(), Picture()),
    ):
        code, out, err = await join("--once", janus.url)
        assert (code, out) == (0, f"{_shown(janus)}: joined, 1 participant after 3 s\n"), err
        code, out, err = await join("--once", janus.url, dead)
        assert code == 1
        assert "joined, 1 participant" in out
        assert f"{dead}: not joined (unreachable): cannot be reached" in err
        code, _, err = await join("--once", janus.url.replace("sesame", "hunter2"))
        assert code == 1
        assert "not joined (refused): Janus says: Unauthorized" in err
        assert "hunter2" not in err


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gopher://host/1", "unknown kind 'gopher'"),
        ("/there/is/none.mp4", "there is no such file"),
        ("janus+wss://host/", "the room is missing"),
    ],
)
async def test_what_leads_nowhere_is_said_before_anything_starts(url: str, message: str) -> None:
    code, _, err = await join("--once", url)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


async def test_it_stays_until_it_is_told_to_go(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[server]\nport = 0\n")
    async with running_janus(tmp_path / "janus") as janus:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "monitor.cli", "join", "--config", str(config), janus.url),
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while b"call joined" not in (line := await process.stderr.readline()):
                assert line, "it ended"
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()
        assert process.returncode == 0
        assert b"call left" in err


def _shown(janus: Janus) -> str:
    return janus.url.partition("?")[0]
