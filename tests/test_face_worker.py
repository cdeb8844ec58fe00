import asyncio
import threading

import numpy as np
import pytest

from monitor.config import Config, MetricsConfig
from monitor.cpu import StageCpu
from monitor.face_worker import MAX_BEFORE, MAX_OF_A_SCREEN, FaceWorker
from monitor.metrics import Metrics
from monitor.screen import Screen, Seen
from monitor.sessions import Registry
from tests.fakes import ALICE, BOB, LIMITS, face, until
from tests.test_finder import face as seen_face
from vfd.finder import FaceFinder
from vfd.types import Face, FaceFrame, Reason, Rgb


class ScriptedFinder(FaceFinder):
    """Finds a face in every picture that is brighter than black; raises for white ones. Waits at
    `gate`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.looked_at: list[float] = []

    def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
        self.entered.set()
        assert self.gate.wait(5)
        self.looked_at.append(time_s)
        if rgb.min() == 255:
            raise RuntimeError("no such picture")
        return face(time_s) if rgb.any() else Reason.NO_FACE


def picture(grey: int) -> Rgb:
    return np.full((36, 64, 3), grey, np.uint8)


@pytest.fixture
def registry() -> Registry:
    return Registry(Config(), LIMITS)


@pytest.fixture
def metrics(registry: Registry) -> Metrics:
    return Metrics(registry, MetricsConfig(), StageCpu())


async def until_looked_at(finder: ScriptedFinder, count: int) -> None:
    await until(lambda: len(finder.looked_at) >= count)
    await asyncio.sleep(0.02)  # the result crosses over to the loop


async def test_results_reach_the_buffer(registry: Registry, metrics: Metrics) -> None:
    finder = ScriptedFinder()
    worker = FaceWorker(finder, metrics)
    alice = registry.join(ALICE, 0.0)
    worker.submit(alice, 1.0, picture(100))
    await until_looked_at(finder, 1)
    worker.submit(alice, 1.5, picture(0))
    await until_looked_at(finder, 2)
    snapshot = alice.buffer.snapshot(2.0)
    assert [f.time_s for f in snapshot.faces] == [1.0]
    assert snapshot.rejected == (1.5, Reason.NO_FACE)
    await worker.close()
    text = metrics.render().decode()
    assert 'vfd_pictures_total{outcome="face"} 1.0' in text
    assert 'vfd_pictures_total{outcome="no_face"} 1.0' in text


async def test_the_newest_picture_wins_and_participants_take_turns(
    registry: Registry, metrics: Metrics
) -> None:
    finder = ScriptedFinder()
    finder.gate.clear()
    worker = FaceWorker(finder, metrics)
    alice, bob = registry.join(ALICE, 0.0), registry.join(BOB, 0.0)
    worker.submit(alice, 0.0, picture(100))
    await until(finder.entered.is_set)
    worker.submit(bob, 1.0, picture(100))
    for time_s in (1.1, 1.2, 1.3):
        worker.submit(alice, time_s, picture(100))
    worker.submit(bob, 1.4, picture(100))
    finder.gate.set()
    await until_looked_at(finder, 3)
    assert finder.looked_at == [0.0, 1.4, 1.3]
    await worker.close()
    assert 'vfd_pictures_total{outcome="skipped"} 3.0' in metrics.render().decode()


async def test_a_finder_that_raises_is_counted_and_the_next_picture_is_looked_at(
    registry: Registry, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    finder = ScriptedFinder()
    worker = FaceWorker(finder, metrics)
    alice = registry.join(ALICE, 0.0)
    worker.submit(alice, 1.0, picture(255))
    await until_looked_at(finder, 1)
    worker.submit(alice, 2.0, picture(100))
    await until_looked_at(finder, 2)
    assert [f.time_s for f in alice.buffer.snapshot(3.0).faces] == [2.0]
    await worker.close()
    assert "no such picture" in caplog.text
    assert 'vfd_pictures_total{outcome="failed"} 1.0' in metrics.render().decode()


async def test_one_thread_which_ends_with_the_worker(registry: Registry, metrics: Metrics) -> None:
    finder = ScriptedFinder()
    finder.gate.clear()
    worker = FaceWorker(finder, metrics)
    assert [t.name for t in threading.enumerate()].count("faces") == 1
    alice = registry.join(ALICE, 0.0)
    worker.submit(alice, 0.0, picture(100))
    await until(finder.entered.is_set)
    worker.submit(alice, 1.0, picture(100))
    closing = asyncio.create_task(worker.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    finder.gate.set()
    await closing
    await worker.close()
    worker.submit(alice, 2.0, picture(100))
    assert finder.looked_at == [0.0]
    assert "faces" not in [t.name for t in threading.enumerate()]


class ScriptedScreen(Screen):
    """Keeps the times of what it is shown; `gate` as in ScriptedFinder."""

    def __init__(self, finder: ScriptedFinder) -> None:
        super().__init__()
        self._scripted = finder
        self.shown: list[float] = []
        self.left_out = 0

    def missed(self, time_s: float) -> None:
        self.left_out += 1

    def look(self, finder: FaceFinder, rgb: Rgb, time_s: float) -> Seen | None:
        assert finder is self._scripted
        assert self._scripted.gate.wait(5)
        self.shown.append(time_s)
        self._scripted.looked_at.append(time_s)
        people = {1: face(time_s), 2: Reason.FACE_SMALL}
        return Seen(time_s, frozenset(people), people) if rgb.any() else None


async def test_of_a_screen_a_few_pictures_wait_and_others_have_their_turn(
    registry: Registry, metrics: Metrics
) -> None:
    finder = ScriptedFinder()
    screen, seen = ScriptedScreen(finder), list[Seen]()
    finder.gate.clear()
    worker = FaceWorker(finder, metrics)
    alice, bob = registry.join(ALICE, 0.0), registry.join(BOB, 0.0)
    worker.submit(alice, 0.0, picture(100))
    await until(finder.entered.is_set)
    for number in range(MAX_OF_A_SCREEN + 2):
        worker.watch(screen, 10.0 + number, picture(100 * (number != 3)), seen.append)
    worker.submit(bob, 1.0, picture(100))
    finder.gate.set()
    await until_looked_at(finder, 2 + MAX_OF_A_SCREEN)
    assert finder.looked_at[:3] == [0.0, 12.0, 1.0]
    assert screen.shown == [12.0, 13.0, 14.0, 15.0]  # the oldest were left out
    assert screen.left_out == 2
    assert [s.time_s for s in seen] == [12.0, 14.0, 15.0]
    await worker.close()
    text = metrics.render().decode()
    assert 'vfd_pictures_total{outcome="skipped"} 2.0' in text
    assert 'vfd_pictures_total{outcome="face"} 5.0' in text
    assert 'vfd_pictures_total{outcome="face_small"} 3.0' in text


class Mouthed(ScriptedFinder):
    """A face with a mouth in every picture but black ones."""

    def alone(self, rgb: Rgb) -> Face | Reason:
        return seen_face(60, 40, 50) if rgb.any() else Reason.SEVERAL_FACES

    def cut(self, rgb: Rgb, at: Face, time_s: float) -> FaceFrame | Reason:
        return super().find(rgb, time_s)


async def test_of_a_burst_every_mouth_is_looked_at_and_one_face(
    registry: Registry, metrics: Metrics
) -> None:
    finder = Mouthed()
    worker = FaceWorker(finder, metrics)
    alice = registry.join(ALICE, 0.0)
    rgb = np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8)
    worker.submit(alice, 1.2, rgb, [(1.0, rgb), (1.1, rgb // 2)])
    await until_looked_at(finder, 1)
    snapshot = alice.buffer.snapshot(2.0)
    assert snapshot.mouth[:, 0].tolist() == [1.0, 1.1, 1.2]
    assert snapshot.mouth[0, 1] == snapshot.mouth[2, 1] > 0
    assert [f.time_s for f in snapshot.faces] == [1.2]
    worker.submit(alice, 1.4, picture(0), [(1.3, rgb)])
    await until(lambda: alice.buffer.snapshot(2.0).rejected)
    assert len(alice.buffer.snapshot(2.0).mouth) == 3
    await worker.close()


async def test_mouths_outlast_the_picture_that_they_came_with(
    registry: Registry, metrics: Metrics
) -> None:
    finder = Mouthed()
    finder.gate.clear()
    worker = FaceWorker(finder, metrics)
    alice = registry.join(ALICE, 0.0)
    rgb = picture(100)
    worker.submit(alice, 0.0, rgb)
    await until(finder.entered.is_set)
    for second in range(1, 4):
        worker.submit(alice, second, rgb, [(second - k / 10, rgb) for k in (5, 4, 3, 2, 1)])
    finder.gate.set()
    await until(lambda: len(alice.buffer.snapshot(4.0).mouth) > 0)
    times_s = alice.buffer.snapshot(4.0).mouth[:, 0]
    assert len(times_s) == MAX_BEFORE + 1
    assert times_s[0] == 1.5
    await worker.close()
