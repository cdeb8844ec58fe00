"""One thread finds faces. What it cannot keep up with is replaced by newer pictures, never queued.

A participant has at most one picture waiting; participants take turns in the order of asking.
"""

import asyncio
import logging
import threading
from dataclasses import dataclass

from monitor.metrics import Metrics
from monitor.sessions import Session
from vfd.finder import FaceFinder
from vfd.types import FaceFrame, ParticipantKey, Reason, Rgb

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    session: Session
    time_s: float
    rgb: Rgb


class FaceWorker:
    """Create it on a running event loop; results are written to the session's buffer there."""

    def __init__(self, finder: FaceFinder, metrics: Metrics) -> None:
        self._finder = finder
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[ParticipantKey, _Picture] = {}  # replacing keeps the place in line
        self._changed = threading.Condition()
        self._closing = False
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="faces")
        self._thread.start()

    def submit(self, session: Session, time_s: float, rgb: Rgb) -> None:
        """Asks for the face in `rgb` (height, width, 3) uint8, seen at `time_s`. Never blocks; a
        picture of the same participant that still waits is replaced."""
        with self._changed:
            if self._closing:
                return
            replaced = session.key in self._waiting
            self._waiting[session.key] = _Picture(session, time_s, rgb)
            self._changed.notify()
        if replaced:
            self._metrics.picture_skipped()

    def oldest_s(self) -> float | None:
        """When the picture was seen that waits the longest; None if none does."""
        with self._changed:
            return min((picture.time_s for picture in self._waiting.values()), default=None)

    async def close(self) -> None:
        """Ends the thread after the picture it is at; idempotent."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            self._changed.notify()
        await self._ended.wait()
        self._thread.join()

    def _work(self) -> None:
        while (picture := self._next()) is not None:
            try:
                found = self._finder.find(picture.rgb, picture.time_s)
            except Exception:
                logger.exception("looking for a face failed; the picture is skipped")
                self._metrics.picture_failed()
                continue
            self._loop.call_soon_threadsafe(self._deliver, picture, found)
        self._loop.call_soon_threadsafe(self._ended.set)

    def _next(self) -> _Picture | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            return self._waiting.pop(next(iter(self._waiting)))

    def _deliver(self, picture: _Picture, found: FaceFrame | Reason) -> None:
        buffer = picture.session.buffer
        if isinstance(found, Reason):
            buffer.note_rejected(picture.time_s, found)
            self._metrics.face_rejected(found)
        else:
            buffer.write_face(found)
            self._metrics.face_found()
