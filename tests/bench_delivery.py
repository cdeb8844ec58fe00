"""How long an alert takes to disk and to a receiver, and that none is lost, into
`monitor/reports/delivery.md`.

make bench-delivery
"""

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from monitor.archive import Archive
from monitor.config import StoreConfig
from monitor.outbox import Outbox
from monitor.store import Store
from monitor.webhook import Webhook, webhook_targets
from tests.bench_demo import machine
from tests.fakes import until
from tests.hooks import Receiver, alert, config, metrics_of_nobody
from tests.killing import Trials, run_trials

REPORT: Final = Path(__file__).parents[1] / "monitor" / "reports" / "delivery.md"
ALERTS, TRIALS, SEED, KEPT = 300, 200, 7, 10_000


async def latencies_s(folder: Path) -> tuple[list[float], list[float]]:
    """From an alert to the disk, and to the receiver's acceptance; one at a time."""
    to_disk, to_receiver = [], []
    async with Receiver().listening() as receiver:
        settings, metrics = config(receiver.url), metrics_of_nobody()
        archive = Archive(StoreConfig(path=str(folder / "latency.db")), metrics)
        webhook = Webhook(webhook_targets(settings)[0], replace(settings, timeout_s=30.0))
        outbox = Outbox(webhook, archive, metrics, settings)
        await archive.open()
        delivering = asyncio.create_task(outbox.run())
        for number in range(ALERTS):
            begun_s, seq = time.perf_counter(), archive.number()
            stored = archive.add(seq, alert(number), [outbox.target])
            outbox.offer(seq, alert(number), stored)
            assert await stored
            to_disk.append(time.perf_counter() - begun_s)
            await until(lambda wanted=number + 1: len(receiver.accepted) == wanted)  # type: ignore[misc]
            to_receiver.append(time.perf_counter() - begun_s)
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)
        await archive.close()
    return to_disk, to_receiver


def opening_s(folder: Path) -> tuple[float, float]:
    """Seconds to open a store of KEPT alerts, and its megabytes."""
    path = str(folder / "large.db")
    store = Store(path, 64)
    for number in range(KEPT):
        store.add(number, alert(number), ["a"])
    store.close()
    begun_s = time.perf_counter()
    Store(path, 64).close()
    return time.perf_counter() - begun_s, Path(path).stat().st_size / 2**20


def markdown(
    to_disk: Sequence[float], to_receiver: Sequence[float], opening: tuple[float, float], t: Trials
) -> str:
    requests = len(t.receiver.received)
    lost = len(t.raised - set(t.receiver.accepted))
    at_a_step = sum(t.killed.values())
    steps = ", ".join(f"{step} {n}" for step, n in sorted(t.killed.items()))
    rows = [
        f"| {what} | {np.median(s) * 1e3:.1f} | {np.percentile(s, 95) * 1e3:.1f} |"
        for what, s in (("on disk", to_disk), ("accepted by a receiver", to_receiver))
    ]
    return "\n".join(
        [
            "# Delivery",
            "",
            f"Written by `make bench-delivery` on {machine()}, SQLite "
            f"{sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f} at the end.",
            "",
            f"From an alert until it is, ms, over {ALERTS} alerts one after another (a receiver on "
            "this machine, seen every 5 ms):",
            "",
            "| | p50 | p95 |",
            "|-|-|-|",
            *rows,
            "",
            f"A store of {KEPT} alerts has {opening[1]:.1f} MB and is opened, checked, in "
            f"{opening[0] * 1e3:.0f} ms.",
            "",
            f"{TRIALS} trials of four alerts with `kill -9` ({t.kills} kills, {at_a_step}"
            " at a step, the others at a random time) and a receiver that accepts half of the "
            "requests and meets the others with 500, 429, a reset after reading, or silence: "
            f"**{lost} of {len(t.raised)} alerts lost**, {requests - len(t.raised)} of {requests} "
            "requests were repeats, each under the id and with the body of the first.",
            "",
            f"Killed before: {steps}.",
            "",
        ]
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        to_disk, to_receiver = asyncio.run(latencies_s(folder))
        trials = asyncio.run(run_trials(folder, TRIALS, SEED))
        assert trials.failed == []
        REPORT.write_text(markdown(to_disk, to_receiver, opening_s(folder), trials))


if __name__ == "__main__":
    main()
