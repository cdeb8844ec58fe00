"""A monitor that follows one call."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from monitor.call_urls import parse_call_url
from monitor.calls import Call
from monitor.config import Config, JoinConfig, ServerConfig
from monitor.service import Service
from tests.peers import monitor, until

CONFIG = Config(server=ServerConfig(port=0), join=JoinConfig(allow_private_targets=True))


@asynccontextmanager
async def following(url: str) -> AsyncIterator[tuple[Service, Call]]:
    """A monitor that joined `url`."""
    async with monitor(CONFIG) as service:
        yield service, service.calls.add(parse_call_url(url), "call")


def person(service: Service) -> Callable[[], Any]:
    """Asks for the participants; for `until`, gives the state of the only one."""

    async def asked() -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=service.url) as client:
            people = (await client.get("/v1/participants")).json()["participants"]
        return people[0] if people else {"state": "", "coverage": 0}

    return asked


async def matched(service: Service, timeout_s: float = 25.0) -> dict[str, Any]:
    """The participant, once their voice was found to belong to their face."""
    ask = person(service)

    async def held() -> bool:
        return bool((await ask())["state"] == "match")

    await until(held, timeout_s)
    found: dict[str, Any] = await ask()
    return found
