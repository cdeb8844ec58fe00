"""Whose CPU time it is: the process's time by stage, told apart by its threads.

`faces` and `engine` are the threads of those names. `receiver` is the event loop's thread (packets,
HTTP, bookkeeping) and the threads of the decoders, ours and aiortc's. `other` is what is left of
the process's total: native threads of libraries, helpers, and threads that ended before they were
sampled.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psutil

SAMPLE_EVERY_S: Final = 2.0
"""A thread that ends loses at most this much of its time to `other`."""


class Stage(StrEnum):
    RECEIVER = "receiver"
    FACES = "faces"
    ENGINE = "engine"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class _Used:
    stage: Stage
    seconds: float


class StageCpu:
    """Seconds of CPU, user and system, since the process began. Callable from any thread."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._threads: dict[int, _Used] = {}
        self._seconds = dict.fromkeys(Stage, 0.0)

    def sample(self) -> dict[Stage, float]:
        """Reads the threads' clocks (kernel ticks of 10 ms) and returns the totals by stage, none
        of which ever falls."""
        with self._lock:
            names = {t.native_id: t.name for t in threading.enumerate()}
            previous, self._threads = self._threads, {}
            for thread in self._process.threads():
                seconds = thread.user_time + thread.system_time
                stage = _stage(names.get(thread.id))
                self._threads[thread.id] = _Used(stage, seconds)
                self._seconds[stage] += _since(previous.get(thread.id), stage, seconds)
            self._seconds[Stage.OTHER] = max(self._seconds[Stage.OTHER], self._rest())
            return dict(self._seconds)

    async def run(self) -> None:
        """Samples until cancelled, so that threads which end are seen before. Off the loop: a
        hundred threads take the better part of 10 ms to read."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="cpu") as executor:
            while True:
                await loop.run_in_executor(executor, self.sample)
                await asyncio.sleep(SAMPLE_EVERY_S)

    def _rest(self) -> float:
        times = self._process.cpu_times()
        named = sum(s for stage, s in self._seconds.items() if stage is not Stage.OTHER)
        return times.user + times.system - named


def _since(previous: _Used | None, stage: Stage, seconds: float) -> float:
    """What a thread used since the last sample. The kernel gives the number of an ended thread to
    a new one, which then begins at zero in, mostly, another stage."""
    if stage is Stage.OTHER:
        return 0.0  # counted as the rest of the total
    if previous is None or previous.stage is not stage or previous.seconds > seconds:
        return seconds
    return seconds - previous.seconds


def _stage(name: str | None) -> Stage:
    """`name` is None for a native thread that Python does not know."""
    if name is None:
        return Stage.OTHER
    if name.startswith("faces"):
        return Stage.FACES
    if name.startswith("engine"):
        return Stage.ENGINE
    if name.startswith("video decoder") or name.endswith("-decoder"):
        return Stage.RECEIVER
    if name == threading.main_thread().name:
        return Stage.RECEIVER
    return Stage.OTHER
