"""Reads media in a thread of its own, a little ahead of whoever uses it.

Decoding overlaps with scoring that way, and Ctrl-C is heard while a live stream says nothing: only
the thread waits in FFmpeg.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from queue import Empty, Full, Queue

from monitor.file_source import OPEN_TIMEOUT_S, FileSource, MediaError
from monitor.media_tracks import Item

QUEUE_ITEMS = 256  # about four seconds of sound and pictures, eight of the latter converted
POLL_S = 0.1
CLOSE_TIMEOUT_S = 1.0
# Looking up a host name is not covered by FFmpeg's own limit.
OPEN_PATIENCE_S = OPEN_TIMEOUT_S + 10.0


class ReadAhead:
    """Iterates once over the media at `location`. With `loop_s` it is played again from its start
    until that much media time has passed."""

    def __init__(
        self, location: str, picture_interval_s: float, loop_s: float | None = None
    ) -> None:
        self.location = location
        self.duration_s: float | None = None
        """As far as the media states it, once `open` has returned."""
        self.broke_off = ""
        """Why reading ended before the media did; empty if it did not."""
        self._interval_s = picture_interval_s
        self._loop_s = loop_s
        self._source: FileSource | None = None
        self._earlier_errors = 0  # of the rounds before this one
        self._queue: Queue[Item | Exception | None] = Queue(QUEUE_ITEMS)
        self._opened = threading.Event()
        self._stop = threading.Event()
        # A daemon: a read that hangs in the network must not keep the program from ending.
        self._thread = threading.Thread(target=self._read, name="media reader", daemon=True)

    @property
    def decode_errors(self) -> int:
        """Packets and frames that were broken and left out."""
        return self._earlier_errors + (self._source.decode_errors if self._source else 0)

    def open(self) -> None:
        """Starts reading and returns when the media is open. Raises MediaError."""
        self._thread.start()
        deadline = time.monotonic() + OPEN_PATIENCE_S
        while not self._opened.wait(POLL_S):
            if time.monotonic() > deadline:
                raise MediaError(f"{self.location}: no answer within {OPEN_PATIENCE_S:.0f} s")
        if self._source is None:
            raise self._failure()

    def __iter__(self) -> Iterator[Item]:
        """Raises what reading raised, at the place where it did."""
        while True:
            try:
                item = self._queue.get(timeout=POLL_S)
            except Empty:
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        """Ends the thread, or leaves it if the network holds it; idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)

    def _failure(self) -> Exception:
        item = self._queue.get()
        return (
            item if isinstance(item, Exception) else MediaError(f"{self.location}: cannot be read")
        )

    def _read(self) -> None:
        try:
            for item in self._items():
                if not self._put(item):
                    return
            self._put(None)
        except Exception as error:  # carried to the thread that uses the media
            self._put(error)
        finally:
            self._opened.set()

    def _items(self) -> Iterator[Item]:
        start_s = 0.0
        while self._loop_s is None or start_s < self._loop_s:
            end_s = start_s
            for item in self._once():
                placed = replace(item, time_s=item.time_s + start_s)
                if self._loop_s is not None and placed.time_s >= self._loop_s:
                    return
                end_s = max(end_s, placed.end_s)
                yield placed
            if self._loop_s is None or end_s <= start_s or self.broke_off:
                return
            start_s = end_s

    def _once(self) -> Iterator[Item]:
        self._earlier_errors = self.decode_errors
        self._source = source = FileSource(self.location, self._interval_s)
        try:
            self.duration_s = self._loop_s or source.duration_s
            self._opened.set()
            yield from source
            self.broke_off = source.broke_off
        finally:
            source.close()

    def _put(self, item: Item | Exception | None) -> bool:
        """Waits for room. Returns False if nobody reads any more."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=POLL_S)
            except Full:
                continue
            return True
        return False
