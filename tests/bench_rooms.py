"""Many participants in one Janus room, beside as many who publish over WHIP; into
`monitor/reports/rooms.md`.

make bench-room

The monitor's side has one core to itself; the publishers, and Janus, have the other.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bench_findings import CPU, MAX_SENDER_LATE_MS, clean
from tests.bench_receiver import cell, processor_name, table

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "monitor" / "reports" / "rooms.md"
LIBRARIES = ("aiortc", "aioice", "av", "websockets")
COUNTS = (30, 24, 18, 12)  # fewer where the publishers' core does not suffice
HEIGHTS = (720, 360)
GOAL = 1.3
COLUMNS = (
    ("path", "way in"),
    ("height", "height"),
    ("participants", "participants"),
    (CPU, "CPU, ms a participant-second"),
    ("core_used", "core used"),
    ("audio_coverage", "sound covered"),
    ("pictures_per_participant_second", "pictures a participant-second"),
    ("picture_gap_max_s", "longest wait for a face, s"),
    ("packets_dropped", "packets dropped"),
    ("hops_skipped", "hops skipped"),
    ("loop_lag_p99_ms", "loop lag p99, ms"),
    ("janus_busy", "Janus' share of the other core"),
    ("sender_busy", "publishers' share"),
    ("sender_late_p99_ms", "sender late p99, ms"),
    ("rss_mb", "memory, MB"),
)

Row = dict[str, Any]


def measure(module: str, **options: object) -> Row:
    """One row, by `python -m tests.{module}`."""
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-m", f"tests.{module}"]
    command += [f"--core={cores[0]}", f"--sender-core={cores[1 % len(cores)]}"]
    command += [f"--{name}={value}" for name, value in options.items()]
    print(" ".join(command[2:]), flush=True)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row | {"path": "Janus" if module == "bench_janus_row" else "WHIP"}


def rows(height: int, seconds: float) -> list[Row]:
    """The most participants for whom nothing is lost, in turns so that a machine that slows down
    meanwhile slows both ways in."""
    found: list[Row] = []
    for count in COUNTS:
        options = {"height": height, "count": count, "seconds": seconds}
        found = [measure("bench_janus_row", **options)]
        if kept_up(found[0]):
            break
    found.append(measure("bench_row", tapes=0, **options))
    found.append(measure("bench_row", tapes=0, **options))
    found.append(measure("bench_janus_row", **options))
    return found


def kept_up(row: Row) -> bool:
    """Whether the core of Janus and the publishers sufficed, and ours."""
    everybody = row["seen"] == row["participants"]
    return clean(row) and everybody and row["sender_late_p99_ms"] < MAX_SENDER_LATE_MS


def ratio(rows: list[Row]) -> float:
    """CPU a participant in Janus' room, over that of WHIP."""
    janus = [row[CPU] for row in rows if row["path"] == "Janus"]
    whip = [row[CPU] for row in rows if row["path"] == "WHIP"]
    return statistics.fmean(janus) / statistics.fmean(whip)


def report(measured: list[list[Row]]) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    said = subprocess.run(["janus", "--version"], capture_output=True, text=True, check=False)
    janus = (said.stdout + said.stderr).split("\n")[0].strip()
    goals = []
    for group in measured:
        row, found = group[0], ratio(group)
        what = f"{row['participants']} participants of {row['height']}p in one room, over WHIP"
        verdict = "met" if found <= GOAL and all(map(kept_up, group)) else "**missed**"
        goals.append([what, f"at most {GOAL}", f"{found:.2f}", verdict])
    lines = [[cell(row.get(key)) for key, _ in COLUMNS] for group in measured for row in group]
    return f"""# Rooms

Made by `make bench-room` on {processor_name()}, {os.cpu_count()} cores, Python
{sys.version.split()[0]}, {versions}, {janus or "janus of Debian"}.

Publishers are WebRTC peers that replay packets encoded beforehand: VP8 of 30 frames a second at 1.5
Mbit/s (720p) or 0.6 (360p), Opus at 32 kbit/s, a keyframe for every request; everybody talks all
the time. Once they are in a VideoRoom, and followed by the source that `vfd-monitor join` uses, a
subscription each; once they publish over WHIP. CPU is that of the whole receiving process on a core
of its own, up to an RGB picture every 2 s and sound at 16 kHz; finding faces and scoring, which are
the same either way, are not in it. Janus and the publishers share the other core.

{table(["what", "goal", "measured", ""], goals)}

{table([title for _, title in COLUMNS], lines)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="measured of every row")
    args = parser.parse_args()
    REPORT.write_text(report([rows(height, args.seconds) for height in HEIGHTS]))
    print(f"wrote {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
