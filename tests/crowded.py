"""A monitor with a thousand participants in its registry, scraped."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from unittest import mock

import httpx

from monitor.config import Config, MetricsConfig, ScoringConfig, ServerConfig, WhipConfig
from monitor.metrics import Metrics
from monitor.sessions import Registry
from tests.fakes import LIMITS
from tests.peers import monitor
from vfd.types import ParticipantKey, Score

CROWD = 1_000
CALLS = 50


@dataclass(frozen=True)
class Render:
    """Which thread wrote the exposition text, and the CPU time that it took there."""

    thread: threading.Thread
    cpu_s: float


@dataclass
class Crowded:
    """A running monitor's address and its registry, and how its metrics were rendered."""

    registry: Registry
    client: httpx.AsyncClient
    renders: list[Render]

    def fill(self) -> None:
        """Everybody has a score and a skew, so that all their series are there."""
        now_s = time.monotonic()
        for number in range(CROWD):
            key = ParticipantKey(f"call{number % CALLS}", f"participant{number}")
            session = self.registry.join(key, now_s)
            for end_s in range(4):
                session.apply(Score(key, now_s + end_s, 0.6, 1), speech=0.7)
            session.buffer.note_skew(0.05)

    def empty(self) -> None:
        for session in self.registry.sessions():
            self.registry.leave(session.key)

    async def scrape(self) -> tuple[float, list[str]]:
        """Seconds, and the series that came."""
        begun_s = time.perf_counter()
        text = (await self.client.get("/metrics")).text
        took_s = time.perf_counter() - begun_s
        return took_s, [line for line in text.splitlines() if not line.startswith("#")]


@asynccontextmanager
async def crowded(shown: int, hop_s: float = 10.0) -> AsyncIterator[Crowded]:
    """`shown`: metrics.max_participants. At the longest hop hardly anything but the scrape is done;
    at the usual one everybody's (silent) window is looked at every second beside it."""
    config = Config(
        server=ServerConfig(port=0),
        whip=WhipConfig(max_participants=CROWD),
        scoring=ScoringConfig(hop_s=hop_s),
        metrics=MetricsConfig(max_participants=shown),
    )
    registry = Registry(config, LIMITS)
    renders: list[Render] = []
    render = Metrics.render

    def measured(metrics: Metrics) -> bytes:
        begun_s = time.thread_time()
        text = render(metrics)
        renders.append(Render(threading.current_thread(), time.thread_time() - begun_s))
        return text

    with (
        mock.patch("monitor.service.Registry", return_value=registry),
        mock.patch.object(Metrics, "render", measured),
    ):
        async with (
            monitor(config) as service,
            httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
        ):
            yield Crowded(registry, client, renders)


async def lags(seconds: float) -> list[float]:
    """How late the loop wakes a sleeper, asked every 2 ms."""
    found, loop = [], asyncio.get_running_loop()
    end_s = loop.time() + seconds
    while (due_s := loop.time() + 0.002) < end_s:
        await asyncio.sleep(0.002)
        found.append(loop.time() - due_s)
    return found


@dataclass(frozen=True)
class Seen:
    """Seconds of every scrape, of the CPU for it, and of the loop's lags meanwhile; series without
    anybody, with the crowd, and after it has left."""

    scrapes_s: list[float]
    renders: list[Render]
    lags_s: list[float]
    series: tuple[int, int, int]


async def observe(shown: int, hop_s: float = 10.0, times: int = 10) -> Seen:
    """One scrape a second, as Prometheus would, before, while and after the crowd is there."""
    async with crowded(shown, hop_s) as crowd:
        before = (await crowd.scrape())[1]
        crowd.fill()
        lagging = asyncio.create_task(lags(float(times)))
        scrapes = [await _every_second(crowd) for _ in range(times)]
        found, renders = await lagging, crowd.renders[-times:]
        with_all = (await crowd.scrape())[1]
        crowd.empty()
        after = (await crowd.scrape())[1]
    took_s = [seconds for seconds, _ in scrapes]
    return Seen(took_s, renders, found, (len(before), len(with_all), len(after)))


async def _every_second(crowd: Crowded) -> tuple[float, list[str]]:
    scraped = await crowd.scrape()
    await asyncio.sleep(max(0.0, 1.0 - scraped[0]))
    return scraped
