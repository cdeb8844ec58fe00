"""Data sets into shards: split, checked, worked through by many processes, and accounted for.

Shards appear whole or not at all, and which clips a shard holds follows from the data set and the
options alone. So a run that was killed goes on with the shards that are missing, and no clip is
lost or there twice.
"""

import dataclasses
import fcntl
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.clips import Split
from training.dataset import Dataset
from training.drops import DroppedClip
from training.prepare_report import write_report
from training.prepare_shard import ShardTask
from training.prepare_workers import Runner
from training.samples import Effort
from training.shard_files import REPORT, ShardHeader
from training.splits import Assignment, apply_splits, write_splits

PLAN: Final = "plan.json"
SPLITS: Final = "split.csv"


@dataclass(frozen=True, slots=True)
class Options:
    """`effort` for each clip, `shard_clips` in a shard (a few hundred megabytes), `any_donor` as in
    `apply_splits`, `seed` of the order."""

    effort: Effort
    shard_clips: int = 256
    any_donor: bool = False


def prepare(
    dataset: Dataset, splits: Assignment, out: Path, options: Options, run: Runner
) -> dict[str, Any]:
    """Fills `out` and returns the report, which is written last.

    Raises FileExistsError when `out` holds something else or another run is at it, LeakError and
    ValueError for splits that do not fit, OSError when the disk is full: what is whole stays, and
    the same call goes on.
    """
    chosen, left_out = apply_splits(dataset, splits, options.any_donor)
    tasks = _tasks(dataset, chosen, out, options)
    with _claimed(out, _plan(dataset, chosen, options)):
        write_splits(out / SPLITS, dataset.name, splits)
        started_s = time.monotonic()
        missing = [task for task in tasks if not _is_done(task)]
        done = sum(len(task.entries) for task in tasks) - sum(len(t.entries) for t in missing)
        run(missing, done)
        headers = [ShardHeader.read(_index(task)) for task in tasks]
        dropped: list[DroppedClip] = [*dataset.dropped, *left_out]
        wall_s = time.monotonic() - started_s
        return write_report(out / REPORT, dataset.name, headers, dropped, wall_s)


def _tasks(
    dataset: Dataset, chosen: dict[Split, list[int]], out: Path, options: Options
) -> list[ShardTask]:
    """Clips in an order of their own, so that a stream of shards is a mixture of identities. The
    small splits first: what is wrong with a data set then shows in minutes, not in days."""
    tasks, folder = [], out.resolve()  # a worker may run elsewhere
    for split, numbers in sorted(chosen.items(), key=lambda item: len(item[1])):
        order = np.random.default_rng(options.effort.seed).permutation(len(numbers))
        for shard, start in enumerate(range(0, len(order), options.shard_clips)):
            part = order[start : start + options.shard_clips]
            entries = tuple(dataset.entries[numbers[k]] for k in part)
            tasks.append(ShardTask(folder, f"{split}-{shard:05d}", split, entries, options.effort))
    return tasks


def _plan(dataset: Dataset, chosen: dict[Split, list[int]], options: Options) -> dict[str, Any]:
    """What decides every byte of the shards."""
    digest = hashlib.sha256()
    for split, numbers in chosen.items():
        for number in numbers:
            digest.update(f"{split}\n{dataset.entries[number].clip!r}\n".encode())
    return {
        "dataset": dataset.name,
        "made_from": dataset.made_from,
        "clips": sum(map(len, chosen.values())),
        "clips_sha256": digest.hexdigest(),
        "options": dataclasses.asdict(options),
    }


@contextmanager
def _claimed(out: Path, plan: dict[str, Any]) -> Iterator[None]:
    """`out` is of this plan, and nobody else is at it."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / PLAN
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileExistsError(f"{out}: another run is filling it") from error
        file.seek(0)
        text = file.read()
        if not text:
            file.write(json.dumps(plan, indent=1) + "\n")
            file.flush()
        elif differs := _differences(path, text, plan):
            raise FileExistsError(f"{path}: holds data of another plan ({differs}); choose another")
        yield


def _differences(path: Path, text: str, plan: dict[str, Any]) -> str:
    try:
        old = json.loads(text)
    except ValueError as error:
        raise FileExistsError(f"{path}: is not a plan ({error}); choose another folder") from error
    return ", ".join(key for key in plan if old.get(key) != plan[key])


def _is_done(task: ShardTask) -> bool:
    """Its index is there, and its tar as long as the index says."""
    index = _index(task)
    tar = index.with_suffix(".tar")
    if not index.exists() or not tar.exists():
        return False
    return tar.stat().st_size == ShardHeader.read(index).size


def _index(task: ShardTask) -> Path:
    return task.folder / f"{task.name}.jsonl"
