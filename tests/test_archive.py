"""The store's thread, and what happens when the disk does not do its part."""

import asyncio
import logging
import os
import resource
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from monitor import archive as module
from monitor.archive import Archive, store_path
from monitor.config import StoreConfig
from monitor.metrics import Metrics
from monitor.store import Store, StoreError
from tests.fakes import until
from tests.hooks import alert, metrics_of_nobody


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "alerts.db"


@asynccontextmanager
async def opened(path: Path | str, metrics: Metrics | None = None) -> AsyncIterator[Archive]:
    archive = Archive(StoreConfig(path=str(path), max_mb=1), metrics or metrics_of_nobody())
    try:
        await archive.open()
        yield archive
    finally:
        await archive.close()


async def kept(archive: Archive) -> list[int]:
    return [seq for seq, _ in await archive.read(lambda store: store.alerts_after(0, 10_000))]


def test_it_lies_in_the_users_own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert store_path(StoreConfig()) == "/state/vfd-monitor/alerts.db"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/alice")
    assert store_path(StoreConfig()) == "/home/alice/.local/state/vfd-monitor/alerts.db"
    assert store_path(StoreConfig(path="/x.db")) == "/x.db"


async def test_what_is_added_is_on_disk_when_it_says_so(path: Path) -> None:
    async with opened(path) as archive:
        assert await archive.add(archive.number(), alert(), ["a"])
        reader = Store(str(path), 1, read_only=True)
        assert len(reader.pending("a")) == 1
        reader.close()
        assert archive.on_disk
        assert archive.trouble == ""
    assert path.parent.stat().st_mode & 0o077 == 0
    assert os.stat(path).st_mode & 0o077 == 0


async def test_numbers_ascend_whatever_the_clock_does(path: Path) -> None:
    now = [2_000.0]
    archive = Archive(StoreConfig(path=str(path)), metrics_of_nobody(), lambda: now[0])
    await archive.open()
    first, second = archive.number(), archive.number()
    assert (first, second) == (2_000_000, 2_000_001)
    await archive.add(second, alert(), [])
    await archive.close()
    now[0] = 500.0
    later = Archive(StoreConfig(path=str(path)), metrics_of_nobody(), lambda: now[0])
    await later.open()
    assert later.number() == second + 1
    await later.close()


async def test_a_corrupt_file_is_set_aside_and_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"nothing that SQLite would know" * 100)  # noqa: ASYNC240
    metrics = metrics_of_nobody()
    async with opened(path, metrics) as archive:
        assert archive.on_disk
        assert await archive.add(1, alert(), [])
    (aside,) = path.parent.glob("alerts.db.corrupt-*")
    assert aside.read_bytes().startswith(b"nothing that SQLite")
    assert str(aside) in caplog.text
    assert "vfd_store_set_aside_total 1.0" in metrics.render().decode()


async def test_a_file_that_becomes_corrupt_is_replaced_and_nothing_new_is_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path) as archive:
        await archive.add(1, alert(1), [])

        def damaged(store: Store) -> None:
            if len(list(path.parent.glob("*.corrupt-*"))) == 0:
                error = sqlite3.DatabaseError("database disk image is malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            store.add(2, alert(2), [])

        assert await archive.write(damaged)
        assert await kept(archive) == [2]
    assert "set aside" in caplog.text


async def test_a_newer_version_is_refused_and_nothing_is_left_open(path: Path) -> None:
    path.parent.mkdir()
    Store(str(path), 1).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        async with opened(path):
            raise AssertionError("it should not open")


@pytest.mark.parametrize("where", ["a file/alerts.db", "/proc/nowhere/alerts.db", "folder"])
async def test_a_path_that_cannot_be_used_leaves_memory(
    tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a file").write_text("")
    (tmp_path / "folder").mkdir()
    metrics = metrics_of_nobody()
    async with opened(tmp_path / where, metrics) as archive:
        assert not archive.on_disk
        assert "store.path" in archive.trouble
        assert await archive.add(archive.number(), alert(), ["a"]) is False
        assert len(await kept(archive)) == 1
    assert "monitoring goes on" in caplog.text
    assert "vfd_store_up 0.0" in metrics.render().decode()


async def test_two_monitors_do_not_share_a_store(path: Path) -> None:
    async with opened(path) as first, opened(path) as second:
        assert first.on_disk
        assert "another monitor" in second.trouble
    async with opened(path) as third:
        assert third.on_disk


async def test_memory_by_wish_is_no_trouble() -> None:
    async with opened(":memory:") as archive:
        assert not archive.on_disk
        assert archive.trouble == ""


async def test_a_full_disk_is_said_and_made_up_for(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are limited to those that are used: SQLite then says what it says of a full disk."""
    metrics = metrics_of_nobody()
    async with opened(path, metrics) as archive:
        await archive.add(1, alert(1), ["a"])
        await archive.write(lambda store: limit_pages(store, 1))
        assert await archive.add(2, alert(2, text="x" * 5000), ["a"]) is False
        assert await archive.write(lambda store: store.settle(1, "a", "delivered")) is False
        assert "full" in archive.trouble
        assert "monitoring goes on" in caplog.text
        assert "vfd_store_up 0.0" in metrics.render().decode()
        await archive.read(lambda store: limit_pages(store, 1000))
        monkeypatch.setattr(module, "RETRY_S", 0.05)
        retrying = asyncio.create_task(archive.run())
        await until(lambda: not archive.trouble)
        retrying.cancel()
        await asyncio.gather(retrying, return_exceptions=True)
        assert await kept(archive) == [1, 2]
        pending = await archive.read(lambda store: store.pending("a"))
        assert [p.seq for p in pending] == [2]
    assert "vfd_store_up 1.0" in metrics.render().decode()


def limit_pages(store: Store, pages: int) -> None:
    store._db.execute(f"PRAGMA max_page_count = {pages}")


async def test_a_disk_that_stays_full_costs_a_bounded_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BACKLOG", 5)
    metrics = metrics_of_nobody()
    async with opened(path, metrics) as archive:
        await archive.write(lambda store: limit_pages(store, 1))
        for number in range(8):
            await archive.add(number, alert(number, text="x" * 5000), ["a"])
        await archive.read(lambda store: limit_pages(store, 1000))
        assert await archive.add(8, alert(8), ["a"])
        assert await kept(archive) == [4, 5, 6, 7, 8]
    assert "vfd_store_writes_lost_total 4.0" in metrics.render().decode()


async def test_a_disk_that_hangs_holds_up_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BACKLOG", 3)
    gate = threading.Event()
    async with opened(path) as archive:
        hanging = archive.write(lambda store: bool(gate.wait(5)) and None)
        begun_s = time.monotonic()
        later = [archive.add(number, alert(number), []) for number in range(5)]
        assert time.monotonic() - begun_s < 0.5
        gate.set()
        assert await hanging
        assert [await one for one in later] == [True, True, False, False, False]


async def test_a_file_that_may_not_grow_is_a_full_disk(path: Path) -> None:
    """The kernel refuses the writes, as it does on a disk that takes no more."""
    async with opened(path) as archive:
        await archive.add(1, alert(1), [])
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
        try:
            kept_on_disk = [
                await archive.add(n, alert(n, text="x" * 9000), []) for n in range(2, 9)
            ]
            assert archive.trouble
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert kept_on_disk[-1] is False
        assert await archive.add(9, alert(9), [])
        assert archive.trouble == ""
        assert await kept(archive) == list(range(1, 10))


async def test_troubles_are_logged_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(path) as archive:
        await archive.write(lambda store: limit_pages(store, 1))
        with caplog.at_level(logging.ERROR):
            for number in range(4):
                await archive.add(number, alert(number, text="x" * 5000), [])
        assert caplog.text.count("monitoring goes on") == 1
        await archive.read(lambda store: limit_pages(store, 1000))
