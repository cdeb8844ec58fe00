"""Proof of the delivery: killed at any step, to a receiver of the worst kind, no alert is lost."""

import asyncio
import random
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.hooks import HANG, RESET, Receiver
from tests.killed_sender import EPISODES

ROOT = Path(__file__).parents[1]
TRIALS, SENDERS, SEED = 200, 2, 7
STEPS = {
    "BEGIN IMMEDIATE",
    "COMMIT",
    "INSERT INTO episodes",
    "INSERT OR IGNORE",
    "UPDATE outbox SET",
    "before post",
    "after post",
}
"""Of the path from the alert to the receiver; in some trial the process died at each."""


class Troubled(Receiver):
    """Of ten requests five are accepted; the others meet 500, 429, a reset, or silence. A reset
    comes when the message has been read: the sender cannot know."""

    def __init__(self) -> None:
        super().__init__()
        self._chance = random.Random(SEED)

    def answer(self) -> tuple[int, str]:
        roll = self._chance.random()
        if roll < 0.5:
            return 204, ""
        if roll < 0.65:
            return 500, ""
        if roll < 0.75:
            return 429, "retry-after: 0.03\r\n"
        return (RESET, "") if roll < 0.95 else (HANG, "")


async def sent_by(folder: Path, url: str, first: int, trials: int) -> list[str]:
    arguments = (str(folder), url, str(first), str(trials), str(SEED))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.killed_sender", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().splitlines()


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_no_alert_is_lost_whatever_dies(tmp_path: Path) -> None:
    receiver, share = Troubled(), TRIALS // SENDERS
    async with receiver.listening():
        outputs = await asyncio.gather(
            *(sent_by(tmp_path, receiver.url, n * share, share) for n in range(SENDERS))
        )
    lines = [line for output in outputs for line in output]
    assert [line for line in lines if line.startswith("failed")] == []
    assert sum(line.startswith("done") for line in lines) == TRIALS

    recorded = {line.removeprefix("recorded ") for line in lines if line.startswith("recorded")}
    raised = {
        f"t{trial}e{episode}.{kind}"
        for trial in range(TRIALS)
        for episode in range(EPISODES)
        for kind in ("opened", "closed")
    }
    assert recorded <= raised
    assert set(receiver.accepted) == raised

    bodies = defaultdict(set)
    for received in receiver.received:
        bodies[received.id].add(received.body)
    assert {len(same) for same in bodies.values()} == {1}
    assert len(set().union(*bodies.values())) == len(raised)
    for trial in range(TRIALS):
        order = receiver.accepted
        opened, closed = (order.index(f"t{trial}e0.{kind}") for kind in ("opened", "closed"))
        assert opened < closed

    kills = [line.removeprefix("killed ") for line in lines if line.startswith("killed")]
    assert set(kills) >= STEPS, STEPS - set(kills)
    assert lines.count("sigkill") > TRIALS
    repeats = len(receiver.received) - len(raised)
    print(f"{lines.count('sigkill')} kills, {len(receiver.received)} requests, {repeats} repeats")
