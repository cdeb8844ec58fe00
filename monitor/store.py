"""Episodes, alerts and what is still to be delivered, in one SQLite file. Belongs to one thread.

What is committed survives the death of the process and of the machine (WAL, synchronous=FULL).
Every write can be repeated without harm.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from monitor.alerts import Alert, AlertKind

SCHEMA_VERSION: Final = 1
MEMORY: Final = ":memory:"
PAGE_BYTES: Final = 4_096
PRUNE_ALERTS: Final = 200  # at a time, when room is needed
FULL_SHARE: Final = 0.9  # of the pages allowed: beyond that the oldest goes
BUSY_TIMEOUT_S: Final = 2.0  # for a reader's lock; `history` holds one for milliseconds
_SCHEMA: Final = (
    """CREATE TABLE episodes (
        id TEXT PRIMARY KEY, call TEXT NOT NULL, participant TEXT NOT NULL,
        opened REAL NOT NULL, closed REAL, last TEXT NOT NULL)""",
    "CREATE INDEX episodes_by_time ON episodes (opened)",
    """CREATE TABLE alerts (
        seq INTEGER PRIMARY KEY, episode TEXT NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL,
        body TEXT NOT NULL, UNIQUE (episode, kind))""",
    """CREATE TABLE outbox (
        seq INTEGER NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL,
        attempts INTEGER NOT NULL, due REAL NOT NULL, PRIMARY KEY (seq, target))""",
)


class StoreError(Exception):
    """A store that cannot be used; the message names the file and says what is wrong."""


class DamagedError(sqlite3.DatabaseError):
    """The file is a database whose parts do not fit together."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is beyond use, in contrast to a disk that is full or away."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    return isinstance(error, DamagedError) or code in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that was not delivered yet. `due`: seconds since 1970."""

    seq: int
    alert: Alert
    attempts: int
    due: float


class Store:
    """`path`: a file, created with its schema where there is none, or MEMORY.

    Raises StoreError for a file that somebody else's program or a newer version wrote, and
    sqlite3.Error for one that is damaged (`is_damage`) or cannot be read.
    """

    def __init__(self, path: str, max_mb: int, *, read_only: bool = False) -> None:
        self.path = path
        self._max_pages = max_mb * 2**20 // PAGE_BYTES
        uri = f"{Path(path).absolute().as_uri()}?mode=ro" if read_only else path
        self._db = sqlite3.connect(uri, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=read_only)
        try:
            self._check_version()
            if not read_only:
                self._prepare(max_mb)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        with suppress(sqlite3.Error):  # what could be written is written
            self._db.close()

    def add(self, seq: int, alert: Alert, targets: Sequence[str]) -> None:
        """Keeps an alert, the state of its episode, and a message to each target, or nothing."""
        body = json.dumps(alert.as_json())
        at = datetime.fromisoformat(alert.at).timestamp()
        closed = at if alert.kind is AlertKind.CLOSED else None
        with self._writing():
            self._db.execute(
                "INSERT INTO episodes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "last = excluded.last, closed = coalesce(excluded.closed, closed)",
                (alert.id, alert.call, alert.participant, at, closed, body),
            )
            self._db.execute(
                "INSERT OR IGNORE INTO alerts VALUES (?, ?, ?, ?, ?)",
                (seq, alert.id, alert.kind.value, at, body),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO outbox VALUES (?, ?, 'waiting', 0, ?)",
                [(seq, target, at) for target in targets],
            )

    def settle(self, seq: int, target: str, state: str) -> None:
        """A message is done with: delivered, given_up, gone or dropped."""
        with self._writing():
            self._db.execute(
                "UPDATE outbox SET state = ? WHERE seq = ? AND target = ?", (state, seq, target)
            )

    def postpone(self, seq: int, target: str, attempts: int, due: float) -> None:
        with self._writing():
            self._db.execute(
                "UPDATE outbox SET attempts = ?, due = ? WHERE seq = ? AND target = ?",
                (attempts, due, seq, target),
            )

    def abandon(self, targets: Sequence[str]) -> int:
        """Drops what waits for anybody but `targets`; how many messages that were."""
        others = ", ".join("?" * len(targets))
        with self._writing():
            return self._db.execute(
                "UPDATE outbox SET state = 'dropped' WHERE state = 'waiting' "
                f"AND target NOT IN ({others})",
                tuple(targets),
            ).rowcount

    def pending(self, target: str) -> list[Pending]:
        """In the order of the alerts."""
        rows = self._db.execute(
            "SELECT seq, body, attempts, due FROM outbox JOIN alerts USING (seq) "
            "WHERE target = ? AND state = 'waiting' ORDER BY seq",
            (target,),
        )
        return [Pending(seq, _alert(body), attempts, due) for seq, body, attempts, due in rows]

    def open_episodes(self) -> list[Alert]:
        """The newest alert of each."""
        rows = self._db.execute("SELECT last FROM episodes WHERE closed IS NULL ORDER BY opened")
        return [_alert(body) for (body,) in rows]

    def alerts_after(self, seq: int, limit: int) -> list[tuple[int, Mapping[str, Any]]]:
        """Alerts as JSON with their numbers: the newest `limit` after `seq`, oldest first."""
        rows = self._db.execute(
            "SELECT seq, body FROM alerts WHERE seq > ? ORDER BY seq DESC LIMIT ?", (seq, limit)
        )
        return [(number, json.loads(body)) for number, body in reversed(rows.fetchall())]

    def last_seq(self) -> int:
        (newest,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM alerts").fetchone()
        return int(newest)

    def episodes(self, call: str | None, since: float, limit: int) -> list[dict[str, Any]]:
        """JSON-safe, newest first: those of `call` (None: all) that opened at `since`, seconds
        since 1970, or later."""
        rows = self._db.execute(
            "SELECT id, closed, last FROM episodes WHERE opened >= ? AND (? IS NULL OR call = ?) "
            "ORDER BY opened DESC LIMIT ?",
            (since, call, call, limit),
        ).fetchall()
        return [self._episode(*row) for row in rows]

    def episode(self, episode: str) -> dict[str, Any] | None:
        """As in `episodes`, and `targets`: what became of the message of its first alert to each of
        them."""
        row = self._db.execute(
            "SELECT id, closed, last FROM episodes WHERE id = ?", (episode,)
        ).fetchone()
        if row is None:
            return None
        targets = self._db.execute(
            "SELECT target, state FROM outbox WHERE seq = "
            "(SELECT min(seq) FROM alerts WHERE episode = ?) ORDER BY target",
            (episode,),
        )
        return {**self._episode(*row), "targets": dict(targets.fetchall())}

    def prune(self, oldest: float) -> None:
        """Forgets closed episodes that ended before `oldest`, seconds since 1970, and more of the
        oldest where the file is nearly full. What waits for delivery stays."""
        with self._writing():
            self._db.execute(
                f"DELETE FROM alerts WHERE at < ? AND {_SETTLED} AND episode NOT IN "
                "(SELECT id FROM episodes WHERE closed >= ?)",
                (oldest, oldest),
            )
            self._sweep()
        if self._used_share() > FULL_SHARE:
            self._make_room()

    def _episode(self, episode: str, closed: float | None, last: str) -> dict[str, Any]:
        alerts = self._db.execute(
            "SELECT kind, at, seq FROM alerts WHERE episode = ? ORDER BY seq", (episode,)
        ).fetchall()
        deliveries = self._db.execute(
            "SELECT state, count(*) FROM outbox JOIN alerts USING (seq) WHERE episode = ? "
            "GROUP BY state",
            (episode,),
        )
        alert = json.loads(last)
        return {
            "id": episode,
            "state": "open" if closed is None else "closed",
            "alerts": [{"kind": kind, "at": at, "event_id": seq} for kind, at, seq in alerts],
            "deliveries": dict(deliveries.fetchall()),
            "last": alert,
        }

    def _check_version(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path} (store.path) was written by a newer version: its schema is "
                f"{version}, this program knows {SCHEMA_VERSION}"
            )
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables:
            raise StoreError(f"{self.path} (store.path) is the database of another program")

    def _prepare(self, max_mb: int) -> None:
        self._db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        problems = self._db.execute("PRAGMA quick_check (1)").fetchone()
        if problems != ("ok",):
            raise DamagedError(str(problems[0]))
        self._db.execute(f"PRAGMA max_page_count = {self._max_pages}")
        self._db.execute(f"PRAGMA journal_size_limit = {2**22}")
        if self._db.execute("PRAGMA user_version").fetchone() == (0,):
            with self._transaction():
                for statement in _SCHEMA:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction, with room made before it where there is little."""
        if self._used_share() > FULL_SHARE:
            self._make_room()
        with self._transaction():
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk rolls back by itself
                self._db.execute("ROLLBACK")
            raise

    def _used_share(self) -> float:
        pages, free = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count")
        )
        return float((pages - free) / self._max_pages)

    def _make_room(self) -> None:
        with self._transaction():
            self._db.execute(
                "DELETE FROM alerts WHERE seq IN "
                f"(SELECT seq FROM alerts WHERE {_SETTLED} ORDER BY seq LIMIT {PRUNE_ALERTS})"
            )
            self._sweep()

    def _sweep(self) -> None:
        self._db.execute("DELETE FROM outbox WHERE seq NOT IN (SELECT seq FROM alerts)")
        self._db.execute("DELETE FROM episodes WHERE id NOT IN (SELECT episode FROM alerts)")


_SETTLED: Final = (
    "seq NOT IN (SELECT seq FROM outbox WHERE state = 'waiting') AND "
    "episode IN (SELECT id FROM episodes WHERE closed IS NOT NULL)"
)
"""Alerts that may be forgotten."""


def _alert(body: str) -> Alert:
    return Alert.from_json(json.loads(body))
