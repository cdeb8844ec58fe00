"""A monitor that joins a call, and what it says of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from monitor.config import Config, JoinConfig, ScoringConfig, ServerConfig
from monitor.service import Service
from tests.fakes import FakeEngine, checkpoint
from tests.peers import PlainFinder, until
from vfd.types import FaceFrame, Reason, Rgb

NAME = "the monitor"


class Watching:
    """`heights`: of the pictures that were looked at, the newest last."""

    def __init__(self, service: Service, client: httpx.AsyncClient, heights: list[int]) -> None:
        self.service = service
        self.heights = heights
        self._client = client

    async def people(self) -> dict[str, dict[str, Any]]:
        """By the name that they gave themselves."""
        found = (await self._client.get("/v1/participants")).json()["participants"]
        return {person["name"]: person for person in found}

    async def call(self) -> dict[str, Any]:
        (found,) = (await self._client.get("/v1/calls")).json()["calls"]
        assert isinstance(found, dict)
        return found

    async def metrics(self) -> str:
        """As Prometheus gets them."""
        return (await self._client.get("/metrics")).text

    async def names(self, *expected: str, within_s: float) -> None:
        async def there() -> bool:
            return set(await self.people()) == set(expected)

        await until(there, within_s)

    async def state(self, expected: str, within_s: float = 10.0) -> None:
        async def held() -> bool:
            return bool((await self.call())["state"] == expected)

        await until(held, within_s)

    async def scored(self, name: str, windows: int = 1, within_s: float = 15.0) -> None:
        async def enough() -> bool:
            person = (await self.people()).get(name)
            return person is not None and person["windows_scored"] >= windows

        await until(enough, within_s)


class Measuring(PlainFinder):
    """Notes how large the pictures are."""

    def __init__(self) -> None:
        super().__init__()
        self.heights: list[int] = []

    def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
        self.heights.append(rgb.shape[0])
        return super().find(rgb, time_s)


@asynccontextmanager
async def watching(
    url: str, *, once: bool = False, hidden: bool = False
) -> AsyncIterator[Watching]:
    """Joins `url` with an engine and a finder that need no weights."""
    config = Config(
        server=ServerConfig(port=0),
        join=JoinConfig(calls=(url,), display_name=NAME, hidden=hidden),
        scoring=ScoringConfig(hop_s=0.5),
    )
    finder = Measuring()
    service = Service(
        config, engine=FakeEngine(), finder=finder, checkpoint=checkpoint(), once=once
    )
    await service.start()
    try:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
            yield Watching(service, client, finder.heights)
    finally:
        await service.stop()
