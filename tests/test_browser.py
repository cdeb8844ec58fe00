"""A real browser publishes real talking clips: it is watched, it vanishes, and live equals file."""

import asyncio
import os
import platform
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

from engines.load import load_engine
from monitor import service as service_module
from monitor.attention import Attention
from monitor.config import Config, ScoringConfig, ServerConfig
from monitor.service import Service
from tests.browser import Browser, browsing, chromium_version
from tests.live_and_file import Pair, RecordingFinder, RecordingScorer, Scored, Twins, report
from tests.looped import Loop, write_loop
from vfd.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoint_path
from vfd.decision import State
from vfd.types import ParticipantKey

KEY = ParticipantKey("standup", "alice")
JOIN_TIMEOUT_S = 20.0
SCORES, SCORES_WITHIN_S = 5, 15.0
# Compared with the file, after the first SCORES: Chromium begins at a low bit rate. Two windows
# share a face, so that of a dozen one blurred keyframe would be the 95th percentile.
WINDOWS = 34
VANISH_WITHIN_S = 5.0
POLL_S = 0.05

# What makes two windows different content, whatever is made of them: a fake microphone that skipped
# under load (half a hop of the spectrogram and more), or packets that were lost.
MAX_SLIP_S = 0.005
MIN_COVERAGE = 0.99

pytestmark = pytest.mark.slow


@dataclass
class Call:
    """What came of one call of a browser with the monitor."""

    first_scores_s: float
    person: dict[str, Any]
    metrics: str
    scored: list[Scored]
    finder: RecordingFinder
    vanished_s: float
    metrics_after: str


@pytest.fixture(scope="module")
def loop(media: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Loop:
    return write_loop(media, tmp_path_factory.mktemp("loop"))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint(shipped_checkpoint_path())


@pytest.fixture(scope="module")
def held() -> list[Call]:
    """One call is enough for all tests, but it is the first one's: what it leaves behind shows."""
    return []


@pytest_asyncio.fixture
async def call(
    held: list[Call],
    nothing_left_behind: None,
    loop: Loop,
    checkpoint: Checkpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Call:
    if not held:
        recorded: list[Scored] = []
        monkeypatch.setattr(service_module, "Scorer", partial(RecordingScorer, recorded=recorded))
        # Without bursts: the weights know nobody real, so all are in doubt, and the lips of these
        # would say nothing of the voice, since camera and microphone of a test start apart.
        monkeypatch.setattr(Attention, "burst_s", lambda *_args, **_named: 0.0)
        held.append(await _hold(loop, checkpoint, recorded, tmp_path))
    return held[0]


async def _hold(loop: Loop, checkpoint: Checkpoint, recorded: list[Scored], folder: Path) -> Call:
    finder = RecordingFinder()
    service = Service(Config(server=ServerConfig(port=0)), finder=finder, checkpoint=checkpoint)
    async with AsyncExitStack() as stack:
        await service.start()
        stack.push_async_callback(service.stop)
        url = f"{service.url}/publish?call={KEY.call}&name={KEY.participant}&ec=0&ns=0&autostart=1"
        browser = await stack.enter_async_context(
            browsing(url, camera=loop.camera, microphone=loop.microphone, folder=folder)
        )
        client = httpx.AsyncClient(base_url=service.url, trust_env=False)
        return await _follow(await stack.enter_async_context(client), browser, recorded, finder)


async def _follow(
    client: httpx.AsyncClient, browser: Browser, recorded: list[Scored], finder: RecordingFinder
) -> Call:
    people: list[dict[str, Any]] = []

    async def until(done: Callable[[], bool], within_s: float) -> float:
        """How long it took, or `within_s` if it did not come true."""
        begun_s = time.monotonic()
        while (waited_s := time.monotonic() - begun_s) < within_s:
            people[:] = (await client.get("/v1/participants")).json()["participants"]
            if done():
                return waited_s
            await asyncio.sleep(POLL_S)
        return within_s

    await until(lambda: len(people) > 0, JOIN_TIMEOUT_S)
    first_scores_s = await until(lambda: len(recorded) >= SCORES, 2 * SCORES_WITHIN_S)
    await until(lambda: len(recorded) >= SCORES + WINDOWS, 2 * WINDOWS)
    assert people, f"nobody is there; Chromium said: {browser.said()}"
    (person,), metrics = people, (await client.get("/metrics")).text
    scored = recorded[SCORES:]
    await browser.kill()
    vanished_s = await until(lambda: not people, 2 * VANISH_WITHIN_S)
    metrics_after = (await client.get("/metrics")).text
    return Call(first_scores_s, person, metrics, scored, finder, vanished_s, metrics_after)


def test_a_browser_is_watched(call: Call) -> None:
    print(f"\n{SCORES} scores after {call.first_scores_s:.1f} s; {call.person}")
    assert call.first_scores_s <= SCORES_WITHIN_S
    assert call.person["call"] == KEY.call
    assert call.person["participant"] == KEY.participant
    assert call.person["windows_scored"] >= SCORES + WINDOWS
    assert call.finder.seen, f"no face in pictures of {call.finder.sizes}"
    assert max(window.speech for window, _ in call.scored) > 0.5
    assert State(call.person["state"]) is not State.UNKNOWN or call.person["reason"]
    assert f'participant="{KEY.participant}"' in call.metrics


def test_a_killed_browser_vanishes(call: Call) -> None:
    print(f"\nvanished after {call.vanished_s:.1f} s")
    assert call.vanished_s <= VANISH_WITHIN_S
    assert "participant=" not in call.metrics_after


def test_live_equals_file(call: Call, loop: Loop, checkpoint: Checkpoint) -> None:
    twins = Twins(loop, RecordingFinder(), ScoringConfig())
    with closing(load_engine("auto", checkpoint)) as engine:
        pairs = [
            twins.compare(scored, call.finder.seen[scored[0].faces[0].time_s], engine)
            for scored in call.scored
        ]
    same = [p for p in pairs if p.slip_s <= MAX_SLIP_S and p.coverage >= MIN_COVERAGE]
    print("", *pairs, sep="\n")
    assert len(same) >= WINDOWS // 2, "too few windows arrived whole"
    _report(same, len(pairs), checkpoint)
    assert min(pair.voice for pair in same) >= 0.98
    assert min(pair.face for pair in same) >= 0.98
    assert np.percentile([pair.difference for pair in same], 95) <= 0.1


def _report(same: list[Pair], recorded: int, checkpoint: Checkpoint) -> None:
    """Prints it, and writes it to the folder VFD_REPORTS if that is set."""
    packages = ("aiortc", "av", "openvino", "numpy")
    facts = {
        "windows left out (sound skipped or lost)": f"{recorded - len(same)}",
        "weights": f"{checkpoint.info.trained_on}, sha256 {checkpoint.sha256[:12]}",
        "versions": f"{chromium_version()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in packages),
        "command": "`VFD_REPORTS=monitor/reports make test PYTEST='-s tests/test_browser.py'`",
    }
    text = report(same, facts)
    print(text)
    if folder := os.environ.get("VFD_REPORTS"):
        heading = (
            "# Live equals file\n\nReal talking clips, looped: published by headless Chromium "
            "(VP8, Opus), received and scored live,\nagainst the same seconds read from a file "
            "as `vfd-monitor watch` reads them.\n\n"
        )
        Path(folder, "live-equals-file.md").write_text(heading + text)
