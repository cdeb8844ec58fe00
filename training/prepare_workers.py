"""Runs shards of work: in processes of this machine, or on the machines of a Ray cluster."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from typing import Final

from training.prepare_shard import ShardTask, make_shard
from training.shard_files import ShardHeader

Runner = Callable[[Sequence[ShardTask], int], None]
"""Makes all shards of the tasks; the number says how many clips earlier runs have made."""

_POLL_S: Final = 0.5
_LINE_EVERY_S: Final = 30.0  # where output goes to a file
_counter: "Synchronized[int] | None" = None  # of the worker's process, shared with its parent


class Progress:
    """One line, rewritten on a terminal, repeated now and then in a file."""

    def __init__(self, clips: int, done: int) -> None:
        self._clips, self._before = clips, done
        self._started_s = time.monotonic()
        self._printed_s = -_LINE_EVERY_S
        self._terminal = sys.stderr.isatty()

    def show(self, made: int, last: bool = False) -> None:
        """`made`: clips of this run so far."""
        now = time.monotonic()
        if not (last or self._terminal or now - self._printed_s >= _LINE_EVERY_S):
            return
        self._printed_s = now
        rate = made / max(now - self._started_s, 1e-9)
        left = self._clips - self._before - made
        remaining = f"{_duration(left / rate)} to go" if made else "..."
        line = f"{self._before + made}/{self._clips} clips, {rate:.1f}/s, {remaining}"
        end = "\n" if last or not self._terminal else "\r"
        print(f"{line:<60}", end=end, file=sys.stderr, flush=True)


def in_processes(workers: int) -> Runner:
    """Workers are started afresh, with one thread each.

    The runner raises what a worker raised, and ChildProcessError when one was killed.
    """

    def run(tasks: Sequence[ShardTask], done: int) -> None:
        if not tasks:
            return
        context = multiprocessing.get_context("spawn")
        counter: Synchronized[int] = context.Value("q", 0)
        progress = Progress(done + sum(len(task.entries) for task in tasks), done)
        os.environ["OMP_NUM_THREADS"] = "1"  # read when a worker starts
        with ProcessPoolExecutor(
            min(workers, len(tasks)), context, initializer=_start, initargs=(counter,)
        ) as pool:
            pending = {pool.submit(_make, task) for task in tasks}
            try:
                while pending:
                    finished, pending = wait(pending, _POLL_S, FIRST_COMPLETED)
                    _raise_first(finished)
                    progress.show(counter.value)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        progress.show(counter.value, last=True)

    return run


def _start(counter: "Synchronized[int]") -> None:
    global _counter
    _counter = counter


def _make(task: ShardTask) -> ShardHeader:
    counter = _counter
    assert counter is not None

    def tick() -> None:
        with counter.get_lock():
            counter.value += 1

    return make_shard(task, tick)


def _raise_first(finished: set[Future[ShardHeader]]) -> None:
    for future in finished:
        try:
            future.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a worker was killed, most likely for want of memory; run again to go on"
            ) from error


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
