"""A real WHEP server in front of Janus (npm: janus-whep-server)."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.janus_server import PIN, ROOM, STREAM, Janus
from tests.peers import free_port
from tests.programs import program

PACKAGE = "janus-whep-server@1.1.0"
SCRIPT = Path(__file__).with_suffix(".mjs")
START_TIMEOUT_S = 30.0
INSTALL_TIMEOUT_S = 300.0


def _modules() -> Path:
    """The folder in which the package lies; it is fetched once."""
    npm = program("npm", ("npm",), "npm")
    folder = Path(sys.prefix) / "whep-server"
    if not (folder / "node_modules" / "janus-whep-server").is_dir():
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--prefix", str(folder)]
        folder.mkdir(exist_ok=True)
        subprocess.run(
            [*command, PACKAGE], check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S
        )
        # Sockets of the file system, native code that would have to be compiled; Janus is reached
        # by a WebSocket here.
        unused = folder / "node_modules" / "unix-dgram" / "lib" / "unix_dgram.js"
        unused.write_text("exports.createSocket = undefined;\n")
    return folder


def _script() -> Path:
    """The server's, beside its modules, where node looks for them."""
    return Path(shutil.copy(SCRIPT, _modules()))


def _said(log: Path) -> str:
    return log.read_text(errors="replace")


@asynccontextmanager
async def whep_server(janus: Janus, feed: int, token: str, log: Path) -> AsyncIterator[str]:
    """Its base URL. `/endpoint/room` makes its own offer (of the publisher `feed`),
    `/endpoint/stream` answers ours; both ask for `token`. `/endpoint/nobody` has no publisher."""
    script = await asyncio.to_thread(_script)
    room = {"plugin": "videoroom", "room": ROOM, "pin": PIN, "token": token}
    endpoints = [
        {"id": "room", "feed": feed, **room},
        {"id": "nobody", "feed": 4_711, **room},
        {"id": "stream", "plugin": "streaming", "mountpoint": STREAM, "token": token},
    ]
    port = free_port()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program("Node.js", ("node",), "nodejs"),
            *(str(script), janus.socket, str(port), json.dumps(endpoints)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "NODE_ENV": "test"},
        )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while "listening" not in _said(log):
                assert process.returncode is None, _said(log)
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/whep"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
