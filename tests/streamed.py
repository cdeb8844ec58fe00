"""RTMP, and HLS of the same publisher, followed by a monitor that notes how they come out of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from monitor.buffers import ParticipantBuffer
from monitor.call_urls import parse_call_url
from monitor.calls import Call, CallState
from monitor.face_worker import FaceWorker
from monitor.service import Service
from monitor.sessions import Session
from tests.following import CONFIG
from tests.marked import Marks, marked
from tests.peers import monitor, until
from tests.stream_servers import nginx, publishing
from vfd.types import Audio, Rgb

KINDS = ("rtmp", "hls")
JOINED_WITHIN_S = 40.0
SAMPLE_S = 1.0


@dataclass
class Followed:
    """Of one stream. `latencies_s`: one a second; `attempts` to join it."""

    marks: Marks = field(default_factory=Marks)
    latencies_s: list[float] = field(default_factory=list)
    skipped_s: float = 0.0
    attempts: int = 0


@dataclass
class Outcome:
    """`memory`: seconds and MB of the process; `busy`: its share of a core."""

    streams: dict[str, Followed]
    memory: NDArray[np.float64]
    busy: float


@contextmanager
def noting(streams: dict[str, Followed]) -> Iterator[None]:
    """What is written into buffers, and which pictures are looked at."""
    write, submit = ParticipantBuffer.write_audio, FaceWorker.submit

    def heard(self: ParticipantBuffer, time_s: float, samples: Audio) -> None:
        streams[self.key.call].marks.hear(time_s, samples)
        write(self, time_s, samples)

    def seen(self: FaceWorker, session: Session, time_s: float, rgb: Rgb) -> None:
        streams[session.key.call].marks.see(time_s, rgb)
        submit(self, session, time_s, rgb)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ParticipantBuffer, "write_audio", heard)
        patch.setattr(FaceWorker, "submit", seen)
        yield


@asynccontextmanager
async def served(folder: Path, seconds: int) -> AsyncIterator[dict[str, str]]:
    """A URL for each of KINDS, of marked media."""
    media = await asyncio.to_thread(marked, folder, seconds)
    async with nginx(folder / "nginx") as server:
        to = ("-c", "copy", "-f", "flv", f"{server.rtmp}/talk")
        async with publishing(media, *to, log=folder / "ffmpeg.log"):
            await until((server.folder / "hls" / "talk.m3u8").exists, 20)
            yield {"rtmp": f"{server.rtmp}/talk", "hls": f"{server.http}/hls/talk.m3u8"}


async def follow(folder: Path, seconds: int) -> Outcome:
    """Both at once, for so long after they were joined."""
    streams = {kind: Followed() for kind in KINDS}
    # Half a minute more, for joining: the publisher must not begin anew.
    async with served(folder, seconds + round(JOINED_WITHIN_S) + 20) as urls:
        with noting(streams):
            async with monitor(CONFIG) as service:
                calls = {k: service.calls.add(parse_call_url(url), k) for k, url in urls.items()}
                await until(lambda: all(_plays(service, k) for k in KINDS), JOINED_WITHIN_S)
                outcome = await _sample(service, streams, seconds)
                for kind, call in calls.items():
                    _note_end(service, call, streams[kind])
    return outcome


def _plays(service: Service, kind: str) -> bool:
    return kind in service.calls.delays()


async def _sample(service: Service, streams: dict[str, Followed], seconds: int) -> Outcome:
    process, memory = psutil.Process(), []
    begun_s, begun_cpu_s = time.monotonic(), time.process_time()
    while (passed_s := time.monotonic() - begun_s) < seconds:
        memory.append((passed_s, process.memory_info().rss / 2**20))
        for kind, delay in service.calls.delays().items():
            streams[kind].latencies_s.append(delay.latency_s)
        await asyncio.sleep(SAMPLE_S)
    busy = (time.process_time() - begun_cpu_s) / passed_s
    return Outcome(streams, np.array(memory), busy)


def _note_end(service: Service, call: Call, followed: Followed) -> None:
    assert call.state is CallState.JOINED, call.message
    followed.attempts = call.attempts
    followed.skipped_s = service.calls.delays()[call.id].skipped_s
