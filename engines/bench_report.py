"""A benchmark as a table for people, as JSON for programs, and as a report with versions."""

import dataclasses
import json
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from engines.bench import Measured, Row
from engines.info import tensorrt_status
from engines.openvino_engine import capabilities
from vfd.cost import flops
from vfd.model_config import PRESETS

LIBRARIES: Final = ("numpy", "scipy", "openvino", "torch", "onnxruntime", "vfd-monitor")
BF16_GOALS: Final = {"tiny": 0.72, "small": 0.80, "base": 0.85}
"""Of the floor, OpenVINO in bf16."""
SPECTROGRAM_GOAL_MS: Final = 1.0
CAPACITY_PRESET: Final = "tiny"
CAPACITY_GOAL: Final = 20
"""Participants scored every second."""
ISA_LIMIT: Final = "ONEDNN_MAX_CPU_ISA"
"""The environment variable by which OpenVINO and torch leave instructions of a processor unused."""


def as_dict(measured: Measured) -> dict[str, Any]:
    """JSON-safe."""
    return {"machine": machine(), "versions": versions(), **dataclasses.asdict(measured)}


def machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "capabilities": capabilities(),
        "isa_limit": os.environ.get(ISA_LIMIT, ""),
        "load_at_end": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def table(rows: list[Row]) -> str:
    """Markdown, the fields of Row in their order."""
    names = [f.name for f in dataclasses.fields(Row)]
    lines = ["| " + " | ".join(names) + " |", "|" + "-|" * len(names)]
    for row in rows:
        cells = ["-" if value is None else str(value) for value in dataclasses.astuple(row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(measured: Measured, command: str) -> str:
    """The whole report."""
    about = machine()
    libraries = ", ".join(f"{name} {v}" for name, v in versions().items())
    parts = [
        "# Engines on a CPU",
        f"Written by `{command}` on {about['processor']}, {about['cores']} cores, load "
        f"{about['load_at_end']} at the end. It computes {', '.join(about['capabilities'])}.",
        _held_to(about),
        libraries + ".",
        _busy(about),
        "A window is one voice and one face. One thread, process CPU time, best of the rounds; "
        "random weights unless a checkpoint is named, which changes no time.",
        table(measured.rows),
        "## Against the floor",
        *_floor_lines(measured),
        "\n".join(f"- {line}" for line in _goals(measured)),
        "## Against others, same inputs",
        "\n".join(f"- {line}" for line in _ratios(measured.rows)),
        "## Start-up and memory",
        _startup_table(measured),
        "## Not measured",
        "\n".join(f"- {line}" for line in [*measured.skipped, f"TensorRT: {tensorrt_status()}"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _held_to(about: dict[str, Any]) -> str:
    """A processor with matrix units has a floor some ten times that of its vector units, and what
    is no matrix product gains nothing from them: the two are read apart."""
    limit = about["isa_limit"]
    return f"Instructions beyond {limit} were left unused ({ISA_LIMIT})." if limit else ""


def _busy(about: dict[str, Any]) -> str:
    """CPU time hides most of what other work takes, the clock hides nothing."""
    if about["load_at_end"] <= about["cores"]:
        return ""
    return (
        "**Other work ran beside it.** Fractions and ratios may be off by a tenth, start-up times "
        "(by the clock) are far too long: repeat it on a quiet machine."
    )


def write_report(measured: Measured, folder: Path, command: str) -> None:
    """`cpu.md` and `cpu.json` in `folder`, which exists."""
    (folder / "cpu.md").write_text(markdown(measured, command))
    report = {"command": command, **as_dict(measured)}
    (folder / "cpu.json").write_text(json.dumps(report, indent=1) + "\n")


def _floor_lines(measured: Measured) -> list[str]:
    lines = [
        "The floor is one plain product of 1218 x 768 by 768 x 3072, in this process, between the "
        "rounds; the fastest library counts. GFLOP/s:"
    ]
    for precision, rates in measured.floors.items():
        lines.append(f"{precision}: " + ", ".join(f"{k} {v}" for k, v in rates.items()))
    return lines


def _goals(measured: Measured) -> Iterator[str]:
    for preset, goal in BF16_GOALS.items():
        found = [
            row.floor_fraction
            for row in measured.rows
            if (row.engine, row.preset, row.precision) == ("openvino", preset, "bf16")
        ]
        if found:
            yield f"OpenVINO bf16, `{preset}`: {found[0]} of the floor, goal {goal}"
        elif "BF16" not in capabilities():
            yield (
                f"OpenVINO bf16, `{preset}`: goal {goal} not measured, this processor has no bf16"
            )
    for row in measured.rows:
        if (row.engine, row.preset) == ("openvino", CAPACITY_PRESET):
            carried = f"one core with `{row.preset}` in {row.precision} carries"
            yield f"{carried} {int(row.windows_per_s)} participants, goal {CAPACITY_GOAL}"
            yield from _capacity_out_of_reach(row, measured)
    for name, ms in measured.spectrogram_ms.items():
        yield f"spectrogram `{name}`: {ms} ms a window, goal at most {SPECTROGRAM_GOAL_MS}"


def _capacity_out_of_reach(row: Row, measured: Measured) -> Iterator[str]:
    """Where not even the floor would do, no engine can."""
    needed = CAPACITY_GOAL * flops(PRESETS[CAPACITY_PRESET]).total / 1e9
    floor = max(measured.floors.get(row.precision, {}).values(), default=needed)
    if floor < needed:
        yield (
            f"{CAPACITY_GOAL} participants need {needed:.0f} GFLOP/s of one core, more than the "
            f"floor of this processor in {row.precision}: that goal needs one with bf16"
        )


def _ratios(rows: list[Row]) -> Iterator[str]:
    for ours in (row for row in rows if row.engine == "openvino"):
        for other in rows:
            same = (other.preset, other.batch) == (ours.preset, ours.batch)
            if same and other.engine != "openvino":
                ratio = other.ms_per_window / ours.ms_per_window
                yield (
                    f"`{ours.preset}`: OpenVINO {ours.precision} is {ratio:.2f} times as fast as "
                    f"{other.engine} {other.precision}"
                )


def _startup_table(measured: Measured) -> str:
    if not measured.startups:
        return ""
    lines = [
        "From the start of the process to the first score; the most memory until then.",
        "",
        "| engine | preset | model cache | s | MB |",
        "|-|-|-|-|-|",
    ]
    lines += [
        f"| {s.engine} | {s.preset} | {s.cache} | {s.ready_s} | {s.peak_rss_mb:.0f} |"
        for s in measured.startups
    ]
    return "\n".join(lines)


def _processor() -> str:
    """As the kernel names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor()
    return platform.processor()
