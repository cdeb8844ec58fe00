"""The store behind a thread of its own. Trouble with the disk never stops the monitor: what cannot
be written waits in memory, bounded, and is tried again; who asks is told."""

import asyncio
import fcntl
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from monitor.alerts import Alert
from monitor.config import StoreConfig
from monitor.metrics import Metrics
from monitor.store import MEMORY, Store, is_damage

MAX_BACKLOG: Final = 1_000  # writes; some 2 MB
RETRY_S: Final = 10.0
PRUNE_S: Final = 3_600.0
DAY_S: Final = 86_400.0

T = TypeVar("T")
Write = Callable[[Store], None]

logger = logging.getLogger(__name__)


def store_path(config: StoreConfig) -> str:
    """Where it lies: as configured, else below the user's own state (XDG base directories)."""
    if config.path:
        return config.path
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(state) / "vfd-monitor" / "alerts.db")


class Archive:
    """`open` it before use, `run` it, and `close` it. Belongs to the event loop; the store to its
    thread. `trouble`: what is wrong with the disk, empty if nothing is."""

    def __init__(
        self, config: StoreConfig, metrics: Metrics, wall: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._wall = wall
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._lock: int | None = None
        self._backlog: deque[Write] = deque()
        self._waiting = 0
        self._last_seq = 0
        self.trouble = ""

    @property
    def on_disk(self) -> bool:
        return self._store.path != MEMORY

    async def open(self) -> None:
        """Raises StoreError for a file that must not be touched."""
        await self._in_thread(self._open)
        self._last_seq = await self.read(Store.last_seq)
        await self._in_thread(self._prune)

    async def run(self) -> None:
        """Tries again what could not be written, and forgets what is old, until cancelled."""
        pruned_s = time.monotonic()
        while True:
            await asyncio.sleep(RETRY_S)
            await self._in_thread(self._flush)
            if time.monotonic() - pruned_s >= PRUNE_S:
                pruned_s = time.monotonic()
                await self._in_thread(self._prune)

    async def close(self) -> None:
        """After the writes that were asked for; idempotent."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    def number(self) -> int:
        """The next alert's: ascending, also over a store that was lost, as it follows the clock."""
        self._last_seq = max(self._last_seq + 1, int(self._wall() * 1000))
        return self._last_seq

    def write(self, write: Write) -> asyncio.Future[bool]:
        """In order. The result: whether it is on disk; if not, it is tried again later."""
        if self._waiting >= MAX_BACKLOG:  # a disk that hangs
            self._metrics.store_write_lost()
            refused: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            refused.set_result(False)
            return refused
        self._waiting += 1
        future = self._in_thread(lambda: self._append(write))
        future.add_done_callback(self._done)
        return future

    def add(self, seq: int, alert: Alert, targets: Sequence[str]) -> asyncio.Future[bool]:
        """See `write`."""
        return self.write(lambda store: store.add(seq, alert, targets))

    async def read(self, read: Callable[[Store], T]) -> T:
        """After every write that was asked for before. Raises sqlite3.Error."""
        return await self._in_thread(lambda: read(self._store))

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _done(self, future: asyncio.Future[bool]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # the writer's to look at; nobody needs to

    def _open(self) -> None:
        path = store_path(self._config)
        try:
            self._store = self._opened(path)
            self._note("")
        except (OSError, sqlite3.Error) as error:
            self._store = Store(MEMORY, self._config.max_mb)
            self._note(f"{path} (store.path) cannot be used, alerts are kept in memory: {error}")

    def _opened(self, path: str) -> Store:
        if path == MEMORY:
            return Store(MEMORY, self._config.max_mb)
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._lock is None:
            self._lock = _locked(f"{path}.lock")
        Path(path).touch(mode=0o600)  # it names people
        try:
            return Store(path, self._config.max_mb)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._set_aside(path, error)
            return Store(path, self._config.max_mb)

    def _set_aside(self, path: str, error: sqlite3.Error) -> None:
        aside = f"{path}.corrupt-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(self._wall()))}"
        for end in ("", "-wal", "-shm"):
            if Path(path + end).exists():
                os.replace(path + end, aside + end)
        self._metrics.store_set_aside()
        logger.error("the store is corrupt and was set aside: %s: %s", aside, error)

    def _append(self, write: Write) -> bool:
        if len(self._backlog) >= MAX_BACKLOG:
            self._backlog.popleft()
            self._metrics.store_write_lost()
        self._backlog.append(write)
        return self._flush()

    def _flush(self) -> bool:
        while self._backlog:
            try:
                self._backlog[0](self._store)
            except sqlite3.Error as error:
                if is_damage(error) and self.on_disk:
                    self._replace(error)
                    continue
                self._note(f"{self._store.path} (store.path) cannot be written: {error}")
                return False
            self._backlog.popleft()
        if self.on_disk:
            self._note("")
        return self.on_disk

    def _replace(self, error: sqlite3.Error) -> None:
        path = self._store.path
        self._store.close()
        try:
            self._set_aside(path, error)
            self._store = Store(path, self._config.max_mb)
        except (OSError, sqlite3.Error) as worse:
            self._store = Store(MEMORY, self._config.max_mb)
            self._note(f"{path} (store.path) cannot be used, alerts are kept in memory: {worse}")

    def _prune(self) -> None:
        oldest = self._wall() - self._config.retention_days * DAY_S
        try:
            self._store.prune(oldest)
        except sqlite3.Error as error:
            self._note(f"{self._store.path} (store.path) cannot be pruned: {error}")

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            logger.error("the store is in trouble, monitoring goes on: %s", trouble)
        elif self.trouble and not trouble:
            logger.info("the store works again")
        self.trouble = trouble
        self._metrics.store_changed(not trouble)

    def _close(self) -> None:
        if hasattr(self, "_store"):
            self._flush()
            self._store.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: str) -> int:
    """A descriptor that holds the lock: two monitors would deliver everything twice. Raises
    OSError."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise OSError("another monitor uses it") from None
    return lock
