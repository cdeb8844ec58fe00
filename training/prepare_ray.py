"""Shards of work on a Ray cluster (`pip install 'vfd-monitor[ray]'`), for data sets of VoxCeleb2's
size. Every machine must see the same folders; a shard that a machine lost is made by another."""

import os
from collections.abc import Sequence
from typing import Any, Final

import ray

from training.prepare_shard import ShardTask, make_shard
from training.prepare_workers import Progress, Runner

_QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0"}  # nothing is told to anybody


def on_ray(address: str) -> Runner:
    """A runner over the cluster at `address` ("auto": the one this machine is part of; "local": one
    of this machine's cores, gone with the run). A shard takes one core."""

    def run(tasks: Sequence[ShardTask], done: int) -> None:
        if not tasks:
            return
        os.environ |= _QUIET | {"OMP_NUM_THREADS": "1"}
        progress = Progress(done + sum(len(task.entries) for task in tasks), done)
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
        try:
            ray.data.DataContext.get_current().enable_progress_bars = False
            rows = [{"task": task} for task in tasks]
            shards = ray.data.from_items(rows, override_num_blocks=len(rows))
            made = 0
            for row in shards.map(_make, num_cpus=1).iter_rows():
                made += row["clips"]
                progress.show(made)
            progress.show(made, last=True)
        finally:
            ray.shutdown()

    return run


def _make(row: dict[str, Any]) -> dict[str, Any]:
    header = make_shard(row["task"])
    return {"clips": header.clips + len(header.dropped)}
