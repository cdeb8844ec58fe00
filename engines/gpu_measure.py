"""Measures one engine after another on a GPU; `engines.gpu_stage` decides which. On a CPU the same
code runs, for tests: its numbers then say nothing."""

import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from engines.cuda_engine import GraphEngine
from engines.engine import EngineError
from engines.gpu_report import GpuParity, GpuReport, Memory, timing_of
from engines.samples import Samples, embed_samples
from engines.torch_engine import TorchEngine
from engines.verify import COSINE_LIMITS, cosine_differences
from vfd.checkpoint import Checkpoint
from vfd.cost import flops

Make = Callable[[], GraphEngine]

PADDED_ROWS: Final = 7
FEWEST_CALLS: Final = 3
DETAIL_CHARACTERS: Final = 4000
"""Of a traceback: the end of it says where."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long one batch size is measured. The goal speaks of the p99 of a batch of 64, which more
    than a hundred calls must bear out; a slow engine has fewer, and its row says how many."""

    seconds: float = 0.5
    min_calls: int = 8
    min_calls_at_64: int = 150
    max_seconds: float = 6.0
    matmul_size: int = 8192

    def calls(self, batch: int) -> int:
        return self.min_calls_at_64 if batch == 64 else self.min_calls


class Check:
    """Adds what it finds to a report and calls `save` after every row; what breaks is noted there
    and ends nothing else."""

    def __init__(
        self,
        report: GpuReport,
        checkpoint: Checkpoint,
        samples: Samples,
        effort: Effort,
        save: Callable[[], None],
    ) -> None:
        config = checkpoint.info.config
        self.report = report
        self._config = config
        self._effort = effort
        self._save = save
        self._inputs = samples.spectrograms(config), samples.crops
        self._expected = embed_samples(TorchEngine(checkpoint), samples, config)
        """Voices and faces by float32 torch on the CPU."""

    def engine(
        self, label: tuple[str, str], make: Make, batches: Sequence[int], optional: bool = False
    ) -> None:
        """Parity at `batches`, then speed, then memory, of the engine that `make` opens. `label`:
        engine and mode. `optional`: the check does not fail when the engine does not run."""
        what = f"{', '.join(label)}, {self._config.preset}"
        opened: list[GraphEngine] = []
        with self.noted(what, optional):
            before = _free_memory()
            opened.append(make())
            if (parity := self._parity(label, opened[0], batches, optional)) is not None:
                for batch in batches:
                    with self.noted(f"{what}, batch {batch}", optional):
                        self._time(opened[0], parity, batch)
            used_gib = (before - _free_memory()) / 2**30
            self.report.memory.append(Memory(*label, self._config.preset, used_gib))
        with self.noted(f"{what}, closing", optional):
            for engine in opened:
                engine.close()

    @contextmanager
    def noted(self, what: str, optional: bool = False) -> Iterator[None]:
        """Whatever is raised within goes into the report: nobody may be there to ask again."""
        try:
            yield
        except Exception as error:
            notes = self.report.skipped if optional else self.report.failures
            notes.append(f"{what}: {one_line(error)}")
            self.report.details.append(f"{what}\n{traceback.format_exc()[-DETAIL_CHARACTERS:]}")
        self._save()

    def _parity(
        self, label: tuple[str, str], engine: GraphEngine, batches: Sequence[int], optional: bool
    ) -> GpuParity | None:
        """On real inputs, in every bucket that is used and in one that pads. None if none ran."""
        worst: list[float] = []
        for rows in (*batches, PADDED_ROWS):
            with self.noted(f"{', '.join(label)}, {self._config.preset}, {rows} rows", optional):
                worst.append(self._difference(engine, rows))
        if not worst:
            return None
        limit = COSINE_LIMITS[engine.precision]
        preset, precision = self._config.preset, engine.precision
        parity = GpuParity(*label, preset, precision, max(worst), limit)
        self.report.parities.append(parity)
        self._save()
        return parity

    def _difference(self, engine: GraphEngine, rows: int) -> float:
        """The greatest; NaN counts as 2."""
        voices, faces = (_repeated(inputs, rows) for inputs in self._inputs)
        found = engine.embed_voice(voices), engine.embed_faces(faces)
        return max(
            float(cosine_differences(ours, _repeated(theirs, rows)).max())
            for ours, theirs in zip(found, self._expected, strict=True)
        )

    def _time(self, engine: GraphEngine, parity: GpuParity, batch: int) -> None:
        voices, faces = (_repeated(inputs, batch) for inputs in self._inputs)

        def call() -> None:
            engine.embed_voice(voices)
            engine.embed_faces(faces)

        effort = self._effort
        call_s = repeat(call, effort.seconds, effort.calls(batch), effort.max_seconds)
        device_s = _device_seconds(engine, batch)
        flop, rate = float(flops(self._config).total), self.report.matmul_tflops
        self.report.timings.append(timing_of(parity, batch, call_s, device_s, flop, rate))


def one_line(error: BaseException) -> str:
    """An error for a list: its first line, and its kind where it is none of ours."""
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return first if isinstance(error, EngineError) else f"{type(error).__name__}: {first}"


def matmul_tflops(size: int, device: str) -> float:
    """The rate of a plain bf16 product on random data; the best of five groups of ten. Zeros would
    run a tenth faster: they draw less power."""
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    out = torch.empty_like(a)

    def group() -> None:
        for _ in range(10):
            torch.mm(a, b, out=out)
        if a.is_cuda:
            torch.cuda.synchronize()

    best_s = min(repeat(group, 0.0, 5)) / 10
    return 2 * size**3 / best_s / 1e12


def repeat(
    call: Callable[[], None], seconds: float, min_calls: int, max_seconds: float = math.inf
) -> list[float]:
    """The seconds of every call, after two that do not count; three calls at least."""
    call()
    call()
    taken: list[float] = []
    began = time.perf_counter()
    while True:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
        passed = time.perf_counter() - began
        enough = len(taken) >= min_calls and passed >= seconds
        if enough or (len(taken) >= FEWEST_CALLS and passed >= max_seconds):
            return taken


def _device_seconds(engine: GraphEngine, batch: int, runs: int = 10) -> float:
    """What the device alone needs for a batch, both towers, inputs in place."""
    assert engine.voice is not None
    assert engine.face is not None
    programs = [tower.prepared(batch) for tower in (engine.voice, engine.face)]
    with torch.inference_mode(), engine.device.on_stream():
        began = time.perf_counter()
        for _ in range(runs):
            for program in programs:
                program.run_on_device()
        engine.device.synchronize()
        return (time.perf_counter() - began) / runs


def _repeated(rows: NDArray[Any], count: int) -> NDArray[Any]:
    return np.ascontiguousarray(np.resize(rows, (count, *rows.shape[1:])))


def _free_memory() -> int:
    if not torch.cuda.is_available():
        return 0
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info()[0])
