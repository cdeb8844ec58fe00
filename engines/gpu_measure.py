"""Measures one engine after another on a GPU; `engines.gpu_check` decides which. On a CPU the same
code runs, for tests: its numbers then say nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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

Make = Callable[[Checkpoint], GraphEngine]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long one batch size is measured. The goal speaks of the p99 of a batch of 64, which more
    than a hundred calls must bear out."""

    seconds: float = 0.6
    min_calls: int = 10
    min_calls_at_64: int = 150
    matmul_size: int = 8192

    def calls(self, batch: int) -> int:
        return self.min_calls_at_64 if batch == 64 else self.min_calls


class Check:
    """Adds what it finds to a report; what breaks is noted there and ends nothing else."""

    def __init__(self, report: GpuReport, samples: Samples, device: str, effort: Effort) -> None:
        self.report = report
        self._samples = samples
        self._device = device
        self._effort = effort

    def engine(
        self,
        checkpoint: Checkpoint,
        label: tuple[str, str],
        make: Make,
        batches: Sequence[int],
        optional: bool = False,
    ) -> None:
        """Parity, then speed at `batches`, then memory, of the engine that `make` opens. `label`:
        engine and mode. `optional`: the check does not fail when the engine does not run."""
        preset = checkpoint.info.config.preset
        before = self._free_memory()
        opened = None
        try:
            opened = make(checkpoint)
            parity = self._parity(checkpoint, opened, label)
            self.report.parities.append(parity)
            for batch in batches:
                self._time(checkpoint, opened, parity, batch)
            used_gib = (before - self._free_memory()) / 2**30
            self.report.memory.append(Memory(*label, preset, used_gib))
        except (EngineError, RuntimeError) as error:
            notes = self.report.skipped if optional else self.report.failures
            notes.append(f"{', '.join(label)}, {preset}: {error}")
        finally:
            if opened is not None:
                opened.close()

    def _parity(
        self, checkpoint: Checkpoint, engine: GraphEngine, label: tuple[str, str]
    ) -> GpuParity:
        """On all samples, on one fewer (which pads), and on the first alone."""
        config = checkpoint.info.config
        spectrograms, crops = self._samples.spectrograms(config), self._samples.crops
        voices, faces = embed_samples(TorchEngine(checkpoint), self._samples, config)
        worst = 0.0
        for rows in (len(crops), len(crops) - 1, 1):
            for found, expected in (
                (engine.embed_voice(spectrograms[:rows]), voices[:rows]),
                (engine.embed_faces(crops[:rows]), faces[:rows]),
            ):
                # numpy's maximum keeps a NaN, max() may lose it
                worst = float(np.maximum(worst, cosine_differences(found, expected).max()))
        limit = COSINE_LIMITS[engine.precision]
        return GpuParity(*label, config.preset, engine.precision, worst, limit)

    def _time(
        self, checkpoint: Checkpoint, engine: GraphEngine, parity: GpuParity, batch: int
    ) -> None:
        config = checkpoint.info.config
        voices = _repeated(self._samples.spectrograms(config), batch)
        faces = _repeated(self._samples.crops, batch)

        def call() -> None:
            engine.embed_voice(voices)
            engine.embed_faces(faces)

        call_s = repeat(call, self._effort.seconds, self._effort.calls(batch))
        device_s = _device_seconds(engine, batch)
        flop = float(flops(config).total)
        rate = self.report.matmul_tflops
        self.report.timings.append(timing_of(parity, batch, call_s, device_s, flop, rate))

    def _free_memory(self) -> int:
        if torch.device(self._device).type != "cuda":
            return 0
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(self._device)[0])


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


def repeat(call: Callable[[], None], seconds: float, min_calls: int) -> list[float]:
    """The seconds of every call, after two that do not count."""
    call()
    call()
    taken: list[float] = []
    ends = time.perf_counter() + seconds
    while len(taken) < min_calls or time.perf_counter() < ends:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
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
