"""From a swap to who is alerted, into `monitor/reports/alerting.md`.

make bench-alerting
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

from tests.alerting import MIRROR, RULE, alerting
from tests.bench_demo import header, machine
from tests.peers import until
from tests.programs import program

REPORT = Path(__file__).parents[1] / "monitor" / "reports" / "alerting.md"
SEEDS = (1, 2)
SWAP_AT_S, CALL_S = 15.0, 40.0
WAIT_S = 120.0
MONITOR = "monitor"
GOAL_S = 30.0


async def alert(seed: int) -> tuple[float, ...]:
    """Seconds from the swap to the first message, by the rule and by the monitor itself; and from
    the end of the call to the message that says so, by both."""
    with tempfile.TemporaryDirectory() as folder:
        async with alerting(Path(folder), allowed=True) as parts:
            async with parts.call(seed, CALL_S, SWAP_AT_S) as call:
                await until(lambda: call.event("left"), WAIT_S)
            swapped, left = call.event("swapped"), call.event("left")
            times = []
            for status, since in (("firing", swapped), ("resolved", left)):
                for way in (RULE, MIRROR):
                    told = partial(parts.operator.mismatches, way, status)
                    await until(told, WAIT_S)
                    assert since is not None
                    times.append(told()[0].at_s - since["time_s"])
    return tuple(times)


def alert_row(seed: int, times: tuple[float, ...]) -> str:
    missed = "" if max(times[:2]) <= GOAL_S else " **missed**"
    return f"| {seed} | " + " | ".join(f"{t:.1f}" for t in times) + f"{missed} |"


def program_version(title: str, name: str, package: str) -> str:
    command = (program(title, (name,), package), "--version")
    said = subprocess.run(command, capture_output=True, text=True)
    return f"{title} {(said.stdout + said.stderr).split()[2].rstrip(',')}"


def page(head: str, told: str) -> str:
    return f"""\
# Alerting

`make bench-alerting` wrote this. {head} Callers and all programs share the cores.

## From a swap to the operator

A live call of four synthetic people (WHIP); at second {SWAP_AT_S:.0f} one of them wears another
face, at second {CALL_S:.0f} everybody leaves. The files of `vfd-monitor ops-files` as they are, but
for the addresses: scraped and evaluated once a second. By the rule: monitor, Prometheus,
Alertmanager, webhook. By the monitor: its own post to Alertmanager (`[alertmanager].url`), webhook.
Both ways share a group in Alertmanager, so whichever is second waits for the next turn, 5 s.
The end is told by the rule once it has not fired for 15 s (`keep_firing_for`), by the monitor after
`alerts.absence_s`, here 5 s. Seconds; goal for a swap: at most {GOAL_S:.0f}.

{header("seed", *(f"{what}, by the {way}" for what in ("swap", "end") for way in (RULE, MONITOR)))}
{told}
"""


def main() -> int:
    load = os.getloadavg()[0]
    alerts = [(seed, asyncio.run(alert(seed))) for seed in SEEDS]
    programs = ", ".join(
        (
            program_version("Prometheus", "prometheus", "prometheus"),
            program_version("Alertmanager", "prometheus-alertmanager", "prometheus-alertmanager"),
            f"prometheus-client {version('prometheus-client')}",
        )
    )
    head = f"{machine()}; {programs}; load {load:.1f} at the start."
    told = "\n".join(alert_row(*row) for row in alerts)
    REPORT.write_text(page(head, told), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
