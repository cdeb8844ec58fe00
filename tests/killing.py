"""Trials of the delivery: senders that are killed again and again, and what their receiver saw."""

import asyncio
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.hooks import HANG, RESET, Receiver
from tests.killed_sender import EPISODES

ROOT = Path(__file__).parents[1]
SENDERS = 2


@dataclass(frozen=True)
class Trials:
    """`raised`: the ids of all alerts; `recorded` of those that were said to be on disk; `killed`:
    at which step how often; `kills` those at a random time included; `failed`: what should not
    have happened."""

    receiver: "Troubled"
    raised: set[str]
    recorded: set[str]
    killed: Counter[str]
    kills: int
    done: int
    failed: list[str]


class Troubled(Receiver):
    """Of ten requests five are accepted; the others meet 500, 429, a reset, or silence. A reset
    comes when the message has been read: the sender cannot know."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(seed)

    def answer(self) -> tuple[int, str]:
        roll = self._chance.random()
        if roll < 0.5:
            return 204, ""
        if roll < 0.65:
            return 500, ""
        if roll < 0.75:
            return 429, "retry-after: 0.03\r\n"
        return (RESET, "") if roll < 0.95 else (HANG, "")


async def _sent_by(folder: Path, url: str, first: int, trials: int, seed: int) -> list[str]:
    arguments = (str(folder), url, str(first), str(trials), str(seed))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.killed_sender", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()


async def run_trials(folder: Path, trials: int, seed: int) -> Trials:
    receiver, share = Troubled(seed), trials // SENDERS
    async with receiver.listening():
        outputs = await asyncio.gather(
            *(_sent_by(folder, receiver.url, n * share, share, seed) for n in range(SENDERS))
        )
    lines = [line for output in outputs for line in output]

    def said(word: str) -> list[str]:
        return [line.removeprefix(f"{word} ") for line in lines if line.startswith(word)]

    return Trials(
        receiver,
        raised={
            f"t{trial}e{episode}.{kind}"
            for trial in range(share * SENDERS)
            for episode in range(EPISODES)
            for kind in ("opened", "closed")
        },
        recorded=set(said("recorded")),
        killed=Counter(said("killed")),
        kills=lines.count("sigkill"),
        done=len(said("done")),
        failed=said("failed"),
    )
