"""One thread finds faces. What it cannot keep up with is replaced by newer pictures, never queued.

A participant has at most one picture waiting, a screen that several share a few; they take turns in
the order of asking.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from monitor.metrics import Metrics
from monitor.screen import Screen, Seen
from monitor.sessions import Session
from vfd.finder import FaceFinder
from vfd.types import FaceFrame, Reason, Rgb

MAX_OF_A_SCREEN: Final = 4
"""Pictures; a third of a second. Looking for faces holds up those after it, and mouths that are
missed for longer are not known (vfd.active_speaker)."""

logger = logging.getLogger(__name__)

Look = Callable[[FaceFinder], Callable[[], None]]
"""Is called in the thread; what it gives back, on the event loop."""


class FaceWorker:
    """Create it on a running event loop; results are written to the session's buffer there."""

    def __init__(self, finder: FaceFinder, metrics: Metrics) -> None:
        self._finder = finder
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[object, deque[Look]] = {}  # replacing keeps the place in line
        self._changed = threading.Condition()
        self._closing = False
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="faces")
        self._thread.start()

    def submit(self, session: Session, time_s: float, rgb: Rgb) -> None:
        """Asks for the face in `rgb` (height, width, 3) uint8, seen at `time_s`. Never blocks; a
        picture of the same participant that still waits is replaced."""

        def look(finder: FaceFinder) -> Callable[[], None]:
            return partial(self._deliver, session, time_s, finder.find(rgb, time_s))

        self._ask(session.key, look, at_most=1)

    def watch(
        self, screen: Screen, time_s: float, rgb: Rgb, on_seen: Callable[[Seen], None]
    ) -> None:
        """See `FaceSink.watch`. Never blocks; of too many that wait the oldest is left out."""

        def look(finder: FaceFinder) -> Callable[[], None]:
            return partial(self._deliver_seen, screen.look(finder, rgb, time_s), on_seen)

        if self._ask(screen, look, at_most=MAX_OF_A_SCREEN):
            screen.missed(time_s)

    async def close(self) -> None:
        """Ends the thread after the picture it is at; idempotent."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            self._changed.notify()
        await self._ended.wait()
        self._thread.join()

    def _ask(self, owner: object, look: Look, at_most: int) -> bool:
        """Whether it took the place of another."""
        with self._changed:
            if self._closing:
                return False
            waiting = self._waiting.setdefault(owner, deque())
            replaced = len(waiting) >= at_most
            if replaced:
                waiting.popleft()
            waiting.append(look)
            self._changed.notify()
        if replaced:
            self._metrics.picture_skipped()
        return replaced

    def _work(self) -> None:
        while (look := self._next()) is not None:
            try:
                deliver = look(self._finder)
            except Exception:
                logger.exception("looking for a face failed; the picture is skipped")
                self._metrics.picture_failed()
                continue
            self._loop.call_soon_threadsafe(deliver)
        self._loop.call_soon_threadsafe(self._ended.set)

    def _next(self) -> Look | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            owner = next(iter(self._waiting))
            waiting = self._waiting.pop(owner)
            look = waiting.popleft()
            if waiting:  # behind those who have not had their turn
                self._waiting[owner] = waiting
            return look

    def _deliver(self, session: Session, time_s: float, found: FaceFrame | Reason) -> None:
        session.buffer.note_look(time_s, found)
        self._count(found)

    def _deliver_seen(self, seen: Seen | None, on_seen: Callable[[Seen], None]) -> None:
        if seen is not None:
            for found in seen.faces.values():
                self._count(found)
            on_seen(seen)

    def _count(self, found: FaceFrame | Reason) -> None:
        if isinstance(found, Reason):
            self._metrics.face_rejected(found)
        else:
            self._metrics.face_found()
