"""Everything that is served besides WHIP, by a running monitor."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from monitor.config import Config, ScoringConfig, ServerConfig
from monitor.http import STATIC
from tests.fakes import FakeEngine, engine_error
from tests.peers import Picture, Voice, monitor, publish, until

CONFIG = Config(server=ServerConfig(port=0), scoring=ScoringConfig(hop_s=0.2))


def client_of(url: str, **settings: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=10, **settings)  # type: ignore[arg-type]


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, object]]]:
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_health_says_what_the_model_was_trained_on() -> None:
    async with monitor(CONFIG) as service, client_of(service.url) as client:
        answer = await client.get("/healthz")
        assert answer.json()["status"] == "alive"
        assert answer.json()["model"]["trained_on"] == "synthetic people v1"
        assert answer.json()["model"]["synthetic"] is True


async def test_events_begin_with_a_snapshot_and_go_on_to_scores() -> None:
    async with monitor(CONFIG) as service, client_of(service.url) as client:
        async with publish(f"{service.url}/whip/standup/alice", Voice(), Picture()):
            async with client.stream("GET", "/v1/events") as answer, asyncio.timeout(15):
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                seen: list[str] = []
                async for name, event in events(answer):
                    assert event["type"] == name
                    seen.append(name)
                    if name == "snapshot":
                        assert event["participants"][0]["participant"] == "alice"
                    if name == "score":
                        assert event["call"] == "standup"
                        assert event["similarity"] == pytest.approx(0.6, abs=0.1)
                        break
            assert seen[0] == "snapshot"
            text = (await client.get("/metrics")).text
            assert 'vfd_participant_similarity{call="standup",participant="alice"}' in text
        assert "abstention" in seen


async def test_silence_is_broken_by_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.event_stream.HEARTBEAT_S", 0.1)
    async with (
        monitor(CONFIG) as service,
        client_of(service.url) as client,
        client.stream("GET", "/v1/events") as answer,
        asyncio.timeout(5),
    ):
        lines = answer.aiter_lines()
        assert ": heartbeat" in [await anext(lines) for _ in range(6)]


async def test_readers_of_events_are_limited_and_leave_room_when_they_go() -> None:
    config = replace(CONFIG, server=ServerConfig(port=0, max_event_clients=1))
    async with monitor(config) as service, client_of(service.url) as client:
        async with client.stream("GET", "/v1/events") as answer:
            lines = answer.aiter_lines()  # kept: one that is collected hangs up
            await anext(lines)
            refused = await client.get("/v1/events")
            assert refused.status_code == 503
            assert refused.headers["Retry-After"]

        async def room() -> bool:
            async with client.stream("GET", "/v1/events") as answer:
                return answer.status_code == 200

        await until(room)


async def test_readiness_follows_the_engine() -> None:
    engine = FakeEngine()
    async with (
        monitor(CONFIG, engine) as service,
        client_of(service.url) as client,
        publish(f"{service.url}/whip/standup/alice", Voice(), Picture()),
    ):

        async def ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        async def down() -> bool:
            return not await ready()

        assert (await client.get("/readyz")).json() == {"status": "ready"}
        await until(lambda: engine.voice_batches)
        engine.error = engine_error()
        await until(down)
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert "engine" in answer.json()["detail"]
        assert (await client.get("/healthz")).status_code == 200
        person = (await client.get("/v1/participants")).json()["participants"][0]
        assert (person["state"], person["not_scored"]) == ("unknown", "engine_down")
        assert "vfd_engine_up 0.0" in (await client.get("/metrics")).text
        engine.error = None
        await until(ready)


async def test_everything_with_data_asks_for_the_token() -> None:
    config = replace(CONFIG, server=ServerConfig(port=0, token="open-sesame"))
    paths = ("/metrics", "/v1/participants", "/v1/episodes", "/v1/drills/x", "/v1/events")
    async with monitor(config) as service, client_of(service.url) as client:
        for wrong in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic open-sesame"}):
            for path in paths:
                answer = await client.get(path, headers=wrong)
                assert answer.status_code == 401, path
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            for method, path in (("POST", "/whip/a/b"), ("DELETE", "/whip/a/b/c")):
                assert (await client.request(method, path, headers=wrong)).status_code == 401
        for path in ("/healthz", "/readyz", "/publish", "/static/publish.js"):
            assert (await client.get(path)).status_code == 200
        right = {"Authorization": "Bearer open-sesame"}
        for path in paths[:3]:
            assert (await client.get(path, headers=right)).status_code == 200
        async with publish(f"{service.url}/whip/a/b", Voice(), headers=right):
            await asyncio.sleep(0)


async def test_unknown_paths_are_problems() -> None:
    async with monitor(CONFIG) as service, client_of(service.url) as client:
        for path in ("/nothing", "/static/../config.py", "/static/__init__.py", "/whip", "/docs"):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert answer.headers["Content-Type"] == "application/problem+json"
        answer = await client.post("/metrics")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


async def test_the_page_runs_under_a_strict_policy() -> None:
    async with monitor(CONFIG) as service, client_of(service.url, follow_redirects=True) as client:
        answer = await client.get("/")
        assert answer.url.path == "/publish"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", answer.text)
        for path in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            assert (await client.get(path)).status_code == 200, path
    script = (STATIC / "publish.js").read_text()
    page = (STATIC / "publish.html").read_text()
    for element in re.findall(r'field\("(\w+)"\)|show\("(\w+)"', script):
        assert f'id="{element[0] or element[1]}"' in page
