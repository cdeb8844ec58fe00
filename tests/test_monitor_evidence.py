"""Pictures of what an alert rests on: whose they are, and for how long they stay."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from monitor import evidence as module
from monitor.alerts import Alerter
from monitor.config import Config, ConfigError, EvidenceConfig, ScoringConfig, ServerConfig
from monitor.evidence import Evidence, heated
from monitor.sessions import Registry, Session
from tests.episodes import Collected, Script
from tests.fakes import ALICE, BOB, LIMITS, FakeEngine, checkpoint, face, show, speak
from tests.peers import Picture, Voice, monitor, publish, until
from vfd.types import ParticipantKey

MESSAGE = f"{'ab' * 16}.opened"


@asynccontextmanager
async def evidence(folder: Path, engine: FakeEngine | None = None) -> AsyncIterator[Evidence]:
    made = Evidence(
        EvidenceConfig(str(folder), retention_days=1.0, max_mb=1),
        "stft512",
        lambda: engine or FakeEngine(),
    )
    try:
        yield made
    finally:
        await made.close()


def talking(key: ParticipantKey = ALICE, grey: int = 80) -> Session:
    session = Registry(Config(), LIMITS).join(key, 0.0)
    session.last_end_s = 4.0
    speak(session.buffer, 0.0, 4.0)
    show(session.buffer, 0.0, 4.0, grey)
    return session


def read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture.astype(np.uint8)


async def test_an_alert_names_pictures_of_its_own_participant(tmp_path: Path) -> None:
    sink = Collected()
    async with evidence(tmp_path / "e") as witness:
        alerter = Alerter(checkpoint(), LIMITS, [sink], witness=witness)
        for key, grey in ((ALICE, 80), (BOB, 60)):
            script = Script(Registry(Config(), LIMITS), alerter, key)
            speak(script.session.buffer, 0.0, 5.0)
            show(script.session.buffer, 0.0, 5.0, grey)
            await script.play(*[-0.3] * 5)
            await alerter.close(script.session, "over")
    names = {alert.participant: alert.evidence for alert in sink.alerts if alert.evidence}
    assert len(sink.alerts) == 4
    for participant, grey in (("alice", 80), ("bob", 60)):
        crop, heat = names[participant]
        assert (read(tmp_path / "e" / crop) == grey).all()
        assert read(tmp_path / "e" / heat).shape == (224, 224, 3)
    assert sorted(os.listdir(tmp_path / "e")) == sorted(n for pair in names.values() for n in pair)
    assert (tmp_path / "e").stat().st_mode & 0o077 == 0
    assert all(p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "e").iterdir())


async def test_a_drill_and_a_window_without_a_score_leave_no_picture(tmp_path: Path) -> None:
    sink = Collected()
    async with evidence(tmp_path) as witness:
        drill = Script(
            Registry(Config(), LIMITS), Alerter(checkpoint(), LIMITS, [sink], None, witness)
        )
        drill.session.drill = True
        await drill.play(*[-0.3] * 5)
        silent = Registry(Config(), LIMITS).join(ALICE, 0.0)
        assert witness.keep(silent, MESSAGE) == ()
    assert [alert.evidence for alert in sink.alerts] == [()]
    assert os.listdir(tmp_path) == []


async def test_a_running_monitor_keeps_them(tmp_path: Path) -> None:
    config = Config(
        server=ServerConfig(port=0),
        scoring=ScoringConfig(hop_s=0.25),
        evidence=EvidenceConfig(str(tmp_path / "pictures")),
    )
    swapped = Picture(np.full((120, 160, 3), 60, np.uint8))
    async with (
        monitor(config) as service,
        publish(f"{service.url}/whip/standup/alice", Voice(), swapped),
    ):
        await until(lambda: len(os.listdir(tmp_path / "pictures")) == 2, 30)
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
            (episode,) = (await client.get("/v1/episodes")).json()["episodes"]
    assert sorted(os.listdir(tmp_path / "pictures")) == episode["last"]["evidence"]
    picture = read(tmp_path / "pictures" / episode["last"]["evidence"][0])
    assert np.abs(picture.astype(int) - 60).max() <= 3  # as the codec left it


async def test_an_engine_that_fails_leaves_the_face(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = FakeEngine()
    engine.error = RuntimeError("out of memory")
    async with evidence(tmp_path, engine) as witness:
        witness.keep(talking(), MESSAGE)
    assert os.listdir(tmp_path) == [f"{MESSAGE}.face.png"]
    assert "out of memory" in caplog.text


async def test_too_many_at_once_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    async with evidence(tmp_path) as witness:
        session = talking()
        assert len(witness.keep(session, MESSAGE)) == 2
        assert witness.keep(session, MESSAGE.replace("opened", "worsened")) == ()


def aged(folder: Path, number: int, age_days: float, size: int = 10) -> Path:
    path = folder / f"{number:032x}.opened.face.png"
    path.write_bytes(b"x" * size)
    written = time.time() - age_days * 86_400
    os.utime(path, (written, written))
    return path


async def pruned(folder: Path) -> None:
    async with evidence(folder) as witness:
        task = asyncio.create_task(witness.run())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_old_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    old, new, foreign = aged(tmp_path, 1, 2.0), aged(tmp_path, 2, 0.5), tmp_path / "cat.png"
    foreign.write_text("")
    os.utime(foreign, (0, 0))
    await pruned(tmp_path)
    assert (old.exists(), new.exists(), foreign.exists()) == (False, True, True)


async def test_beyond_its_size_the_oldest_goes(tmp_path: Path) -> None:
    files = [aged(tmp_path, n, 0.9 - n / 10, 400_000) for n in range(4)]
    await pruned(tmp_path)
    assert [path.exists() for path in files] == [False, False, True, True]


@pytest.mark.parametrize("folder", ["/proc/nowhere", "a file"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a file").write_text("")
    with pytest.raises(ConfigError, match=r"evidence\.folder"):
        Evidence(EvidenceConfig(str(tmp_path / folder)), "stft512", FakeEngine)


def test_heat_is_red_for_a_match_and_blue_against_one() -> None:
    grey = face(0.0, 128).rgb
    heat = np.zeros((14, 14), np.float32)
    heat[2, 2], heat[11, 11] = 0.5, -0.5
    picture = heated(grey, heat)
    assert picture[40, 40, 0] > 150 > picture[40, 40, 2]
    assert picture[184, 184, 2] > 150 > picture[184, 184, 0]
    assert (picture[100, 20] == 128).all()
    assert np.abs(heated(grey, heat * 1e-4).astype(int) - 128).max() <= 1
