"""One row of the benchmark of rooms, in a process of its own: everybody in a Janus room is followed
as by `vfd-monitor join`.

    python -m tests.bench_janus_row --height 720 --count 30 --seconds 20

The monitor's side has one core; Janus and the publishers share the other. Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from monitor.buffers import ParticipantBuffer
from monitor.call_urls import parse_call_url
from monitor.config import JoinConfig
from monitor.janus import JanusSession, janus_session
from monitor.janus_source import JanusSource
from monitor.receiver import Receiver
from monitor.sessions import Session
from monitor.source import Intake
from tests import bench_row
from tests.bench_media import load_media
from tests.bench_room import Room
from tests.fakes import LIMITS, until
from tests.janus_server import PIN, ROOM, Janus, running_janus
from vfd.decision import Decider
from vfd.types import ParticipantKey

CONNECT_TIMEOUT_S = 60.0

Row = dict[str, Any]


class JoinedRoom(Room):
    """A `monitor.source.Room`, with the hops of a scoring loop without scoring."""

    def __init__(self, executor: Executor) -> None:
        super().__init__("keyframe", executor, tapes=0)
        self._intakes: list[Intake] = []

    def entered(self, note: str = "") -> None:
        """Nobody waits for it."""

    def seat(self, participant: str, name: str = "") -> Session:
        key = ParticipantKey("bench", participant)
        for session in self.sessions:
            if session.key == key:
                return session
        buffer = ParticipantBuffer(key, self.config.scoring)
        session = Session(key, buffer, Decider(LIMITS), time.monotonic())
        session.speech = 1.0  # everybody talks all the time
        self.sessions.append(session)
        return session

    def receiver(
        self, participant: str, name: str = "", *, may_be_silent: bool = False
    ) -> Receiver:
        receiver = self.receiving.receiver(self.seat(participant, name), may_be_silent)
        self.receivers.append(receiver)
        return receiver

    def follow(self, participant: str, intake: Intake) -> None:
        self._runs.append(asyncio.create_task(intake.run()))

    async def leave(self, participant: str) -> None:
        """Nobody leaves before the end."""


@asynccontextmanager
async def _janus(core: int | None) -> AsyncIterator[Janus]:
    """Threads of its own keep to the core on which it was started."""
    own = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as folder:
        if core is not None:
            os.sched_setaffinity(0, {core})
        async with running_janus(Path(folder) / "janus") as janus:
            os.sched_setaffinity(0, own)
            yield janus


async def _publish(session: JanusSession, publishers: asyncio.subprocess.Process) -> None:
    """The next of the publishers takes part in the room."""
    said = await bench_row.hear(publishers)
    handle = await session.attach()
    join = {"request": "join", "ptype": "publisher", "room": ROOM, "pin": PIN}
    await handle.ask(join | {"display": f"p{said['index']}"})
    offer = {"type": "offer", "sdp": said["offer"]}
    _, answer = await handle.ask({"request": "configure"}, offer)
    bench_row.tell(publishers, json.dumps({"answer": answer["sdp"]}))


async def measure(args: argparse.Namespace) -> Row:
    """One row; all other processes are gone when it returns."""
    load_media(args.codec, args.height)  # encoded before anything is measured
    async with (
        _janus(args.sender_core) as janus,
        bench_row.publishing(args) as publishers,
        janus_session(janus.socket, {}) as session,
    ):
        with ThreadPoolExecutor(2, thread_name_prefix="helper") as executor:
            room = JoinedRoom(executor)
            await room.receiving.open()
            for _ in range(args.count):
                await _publish(session, publishers)
            source = JanusSource(parse_call_url(janus.url), JoinConfig())
            following = asyncio.create_task(source.run(room))
            hops = asyncio.create_task(room.hop_forever())
            try:
                return await _hold(args, room, janus, publishers)
            finally:
                for task in (following, hops):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                await room.close()


async def _hold(
    args: argparse.Namespace, room: Room, janus: Janus, publishers: asyncio.subprocess.Process
) -> Row:
    await until(lambda: len(room.sessions) == args.count, CONNECT_TIMEOUT_S)
    server = psutil.Process(janus.pid)
    before, begun_s = server.cpu_times(), time.monotonic()
    row = await bench_row.observe(args, room)
    after, passed_s = server.cpu_times(), time.monotonic() - begun_s
    busy_s = after.user + after.system - before.user - before.system
    bench_row.tell(publishers, "stop")
    row |= bench_row.delivery(room, await bench_row.hear(publishers))
    return row | {"path": "janus", "janus_busy": busy_s / passed_s}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8")
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--core", type=int)
    parser.add_argument("--sender-core", type=int)
    parser.set_defaults(path="keyframe", loss=0.0, run=1, seed=1, burst=False)
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    print(json.dumps(asyncio.run(measure(args))))


if __name__ == "__main__":
    main()
