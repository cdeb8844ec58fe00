"""Drills in a running monitor: the whole way, and what stands in it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from engines.samples import load_samples, packaged_samples
from monitor import drills as module
from monitor.config import AlertConfig, Config, ModelSection, ScoringConfig, ServerConfig
from monitor.drills import donor_faces, swapped
from monitor.service import Service
from monitor.sessions import Registry
from tests.fakes import ALICE, LIMITS, face, show, speak
from tests.hooks import SECRET, Receiver
from tests.peers import Picture, Voice, monitor, publish, until

ROOT = Path(__file__).parents[1]
CONFIG = Config(
    server=ServerConfig(port=0, token="open-sesame"),
    scoring=ScoringConfig(hop_s=0.25),
    model=ModelSection(allow_synthetic_alerts=True),
)
TOKEN = {"Authorization": "Bearer open-sesame"}
WANTED = {"call": "standup", "participant": "alice"}


@asynccontextmanager
async def watched(config: Config = CONFIG, grey: int = 160) -> AsyncIterator[httpx.AsyncClient]:
    """A monitor that has seen alice for a while, as a client."""
    picture = Picture(np.full((120, 160, 3), grey, np.uint8))
    async with (
        monitor(config) as service,
        client_of(service) as client,
        publish(f"{service.url}/whip/standup/alice", Voice(), picture, headers=TOKEN),
    ):
        wanted = "match" if grey > 130 else "mismatch"

        async def known() -> bool:
            return (await alice(client))["state"] == wanted

        await until(known, 20)
        yield client


def client_of(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=10, headers=TOKEN)


async def alice(client: httpx.AsyncClient) -> dict[str, Any]:
    people = (await client.get("/v1/participants")).json()["participants"]
    return dict(people[0])


async def test_the_command_proves_that_an_alert_arrives(tmp_path: Path) -> None:
    async with Receiver().listening() as receiver:
        alerts = AlertConfig(receiver.url, SECRET, allow_private_targets=True)
        async with watched(replace(CONFIG, alerts=alerts)) as client:
            command = ("drill", "--call", "standup", "--participant", "alice", "--json")
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "monitor.cli", *command, "--url", str(client.base_url)),
                cwd=ROOT,
                env={"VFD_SERVER_TOKEN": "open-sesame"},
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await process.communicate()
            drill = json.loads(output)
            assert process.returncode == 0, drill["steps"]
            assert (await alice(client))["state"] == "match"
            await until(lambda: len(receiver.accepted) == 2)
            episodes = (await client.get("/v1/episodes")).json()["episodes"]
            metrics = (await client.get("/metrics")).text
    names = [step["step"] for step in drill["steps"]]
    assert [name.split()[0] for name in names] == [
        *("swapped", "detected", "stored", "webhook", "events")
    ]
    assert drill["alert"]["drill"] is True
    assert "This is a drill" in drill["alert"]["text"]
    types = [json.loads(received.body)["type"] for received in receiver.received]
    assert types == ["drill.identity_mismatch.opened", "drill.identity_mismatch.closed"]
    assert [(e["state"], e["last"]["drill"]) for e in episodes] == [("closed", True)]
    assert 'vfd_alerts_total{kind="opened"} 0.0' in metrics
    assert 'vfd_drill_alerts_total{kind="opened"} 1.0' in metrics
    assert 'vfd_drills_total{outcome="passed"} 1.0' in metrics
    assert 'vfd_participants{state="mismatch"} 0.0' in metrics


async def ended(client: httpx.AsyncClient, begun: httpx.Response) -> dict[str, Any]:
    assert begun.status_code == 202

    async def over() -> bool:
        return (await client.get(begun.headers["Location"])).json()["state"] != "running"

    await until(over, 30)
    return dict((await client.get(begun.headers["Location"])).json())


async def test_a_receiver_that_is_away_fails_the_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELIVERY_PATIENCE_S", 1.0)
    async with Receiver((500, "")).listening() as receiver:
        alerts = AlertConfig(receiver.url, SECRET, allow_private_targets=True)
        async with watched(replace(CONFIG, alerts=alerts)) as client:
            drill = await ended(client, await client.post("/v1/drills", json=WANTED))
    assert drill["state"] == "failed"
    (failed,) = [step for step in drill["steps"] if not step["ok"]]
    assert failed["step"].startswith("webhook 127.0.0.1-")
    assert failed["what"] == "waiting"


async def test_what_is_not_detected_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    donors = [face(0.0, 170), face(0.0, 180)]
    monkeypatch.setattr(module, "donor_faces", lambda _: donors)
    async with watched() as client:
        begun = await client.post("/v1/drills", json={**WANTED, "seconds": 5})
        twice = await client.post("/v1/drills", json=WANTED)
        assert (twice.status_code, "running already" in twice.json()["detail"]) == (409, True)
        drill = await ended(client, begun)
        assert (await client.get("/v1/episodes")).json()["episodes"] == []
    assert drill["state"] == "failed"
    assert drill["steps"][-1] == {"step": "detected", "ok": False, "what": "not in 5 s: match"}


async def test_who_is_suspected_or_not_there_is_refused() -> None:
    async with watched(grey=60) as client:
        suspected = await client.post("/v1/drills", json=WANTED)
        assert (suspected.status_code, "suspected" in suspected.json()["detail"]) == (409, True)
        missing = await client.post("/v1/drills", json={**WANTED, "participant": "bob\n"})
        assert (missing.status_code, "'bob\\n'" in missing.json()["detail"]) == (404, True)
        for body in ({}, {**WANTED, "seconds": 1}, {**WANTED, "extra": 1}, {**WANTED, "call": 5}):
            assert (await client.post("/v1/drills", json=body)).status_code == 422
        assert (await client.get("/v1/drills/unknown")).status_code == 404
        stranger = await client.post("/v1/drills", json=WANTED, headers={"Authorization": ""})
        assert stranger.status_code == 401


def test_a_copy_shows_another_face_and_nothing_else() -> None:
    session = Registry(Config(), LIMITS).join(ALICE, 0.0)
    speak(session.buffer, 0.0, 4.0)
    show(session.buffer, 0.0, 4.0, 160)
    snapshot = session.buffer.snapshot(4.0)
    other = swapped(snapshot, face(0.0, 80))
    assert other.audio is snapshot.audio
    assert [(f.time_s, int(f.rgb[0, 0, 0])) for f in other.faces] == [(3.5, 80)]
    assert all(int(f.rgb[0, 0, 0]) == 160 for f in session.buffer.snapshot(4.0).faces)
    faceless = replace(snapshot, faces=())
    assert swapped(faceless, face(0.0)).faces == ()


def test_donors_are_one_face_of_each_person() -> None:
    samples = load_samples(packaged_samples())
    assert len(donor_faces(samples)) == len(set(samples.face_ids.tolist())) == 4
