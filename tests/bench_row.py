"""One row of the receiver's benchmark, in a process of its own on a core of its own.

    python -m tests.bench_row --path keyframe --codec VP8 --height 720 --count 20 --seconds 20

Publishers run in another process on another core. Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import numpy as np
import psutil

from monitor.buffers import ParticipantBuffer
from monitor.config import Config, ReceiverConfig, WhipConfig
from monitor.keyframe_assembly import Keyframe
from monitor.keyframe_decoder import decode_keyframe
from monitor.keyframe_media import KeyframeMedia
from monitor.receiver import Receiver
from monitor.receiving import Receiving
from monitor.sessions import Session
from tests.bench_media import SECONDS, load_media
from tests.fakes import LIMITS
from vfd.decision import Decider
from vfd.types import SAMPLE_RATE_HZ, ParticipantKey, Rgb

HOP_S = 1.0
SETTLE_S = 0.15
WARM_UP_S = 4.0
CONNECT_TIMEOUT_S = 60.0


class Pictures:
    """Keeps when every participant was seen, and the last picture."""

    def __init__(self) -> None:
        self.times: dict[ParticipantKey, list[float]] = {}
        self.shape: tuple[int, ...] = ()

    def submit(self, session: Session, time_s: float, rgb: Rgb) -> None:
        self.times.setdefault(session.key, []).append(time.monotonic())
        self.shape = rgb.shape


class Room:
    """The receiving side: sessions, receivers, and the hops of a scoring loop without scoring."""

    def __init__(self, args: argparse.Namespace, executor: ThreadPoolExecutor) -> None:
        interval_s = 2.0
        config = Config(
            whip=WhipConfig(no_media_timeout_s=60.0),
            receiver=ReceiverConfig(path=args.path, keyframe_interval_s=interval_s),
        )
        self.config = replace(config, scoring=replace(config.scoring, face_interval_s=interval_s))
        self.pictures = Pictures()
        self.receiving = Receiving(self.config, self.pictures, executor, time.monotonic)
        self.sessions: list[Session] = []
        self.receivers: list[Receiver] = []
        self.runs: list[asyncio.Task[str]] = []
        self.coverage: list[float] = []
        self.skipped = 0

    async def join(self, offer: str) -> str:
        key = ParticipantKey("bench", f"p{len(self.sessions)}")
        buffer = ParticipantBuffer(key, self.config.scoring)
        session = Session(key, buffer, Decider(LIMITS), time.monotonic())
        receiver = self.receiving.receiver(session)
        answer = await receiver.answer(offer)
        self.sessions.append(session)
        self.receivers.append(receiver)
        self.runs.append(asyncio.create_task(receiver.run()))
        return answer

    async def hop_forever(self) -> None:
        due_s = time.monotonic() + HOP_S
        while True:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            end_s = due_s - SETTLE_S
            await self.receiving.hear(self.receivers, end_s)
            for session in self.sessions:
                received = session.buffer.snapshot(end_s).received[-round(HOP_S * SAMPLE_RATE_HZ) :]
                self.coverage.append(float(received.mean()))
            missed = max(0, int((time.monotonic() - due_s) // HOP_S))
            self.skipped += missed
            due_s += (missed + 1) * HOP_S

    def seen(self) -> bool:
        return len(self.pictures.times) == len(self.sessions)

    async def close(self) -> None:
        for run in self.runs:
            run.cancel()
        await asyncio.gather(*self.runs, return_exceptions=True)
        await asyncio.gather(*(receiver.close() for receiver in self.receivers))
        self.receiving.close()


async def measure(args: argparse.Namespace) -> dict[str, object]:
    load_media(args.codec, args.height)  # encoded before anything is measured
    command = [sys.executable, "-m", "tests.packet_publisher"]
    for name in ("count", "codec", "height", "loss", "run", "seed"):
        command += [f"--{name}", str(getattr(args, name))]
    publishers = await asyncio.create_subprocess_exec(
        *command,
        *(["--core", str(args.sender_core)] if args.sender_core is not None else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 22,
    )
    assert publishers.stdin is not None
    assert publishers.stdout is not None
    memory_before = psutil.Process().memory_info().rss
    with ThreadPoolExecutor(2, thread_name_prefix="helper") as executor:
        room = Room(args, executor)
        await room.receiving.open()
        memory_before = psutil.Process().memory_info().rss
        try:
            for _ in range(args.count):
                offer = json.loads(await publishers.stdout.readline())["offer"]
                answer = await room.join(offer)
                publishers.stdin.write(json.dumps({"answer": answer}).encode() + b"\n")
            hops = asyncio.create_task(room.hop_forever())
            row = await _measure(args, room)
            row["rss_mb_per_participant"] = (
                (psutil.Process().memory_info().rss - memory_before) / 2**20 / args.count
            )
            publishers.stdin.write(b"stop\n")
            said = json.loads(await publishers.stdout.readline())
            await asyncio.sleep(0.3)
            row |= _delivery(room, said)
            hops.cancel()
            with suppress(asyncio.CancelledError):
                await hops
        finally:
            await room.close()
            publishers.stdin.close()
            await publishers.wait()
    if args.path == "keyframe" and args.floor:
        row["floor_cpu_ms"] = floor(room, args, row)
    return row


async def _measure(args: argparse.Namespace, room: Room) -> dict[str, object]:
    deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
    while not room.seen() and time.monotonic() < deadline_s:  # noqa: ASYNC110 - as tests do
        await asyncio.sleep(0.1)
    await asyncio.sleep(WARM_UP_S)
    room.coverage.clear()
    pictures_before = {key: len(times) for key, times in room.pictures.times.items()}
    lag: list[float] = []
    sampling = asyncio.create_task(_sample_lag(lag))
    start_s, start_cpu_s = time.monotonic(), time.process_time()
    room.skipped = 0
    await asyncio.sleep(args.seconds)
    cpu_s, wall_s = time.process_time() - start_cpu_s, time.monotonic() - start_s
    sampling.cancel()
    new = {key: times[pictures_before.get(key, 0) :] for key, times in room.pictures.times.items()}
    gaps = [
        float(gap) for times in new.values() for gap in np.diff([start_s, *times, time.monotonic()])
    ]
    lag.sort()
    return {
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
        "loop_lag_p99_ms": 1e3 * lag[int(len(lag) * 0.99)] if lag else 0.0,
        "rss_mb": psutil.Process().memory_info().rss / 2**20,
    }


async def _sample_lag(lag: list[float]) -> None:
    while True:
        due_s = time.monotonic() + 0.05
        await asyncio.sleep(0.05)
        lag.append(time.monotonic() - due_s)


def _delivery(room: Room, said: dict[str, object]) -> dict[str, object]:
    sums = said["sums"]
    assert isinstance(sums, list)
    total = {key: sum(s[key] for s in sums) for key in sums[0]}
    row: dict[str, object] = {
        "audio_delivered": 1 - total["audio_lost"] / max(1, total["audio_sent"]),
        "video_delivered": 1 - total["video_lost"] / max(1, total["video_sent"]),
        "keyframe_requests": total["keyframe_requests"],
        "packets_resent": total["resent"],
        "sender_busy": said["busy"],
        "sender_late_p99_ms": 1e3 * float(said["late_p99_s"]),  # type: ignore[arg-type]
    }
    media = [receiver.media for receiver in room.receivers]
    sessions = [m.rtp for m in media if isinstance(m, KeyframeMedia) and m.rtp]
    if sessions:
        arrived = sum(s.reception.received for rtp in sessions for s in rtp._sources.values())
        put = total["audio_sent"] + total["video_sent"] + total["resent"]
        put -= total["audio_lost"] + total["video_lost"]
        row["packets_dropped"] = put - arrived
        row["decrypted_share"] = sum(s.decrypted for s in sessions) / max(1, arrived)
    return row


def floor(room: Room, args: argparse.Namespace, row: dict[str, object]) -> float:
    """CPU ms of a participant-second for the decoders alone: as many keyframes as came, and all of
    the sound, by the same decoders to the same outputs."""
    from monitor.audio_path import AudioPath
    from monitor.media_clock import MediaClock
    from monitor.sound_codecs import AudioCodec

    media = load_media(args.codec, args.height)
    keyframe = keyframe_of(args.codec, media.video[0])
    start = time.process_time()
    for _ in range(20):
        assert decode_keyframe(keyframe) is not None
    keyframe_ms = (time.process_time() - start) / 20 * 1e3
    path = AudioPath({96: AudioCodec("opus", 48_000, 2)}, MediaClock())
    audio_ms = 0.0
    for second in range(SECONDS):
        for number in range(50):
            at = second * 50 + number
            path.packet(at * 960, at, 96, media.audio[at], at * 0.02)
        start = time.process_time()
        path.take(second + 1.0)
        audio_ms += (time.process_time() - start) * 1e3 / SECONDS
    pictures = float(row["pictures_per_participant_second"])  # type: ignore[arg-type]
    row["keyframe_decode_ms"], row["audio_decode_ms"] = keyframe_ms, audio_ms
    return keyframe_ms * pictures + audio_ms


def keyframe_of(codec: str, payloads: list[bytes]) -> Keyframe:
    from monitor.keyframe_assembly import KeyframeAssembler
    from monitor.rtp import RtpPacket

    assembler = KeyframeAssembler(codec)  # type: ignore[arg-type]
    for number, payload in enumerate(payloads):
        marker = number == len(payloads) - 1
        keyframe = assembler.add(RtpPacket(number + 1, 0, 97, marker, payload))
    assert keyframe is not None
    return keyframe


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
    parser.add_argument("--core", type=int)
    parser.add_argument("--sender-core", type=int)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--profile", default="")
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    if args.profile:
        import cProfile

        profile = cProfile.Profile()
        row = profile.runcall(asyncio.run, measure(args))
        profile.dump_stats(args.profile)
    else:
        row = asyncio.run(measure(args))
    print(json.dumps(row))


if __name__ == "__main__":
    main()
