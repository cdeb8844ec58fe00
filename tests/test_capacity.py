"""Twenty participants, fed at the buffers, with `tiny`: everybody is scored every second, and the
engine spends no more than one core on it.

Processors differ, so what the engine spends is held against what the same process can do at all
(`engines.floor`), in CPU time: other work on the machine slows both. A core that computes bf16 at
one of the rates below carries twenty participants from that part of its rate on.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from checkpoints import write_checkpoint
from fakes import face, speak

from engines.engine import Embeddings, Engine
from engines.floor import Floor
from engines.load import load_engine
from monitor.buffers import ParticipantBuffer
from monitor.config import ScoringConfig
from monitor.evaluation import evaluate
from monitor.scorer import Scorer
from vfd.checkpoint import load_checkpoint
from vfd.cost import flops
from vfd.model_config import PRESETS
from vfd.types import WINDOW_S, ParticipantKey, Score

PEOPLE = 20
HOPS = 3
TINY = PRESETS["tiny"]
NEEDED = PEOPLE * flops(TINY).total  # FLOP/s
VECTOR_RATE, MATRIX_RATE = 445e9, 1_000e9
"""FLOP/s of bf16: the floor of one core with AVX-512, and of one with AMX, when they are alone."""
ALONE = 0.8


class Metered:
    """An engine, with the rows that it was given and the CPU seconds that it spent."""

    name, precision, best_batch = "metered", "", 0

    def __init__(self, engine: Engine) -> None:
        self.best_batch = engine.best_batch
        self._engine = engine
        self.reset()

    def reset(self) -> None:
        self.voices = self.faces = 0
        self.busy_s = 0.0

    def embed_voice(self, spectrograms: np.ndarray) -> Embeddings:
        self.voices += len(spectrograms)
        with self._metered():
            return self._engine.embed_voice(spectrograms)

    def embed_faces(self, crops: np.ndarray) -> Embeddings:
        self.faces += len(crops)
        with self._metered():
            return self._engine.embed_faces(crops)

    def close(self) -> None:
        self._engine.close()

    @contextmanager
    def _metered(self) -> Iterator[None]:
        began = time.process_time()
        yield
        self.busy_s += time.process_time() - began

    @property
    def rate(self) -> float:
        """FLOP a second since the last reset."""
        work = flops(TINY)
        return (self.voices * work.voice + self.faces * work.face) / self.busy_s


def feed(people: list[ParticipantBuffer], start_s: float, end_s: float) -> None:
    """Everybody speaks, and shows a new face at the end: no hop can use an old embedding."""
    for number, buffer in enumerate(people):
        speak(buffer, start_s, end_s)
        buffer.write_face(face(end_s, 60 + 5 * number))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_people_are_scored_every_second_by_one_core(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "random.safetensors", TINY)
    with closing(load_engine("openvino", load_checkpoint(path), threads=1)) as opened:
        engine, floor = Metered(opened), Floor(opened.precision)
        scorer = Scorer(engine, 1)
        keys = [ParticipantKey("call", f"person-{number}") for number in range(PEOPLE)]
        people = [ParticipantBuffer(key, ScoringConfig()) for key in keys]
        feed(people, 0.0, WINDOW_S)
        rates, seconds = [], []
        for end_s in np.arange(HOPS) + WINDOW_S:
            engine.reset()
            floor.measure()
            steps = evaluate(scorer, [buffer.snapshot(end_s) for buffer in people]).steps
            floor.measure()
            assert [type(step.result) for step in steps] == [Score] * PEOPLE
            assert (engine.voices, engine.faces) == (PEOPLE, PEOPLE)
            feed(people, end_s, end_s + 1.0)
            rates.append(engine.rate)
            seconds.append(engine.busy_s)
        precision = opened.precision
    fraction, busy_s = max(rates) / floor.rate, min(seconds)
    print(
        f"tiny {precision}: {PEOPLE} participants keep {busy_s:.2f} cores busy, at {fraction:.2f} "
        f"of {floor.rate / 1e9:.0f} GFLOP/s; one core carries {PEOPLE / busy_s:.0f}"
    )
    matrix_units = "amx_bf16" in Path("/proc/cpuinfo").read_text() and precision == "bf16"
    rate = MATRIX_RATE if matrix_units else VECTOR_RATE
    assert fraction >= NEEDED / rate
    alone = floor.rate >= ALONE * rate  # else other work has taken part of this very core
    assert precision != "bf16" or not alone or busy_s <= 1.0
