from dataclasses import replace

import httpx
import pytest

from monitor.config import Config, ServerConfig, StoreConfig
from monitor.service import Service
from monitor.store import Store
from tests.hooks import alert
from tests.peers import monitor

CONFIG = Config(server=ServerConfig(port=0))


async def test_episodes_of_the_past_are_served(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("store") / "alerts.db")
    store = Store(path, 8)
    store.add(1, alert(1), [])
    store.add(2, alert(2, call="retro"), [])
    store.close()
    config = replace(CONFIG, store=StoreConfig(path=path))
    async with monitor(config) as service, client_of(service) as client:

        async def ids(query: str) -> list[str]:
            answer = await client.get(f"/v1/episodes{query}")
            return [episode["id"] for episode in answer.json()["episodes"]]

        assert await ids("") == ["episode2", "episode1"]
        assert await ids("?call=retro") == ["episode2"]
        assert await ids("?since=2099-01-01") == []
        assert await ids("?limit=1") == ["episode2"]
        health = (await client.get("/healthz")).json()
        assert health["store"] == {"on_disk": True, "trouble": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=many", "since=soon"])
async def test_wrong_questions_are_problems(query: str) -> None:
    async with monitor(CONFIG) as service, client_of(service) as client:
        answer = await client.get(f"/v1/episodes?{query}")
        assert answer.status_code == 422
        assert query.partition("=")[0] in answer.json()["detail"]


async def test_a_store_in_trouble_is_said_and_the_monitor_runs() -> None:
    config = replace(CONFIG, store=StoreConfig(path="/proc/nowhere/alerts.db"))
    async with monitor(config) as service, client_of(service) as client:
        health = (await client.get("/healthz")).json()
        assert health["status"] == "alive"
        assert health["store"]["on_disk"] is False
        assert "/proc/nowhere" in health["store"]["trouble"]
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/v1/episodes")).json() == {"episodes": []}


def client_of(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=10)
