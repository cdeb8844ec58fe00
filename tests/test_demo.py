"""The demonstration, whole: two more processes, real WebRTC, and the outcome that it promises."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

DEMO = (sys.executable, "-m", "monitor.cli", "demo")


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_the_demonstration_keeps_its_promise(tmp_path: Path) -> None:
    report = tmp_path / "demo.json"
    begun_s = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *DEMO, "--seed", "1", "--json", str(report), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert time.monotonic() - begun_s < 90
    outcome = json.loads(report.read_text())
    assert [a["participant"] for a in outcome["alerts"]] == ["dana"]
    assert 0 < outcome["time_to_detect_s"] <= 10
    assert outcome["false_alerts"] == 0
    assert outcome["windows_abstained"]["no_speech"] > 0  # one is silent half of the time
    assert outcome["scored_share"] >= 0.95
    assert set(outcome["cpu_ms_per_participant_second"]) == {
        *("receiver", "faces", "engine", "other", "total")
    }


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "hang-up"])
async def test_an_end_from_outside_leaves_no_process_behind(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *DEMO,
        "--seed",
        "2",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    assert process.stdout is not None
    while b"metrics" not in await process.stdout.readline():  # the service is up by then
        assert process.returncode is None
    await asyncio.sleep(2.0)  # the callers are drawing
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.send_signal(number)
    await process.communicate()
    assert process.returncode == 130
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--swap-at", "40"), "--swap-at 40.0: expected"),
        (("--json", "no-such-folder/demo.json"), "there is no folder no-such-folder"),
    ],
)
def test_what_cannot_be_held_is_said_before_the_call(
    arguments: tuple[str, ...], message: str
) -> None:
    done = subprocess.run([*DEMO, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
