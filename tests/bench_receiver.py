"""The receiver's benchmark: rows in processes of their own, into `bench-receiver.json` and
`monitor/reports/receiver.md`.

make bench-receiver

The receiver has one core to itself, the publishers another. On a machine that others use too, name
a launcher that keeps them away: `--launcher "nice -n -10"`.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench_findings import CPU, Finding, Row, clean, findings

ROOT = Path(__file__).parents[1]
JSON_FILE = ROOT / "bench-receiver.json"
REPORT = ROOT / "monitor" / "reports" / "receiver.md"
LIBRARIES = ("aiortc", "aioice", "av", "pylibsrtp", "numpy")
PLAIN_COUNTS = (8, 6, 4)
RAMP_COUNTS = (40, 50, 60, 70, 80)
LOSSES = ((0.05, 1), (0.1, 1), (0.2, 1), (0.1, 3))
COLUMNS = (
    ("path", "path"),
    ("codec", "codec"),
    ("height", "height"),
    ("participants", "participants"),
    ("loss", "loss"),
    ("loss_run", "in runs of"),
    ("cpu_ms_per_participant_second", "CPU, ms a participant-second"),
    ("core_used", "core used"),
    ("floor_cpu_ms", "floor, ms"),
    ("audio_delivered", "sound delivered"),
    ("audio_coverage", "sound covered"),
    ("sound_correlation", "correlation"),
    ("picture_gap_max_s", "longest wait for a face, s"),
    ("packets_dropped", "packets dropped"),
    ("hops_skipped", "hops skipped"),
    ("loop_lag_p99_ms", "loop lag p99, ms"),
    ("rss_mb", "memory, MB"),
    ("sender_busy", "sender's core used"),
    ("sender_late_p99_ms", "sender late p99, ms"),
)


def measure(launcher: list[str], cores: tuple[int, int], **options: object) -> Row:
    """One row; its options are those of `tests.bench_row`."""
    command = [*launcher, sys.executable, "-m", "tests.bench_row"]
    command += [f"--core={cores[0]}", f"--sender-core={cores[1]}"]
    for name, value in options.items():
        command.append(f"--{name}" if value is True else f"--{name}={value}")
    print(" ".join(command[len(launcher) + 3 :]), flush=True)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def rows(run: Any, seconds: float, minutes: float) -> Iterator[Row]:  # noqa: ANN401 - a partial
    """All of them, in the order of the report. `minutes`: of the row that looks at memory."""
    for codec, height in (("VP8", 720), ("VP8", 360), ("H264", 720), ("H264", 360)):
        row = run(codec=codec, height=height, count=20, seconds=seconds, floor=True)
        yield row
        yield floor_of(row)
    for count in PLAIN_COUNTS:
        row = run(path="plain", count=count, seconds=seconds)
        yield row
        if clean(row):
            break
    yield run(count=10, seconds=seconds)
    for count in RAMP_COUNTS:
        row = run(count=count, seconds=seconds)
        yield row
        if not clean(row):
            break
    for loss, length in LOSSES:
        yield run(count=10, loss=loss, run=length, seconds=2 * seconds)
    yield run(path="plain", count=3, loss=0.1, seconds=seconds)
    yield run(count=20, seconds=seconds, burst=True)
    if minutes:
        yield run(count=10, seconds=60 * minutes, tapes=0) | {"minutes": minutes}


def floor_of(row: Row) -> Row:
    """The decoders alone, as a row."""
    same = {key: row[key] for key in ("codec", "height", "participants", "loss")}
    return same | {"path": "floor", CPU: row["floor_cpu_ms"], "audio_coverage": 1.0, "rss_mb": None}


def cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 2 else f"{value:.1f}"
    return "" if value is None else str(value)


def table(head: list[str], body: list[list[str]]) -> str:
    lines = [head, ["-"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(rows: list[Row]) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    processor = processor_name()
    measured = [[cell(row.get(key)) for key, _ in COLUMNS] for row in rows]
    return f"""# The receiver

Made by `make bench-receiver` on {processor}, {os.cpu_count()} cores, {platform.system()},
Python {platform.python_version()}, {versions}.

Publishers are WebRTC peers in another process on another core that replay packets encoded
beforehand: 30 frames a second at 1.5 Mbit/s (720p) or 0.6 Mbit/s (360p), Opus at 32 kbit/s with
in-band FEC, and a keyframe for every request. CPU is that of the whole receiving process, up to an
RGB picture every 2 s and sound at 16 kHz; finding faces and scoring are not in it. The floor is the
time that the same decoders take for as many keyframes and the same sound, without a network.
Packets are counted as dropped by the numbers that are missing behind the first that came.
Correlation of the sound is the mean over seconds, each aligned for itself.

## Goals

{table(["what", "goal", "measured", ""], [line(finding) for finding in findings(rows)])}

{_missing(rows)}## Rows

{table([title for _, title in COLUMNS], measured)}

Where the limit lies: a profile of 20 participants of 720p (py-spy, November 2026) puts 29 % of the
CPU into keyframes, 20 % into Opus, 22 % into the system call that reads a datagram (some 210 for a
participant and second; many in one call, recvmmsg, saved less than a tenth of it) and 21 % into
Python's share of a packet: header, statistics, decryption of what is wanted. The first two are the
floor; where keyframes are small, at 360p, the rest weighs more. Since that profile all sockets are
read, every 30 ms, before any packet is handled, and sound is decrypted many packets at a time, both
for the sake of the processor's caches: 8.5 ms became 7.2 at 360p. uvloop changes nothing: 11.0 and
12.0 ms a participant-second against 11.3 and 11.7 without it, in turns.
"""


def line(finding: Finding) -> list[str]:
    what, goal, measured, met = finding
    return [what, goal, measured, "" if met is None else "met" if met else "**missed**"]


def _missing(rows: list[Row]) -> str:
    """What an interrupted run leaves open, in words."""
    parts = []
    if not any(row["loss"] for row in rows):
        parts.append("sound and faces under loss")
    if not any(row.get("burst_expected") for row in rows):
        parts.append("a burst")
    if not any("minutes" in row for row in rows):
        parts.append("memory over half an hour")
    return f"Not measured in this run: {', '.join(parts)}.\n\n" if parts else ""


def processor_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="measured of every row")
    parser.add_argument("--minutes", type=float, default=30.0, help="to watch memory; 0: do not")
    parser.add_argument("--launcher", default="", help="command to start every row with")
    parser.add_argument("--only-report", action="store_true", help="from the rows that are there")
    args = parser.parse_args()
    if not args.only_report:
        available = sorted(os.sched_getaffinity(0))
        cores = (available[0], available[1 % len(available)])

        def run(**options: object) -> Row:
            return measure(shlex.split(args.launcher), cores, **options)

        measured = []
        for row in rows(run, args.seconds, args.minutes):
            measured.append(row)
            JSON_FILE.write_text(json.dumps(measured, indent=1) + "\n")
    REPORT.write_text(report(json.loads(JSON_FILE.read_text())))
    print(f"wrote {JSON_FILE.name} and {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
