"""Chromium publishes with trickle ICE, from a page of another origin."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from monitor.config import Config, ServerConfig
from monitor.receiver import Receiver
from monitor.trickle import Fragment
from tests.browser import browsing
from tests.browser_pages import pages, plain_devices
from tests.peers import monitor, until

pytestmark = pytest.mark.slow


async def test_candidates_of_a_browser_come_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("trickle")  # short: Chromium puts sockets there
    offers: list[str] = []
    trickled: list[Fragment] = []
    answer, add = Receiver.answer, Receiver.add_candidates

    async def answered(self: Receiver, offer: str) -> str:
        offers.append(offer)
        return await answer(self, offer)

    async def added(self: Receiver, fragment: Fragment) -> None:
        trickled.append(fragment)
        await add(self, fragment)

    monkeypatch.setattr(Receiver, "answer", answered)
    monkeypatch.setattr(Receiver, "add_candidates", added)
    async with monitor(Config(server=ServerConfig(port=0))) as service:
        endpoint = f"{service.url}/whip/standup/alice"
        with pages("whip_page.html") as page:
            async with (
                httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
                browsing(
                    f"{page}?endpoint={quote(endpoint, safe='')}",
                    folder=folder,
                    **plain_devices(folder),
                ) as browser,
            ):

                async def scored() -> bool:
                    found: list[dict[str, Any]] = (await client.get("/v1/participants")).json()[
                        "participants"
                    ]
                    return any(person["windows_scored"] >= 2 for person in found)

                try:
                    await until(scored, 40)
                except TimeoutError:
                    pytest.fail(browser.said())
                await until(lambda: any(fragment.ended for fragment in trickled))
    assert "a=candidate:" not in offers[0]
    assert sum(len(fragment.candidates) for fragment in trickled) >= 1
