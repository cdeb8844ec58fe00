"""Pages of the tests' own, for browsers, and what their devices play."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from av import VideoFrame

from tests.fakes import voice
from tests.looped import RATE_HZ, write_camera, write_microphone
from vfd.types import SAMPLE_RATE_HZ

FPS = 15
HERE = Path(__file__).parent


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - as the base has it
        """Not in the log of the tests."""


@contextmanager
def pages(name: str) -> Iterator[str]:
    """Where the page of that name is: browsers give cameras to http on this machine only."""
    handler = functools.partial(_Quiet, directory=str(HERE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/{name}"
        finally:
            server.shutdown()


def plain_devices(folder: Path, height: int = 240, grey: int = 160) -> dict[str, Path]:
    """A picture of one grey, and somebody's voice."""
    width = height * 4 // 3 if height < 720 else height * 16 // 9
    rgb = np.full((height, width, 3), grey, np.uint8)
    picture = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    write_camera(folder / "camera.y4m", [picture] * FPS, FPS)
    words = np.repeat((voice(4.0) * 32_767).astype(np.int16), RATE_HZ // SAMPLE_RATE_HZ)
    write_microphone(folder / "microphone.wav", words)
    return {"camera": folder / "camera.y4m", "microphone": folder / "microphone.wav"}
