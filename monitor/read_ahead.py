"""Reads media in a thread of its own, a little ahead of whoever uses it.

Decoding overlaps with scoring that way, and Ctrl-C is heard while a live stream says nothing: only
the thread waits in FFmpeg. An event loop starts it, hears `on_change`, and takes what there is.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import Empty, Full, Queue

from monitor.file_source import FileSource
from monitor.media_open import OPEN_TIMEOUT_S, MediaError
from monitor.media_tracks import Item

QUEUE_ITEMS = 256  # about four seconds of sound and pictures; of the latter 8 to 48 are converted
POLL_S = 0.1
CLOSE_TIMEOUT_S = 1.0
# Looking up a host name is not covered by FFmpeg's own limit.
OPEN_PATIENCE_S = OPEN_TIMEOUT_S + 10.0


class ReadAhead:
    """Iterates once over the media at `location`. With `loop_s` it is played again from its start
    until that much media time has passed. `followed`, `closely`: see `FileSource`. `on_change` is
    called in the thread: the media is open, or cannot be opened; the thread is done."""

    def __init__(
        self,
        location: str,
        picture_interval_s: float,
        loop_s: float | None = None,
        *,
        followed: bool = False,
        closely: bool = False,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.location = location
        self.duration_s: float | None = None
        """As far as the media states it, once it is open."""
        self.broke_off = ""
        """Why reading ended before the media did; empty if it did not."""
        self.source: FileSource | None = None
        """What is being read; None if it could not be opened, or is not open yet."""
        self.opened = threading.Event()
        """Set when the media is open or cannot be opened."""
        self.done = threading.Event()
        """Set when nothing more will be read, and the media is closed."""
        self.over = False
        """Whether everything was taken, the end included."""
        self._interval_s = picture_interval_s
        self._loop_s = loop_s
        self._followed = followed
        self._closely = closely
        self._on_change = on_change
        self._clock = clock
        self._earlier_errors = 0  # of the rounds before this one
        self._queue: Queue[tuple[float, Item | Exception | None]] = Queue(QUEUE_ITEMS)
        self._stop = threading.Event()
        # A daemon: a read that hangs in the network must not keep the program from ending.
        self._thread = threading.Thread(target=self._read, name="media reader", daemon=True)

    @property
    def decode_errors(self) -> int:
        """Packets and frames that were broken and left out."""
        return self._earlier_errors + (self.source.decode_errors if self.source else 0)

    def start(self) -> None:
        """Begins to open the media, and then to read it."""
        self._thread.start()

    def open(self) -> None:
        """Starts, and returns when the media is open. Raises MediaError."""
        self.start()
        deadline = time.monotonic() + OPEN_PATIENCE_S
        while not self.opened.wait(POLL_S):
            if time.monotonic() > deadline:
                raise MediaError(self.location, f"no answer within {OPEN_PATIENCE_S:.0f} s")
        if self.source is None:
            raise self.failure()

    def take(self) -> tuple[float, Item] | None:
        """What was read next, and when, if there is anything; never waits. Raises what reading
        raised, at the place where it did."""
        try:
            read_s, item = self._queue.get_nowait()
        except Empty:
            return None
        if isinstance(item, Exception):
            raise item
        self.over = item is None
        return None if item is None else (read_s, item)

    def __iter__(self) -> Iterator[Item]:
        """Raises what reading raised, at the place where it did."""
        while True:
            try:
                _, item = self._queue.get(timeout=POLL_S)
            except Empty:
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def stop(self) -> None:
        """Lets the thread end as soon as the network lets go of it; idempotent."""
        self._stop.set()

    def close(self) -> None:
        """Stops, and waits a while for the end of the thread; idempotent."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIMEOUT_S)

    def failure(self) -> Exception:
        """Why the media could not be opened."""
        _, item = self._queue.get()
        return item if isinstance(item, Exception) else MediaError(self.location, "cannot be read")

    def _read(self) -> None:
        try:
            for item in self._items():
                if not self._put(item):
                    return
            self._put(None)
        except Exception as error:  # carried to the thread that uses the media
            self._put(error)
        finally:
            self.opened.set()
            self.done.set()
            self._on_change()

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
        source = FileSource(self.location, self._interval_s, followed=self._followed)
        source.closely = self._closely
        self.source = source
        try:
            self.duration_s = self._loop_s or source.duration_s
            if not self.opened.is_set():
                self.opened.set()
                self._on_change()
            yield from source
            self.broke_off = source.broke_off
        finally:
            source.close()

    def _put(self, item: Item | Exception | None) -> bool:
        """Waits for room. Returns False if nobody reads any more."""
        stamped = self._clock(), item
        while not self._stop.is_set():
            try:
                self._queue.put(stamped, timeout=POLL_S)
            except Full:
                continue
            return True
        return False
