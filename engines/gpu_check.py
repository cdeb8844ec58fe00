"""Proves and measures the GPU engines where there is a GPU: `make gpu-check`, below eight minutes.

    python -m engines.gpu_check [--out FOLDER] [--presets base,tiny] [--seconds 450]

Needs torch with CUDA and this package's sources; TensorRT is checked if it is installed, and what
is missing is named in the report. Every stage is a process of its own (`engines.gpu_stage`) with a
limit; gpu.md and gpu.json are written after each. Exit status: 0, 1 where an engine differs from
the reference or does not run, 3 without a CUDA device, and then without a report.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch

from engines.gpu_report import GpuReport, as_markdown, write_report
from vfd.model_config import PRESETS

NO_DEVICE: Final = 3
DEFAULT_PRESETS: Final = ("base", "tiny", "small", "nano", "released", "vgg")
"""The most telling first: when the time is up, the last are left out."""
DEFAULT_SECONDS: Final = 450.0
"""Of the eight minutes: the last stage may take a while to end."""
LAST_WORDS: Final = 4000
"""Characters of what a stage printed before it broke."""
REPORTS: Final = Path(__file__).parent / "reports"
SOURCES: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Stage:
    """`preset` is empty where none matters. It begins while `need_s` are left, and is stopped after
    `limit_s`: starting Python and CUDA counts."""

    kind: str
    preset: str
    need_s: float
    limit_s: float

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.preset}" if self.preset else self.kind


Launch = Callable[[Stage, Path, float | None, float], str | None]
"""Stage, file for its findings, TFLOP/s of the plain product, seconds -> None, or how it broke."""


def stages(presets: Sequence[str], tensorrt: bool) -> Iterator[Stage]:
    """In order. The first preset is checked in every way before the others come."""
    yield Stage("matmul", "", 10.0, 120.0)  # the first to load torch and CUDA waits for the disk
    for index, preset in enumerate(presets):
        yield Stage("cuda", preset, 25.0, 120.0)
        if tensorrt and index == 0:
            yield Stage("tensorrt", preset, 60.0, 240.0)
        if index == 0:
            yield Stage("compiled", preset, 60.0, 150.0)
    for preset in presets[1:] if tensorrt else ():
        yield Stage("tensorrt", preset, 60.0, 150.0)


class Run:
    """The stages of one run, and what they found."""

    def __init__(self, seconds: float, out: Path, launch: Launch) -> None:
        self._began = time.monotonic()
        self._seconds = seconds
        self._out = out
        self._launch = launch
        self.report = GpuReport(device="unknown", versions={}, matmul_tflops=None)

    def everything(self, presets: Sequence[str], folder: Path) -> None:
        """`folder` for what the stages write. Returns early only when it is interrupted."""
        tensorrt = find_spec("torch_tensorrt") is not None
        if not tensorrt:
            self.report.skipped.append("TensorRT: torch_tensorrt is not installed")
        for stage in stages(presets, tensorrt):
            self._stage(stage, folder / f"{stage.kind}-{stage.preset}.json")
            self.report.seconds = time.monotonic() - self._began
            write_report(self._out, self.report)
            print(f"{self.report.seconds:4.0f} s  {stage.name}", file=sys.stderr, flush=True)

    def _stage(self, stage: Stage, found: Path) -> None:
        left_s = self._seconds - (time.monotonic() - self._began)
        if left_s < stage.need_s:
            self.report.skipped.append(f"{stage.name}: the time was up")
            return
        if stage.kind == "tensorrt" and self._tensorrt_is_out():
            return
        began = time.monotonic()
        limit_s = min(stage.limit_s, max(left_s, stage.need_s))
        broke = self._launch(stage, found, self.report.matmul_tflops, limit_s)
        self.report.stage_s[stage.name] = time.monotonic() - began
        with suppress(FileNotFoundError):  # of a stage that broke before it found anything
            self.report.absorb(json.loads(found.read_text(encoding="utf-8")))
        if broke is not None:
            notes = self.report.skipped if stage.kind == "compiled" else self.report.failures
            lines = broke.strip().splitlines()
            notes.append(f"{stage.name}: {': '.join(dict.fromkeys((lines[0], lines[-1])))}")
            self.report.details.append(f"{stage.name}: {broke}")

    def _tensorrt_is_out(self) -> bool:
        """Whether an earlier stage could not even import it."""
        return any(reason.startswith("TensorRT:") for reason in self.report.skipped)


def launch(stage: Stage, found: Path, tflops: float | None, limit_s: float) -> str | None:
    """See Launch."""
    command = [sys.executable, "-m", "engines.gpu_stage", stage.kind, str(found)]
    command += ["--preset", stage.preset] if stage.preset else []
    command += ["--tflops", str(tflops)] if tflops is not None else []
    return ran(command, limit_s)


def ran(command: Sequence[str], limit_s: float) -> str | None:
    """Runs a program with all that it starts. None if it ended well; else how it ended, on one
    line, and the last that it printed."""
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            command,
            cwd=SOURCES,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(limit_s)
            how = f"it ended with status {status}" if status >= 0 else _signal(-status)
        except subprocess.TimeoutExpired:
            status, how = -1, f"it was stopped after {limit_s:.0f} s"
        finally:
            with suppress(ProcessLookupError):  # of compilers that it started, or itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        printed.seek(0)
        said = printed.read().decode(errors="replace")
    return None if status == 0 else f"{how}\n{said[-LAST_WORDS:]}"


def _signal(number: int) -> str:
    return f"it was ended by {signal.Signals(number).name}"


def run(presets: Sequence[str], seconds: float, out: Path, launch: Launch = launch) -> GpuReport:
    """Everything that there is time for, into gpu.md and gpu.json in `out`."""
    running = Run(seconds, out, launch)
    with tempfile.TemporaryDirectory() as folder:
        running.everything(presets, Path(folder))
    return running.report


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
        left_out = ", ".join(stage.name for stage in stages(presets, tensorrt=True))
        print(
            f"gpu-check: torch {torch.__version__} finds no CUDA device. Nothing was checked and "
            f"no report was written; skipped: {left_out}",
            file=sys.stderr,
        )
        return NO_DEVICE
    report = run(presets, options.seconds, options.out)
    print(as_markdown(report))
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
