"""Pictures of what an alert rests on, where somebody asked for them: the face, and a heat map over
it of where the score comes from. Only for a time, only so many, only on this machine.

A picture is taken from the buffer of the participant that the alert is about, and from nowhere
else. A thread of its own works at it, with an engine of its own: no score waits for it.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from engines.engine import Engine
from engines.explain import Map, explain_face
from monitor.buffers import judge
from monitor.config import ConfigError, EvidenceConfig
from monitor.sessions import Session
from vfd.front_ends import FRONT_ENDS
from vfd.types import FaceFrame, Rgb, Window

MAX_WAITING: Final = 8  # each takes seconds; who comes later has no pictures
PRUNE_S: Final = 3_600.0
DAY_S: Final = 86_400.0
MIN_SCALE: Final = (
    0.02  # below this cosine a map is noise and must not be drawn as if it were strong
)
MAX_OPACITY: Final = 0.6
RED, BLUE = (204.0, 5.0, 13.0), (13.0, 51.0, 191.0)  # for a match, against one
_OURS: Final = re.compile(r"[0-9a-f]{32}\.(opened|worsened)\.(face|heat)\.png")

logger = logging.getLogger(__name__)


class Evidence:
    """A Witness. `front_end`: that of the checkpoint. `new_engine`: makes the engine, once, when
    the first picture is wanted. Raises ConfigError where the folder cannot be written."""

    def __init__(
        self,
        config: EvidenceConfig,
        front_end: str,
        new_engine: Callable[[], Engine],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = Path(config.folder)
        self._config = config
        self._front_end = FRONT_ENDS[front_end]
        self._new_engine = new_engine
        self._wall = wall
        self._engine: Engine | None = None
        self._waiting = 0
        _check_folder(self._folder)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="evidence")

    def keep(self, session: Session, message_id: str) -> Sequence[str]:
        """See `Witness.keep`. Nothing, where there is no window or too much waits."""
        window = judge(session.buffer.snapshot(session.last_end_s))
        if not isinstance(window, Window) or self._waiting >= MAX_WAITING:
            return ()
        self._waiting += 1
        face = window.faces[0]
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, self._draw, window, face, message_id)
        work.add_done_callback(self._done)
        return [f"{message_id}.{what}.png" for what in ("face", "heat")]

    async def run(self) -> None:
        """Removes what is too old, until cancelled."""
        while True:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._prune)
            await asyncio.sleep(PRUNE_S)

    async def close(self) -> None:
        """After the pictures that are being made."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _done(self, work: asyncio.Future[None]) -> None:
        self._waiting -= 1
        if not work.cancelled() and (error := work.exception()):
            logger.error("no evidence was kept: %s", error)

    def _draw(self, window: Window, face: FaceFrame, message_id: str) -> None:
        self._write(f"{message_id}.face.png", face.rgb)
        if self._engine is None:
            self._engine = self._new_engine()
        spectrogram = self._front_end.compute(window.audio)
        heat = explain_face(self._engine, spectrogram, face.rgb)
        self._write(f"{message_id}.heat.png", heated(face.rgb, heat))
        self._prune()

    def _write(self, name: str, rgb: Rgb) -> None:
        """Whole or not at all."""
        _, encoded = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        unfinished = self._folder / f".{name}.part"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encoded.tobytes())
        unfinished.replace(self._folder / name)

    def _prune(self) -> None:
        """The oldest first; nothing that is not ours."""
        found = [path for path in self._folder.iterdir() if _OURS.fullmatch(path.name)]
        files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in found)
        oldest = self._wall() - self._config.retention_days * DAY_S
        too_many = sum(size for _, size, _ in files) - self._config.max_mb * 2**20
        for written, size, path in files:
            if written >= oldest and too_many <= 0:
                break
            path.unlink()
            too_many -= size

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def heated(rgb: Rgb, heat: Map) -> Rgb:
    """`rgb` (height, width, 3), red where the face speaks for the voice, blue where against it."""
    size = rgb.shape[1::-1]
    spread = np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC), np.float32)
    strength = spread / max(MIN_SCALE, float(np.abs(heat).max()))
    opacity = MAX_OPACITY * np.clip(np.abs(strength), 0.0, 1.0)[..., None]
    colour = np.where(strength[..., None] > 0, RED, BLUE)
    blended: Rgb = (rgb * (1 - opacity) + colour * opacity).round().astype(np.uint8)
    return blended


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".{os.getpid()}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"evidence.folder = {str(folder)!r}: cannot be written: {error.strerror}"
        ) from error
