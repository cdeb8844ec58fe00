"""Events as server-sent events. Alerts have ids: whoever comes back with the last of them
(`Last-Event-ID`, which browsers send by themselves) is told those in between."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from typing import Any, Final

from monitor.archive import Archive
from monitor.events import Event, EventBus

HEARTBEAT_S = 15.0  # below the 30 s and 60 s after which proxies drop a silent connection
MAX_REPLAYED: Final = 1_000
"""Alerts; the newest of those that were missed."""


async def event_stream(
    bus: EventBus, archive: Archive, snapshot: Event, last_event_id: str
) -> AsyncIterator[str]:
    """First `snapshot`, then the alerts after `last_event_id` (nothing, where it is no id), then
    everything that happens."""
    with bus.subscribe() as subscription:
        yield _written(snapshot)
        told = 0
        for seq, alert in await _missed(archive, last_event_id):
            told = seq
            yield _written({"type": "alert", "event_id": seq, **alert})
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    event = await anext(subscription)
            except TimeoutError:
                yield ": heartbeat\n\n"
            except StopAsyncIteration:
                return
            else:
                if event.get("event_id", told + 1) > told:  # raised while it was replayed
                    yield _written(event)


async def _missed(archive: Archive, last_event_id: str) -> list[tuple[int, Any]]:
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
        return []
    after = int(last_event_id)
    try:
        return await archive.read(lambda store: store.alerts_after(after, MAX_REPLAYED))
    except sqlite3.Error:
        return []  # the archive says what is wrong; what happens from now on is told


def _written(event: Event) -> str:
    number = f"id: {event['event_id']}\n" if "event_id" in event else ""
    return f"{number}event: {event['type']}\ndata: {json.dumps(event)}\n\n"
