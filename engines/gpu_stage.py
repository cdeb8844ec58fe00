"""One stage of the GPU check, in a process of its own: a crash of a library, or a GPU that an
illegal access has left unusable, ends this stage and no other.

    python -m engines.gpu_stage STAGE FOUND.json [--preset base] [--tflops 790]

`engines.gpu_check` starts it and reads FOUND.json, which holds what was found so far, however the
process ends.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import torch

from engines.buckets import BUCKETS
from engines.cuda_engine import CudaEngine
from engines.engine import EngineError
from engines.gpu_measure import Check, Effort, matmul_tflops, one_line
from engines.gpu_report import GpuReport
from engines.hardware import nvidia_driver_version
from engines.random_weights import random_checkpoint
from engines.samples import load_samples, packaged_samples
from engines.tensorrt_build import build, import_torch_tensorrt
from engines.tensorrt_engine import TensorRtEngine
from vfd.checkpoint import Checkpoint
from vfd.model_config import PRESETS

PRECISION: Final = "bf16"
WITHOUT_GRAPHS: Final = (1, 64)
COMPILED: Final = (64, 256)
"""The batch of the goal, and where fusing pays most: every batch size is compiled apart."""


@dataclass(frozen=True, slots=True)
class Work:
    """`found`: where the report goes; its folder takes weights and engines."""

    preset: str
    found: Path
    tflops: float | None = None
    device: str = "cuda"
    effort: Effort = field(default_factory=Effort)

    def checkpoint(self) -> Checkpoint:
        return random_checkpoint(
            self.found.with_name(f"{self.preset}.safetensors"), PRESETS[self.preset]
        )


def run_stage(stage: str, work: Work) -> GpuReport:
    """Runs one of STAGES and leaves its report in `work.found`."""
    on_gpu = torch.device(work.device).type == "cuda"
    name = torch.cuda.get_device_name(work.device) if on_gpu else work.device
    report = GpuReport(device=name, versions=_versions(), matmul_tflops=work.tflops)
    STAGES[stage](report, work)
    _save(work.found, report)
    return report


def _matmul(report: GpuReport, work: Work) -> None:
    report.matmul_tflops = matmul_tflops(work.effort.matmul_size, work.device)


def _cuda(report: GpuReport, work: Work) -> None:
    checkpoint = work.checkpoint()
    make = partial(CudaEngine, checkpoint, PRECISION, work.device)
    check = _check(report, work, checkpoint)
    check.engine(("cuda", "graphs"), make, BUCKETS)
    check.engine(("cuda", "no graphs"), partial(make, graphs=False), WITHOUT_GRAPHS)


def _compiled(report: GpuReport, work: Work) -> None:
    checkpoint = work.checkpoint()
    make = partial(CudaEngine, checkpoint, PRECISION, work.device, compiled=True)
    _check(report, work, checkpoint).engine(("cuda", "compiled"), make, COMPILED, optional=True)


def _tensorrt(report: GpuReport, work: Work) -> None:
    try:
        report.versions["torch_tensorrt"] = import_torch_tensorrt().__version__
    except EngineError as error:
        report.skipped.append(f"TensorRT: {one_line(error)}")
        return
    checkpoint, folder = work.checkpoint(), work.found.with_name(f"{work.preset}-engine")
    check, began = _check(report, work, checkpoint), time.monotonic()
    with check.noted(f"tensorrt, {work.preset}, building"):
        manifest = build(checkpoint, folder, PRECISION, device=work.device)
        report.build_s[work.preset] = time.monotonic() - began
        report.versions |= manifest.versions
    if work.preset in report.build_s:
        make = partial(TensorRtEngine, checkpoint, folder, device=work.device)
        check.engine(("tensorrt", "graphs"), make, BUCKETS)
        check.engine(("tensorrt", "no graphs"), partial(make, graphs=False), WITHOUT_GRAPHS)


STAGES: Final[dict[str, Callable[[GpuReport, Work], None]]] = {
    "matmul": _matmul,
    "cuda": _cuda,
    "compiled": _compiled,
    "tensorrt": _tensorrt,
}


def _check(report: GpuReport, work: Work, checkpoint: Checkpoint) -> Check:
    samples = load_samples(packaged_samples())
    return Check(report, checkpoint, samples, work.effort, partial(_save, work.found, report))


def _save(path: Path, report: GpuReport) -> None:
    partial_path = path.with_suffix(".partial")
    partial_path.write_text(json.dumps(report.as_dict(), default=float), encoding="utf-8")
    os.replace(partial_path, path)


def _versions() -> dict[str, str]:
    return {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "CUDA": str(torch.version.cuda),
        "driver": nvidia_driver_version(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m engines.gpu_stage")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("found", type=Path)
    parser.add_argument("--preset", default="nano", choices=PRESETS)
    parser.add_argument("--tflops", type=float)
    options = parser.parse_args(arguments)
    run_stage(options.stage, Work(options.preset, options.found, options.tflops))


if __name__ == "__main__":
    main()
