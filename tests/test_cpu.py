import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from monitor import cpu
from monitor.cpu import Stage, StageCpu
from tests.fakes import until

WORK_S = 0.15  # of CPU time; the kernel counts in steps of 0.01


def burn(seconds: float = WORK_S) -> None:
    begun = time.thread_time()
    while time.thread_time() - begun < seconds:
        sum(range(1000))


def in_thread(name: str, sample: Callable[[], object]) -> None:
    """Works in a thread of that name and samples before it ends."""

    def work() -> None:
        burn()
        sample()

    thread = threading.Thread(target=work, name=name)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("faces", Stage.FACES),
        ("engine_0", Stage.ENGINE),
        ("video-decoder", Stage.RECEIVER),
        ("asyncio_0", Stage.OTHER),
    ],
)
def test_time_goes_to_the_stage_of_the_thread(name: str, stage: Stage) -> None:
    stages = StageCpu()
    before = stages.sample()
    in_thread(name, stages.sample)
    after = stages.sample()
    gained = {s: after[s] - before[s] for s in Stage}
    assert gained[stage] == pytest.approx(WORK_S, abs=0.06)
    assert sum(gained[s] for s in Stage if s not in (stage, Stage.RECEIVER)) < 0.06


def test_the_main_thread_is_the_receiver() -> None:
    stages = StageCpu()
    before = stages.sample()
    burn()
    assert stages.sample()[Stage.RECEIVER] - before[Stage.RECEIVER] == pytest.approx(
        WORK_S, abs=0.06
    )


def test_a_thread_that_ends_unseen_is_other() -> None:
    stages = StageCpu()
    before = stages.sample()
    in_thread("faces", lambda: None)
    after = stages.sample()
    assert after[Stage.FACES] == before[Stage.FACES]
    assert after[Stage.OTHER] - before[Stage.OTHER] == pytest.approx(WORK_S, abs=0.06)


def test_the_stages_add_up_to_the_process_and_never_fall() -> None:
    stages = StageCpu()
    previous = stages.sample()
    for name in ("faces", "engine_0", "x", "faces"):
        in_thread(name, stages.sample)
        now = stages.sample()
        assert all(now[stage] >= previous[stage] for stage in Stage)
        previous = now
    times = psutil.Process().cpu_times()
    assert sum(previous.values()) == pytest.approx(times.user + times.system, abs=0.06)


async def test_it_samples_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "SAMPLE_EVERY_S", 0.01)
    samples = 0

    class Counting(StageCpu):
        def sample(self) -> dict[Stage, float]:
            nonlocal samples
            samples += 1
            return super().sample()

    task = asyncio.create_task(Counting().run())
    await until(lambda: samples >= 3)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
