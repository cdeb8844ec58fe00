"""Proof of the delivery: killed at any step, to a receiver of the worst kind, no alert is lost."""

from collections import defaultdict
from pathlib import Path

import pytest

from tests.killing import run_trials

TRIALS, SEED = 200, 7
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


@pytest.mark.slow
@pytest.mark.timeout(280)
async def test_no_alert_is_lost_whatever_dies(tmp_path: Path) -> None:
    trials = await run_trials(tmp_path, TRIALS, SEED)
    assert trials.failed == []
    assert trials.done == TRIALS
    accepted, received = trials.receiver.accepted, trials.receiver.received
    assert trials.recorded <= trials.raised
    assert set(accepted) == trials.raised

    bodies = defaultdict(set)
    for message in received:
        bodies[message.id].add(message.body)
    assert {len(same) for same in bodies.values()} == {1}
    assert len(set().union(*bodies.values())) == len(trials.raised)
    for trial in range(TRIALS):
        opened, closed = (accepted.index(f"t{trial}e0.{kind}") for kind in ("opened", "closed"))
        assert opened < closed

    assert set(trials.killed) >= STEPS, STEPS - set(trials.killed)
    assert trials.kills > TRIALS
    assert len(received) > len(trials.raised)
