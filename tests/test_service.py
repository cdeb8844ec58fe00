"""The service as a whole: it starts or says why not, notices who vanishes, and goes cleanly."""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from monitor.config import Config, ConfigError, ModelSection, ServerConfig
from monitor.scoring import ScoringLoop
from monitor.server import ListenError
from monitor.service import Service
from tests.fakes import FakeEngine, checkpoint
from tests.peers import Picture, PlainFinder, Voice, free_port, monitor, publish, until
from vfd.checkpoint import CheckpointError

CONFIG = Config(server=ServerConfig(port=0))
ROOT = Path(__file__).parents[1]


async def test_a_publisher_that_is_killed_is_gone_within_five_seconds() -> None:
    async with monitor(CONFIG) as service, httpx.AsyncClient(base_url=service.url) as client:

        async def heard() -> bool:
            people = (await client.get("/v1/participants")).json()["participants"]
            return any(person["coverage"] > 0 for person in people)

        async def gone() -> bool:
            return not (await client.get("/v1/participants")).json()["participants"]

        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.peers", f"{service.url}/whip/standup/alice", cwd=ROOT
        )
        try:
            await until(heard, 30)
            assert 'participant="alice"' in (await client.get("/metrics")).text
        finally:
            process.kill()
            await process.wait()
        await until(gone, 5)
        assert "alice" not in (await client.get("/metrics")).text


async def test_a_signal_drains_within_five_seconds_with_peers_and_readers_there() -> None:
    service = Service(CONFIG, engine=FakeEngine(), finder=PlainFinder(), checkpoint=checkpoint())
    await service.start()
    running = asyncio.create_task(service.run_until_signal())
    async with (
        httpx.AsyncClient(base_url=service.url) as client,
        publish(f"{service.url}/whip/standup/alice", Voice(), Picture()) as publisher,
        client.stream("GET", "/v1/events") as answer,
    ):
        await until(lambda: publisher.peer.connectionState == "connected")
        lines = answer.aiter_lines()
        await anext(lines)
        asked_s = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)
        rest = [line async for line in lines]
        assert await running == 0
        assert time.monotonic() - asked_s < 5
    assert "event: left" in rest
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            await client.get(service.url)


async def test_a_part_that_dies_takes_the_service_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(self: ScoringLoop) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(ScoringLoop, "run", die)
    service = Service(CONFIG, engine=FakeEngine(), finder=PlainFinder(), checkpoint=checkpoint())
    await service.start()
    async with asyncio.timeout(5):
        assert await service.run_until_signal() == 1


async def test_a_port_in_use_is_named_and_nothing_is_left() -> None:
    async with monitor(CONFIG) as service:
        port = int(service.url.rpartition(":")[2])
        second = Service(Config(server=ServerConfig(port=port)), engine=FakeEngine())
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1 port {port} .*in use"):
            await second.start()


async def test_weights_that_are_missing_are_named_and_the_port_is_free_again() -> None:
    port = free_port()
    config = Config(server=ServerConfig(port=port), model=ModelSection(checkpoint="no.weights"))
    with pytest.raises(CheckpointError, match=r"no\.weights"):
        await Service(config).start()
    async with monitor(Config(server=ServerConfig(port=port))):
        await asyncio.sleep(0)


async def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path in (certificate, key):
        path.write_text("not PEM")
    server = ServerConfig(port=0, tls_certificate=str(certificate), tls_key=str(key))
    with pytest.raises(ConfigError, match=r"server\.tls_certificate"):
        async with monitor(replace(CONFIG, server=server)):
            raise AssertionError("it should not start")


async def test_stopping_twice_is_stopping_once() -> None:
    async with monitor(CONFIG) as service:
        await service.stop()
