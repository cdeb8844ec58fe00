"""What a run of the GPU check found, and how it is written down. No torch here."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

GOAL_PRESET: Final = "base"
GOAL_BATCH: Final = 64
GOAL_FLOOR_FRACTION: Final = 0.5
GOAL_P99_MS: Final = 40.0


@dataclass(frozen=True, slots=True)
class Timing:
    """One engine at one batch size. A window is one voice and one face, from numpy to numpy.

    `mode`: "graphs", "no graphs" or "compiled". `ms_per_window` and `windows_per_s` from the median
    call; `p50_ms` and `p99_ms` of `calls` calls with the whole batch. `floor_fraction`: the model's
    FLOP per second over those of a plain bf16 matrix product on the same GPU, None where that was
    not measured; the `device_` one leaves out the way from and to the host. `max_cosine_error`
    against torch in float32 on the CPU.
    """

    engine: str
    mode: str
    preset: str
    precision: str
    batch: int
    calls: int
    ms_per_window: float
    windows_per_s: float
    p50_ms: float
    p99_ms: float
    floor_fraction: float | None
    device_floor_fraction: float | None
    max_cosine_error: float


@dataclass(frozen=True, slots=True)
class GpuParity:
    """The greatest 1 - cosine to float32 torch on the CPU, over real inputs, at several batches."""

    engine: str
    mode: str
    preset: str
    precision: str
    max_cosine_error: float
    limit: float

    @property
    def passed(self) -> bool:
        return self.max_cosine_error <= self.limit  # not for NaN


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the GPU, with every batch size of `mode` in use."""

    engine: str
    mode: str
    preset: str
    gib: float


@dataclass(slots=True)
class GpuReport:
    """`versions` by library. `matmul_tflops`: 8192 x 8192 x 8192 in bf16 on random data, None where
    that did not run. `build_s`: seconds by preset, `stage_s`: by stage, its start included.
    `skipped`: what was left out, and why; `failures`: what broke; `details`: tracebacks and last
    words of what broke."""

    device: str
    versions: dict[str, str]
    matmul_tflops: float | None
    timings: list[Timing] = field(default_factory=list)
    parities: list[GpuParity] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    build_s: dict[str, float] = field(default_factory=dict)
    stage_s: dict[str, float] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def tensorrt_executed(self) -> bool:
        """A TensorRT engine ran here and said what the reference says."""
        ours = [p for p in self.parities if p.engine == "tensorrt"]
        return bool(ours) and all(p.passed for p in ours)

    @property
    def passed(self) -> bool:
        return bool(self.parities) and all(p.passed for p in self.parities) and not self.failures

    def absorb(self, found: Mapping[str, Any]) -> None:
        """Adds what another process wrote down with `as_dict`."""
        self.device = found["device"]
        self.matmul_tflops = found["matmul_tflops"]
        self.versions |= found["versions"]
        self.build_s |= found["build_s"]
        self.parities += [GpuParity(**row) for row in found["parities"]]
        self.timings += [Timing(**row) for row in found["timings"]]
        self.memory += [Memory(**row) for row in found["memory"]]
        self.skipped += found["skipped"]
        self.failures += found["failures"]
        self.details += found["details"]

    def goals(self) -> dict[str, bool | None]:
        """What the project promises of a data-centre GPU: met by the best engine, missed, or None
        where it was not measured."""
        of_base = [t for t in self.timings if t.preset == GOAL_PRESET]
        large = [t.floor_fraction or 0.0 for t in of_base if t.batch >= GOAL_BATCH]
        at_64 = [t.p99_ms for t in of_base if t.batch == GOAL_BATCH]
        return {
            f"{GOAL_PRESET}: at least {GOAL_FLOOR_FRACTION} of the matmul rate from batch "
            f"{GOAL_BATCH} on": (
                max(large) >= GOAL_FLOOR_FRACTION if large and self.matmul_tflops else None
            ),
            f"{GOAL_PRESET}: p99 of a batch of {GOAL_BATCH} below {GOAL_P99_MS:g} ms": (
                min(at_64) < GOAL_P99_MS if at_64 else None
            ),
        }

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {
            "tensorrt_executed": self.tensorrt_executed,
            "passed": self.passed,
            "goals": self.goals(),
        }


def timing_of(
    row: GpuParity,
    batch: int,
    call_s: Sequence[float],
    device_s: float,
    flop_per_window: float,
    matmul_tflops: float | None,
) -> Timing:
    """From the seconds of single calls, and the seconds that the device alone needs for one."""
    p50, p99 = (float(p) for p in np.percentile(call_s, [50, 99]))

    def floor_fraction(seconds: float) -> float | None:
        if matmul_tflops is None:
            return None
        return batch * flop_per_window / (matmul_tflops * 1e12) / seconds

    return Timing(
        engine=row.engine,
        mode=row.mode,
        preset=row.preset,
        precision=row.precision,
        batch=batch,
        calls=len(call_s),
        ms_per_window=1e3 * p50 / batch,
        windows_per_s=batch / p50,
        p50_ms=1e3 * p50,
        p99_ms=1e3 * p99,
        floor_fraction=floor_fraction(p50),
        device_floor_fraction=floor_fraction(device_s),
        max_cosine_error=row.max_cosine_error,
    )


def write_report(folder: Path, report: GpuReport) -> None:
    """gpu.json and gpu.md in `folder`, each as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_dict(), indent=1, default=float) + "\n"
    for name, content in (("gpu.json", text), ("gpu.md", as_markdown(report))):
        partial = folder / f".{name}.partial"
        partial.write_text(content, encoding="utf-8")
        os.replace(partial, folder / name)


def as_markdown(report: GpuReport) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    executed = "executed" if report.tensorrt_executed else "lowered and checked, not executed"
    parts = [
        f"# GPU check: {report.device}\n",
        f"{versions}. Made by `make gpu-check` in {report.seconds:.0f} s. Random weights; a window "
        "is one voice and one face, from numpy to numpy.\n",
        f"Plain bf16 matrix product, 8192 x 8192 x 8192, random data: {_tflops(report)}. "
        f"TensorRT: {executed}.\n",
        "## Goals\n",
        _goals(report),
        "## Parity with float32 torch on the CPU\n",
        _table(
            ("engine", "mode", "preset", "precision", "max 1 - cosine", "limit", ""),
            [
                (
                    p.engine,
                    p.mode,
                    p.preset,
                    p.precision,
                    f"{p.max_cosine_error:.1e}",
                    f"{p.limit:.0e}",
                    "passed" if p.passed else "FAILED",
                )
                for p in report.parities
            ],
        ),
        "## Speed\n",
        _table(
            (
                "engine",
                "mode",
                "preset",
                "batch",
                "ms a window",
                "windows/s",
                "p50 ms",
                "p99 ms",
                "calls",
                "of the matmul rate",
                "device alone",
            ),
            [
                (
                    t.engine,
                    t.mode,
                    t.preset,
                    str(t.batch),
                    f"{t.ms_per_window:.3f}",
                    f"{t.windows_per_s:.0f}",
                    f"{t.p50_ms:.2f}",
                    f"{t.p99_ms:.2f}",
                    str(t.calls),
                    _fraction(t.floor_fraction),
                    _fraction(t.device_floor_fraction),
                )
                for t in report.timings
            ],
        ),
        "## Memory and building\n",
        _table(
            ("engine", "mode", "preset", "GiB, every batch size in use"),
            [(m.engine, m.mode, m.preset, f"{m.gib:.2f}") for m in report.memory],
        ),
        *(f"- TensorRT built {preset} in {s:.0f} s\n" for preset, s in report.build_s.items()),
        "## Did not run\n",
        _list(report.failures),
        "## Skipped\n",
        _list(report.skipped),
        "## Time\n",
        _table(("stage", "s"), [(name, f"{s:.0f}") for name, s in report.stage_s.items()]),
        *(f"## Details\n\n```\n{text.strip()}\n```\n" for text in report.details),
    ]
    return "\n".join(parts)


def _goals(report: GpuReport) -> str:
    words = {True: "met", False: "MISSED", None: "not measured"}
    return "\n".join(f"- {goal}: {words[met]}" for goal, met in report.goals().items()) + "\n"


def _tflops(report: GpuReport) -> str:
    return f"{report.matmul_tflops:.0f} TFLOP/s" if report.matmul_tflops else "not measured"


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _list(reasons: Sequence[str]) -> str:
    return "".join(f"- {reason}\n" for reason in reasons) or "Nothing.\n"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return "Nothing was measured.\n"
    lines = [header, ("-",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
