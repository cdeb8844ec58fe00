"""Two processes that train together, as torchrun starts them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 100.0


def run_two(program: str, *options: str) -> list[str]:
    """Runs `program` once as each of two ranks; what each wrote to standard output. Both must exit
    with 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    started = [
        subprocess.Popen(
            [sys.executable, *options, "-c", program],
            env={**os.environ, **place, "WORLD_SIZE": "2", "RANK": str(rank)},
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        said = [process.communicate(timeout=TIMEOUT_S)[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0, 0]
    return said
