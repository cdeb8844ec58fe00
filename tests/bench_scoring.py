"""How many participants one engine thread scores every second, into `monitor/reports/scoring.md`.

make bench-scoring

Everything behind the buffers is the service's own: the loop, the batches, the front end, the
engine, the decisions. Sound is written in packets of 20 ms and a new face every two seconds, what
the receiver brings with its default settings.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from engines.engine import Engine
from engines.floor import Floor
from engines.load import load_engine
from engines.random_weights import random_checkpoint
from monitor.alerts import Alerter
from monitor.config import Config, MetricsConfig
from monitor.cpu import Stage, StageCpu
from monitor.events import EventBus
from monitor.metrics import Metrics
from monitor.record import RecordSink
from monitor.scorer import Scorer
from monitor.scoring import ScoringLoop
from monitor.sessions import Registry, Session
from tests.bench_demo import machine
from tests.fakes import LIMITS, checkpoint, face, voice
from vfd.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoint_path
from vfd.model_config import PRESETS
from vfd.types import SAMPLE_RATE_HZ, ParticipantKey, Reason

REPORT: Final = Path(__file__).parents[1] / "monitor" / "reports" / "scoring.md"
GOAL: Final = 20
GOAL_PRESET: Final = "tiny"
COUNTS: Final = {"nano": (20, 30, 40, 50), "tiny": (4, 12, 20, 24)}
WARM_UP_S: Final = 6.0  # sound fills a window, everybody's first face is embedded
PACKET_S: Final = 0.02
FACE_EVERY_S: Final = 2.0
FLOOR_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    preset: str
    precision: str
    participants: int
    scored: float
    overloaded: int
    p95_s: float
    engine_ms: float
    """CPU of the engine's thread for a participant and second."""
    floor: int
    """GFLOP/s of one plain product, right after (`engines.floor`): how fast the machine was."""


class Crowd:
    """Participants behind the service's scoring loop."""

    def __init__(self, engine: Engine, count: int, front_end: str) -> None:
        config = Config()
        self.registry = Registry(config, LIMITS)
        self.cpu = StageCpu()
        self.metrics = Metrics(self.registry, MetricsConfig(), self.cpu)
        bus = EventBus(self.metrics)
        scorer = Scorer(engine, config.scoring.faces_per_window, front_end)
        alerter = Alerter(checkpoint(), LIMITS, [RecordSink(bus, self.metrics)])
        self.loop = ScoringLoop(
            self.registry,
            scorer,
            config.scoring,
            time.monotonic,
            bus,
            self.metrics,
            alerter,
            self._heard,
        )
        names = [ParticipantKey("bench", f"p{i}") for i in range(count)]
        self.sessions = [self.registry.join(name, time.monotonic()) for name in names]
        self._sound = voice(10.0)

    async def talk(self) -> None:
        """Writes packets as they would come, and faces one participant after another."""
        size = round(PACKET_S * SAMPLE_RATE_HZ)
        begun_s, packet = time.monotonic(), 0
        while True:
            time_s = begun_s + packet * PACKET_S
            await asyncio.sleep(max(0.0, time_s - time.monotonic()))
            at = packet * size % len(self._sound)
            for i, session in enumerate(self.sessions):
                session.buffer.write_audio(time_s, self._sound[at : at + size])
                if (packet + 7 * i) % round(FACE_EVERY_S / PACKET_S) == 0:
                    session.buffer.write_face(face(time_s, 160))
            packet += 1

    async def _heard(self, end_s: float) -> None:
        """Whatever is there lies in the buffers already."""


async def measure(engine: Engine, model: Checkpoint, count: int, seconds: float) -> Row:
    crowd = Crowd(engine, count, model.info.config.front_end)
    tasks = [asyncio.create_task(crowd.talk()), asyncio.create_task(crowd.loop.run())]
    await asyncio.sleep(WARM_UP_S)
    before = _counts(crowd.sessions), crowd.cpu.sample()[Stage.ENGINE]
    since_s = time.monotonic()
    latencies = await _latencies(crowd, since_s + seconds)
    took_s = time.monotonic() - since_s
    scored, overloaded = np.subtract(_counts(crowd.sessions), before[0])
    engine_s = crowd.cpu.sample()[Stage.ENGINE] - before[1]
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return Row(
        model.info.config.preset,
        engine.precision,
        count,
        round(float(scored / max(1, scored + overloaded)), 3),
        int(overloaded),
        round(float(np.percentile(latencies, 95)), 2),
        round(1e3 * engine_s / took_s / count, 1),
        _floor(engine.precision),
    )


def _floor(precision: str) -> int:
    floor = Floor(precision)
    for _ in range(FLOOR_ROUNDS):
        floor.measure()
    return round(floor.rate / 1e9)


async def _latencies(crowd: Crowd, until_s: float) -> list[float]:
    """From the end of a window to its score, seen within 5 ms."""
    found, last = [float("nan")], {session.key: session.last_score for session in crowd.sessions}
    while time.monotonic() < until_s:
        await asyncio.sleep(0.005)
        now_s = time.monotonic()
        for session in crowd.sessions:
            score = session.last_score
            if score is not None and score is not last[session.key]:
                last[session.key] = score
                found.append(now_s - score.end_s)
    return found[1:] or found


def _counts(sessions: list[Session]) -> tuple[int, int]:
    scored = sum(session.scored for session in sessions)
    return scored, sum(session.abstained[Reason.OVERLOADED] for session in sessions)


def models(folder: Path) -> Iterator[Checkpoint]:
    """The weights that ship, and random ones of `tiny`: weights change no time."""
    yield load_checkpoint(shipped_checkpoint_path())
    yield random_checkpoint(folder / "tiny.safetensors", PRESETS["tiny"])


def markdown(rows: list[Row], command: str) -> str:
    lines = [
        "# Participants on one engine thread",
        "",
        f"Written by `{command}` on {machine()}, OpenVINO {version('openvino')}, load "
        f"{os.getloadavg()[0]:.2f} at the end. Sound and a new face every {FACE_EVERY_S:.0f} s go "
        "into the buffers; loop, front end, engine and decisions are the service's. A second whose "
        "step cannot begin within half a second, because the one before runs over, is skipped and "
        "counted as `overloaded`. The floor, one plain product right after each row, says how fast "
        "this shared machine was then.",
        "",
        "| preset | precision | participants | scored | overloaded | window to score p95, s | "
        "engine CPU, ms a participant-second | floor, GFLOP/s |",
        "|-|-|-|-|-|-|-|-|",
        *("| " + " | ".join(map(str, astuple(row))) + " |" for row in rows),
        "",
    ]
    for preset in COUNTS:
        clean = [row for row in rows if row.preset == preset and row.overloaded == 0]
        largest = max((row.participants for row in clean), default=0)
        goal = f", goal {GOAL}" if preset == GOAL_PRESET else ""
        lines.append(f"- `{preset}`: {largest} without a second skipped{goal}.")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="for each row")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in models(Path(folder)):
            with contextlib.closing(load_engine("openvino", model)) as engine:
                for count in COUNTS[model.info.config.preset]:
                    rows.append(asyncio.run(measure(engine, model, count, options.seconds)))
                    print(rows[-1], flush=True)
    REPORT.write_text(markdown(rows, "make bench-scoring"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
