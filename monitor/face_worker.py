"""One thread finds faces. What it cannot keep up with is replaced by newer pictures, never queued.

A participant has at most one picture waiting, a screen that several share a few; they take turns in
the order of asking.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from monitor.metrics import Metrics
from monitor.screen import Screen, Seen
from monitor.sessions import Session
from vfd.finder import FaceFinder
from vfd.mouth import mouth_contrast
from vfd.types import FaceFrame, Reason, Rgb

MAX_OF_A_SCREEN: Final = 4
"""Pictures; a third of a second. Looking for faces holds up those after it, and mouths that are
missed for longer are not known (vfd.active_speaker)."""

MAX_BEFORE: Final = 10
"""Pictures that wait for the mouth to be looked at: half a second of them."""

Moments = tuple[tuple[float, Rgb], ...]
"""Pictures with their times, the newest last."""
Mouth = list[tuple[float, float]]
"""Times and `vfd.mouth.mouth_contrast`."""
Look = Callable[[FaceFinder, Moments], Callable[[], None]]
"""Is called in the thread, with the pictures of the moments before; what it gives back, on the
event loop."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    time_s: float
    look: Look
    before: Moments = ()


class FaceWorker:
    """Create it on a running event loop; results are written to the session's buffer there."""

    def __init__(self, finder: FaceFinder, metrics: Metrics) -> None:
        self._finder = finder
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[object, deque[_Picture]] = {}  # replacing keeps the place in line
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

        def look(finder: FaceFinder, moments: Moments) -> Callable[[], None]:
            return partial(self._deliver, session, time_s, *_look(finder, rgb, time_s, moments))

        self._ask(session.key, _Picture(time_s, look, tuple(before)), at_most=1)

    def watch(
        self, screen: Screen, time_s: float, rgb: Rgb, on_seen: Callable[[Seen], None]
    ) -> None:
        """See `FaceSink.watch`. Never blocks; of too many that wait the oldest is left out."""

        def look(finder: FaceFinder, _: Moments) -> Callable[[], None]:
            return partial(self._deliver_seen, screen.look(finder, rgb, time_s), on_seen)

        if self._ask(screen, _Picture(time_s, look), at_most=MAX_OF_A_SCREEN):
            screen.missed(time_s)

    def oldest_s(self) -> float | None:
        """When the picture was seen that waits the longest; None if none does."""
        with self._changed:
            return min((waiting[0].time_s for waiting in self._waiting.values()), default=None)

    async def close(self) -> None:
        """Ends the thread after the picture it is at; idempotent."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            self._changed.notify()
        await self._ended.wait()
        self._thread.join()

    def _ask(self, owner: object, picture: _Picture, at_most: int) -> bool:
        """Whether it took the place of another."""
        with self._changed:
            if self._closing:
                return False
            waiting = self._waiting.setdefault(owner, deque())
            replaced = len(waiting) >= at_most
            if replaced:
                before = (*waiting.popleft().before, *picture.before)
                picture = replace(picture, before=before)
            waiting.append(replace(picture, before=picture.before[-MAX_BEFORE:]))
            self._changed.notify()
        if replaced:
            self._metrics.picture_skipped()
        return replaced

    def _work(self) -> None:
        while (picture := self._next()) is not None:
            try:
                deliver = picture.look(self._finder, picture.before)
            except Exception:
                logger.exception("looking for a face failed; the picture is skipped")
                self._metrics.picture_failed()
                continue
            self._loop.call_soon_threadsafe(deliver)
        self._loop.call_soon_threadsafe(self._ended.set)

    def _next(self) -> _Picture | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            owner = next(iter(self._waiting))
            waiting = self._waiting.pop(owner)
            picture = waiting.popleft()
            if waiting:  # behind those who have not had their turn
                self._waiting[owner] = waiting
            return picture

    def _deliver(
        self, session: Session, time_s: float, found: FaceFrame | Reason, mouth: Mouth
    ) -> None:
        for at_s, contrast in mouth:
            session.buffer.write_mouth(at_s, contrast)
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


def _look(
    finder: FaceFinder, rgb: Rgb, time_s: float, before: Moments
) -> tuple[FaceFrame | Reason, Mouth]:
    """Points found in the newest picture serve those before it too: lips move faster than heads,
    and finding faces is what costs."""
    if not before:
        return finder.find(rgb, time_s), []
    face = finder.alone(rgb)
    if isinstance(face, Reason):
        return face, []
    moments = (*before, (time_s, rgb))
    mouth = [(at_s, mouth_contrast(earlier, face)) for at_s, earlier in moments]
    return finder.cut(rgb, face, time_s), mouth
