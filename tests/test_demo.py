"""The demonstration, whole: two more processes, real WebRTC, and the outcome that it promises."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

DEMO = (sys.executable, "-m", "monitor.cli", "demo")


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_the_demonstration_keeps_its_promise(tmp_path: Path) -> None:
    report = tmp_path / "demo.json"
    process = await asyncio.create_subprocess_exec(
        *DEMO, "--seed", "1", "--json", str(report), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
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
async def test_ctrl_c_leaves_no_process_behind() -> None:
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
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 130
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive
