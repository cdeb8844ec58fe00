"""One row of the receiver's benchmark, in a process of its own on a core of its own.

    python -m tests.bench_row --path keyframe --codec VP8 --height 720 --count 20 --seconds 20

Publishers run in another process on another core. Prints one JSON object.
"""

import argparse
import asyncio
import cProfile
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import psutil

from monitor.keyframe_media import KeyframeMedia
from tests.bench_floor import floor
from tests.bench_media import FPS, load_media
from tests.bench_room import Room
from tests.fakes import until
from vfd.types import ParticipantKey

WARM_UP_S = 10.0
"""Whoever joined while others were still negotiating is placed anew after 5 s (ArrivalClock)."""
CONNECT_TIMEOUT_S = 60.0
LAG_SAMPLE_S = 0.05
MEMORY_SAMPLE_S = 5.0
BURST_S = 3.0
LAST_PACKETS_S = 0.3

Row = dict[str, Any]


async def measure(args: argparse.Namespace) -> Row:
    """One row; the publishers' process is gone when it returns."""
    media = load_media(args.codec, args.height)  # encoded before anything is measured
    floors = [floor(args.codec, media)] if args.floor else []
    async with publishing(args) as publishers:
        with ThreadPoolExecutor(2, thread_name_prefix="helper") as executor:
            room = Room(args.path, executor, args.tapes)
            await room.receiving.open()
            memory_before = psutil.Process().memory_info().rss
            try:
                row = await _hold(args, room, publishers)
            finally:
                await room.close()
    grown = row["rss_mb"] - memory_before / 2**20
    row["rss_mb_per_participant"] = grown / args.count
    if room.tapes:
        row["sound_correlation"] = statistics.fmean(t.correlation(media.sound) for t in room.tapes)
    if floors:
        floors.append(floor(args.codec, media))
        keyframe_ms = row["keyframe_decode_ms"] = statistics.fmean(f.keyframe_ms for f in floors)
        sound_ms = row["audio_decode_ms"] = statistics.fmean(f.sound_ms for f in floors)
        pictures = row["pictures_per_participant_second"]
        row["floor_cpu_ms"] = keyframe_ms * pictures + sound_ms
    return row


@asynccontextmanager
async def publishing(args: argparse.Namespace) -> AsyncIterator[asyncio.subprocess.Process]:
    """`tests.packet_publisher`, which ends with the block."""
    command = [sys.executable, "-m", "tests.packet_publisher"]
    for name in ("count", "codec", "height", "loss", "run", "seed"):
        command += [f"--{name}", str(getattr(args, name))]
    if args.sender_core is not None:
        command += ["--core", str(args.sender_core)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 22)
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        await process.wait()


async def _hold(
    args: argparse.Namespace, room: Room, publishers: asyncio.subprocess.Process
) -> Row:
    """Everybody joins, is measured, and says what was sent."""
    for _ in range(args.count):
        answer = await room.join((await hear(publishers))["offer"])
        tell(publishers, json.dumps({"answer": answer}))
    hops = asyncio.create_task(room.hop_forever())
    row = await observe(args, room)
    tell(publishers, "stop")
    said = await hear(publishers)
    await asyncio.sleep(LAST_PACKETS_S)
    row |= delivery(room, said)
    hops.cancel()
    with suppress(asyncio.CancelledError):
        await hops
    return row


async def hear(publishers: asyncio.subprocess.Process) -> Row:
    """Their next line."""
    assert publishers.stdout is not None
    said: Row = json.loads(await publishers.stdout.readline())
    return said


def tell(publishers: asyncio.subprocess.Process, line: str) -> None:
    """One line."""
    assert publishers.stdin is not None
    publishers.stdin.write(line.encode() + b"\n")


async def observe(args: argparse.Namespace, room: Room) -> Row:
    """What it costs to receive everybody in the room, and what comes of it."""
    with suppress(TimeoutError):
        await until(room.seen, CONNECT_TIMEOUT_S)
    await asyncio.sleep(WARM_UP_S)
    room.forget()
    before = {key: len(times) for key, times in room.pictures.times.items()}
    lag: list[float] = []
    memory: list[tuple[float, float]] = []
    sampling = [
        asyncio.create_task(_sample_lag(lag)),
        asyncio.create_task(_sample_memory(memory)),
    ]
    burst = Burst(room)
    if args.burst:
        asyncio.get_running_loop().call_later(args.seconds / 2 - BURST_S, burst.begin)
    start_s, start_cpu_s = time.monotonic(), time.process_time()
    await asyncio.sleep(args.seconds)
    cpu_s, end_s = time.process_time() - start_cpu_s, time.monotonic()
    for task in sampling:
        task.cancel()
    wall_s = end_s - start_s
    new = {key: times[before.get(key, 0) :] for key, times in room.pictures.times.items()}
    gaps = [float(gap) for times in new.values() for gap in np.diff([start_s, *times, end_s])]
    return (burst.row(new, start_s, end_s) if args.burst else {}) | {
        "path": args.path,
        "codec": args.codec,
        "height": args.height,
        "participants": args.count,
        "loss": args.loss,
        "loss_run": args.run,
        "seconds": round(wall_s, 1),
        "cpu_ms_per_participant_second": cpu_s * 1e3 / wall_s / args.count,
        "core_used": cpu_s / wall_s,
        "audio_coverage": statistics.fmean(room.coverage) if room.coverage else 0.0,
        "pictures_per_participant_second": sum(map(len, new.values())) / wall_s / args.count,
        "picture_gap_p95_s": float(np.quantile(gaps, 0.95)),
        "picture_gap_max_s": max(gaps),
        "seen": len(room.pictures.times),
        "picture_shape": list(room.pictures.shape),
        "hops_skipped": room.skipped,
        "loop_lag_p99_ms": 1e3 * float(np.quantile(lag, 0.99)),
        "rss_mb": psutil.Process().memory_info().rss / 2**20,
        "rss_slope_mb_per_minute": 60 * float(np.polyfit(*zip(*memory, strict=True), 1)[0]),
    }


class Burst:
    """Every frame of the first participant among all, and what it costs."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._frames: list[float] = []
        self._cpu_s = [0.0, 0.0, 0.0]

    def begin(self) -> None:
        """The CPU of as long a time before it is what it is compared with."""
        media = self._room.receivers[0].media
        assert isinstance(media, KeyframeMedia)
        loop = asyncio.get_running_loop()
        self._mark(0)
        loop.call_later(BURST_S, self._mark, 1)
        loop.call_later(BURST_S, media.burst, BURST_S, lambda at_s, _: self._frames.append(at_s))
        loop.call_later(2 * BURST_S, self._mark, 2)

    def _mark(self, index: int) -> None:
        self._cpu_s[index] = time.process_time()

    def row(self, pictures: dict[ParticipantKey, list[float]], start_s: float, end_s: float) -> Row:
        """`pictures`: when everybody was seen."""
        before, begun, ended = self._cpu_s
        seen = [pictures[session.key] for session in self._room.sessions[1:]]
        gaps = [float(gap) for times in seen for gap in np.diff([start_s, *times, end_s])]
        coverage = np.array(self._room.coverage).reshape(-1, len(self._room.sessions))
        return {
            "burst_frames": len(self._frames),
            "burst_expected": self._sent_meanwhile(),
            "burst_cpu_ms_per_second": 1e3 * (ended - 2 * begun + before) / BURST_S,
            "others_coverage": float(coverage[:, 1:].mean()),
            "others_gap_max_s": max(gaps),
        }

    def _sent_meanwhile(self) -> int:
        """How many frames the sender took between the first and the last, both included; at least
        0.8 of BURST_S lies between them, or it was cut short: the keyframe that it begins with has
        to be asked for."""
        frames = self._frames
        if not frames or frames[-1] - frames[0] < 0.8 * BURST_S:
            return round(BURST_S * FPS)
        return round((frames[-1] - frames[0]) * FPS) + 1


async def _sample_lag(lag: list[float]) -> None:
    while True:
        due_s = time.monotonic() + LAG_SAMPLE_S
        await asyncio.sleep(LAG_SAMPLE_S)
        lag.append(time.monotonic() - due_s)


async def _sample_memory(memory: list[tuple[float, float]]) -> None:
    """Seconds and MB."""
    while True:
        memory.append((time.monotonic(), psutil.Process().memory_info().rss / 2**20))
        await asyncio.sleep(MEMORY_SAMPLE_S)


def delivery(room: Room, said: Row) -> Row:
    """What the publishers sent, against what arrived."""
    sums = said["sums"]
    total = {key: sum(s[key] for s in sums) for key in sums[0]}
    row = {
        "audio_delivered": 1 - total["audio_lost"] / max(1, total["audio_sent"]),
        "video_delivered": 1 - total["video_lost"] / max(1, total["video_sent"]),
        "keyframe_requests": total["keyframe_requests"],
        "packets_resent": total["resent"],
        "sender_busy": said["busy"],
        "sender_late_p99_ms": 1e3 * said["late_p99_s"],
    }
    media = [receiver.media for receiver in room.receivers]
    sessions = [m.rtp for m in media if isinstance(m, KeyframeMedia) and m.rtp]
    if sessions:
        arrived = sum(s.reception.received for rtp in sessions for s in rtp._sources.values())
        # By the numbers that are missing: what a sender sent before we listened was not for us.
        missing = sum(s.reception.lost for rtp in sessions for s in rtp._sources.values())
        row["packets_dropped"] = max(0, missing - total["audio_lost"] - total["video_lost"])
        row["decrypted_share"] = sum(s.decrypted for s in sessions) / max(1, arrived)
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", choices=("keyframe", "plain"), default="keyframe")
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8")
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--run", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--tapes", type=int, default=3, help="participants whose sound is kept")
    parser.add_argument("--core", type=int)
    parser.add_argument("--sender-core", type=int)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--burst", action="store_true")
    parser.add_argument("--profile", default="")
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    if args.profile:
        profile = cProfile.Profile()
        row = profile.runcall(asyncio.run, measure(args))
        profile.dump_stats(args.profile)
    else:
        row = asyncio.run(measure(args))
    print(json.dumps(row))


if __name__ == "__main__":
    main()
