"""One thread finds faces. What it cannot keep up with is replaced by newer pictures, never queued.

A participant has at most one picture waiting; participants take turns in the order of asking.
"""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from monitor.metrics import Metrics
from monitor.sessions import Session
from vfd.finder import FaceFinder
from vfd.mouth import mouth_contrast
from vfd.types import FaceFrame, ParticipantKey, Reason, Rgb

MAX_BEFORE: Final = 10
"""Pictures that wait for the mouth to be looked at: half a second of them."""

Moments = tuple[tuple[float, Rgb], ...]
"""Pictures with their times, the newest last."""
Mouth = list[tuple[float, float]]
"""Times and `vfd.mouth.mouth_contrast`."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    session: Session
    time_s: float
    rgb: Rgb
    before: Moments


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

    def submit(
        self, session: Session, time_s: float, rgb: Rgb, before: Sequence[tuple[float, Rgb]] = ()
    ) -> None:
        """Asks for the face in `rgb` (height, width, 3) uint8, seen at `time_s`, and, where there
        are pictures `before` it, for the mouth in all of them. Never blocks; a picture of the same
        participant that still waits is replaced, and those before it wait on."""
        with self._changed:
            if self._closing:
                return
            replaced = self._waiting.get(session.key)
            earlier = replaced.before if replaced is not None else ()
            moments = (*earlier, *before)[-MAX_BEFORE:]
            self._waiting[session.key] = _Picture(session, time_s, rgb, moments)
            self._changed.notify()
        if replaced is not None:
            self._metrics.picture_skipped()

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
                found, mouth = self._look(picture)
            except Exception:
                logger.exception("looking for a face failed; the picture is skipped")
                self._metrics.picture_failed()
                continue
            self._loop.call_soon_threadsafe(self._deliver, picture, found, mouth)
        self._loop.call_soon_threadsafe(self._ended.set)

    def _look(self, picture: _Picture) -> tuple[FaceFrame | Reason, Mouth]:
        """Points found in the newest picture serve those before it too: lips move faster than
        heads, and finding faces is what costs."""
        rgb, time_s = picture.rgb, picture.time_s
        if not picture.before:
            return self._finder.find(rgb, time_s), []
        face = self._finder.alone(rgb)
        if isinstance(face, Reason):
            return face, []
        moments = (*picture.before, (time_s, rgb))
        mouth = [(at_s, mouth_contrast(earlier, face)) for at_s, earlier in moments]
        return self._finder.cut(rgb, face, time_s), mouth

    def _next(self) -> _Picture | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            return self._waiting.pop(next(iter(self._waiting)))

    def _deliver(self, picture: _Picture, found: FaceFrame | Reason, mouth: Mouth) -> None:
        buffer = picture.session.buffer
        for time_s, contrast in mouth:
            buffer.write_mouth(time_s, contrast)
        if isinstance(found, Reason):
            buffer.note_rejected(picture.time_s, found)
            self._metrics.face_rejected(found)
        else:
            buffer.write_face(found)
            self._metrics.face_found()
