"""What the file holds, forgets, and refuses."""

import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from monitor.alerts import AlertKind
from monitor.store import MEMORY, Store, StoreError, is_damage
from tests.hooks import alert

CLOSED = alert(kind=AlertKind.CLOSED, at="2026-11-28T22:10:00.000+00:00")
OPENED_AT = datetime.fromisoformat(alert().at).timestamp()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "alerts.db")


def states(store: Store, target: str) -> list[int]:
    return [pending.seq for pending in store.pending(target)]


def test_what_was_added_is_there_after_opening_again(path: str) -> None:
    store = Store(path, 8)
    store.add(5, alert(), ["a", "b"])
    store.add(6, alert(1), ["a"])
    store.settle(5, "b", "delivered")
    store.postpone(6, "a", 3, 99.0)
    store.close()
    store = Store(path, 8)
    assert states(store, "b") == []
    first, second = store.pending("a")
    assert (first.seq, first.alert.as_json()) == (5, alert().as_json())
    assert (first.attempts, first.due) == (0, OPENED_AT)
    assert (second.attempts, second.due) == (3, 99.0)
    assert store.last_seq() == 6
    assert [seq for seq, _ in store.alerts_after(5, 10)] == [6]
    store.close()


def test_every_write_can_be_repeated(path: str) -> None:
    store = Store(path, 8)
    for _ in range(2):
        store.add(5, alert(), ["a"])
        store.add(6, CLOSED, ["a"])
    store.settle(5, "a", "delivered")
    store.add(5, alert(), ["a"])
    assert states(store, "a") == [6]
    (episode,) = store.episodes(None, 0.0, 10)
    assert episode["state"] == "closed"
    assert [a["kind"] for a in episode["alerts"]] == ["opened", "closed"]
    store.close()


def test_episodes_can_be_asked_for_by_call_and_time() -> None:
    store = Store(MEMORY, 8)
    store.add(1, alert(1, call="retro"), ["a"])
    store.add(2, alert(2, at="2026-11-28T22:05:00.000+00:00"), ["a"])
    store.settle(2, "a", "given_up")
    assert [e["id"] for e in store.episodes(None, 0.0, 10)] == ["episode2", "episode1"]
    assert [e["id"] for e in store.episodes(None, 0.0, 1)] == ["episode2"]
    assert [e["id"] for e in store.episodes("retro", 0.0, 10)] == ["episode1"]
    (late,) = store.episodes(None, OPENED_AT + 1, 10)
    assert late["deliveries"] == {"given_up": 1}
    assert late["last"]["participant"] == "alice"
    store.close()


def test_open_episodes_come_with_their_newest_alert() -> None:
    store = Store(MEMORY, 8)
    store.add(1, alert(1), [])
    store.add(2, alert(1, kind=AlertKind.WORSENED), [])
    store.add(3, alert(0), [])
    store.add(4, CLOSED, [])
    assert [(a.id, a.kind) for a in store.open_episodes()] == [("episode1", "worsened")]
    store.close()


def test_what_waits_for_somebody_who_is_set_no_more_is_dropped() -> None:
    store = Store(MEMORY, 8)
    store.add(1, alert(1), ["a", "b", "c"])
    assert store.abandon(["b"]) == 2
    assert (states(store, "a"), states(store, "b")) == ([], [1])
    assert store.abandon([]) == 1
    assert store.abandon([]) == 0
    episode = store.episode("episode1")
    assert episode is not None
    assert episode["targets"] == dict.fromkeys("abc", "dropped")
    assert store.episode("episode2") is None
    store.close()


def test_the_old_is_forgotten_but_not_what_waits_or_is_open() -> None:
    store = Store(MEMORY, 8)
    store.add(1, alert(0), ["a"])
    store.add(2, CLOSED, [])
    store.add(3, alert(1), ["a"])
    store.settle(3, "a", "delivered")
    store.prune(OPENED_AT + 60)
    assert [seq for seq, _ in store.alerts_after(0, 10)] == [1, 2, 3]
    store.settle(1, "a", "delivered")
    store.prune(OPENED_AT + 60)  # the episode ended later than that
    assert [seq for seq, _ in store.alerts_after(0, 10)] == [1, 2, 3]
    store.prune(OPENED_AT + 700)
    assert [seq for seq, _ in store.alerts_after(0, 10)] == [3]
    assert [e["id"] for e in store.episodes(None, 0.0, 10)] == ["episode1"]
    store.close()


def test_a_full_store_makes_room_by_itself(path: str) -> None:
    store = Store(path, 1)
    for number in range(1500):
        store.add(2 * number, alert(number, text="x" * 500), [])
        store.add(2 * number + 1, alert(number, kind=AlertKind.CLOSED), [])
    kept = store.alerts_after(0, 10_000)
    assert kept[-1][0] == 2999
    assert 100 < len(kept) < 3000
    assert Path(path).stat().st_size <= 2**20
    store.close()


def test_a_store_full_of_what_must_stay_says_so(path: str) -> None:
    store = Store(path, 1)

    def fill() -> None:
        for number in range(3000):
            store.add(number, alert(number, text="x" * 500), ["a"])

    with pytest.raises(sqlite3.OperationalError, match="full") as raised:
        fill()
    assert not is_damage(raised.value)
    kept = states(store, "a")
    assert len(kept) > 200
    for seq in kept:  # what is there can still be done with
        store.settle(seq, "a", "delivered")
    store.close()


def test_a_newer_version_is_refused_by_name(path: str) -> None:
    Store(path, 8).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(StoreError, match=r"alerts\.db .*newer version: its schema is 7"):
        Store(path, 8)


def test_somebody_elses_database_is_left_alone(path: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE photos (id)")
    db.close()
    before = Path(path).read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store(path, 8)
    assert Path(path).read_bytes() == before


def test_damage_is_told_from_what_passes(path: str) -> None:
    Path(path).write_bytes(b"no database at all, but longer than a header" * 50)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        Store(path, 8)
    assert is_damage(raised.value)
    with pytest.raises(sqlite3.OperationalError) as missing:
        Store("/nowhere/alerts.db", 8)
    assert not is_damage(missing.value)


def test_a_page_overwritten_is_damage(path: str) -> None:
    store = Store(path, 8)
    for number in range(200):
        store.add(number, alert(number), ["a"])
    store.close()
    content = bytearray(Path(path).read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 600] = b"\xff" * 600
    Path(path).write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        Store(path, 8)
    assert is_damage(raised.value)


def test_reading_changes_nothing(path: str) -> None:
    Store(path, 8).close()
    reader = Store(path, 8, read_only=True)
    with pytest.raises(sqlite3.OperationalError):
        reader.add(1, alert(), [])
    reader.close()
