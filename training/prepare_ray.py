"""Shards of work on a Ray cluster (`pip install vfd-monitor[ray]`), for data sets of VoxCeleb2's
size: every machine sees the same folders, and a shard that a machine lost is made elsewhere."""

from collections.abc import Sequence
from typing import Any

import ray

from training.prepare_shard import ShardTask, make_shard
from training.prepare_workers import Progress, Runner


def on_ray(address: str) -> Runner:
    """A runner over the cluster at `address` ("auto": the one of this machine; "local": one that
    lives as long as the run). One core for each shard."""

    def run(tasks: Sequence[ShardTask], done: int) -> None:
        if not tasks:
            return
        progress = Progress(done + sum(len(task.entries) for task in tasks), done)
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
        try:
            made = 0
            shards = ray.data.from_items(
                [{"task": task} for task in tasks], override_num_blocks=len(tasks)
            )
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
