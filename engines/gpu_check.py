"""Proves and measures the GPU engines where there is a GPU: `make gpu-check`, below eight minutes.

    python -m engines.gpu_check [--out FOLDER] [--presets base,tiny] [--seconds 450]

Needs torch with CUDA and this package's sources; TensorRT is checked if it is installed, and what
is missing is named in the report. Exit status: 0, 1 where an engine differs from the reference or
does not run, 3 without a CUDA device.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from engines.buckets import BUCKETS
from engines.cuda_engine import CudaEngine
from engines.engine import EngineError
from engines.gpu_measure import Check, Effort, matmul_tflops
from engines.gpu_report import GpuReport, as_markdown, write_report
from engines.hardware import nvidia_driver_version
from engines.random_weights import random_checkpoint
from engines.samples import load_samples, packaged_samples
from engines.tensorrt_build import build, import_torch_tensorrt
from engines.tensorrt_engine import TensorRtEngine
from vfd.checkpoint import Checkpoint
from vfd.model_config import PRESETS

NO_DEVICE: Final = 3
PRECISION: Final = "bf16"
DEFAULT_PRESETS: Final = ("base", "tiny", "small", "nano", "released", "vgg")
"""The most telling first: when the time is up, the last are left out."""
DEFAULT_SECONDS: Final = 450.0
"""Of the eight minutes: start and last stage take some."""
CUDA_SECONDS: Final = 30.0
TENSORRT_SECONDS: Final = 120.0
COMPILE_SECONDS: Final = 120.0
"""What one preset may take; a stage begins only while there is as much left."""
WITHOUT_GRAPHS: Final = (1, 64)
REPORTS: Final = Path(__file__).parent / "reports"


class Run:
    """The stages of one run. The report is written after every one of them."""

    def __init__(self, seconds: float, out: Path, device: str, effort: Effort) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._out = out
        self._device = device
        self.report = GpuReport(
            device=torch.cuda.get_device_name() if device == "cuda" else device,
            versions=_versions(),
            matmul_tflops=matmul_tflops(effort.matmul_size, device),
        )
        self._check = Check(self.report, load_samples(packaged_samples()), device, effort)
        self._done(f"{self.report.device}, {self.report.matmul_tflops:.0f} TFLOP/s")

    def everything(self, presets: Sequence[str], weights: Path) -> None:
        """`weights`: a folder for random weights."""
        drawn: dict[str, Checkpoint] = {}
        for preset in presets:
            if self._has_time(CUDA_SECONDS, f"torch on CUDA, {preset}"):
                path = weights / f"{preset}.safetensors"
                drawn[preset] = random_checkpoint(path, PRESETS[preset])
                self._cuda(drawn[preset])
                self._done(f"torch on CUDA, {preset}")
        for preset in drawn if self._finds_tensorrt() else ():
            if self._has_time(TENSORRT_SECONDS, f"TensorRT, {preset}"):
                self._tensorrt(drawn[preset], weights / f"{preset}-engine")
                self._done(f"TensorRT, {preset}")
        for preset in list(drawn)[:1]:
            if self._has_time(COMPILE_SECONDS, f"torch.compile, {preset}"):
                self._compiled(drawn[preset])
                self._done(f"torch.compile, {preset}")

    def _cuda(self, checkpoint: Checkpoint) -> None:
        def graphs(checkpoint: Checkpoint) -> CudaEngine:
            return CudaEngine(checkpoint, PRECISION, self._device)

        def plain(checkpoint: Checkpoint) -> CudaEngine:
            return CudaEngine(checkpoint, PRECISION, self._device, graphs=False)

        self._check.engine(checkpoint, ("cuda", "graphs"), graphs, BUCKETS)
        self._check.engine(checkpoint, ("cuda", "no graphs"), plain, WITHOUT_GRAPHS)

    def _compiled(self, checkpoint: Checkpoint) -> None:
        """At the batch of the goal only: every batch size is compiled apart."""

        def compiled(checkpoint: Checkpoint) -> CudaEngine:
            return CudaEngine(checkpoint, PRECISION, self._device, compiled=True)

        self._check.engine(checkpoint, ("cuda", "compiled"), compiled, (64,), optional=True)

    def _tensorrt(self, checkpoint: Checkpoint, folder: Path) -> None:
        preset, began = checkpoint.info.config.preset, time.monotonic()
        try:
            build(checkpoint, folder, PRECISION, device=self._device)
        except EngineError as error:
            self.report.failures.append(f"tensorrt, {preset}: {error}")
            return
        self.report.build_s[preset] = time.monotonic() - began

        def graphs(checkpoint: Checkpoint) -> TensorRtEngine:
            return TensorRtEngine(checkpoint, folder, device=self._device)

        def plain(checkpoint: Checkpoint) -> TensorRtEngine:
            return TensorRtEngine(checkpoint, folder, graphs=False, device=self._device)

        self._check.engine(checkpoint, ("tensorrt", "graphs"), graphs, BUCKETS)
        self._check.engine(checkpoint, ("tensorrt", "no graphs"), plain, WITHOUT_GRAPHS)

    def _finds_tensorrt(self) -> bool:
        try:
            self.report.versions["torch_tensorrt"] = import_torch_tensorrt().__version__
        except EngineError as error:
            self.report.skipped.append(f"TensorRT: {error}")
            return False
        return True

    def _has_time(self, need_s: float, stage: str) -> bool:
        if self._seconds - (time.monotonic() - self._began) > need_s:
            return True
        self.report.skipped.append(f"{stage}: the time was up")
        return False

    def _done(self, stage: str) -> None:
        self.report.seconds = time.monotonic() - self._began
        write_report(self._out, self.report)
        print(f"{self.report.seconds:4.0f} s  {stage}", file=sys.stderr)


def run(
    presets: Sequence[str], seconds: float, out: Path, device: str, effort: Effort
) -> GpuReport:
    """Everything that there is time for, into gpu.md and gpu.json in `out`."""
    with tempfile.TemporaryDirectory() as weights:
        running = Run(seconds, out, device, effort)
        running.everything(presets, Path(weights))
    write_report(out, running.report)
    return running.report


def _versions() -> dict[str, str]:
    return {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "CUDA": str(torch.version.cuda),
        "driver": nvidia_driver_version(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engines.gpu_check")
    parser.add_argument("--out", type=Path, default=REPORTS, help="folder of gpu.md and gpu.json")
    parser.add_argument("--presets", default=",".join(DEFAULT_PRESETS), help="separated by commas")
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="at most about this")
    options = parser.parse_args(arguments)
    presets = options.presets.split(",")
    for preset in presets:
        if preset not in PRESETS:
            parser.error(f"there is no preset {preset!r}: choose of {', '.join(PRESETS)}")
    if not torch.cuda.is_available():
        print(f"gpu-check: torch {torch.__version__} finds no CUDA device", file=sys.stderr)
        return NO_DEVICE
    report = run(presets, options.seconds, options.out, "cuda", Effort())
    print(as_markdown(report))
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
