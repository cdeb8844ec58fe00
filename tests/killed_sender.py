"""A sender of alerts that is killed again and again: `python -m tests.killed_sender FOLDER URL
FIRST TRIALS SEED`.

Each trial is a store of its own and four alerts. A life opens the store, raises the alerts that it
does not find there (as a monitor does that sees the mismatch still), and delivers, until it is
killed at a random step or at a random time; the last life of a trial is spared. Lives are forks of
one process, which has imported everything. What happens is told in lines on standard output:
`recorded ID` once an alert is on disk, `killed STEP`, and at the end of a trial `done TRIAL`.
"""

import asyncio
import importlib
import logging
import os
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from monitor import archive
from monitor.alerts import Alert, AlertKind
from monitor.archive import Archive
from monitor.config import StoreConfig
from monitor.outbox import Outbox
from monitor.store import Store
from monitor.webhook import Answer, Webhook, webhook_targets
from tests.hooks import alert, config, metrics_of_nobody

EPISODES = 2
DEADLY_LIVES = 3
MAX_STEP = 130  # a life without trouble has some 120
TIMER_SHARE = 0.3
MAX_TIMER_S = 0.15
PATIENCE_S = 60.0
RETRY_S = (0.01, 0.02, 0.05)
TIMEOUT_S = 0.1


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


class Fate:
    """Kills this process at the step of that number."""

    def __init__(self, deadly_step: int) -> None:
        self._left = deadly_step

    def step(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            say(f"killed {' '.join(name.split()[:3])}")
            os.kill(os.getpid(), signal.SIGKILL)


def alerts_of(trial: int) -> list[Alert]:
    return [
        alert(kind=kind, id=f"t{trial}e{episode}")
        for kind in (AlertKind.OPENED, AlertKind.CLOSED)
        for episode in range(EPISODES)
    ]


async def live(path: Path, url: str, trial: int, fate: Fate) -> None:
    class FatefulStore(Store):
        def _check_version(self) -> None:
            self._db.set_trace_callback(fate.step)
            super()._check_version()

    class FatefulWebhook(Webhook):
        async def post(self, alert: Alert) -> Answer:
            fate.step("before post")
            answer = await super().post(alert)
            fate.step("after post")
            return answer

    archive.Store = FatefulStore  # type: ignore[misc, attr-defined]
    settings = replace(config(url), timeout_s=TIMEOUT_S, max_attempts=10_000)
    metrics = metrics_of_nobody()
    kept = Archive(StoreConfig(path=str(path)), metrics)
    webhook = FatefulWebhook(webhook_targets(settings)[0], settings)
    outbox = Outbox(webhook, kept, metrics, settings, RETRY_S)
    await kept.open()
    assert kept.on_disk, kept.trouble
    await outbox.load()
    delivering = asyncio.create_task(outbox.run())
    known = {a["id"] + a["kind"] for _, a in await kept.read(lambda s: s.alerts_after(0, 99))}
    for raised in alerts_of(trial):
        if raised.id + raised.kind in known:
            continue
        seq = kept.number()
        stored = kept.add(seq, raised, [outbox.target])
        outbox.offer(seq, raised, stored)
        if await stored:
            say(f"recorded {raised.message_id}")
    while outbox.waiting().messages:  # noqa: ASYNC110 - a kill may come at any time
        await asyncio.sleep(0.005)
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)
    await kept.close()


def child(path: Path, url: str, trial: int, chance: random.Random, deadly: bool) -> NoReturn:
    signal.alarm(round(PATIENCE_S))
    timed = deadly and chance.random() < TIMER_SHARE
    if timed:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, MAX_TIMER_S))
    fate = Fate(chance.randrange(1, MAX_STEP) if deadly and not timed else -1)
    try:
        asyncio.run(live(path, url, trial, fate))
        os._exit(0)
    except BaseException as error:
        say(f"failed {trial} {error!r}")
        os._exit(1)


def main(folder: Path, url: str, first: int, trials: int, seed: int) -> None:
    for trial in range(first, first + trials):
        for life in range(DEADLY_LIVES + 1):
            chance = random.Random(f"{seed}/{trial}/{life}")
            pid = os.fork()
            if pid == 0:
                child(folder / f"{trial}.db", url, trial, chance, deadly=life < DEADLY_LIVES)
            _, status = os.waitpid(pid, 0)
            if os.WIFSIGNALED(status):
                number = os.WTERMSIG(status)
                say("sigkill" if number == signal.SIGKILL else f"failed {trial} signal {number}")
        say(f"done {trial}")


if __name__ == "__main__":
    for late in ("anyio._backends._asyncio", "httpcore._async.http11"):
        importlib.import_module(late)  # once, and not in every life
    logging.disable()
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
