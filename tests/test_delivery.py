"""The parts together: who is told, in which order, and what outlives a monitor."""

import asyncio
import json
import logging
import resource
import threading
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from monitor.alerts import Alert
from monitor.config import (
    AlertConfig,
    Config,
    ModelSection,
    ScoringConfig,
    ServerConfig,
    StoreConfig,
)
from monitor.delivery import Delivery
from monitor.store import Store
from monitor.webhook import Answer, Webhook, webhook_targets
from tests.fakes import checkpoint
from tests.hooks import SECRET, Receiver, alert, config, metrics_of_nobody
from tests.peers import Picture, Voice, monitor, publish, until


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "alerts.db")


def settings(path: str, url: str, **alerts: object) -> Config:
    return Config(
        server=ServerConfig(port=0),
        store=StoreConfig(path=path),
        alerts=replace(config(url), **alerts),  # type: ignore[arg-type]
    )


async def close(delivery: Delivery) -> None:
    for job, _ in delivery.jobs():
        job.close()
    for outbox in delivery.outboxes:
        await outbox._webhook.close()
    await delivery.close()


@pytest.mark.parametrize(
    ("trained_on", "allowed", "told"),
    [("synthetic people v1", False, 0), ("synthetic people v1", True, 2), ("voxceleb", False, 2)],
)
async def test_webhooks_stay_off_where_weights_have_seen_synthetic_people_only(
    path: str, trained_on: str, allowed: bool, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    two = settings(path, "https://a.example/", webhooks=(f"https://b.example/ {SECRET}",))
    two = replace(two, model=ModelSection(allow_synthetic_alerts=allowed))
    delivery = Delivery(two, checkpoint(trained_on), metrics_of_nobody())
    await delivery.open()
    delivery.keep(alert())
    assert [waiting.messages for waiting in delivery.waiting().values()] == [1] * told
    assert ("model.allow_synthetic_alerts" in caplog.text) is (told == 0)
    (episode,) = await delivery.archive.read(lambda store: store.episodes(None, 0.0, 9))
    assert episode["deliveries"] == ({"waiting": told} if told else {})
    await close(delivery)


async def test_an_alert_is_on_disk_before_the_first_attempt(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    original = Webhook.post

    async def post(self: Webhook, alert: Alert) -> Answer:
        reader = Store(path, 1, read_only=True)
        found.extend(pending.alert.id for pending in reader.pending(self.name))
        reader.close()
        return await original(self, alert)

    monkeypatch.setattr(Webhook, "post", post)
    async with Receiver().listening() as receiver:
        delivery = Delivery(settings(path, receiver.url), checkpoint("vox"), metrics_of_nobody())
        await delivery.open()
        (outbox,) = delivery.outboxes
        slow = threading.Event()
        delivery.archive.write(lambda _: bool(slow.wait(5)) and None)
        delivery.keep(alert())
        sending = asyncio.create_task(outbox.run())
        await asyncio.sleep(0.2)
        assert receiver.received == []
        slow.set()
        await until(lambda: receiver.accepted)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await delivery.close()
    assert found == ["episode0"]


async def test_an_episode_that_a_dead_monitor_left_open_is_closed_and_told(path: str) -> None:
    async with Receiver().listening() as receiver:
        (target,) = webhook_targets(config(receiver.url))
        store = Store(path, 8)
        store.add(1, alert(1), [target.name])  # never delivered: that monitor was killed
        store.close()
        after = settings(path, receiver.url, absence_s=0.5)
        after = replace(after, model=ModelSection(allow_synthetic_alerts=True))
        async with monitor(after) as service:
            await until(lambda: len(receiver.accepted) == 2, 20)
            async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
                (episode,) = (await client.get("/v1/episodes")).json()["episodes"]
    assert receiver.accepted == ["episode1.opened", "episode1.closed"]
    closed = json.loads(receiver.received[1].body)["data"]
    assert closed["suspected_at"] == alert().suspected_at
    assert closed["duration_s"] >= alert().duration_s
    assert (episode["state"], episode["deliveries"]) == ("closed", {"delivered": 2})


async def test_with_a_full_disk_the_monitor_goes_on_says_so_and_tells(path: str) -> None:
    swapped = Picture(np.full((120, 160, 3), 60, np.uint8))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with Receiver().listening() as receiver:
        full = replace(
            settings(path, receiver.url),
            model=ModelSection(allow_synthetic_alerts=True),
            scoring=ScoringConfig(hop_s=0.25),
        )
        async with (
            monitor(full) as service,
            httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
            try:
                async with publish(f"{service.url}/whip/standup/alice", Voice(), swapped):
                    await until(lambda: receiver.accepted, 30)
                    health = (await client.get("/healthz")).json()
                    scored = await windows(client)
                    await until(lambda: more_windows(client, scored), 10)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert health["status"] == "alive"
    assert "cannot be written" in health["store"]["trouble"]
    store = Store(path, 8)
    assert len(store.open_episodes()) == 1  # written when there was room again
    store.close()


async def windows(client: httpx.AsyncClient) -> int:
    people = (await client.get("/v1/participants")).json()["participants"]
    return int(people[0]["windows_scored"])


async def more_windows(client: httpx.AsyncClient, than: int) -> bool:
    return await windows(client) > than + 3


async def test_a_webhook_that_is_set_no_more_is_told_nothing(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(path, 8)
    store.add(1, alert(), ["somebody-1234"])
    store.close()
    delivery = Delivery(Config(store=StoreConfig(path=path)), checkpoint("x"), metrics_of_nobody())
    with caplog.at_level(logging.WARNING):
        await delivery.open()
    (episode,) = await delivery.archive.read(lambda store: store.episodes(None, 0.0, 9))
    assert episode["deliveries"] == {"dropped": 1}
    assert "set no more" in caplog.text
    await close(delivery)


def test_nothing_is_told_where_nothing_is_set() -> None:
    assert Config().alerts == AlertConfig()
    assert webhook_targets(AlertConfig()) == []
