"""Server-sent events: what is said at first, and what was missed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from monitor.alerts import AlertKind
from monitor.archive import Archive
from monitor.config import StoreConfig
from monitor.event_stream import MAX_REPLAYED, event_stream
from monitor.events import EventBus
from tests.hooks import alert, metrics_of_nobody

SNAPSHOT = {"type": "snapshot", "participants": []}


@pytest.fixture
async def archive() -> AsyncIterator[Archive]:
    archive = Archive(StoreConfig(path=":memory:"), metrics_of_nobody())
    await archive.open()
    yield archive
    await archive.close()


@pytest.fixture
def bus() -> EventBus:
    return EventBus(metrics_of_nobody())


async def told(
    stream: AsyncIterator[str], count: int
) -> list[tuple[int | None, dict[str, object]]]:
    """Id and data of the next events."""
    found = []
    async with asyncio.timeout(5):
        for _ in range(count):
            lines = (await anext(stream)).splitlines()
            fields = dict(line.split(": ", 1) for line in lines if line)
            data = json.loads(fields["data"])
            assert fields["event"] == data["type"]
            found.append((int(fields["id"]) if "id" in fields else None, data))
    return found


async def keep(archive: Archive, *numbers: int) -> None:
    for number in numbers:
        await archive.add(number, alert(number), [])


async def test_who_comes_back_is_told_what_was_missed(archive: Archive, bus: EventBus) -> None:
    await keep(archive, 5, 6, 9)
    async with aclosing(event_stream(bus, archive, SNAPSHOT, "5")) as stream:
        first, *missed = await told(stream, 3)
        assert first == (None, SNAPSHOT)
        assert [seq for seq, _ in missed] == [6, 9]
        assert missed[0][1]["id"] == "episode6"
        bus.publish({"type": "alert", "event_id": 9})  # was replayed
        bus.publish({"type": "score"})
        bus.publish({"type": "alert", "event_id": 12})
        assert [seq for seq, _ in await told(stream, 2)] == [None, 12]


@pytest.mark.parametrize("given", ["", "-1", "soon", "1e9", "٣", "9" * 30])
async def test_what_is_no_id_is_no_question(archive: Archive, bus: EventBus, given: str) -> None:
    await keep(archive, 5)
    async with aclosing(event_stream(bus, archive, SNAPSHOT, given)) as stream:
        await told(stream, 1)
        bus.publish({"type": "score"})
        assert (await told(stream, 1))[0][1]["type"] == "score"


async def test_an_alert_raised_during_the_replay_is_told_once(
    archive: Archive, bus: EventBus
) -> None:
    stream = event_stream(bus, archive, SNAPSHOT, "1")
    await told(stream, 1)
    kept = archive.add(7, alert(7, kind=AlertKind.OPENED), [])
    bus.publish({"type": "alert", "event_id": 7})
    bus.publish({"type": "score"})
    assert [seq for seq, _ in await told(stream, 2)] == [7, None]
    assert await kept is False  # in memory
    await stream.aclose()  # type: ignore[attr-defined]


async def test_the_replay_is_bounded_to_the_newest(archive: Archive, bus: EventBus) -> None:
    def many(store: object) -> None:
        for number in range(1, MAX_REPLAYED + 11):
            store.add(number, alert(number), [])  # type: ignore[attr-defined]

    await archive.write(many)
    async with aclosing(event_stream(bus, archive, SNAPSHOT, "0")) as stream:
        _, *missed = await told(stream, MAX_REPLAYED + 1)
        assert (missed[0][0], missed[-1][0]) == (11, MAX_REPLAYED + 10)
        bus.publish({"type": "score"})
        assert (await told(stream, 1))[0][1] == {"type": "score"}
