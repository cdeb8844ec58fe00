"""RTMP and HLS for five minutes: do sound and pictures stay together, and memory where it is? Into
`monitor/reports/streams.md`.

make bench-streams
"""

import argparse
import asyncio
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.bench_receiver import processor_name, table
from tests.streamed import KINDS, Followed, Outcome, follow

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "monitor" / "reports" / "streams.md"
SETTLED_S = 60.0  # buffers, caches and the heap are what they will be
MAX_SKEW_S = 0.15
MAX_GROWTH_MB = 1.0  # a minute


def growth(outcome: Outcome) -> float:
    """MB a minute, by a straight line through what was measured once settled."""
    settled = outcome.memory[outcome.memory[:, 0] >= SETTLED_S]
    return 60 * float(np.polyfit(settled[:, 0], settled[:, 1], 1)[0])


def goals(outcome: Outcome) -> list[list[str]]:
    found = []
    for kind in KINDS:
        worst_s = float(np.nanmax(np.abs(outcome.streams[kind].marks.skews_s())))
        met = "met" if worst_s <= MAX_SKEW_S else "**missed**"
        found.append([f"skew, {kind}", f"within {MAX_SKEW_S} s", f"{worst_s:.3f} s", met])
    grown = growth(outcome)
    met = "met" if grown <= MAX_GROWTH_MB else "**missed**"
    limit = f"at most {MAX_GROWTH_MB:g} MB a minute"
    return [*found, ["growth of memory", limit, f"{grown:.2f} MB a minute", met]]


def row(kind: str, stream: Followed) -> list[str]:
    told_s, latencies_s = stream.marks.skews_s(), stream.latencies_s
    skews_s = told_s[~np.isnan(told_s)]
    minute = len(skews_s) // 5
    return [
        kind,
        str(len(skews_s)),
        str(len(told_s) - len(skews_s)),
        f"{np.median(skews_s):.3f}",
        f"{skews_s.min():.3f} to {skews_s.max():.3f}",
        f"{np.median(skews_s[:minute]):.3f}",
        f"{np.median(skews_s[-minute:]):.3f}",
        f"{np.median(latencies_s):.2f}",
        f"{max(latencies_s):.2f}",
        f"{stream.skipped_s:.1f}",
        str(stream.attempts),
    ]


def report(outcome: Outcome) -> str:
    columns = [
        "stream",
        "pictures",
        "beside a skip",
        "median skew, s",
        "range",
        "first fifth",
        "last fifth",
        "median latency, s",
        "longest",
        "skipped, s",
        "attempts to join",
    ]
    memory = outcome.memory
    first, settled = memory[0, 1], memory[memory[:, 0] >= SETTLED_S, 1]
    rows = [row(kind, outcome.streams[kind]) for kind in KINDS]
    return f"""# Live streams

Made by `make bench-streams` on {processor_name()}, {os.cpu_count()} cores, Python
{sys.version.split()[0]}, av {importlib.metadata.version("av")}, {version("ffmpeg", "-version")},
{version("nginx", "-v")} with its RTMP module.

FFmpeg publishes 320x180 in H.264 (10 frames a second, a keyframe every second) and AAC to
nginx-rtmp; one monitor follows the stream itself and the HLS that nginx makes of it, for
{memory[-1, 0]:.0f} s. Every tenth of a second has a picture and every second a tone of its own, so
that a picture and a sound of one moment are known as they come out: skew is how much later a
picture is placed on the monitor's clock than its sound. Where the stream skips to its edge, a
picture between two changes of tone that disagree cannot be told to lie before or after the skip;
those are counted and not judged. Latency is what the monitor says itself.
The engine and the finder of faces are stand-ins; everything else is as it is served.

{table(["what", "goal", "measured", ""], goals(outcome))}

{table(columns, rows)}

Memory of the process: {first:.0f} MB at first, {settled[0]:.0f} MB after {SETTLED_S:.0f} s,
{settled[-1]:.0f} MB in the end, {settled.max():.0f} MB at most in between. Both streams together
took {outcome.busy:.3f} of a core.
"""


def version(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).split("\n")[0].split(" Copyright")[0].strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(follow(Path(folder), args.seconds))
    REPORT.write_text(report(outcome))
    print(f"wrote {REPORT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
