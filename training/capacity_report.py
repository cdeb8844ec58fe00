"""A projection as text for people and as JSON for programs."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.capacity import (
    HEADROOM,
    NVLINK_GPUS,
    Gpu,
    InputRate,
    Plan,
    Projection,
    grown,
    project,
    sample_tflop,
)
from training.provenance import Machine, versions
from vfd.cost import flops, parameters
from vfd.model_config import PRESETS


@dataclasses.dataclass(frozen=True, slots=True)
class Capacity:
    """What was asked, what of it was measured, and where. `rate`: None where it was not."""

    plan: Plan
    gpus: Sequence[int]
    rate: InputRate | None
    machine: Machine
    command: str
    gpu: Gpu = dataclasses.field(default_factory=Gpu)

    def same_batch(self) -> list[Projection]:
        return [project(self.plan, n, self.rate, self.gpu) for n in self.gpus]

    def grown_batch(self) -> list[Projection]:
        return [project(grown(self.plan, n), n, self.rate, self.gpu) for n in self.gpus]


def write_report(capacity: Capacity, folder: Path) -> None:
    """`capacity.md` and `capacity.json` in `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "capacity.md").write_text(markdown(capacity) + "\n", encoding="utf-8")
    text = json.dumps(as_dict(capacity), indent=1)
    (folder / "capacity.json").write_text(text + "\n", encoding="utf-8")


def as_dict(capacity: Capacity) -> dict[str, Any]:
    """For JSON."""
    return {
        "command": capacity.command,
        "machine": dataclasses.asdict(capacity.machine),
        "versions": versions(),
        "plan": dataclasses.asdict(capacity.plan),
        "assumed_gpu": dataclasses.asdict(capacity.gpu),
        "input": None if capacity.rate is None else dataclasses.asdict(capacity.rate),
        "same_batch": [dataclasses.asdict(p) for p in capacity.same_batch()],
        "batch_on_every_gpu": [dataclasses.asdict(p) for p in capacity.grown_batch()],
    }


def markdown(capacity: Capacity) -> str:
    """The plan as it is, and with a batch that grows with the GPUs."""
    plan = capacity.plan
    cost = flops(PRESETS[plan.preset])
    lines = [
        f"# Capacity: {plan.preset}, {plan.clips:,} clips, {plan.epochs} epochs",
        "",
        f"{parameters(PRESETS[plan.preset]).total / 1e6:.1f} M parameters; "
        f"{cost.voice / 1e9:.1f} GFLOP for a voice, {cost.face / 1e9:.1f} for a face, "
        f"{1e3 * sample_tflop(plan):.0f} GFLOP for a sample forward and backward "
        f"({plan.faces_each} face each).",
        "",
        *_table(capacity.same_batch()),
        "",
        f"With {plan.batch} on every GPU, which is another training (a larger batch):",
        "",
        *_table(capacity.grown_batch()),
        "",
        *_assumptions(capacity.gpu),
        *_input(capacity),
        "",
        f"Written by `{capacity.command}` on {capacity.machine}.",
        ", ".join(f"{name} {version}" for name, version in versions().items()) + ".",
    ]
    return "\n".join(lines)


def _table(projections: Sequence[Projection]) -> list[str]:
    lines = [
        "| GPUs | batch | samples/s | hours | cost, $ | not computing | CPU cores per GPU |",
        "|-|-|-|-|-|-|-|",
    ]
    for p in projections:
        cores = "not measured" if p.cores_per_gpu is None else str(p.cores_per_gpu)
        cells = [str(p.gpus), str(p.batch), f"{p.samples_per_s:,.0f}", f"{p.hours:.1f}"]
        cells += [f"{p.cost:,.0f}", f"{100 * p.waiting:.0f} %", cores]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _assumptions(gpu: Gpu) -> list[str]:
    return [
        "Computed, not measured on a GPU. Assumed: "
        f"{gpu.tflops:.0f} TFLOP/s bf16 of which {100 * gpu.utilisation:.0f} % are reached, "
        f"{1e3 * gpu.fixed_s:.0f} ms a step for launches and the optimiser, float32 gradients at "
        f"{gpu.nvlink_gb_s:.0f} GB/s within a machine of {NVLINK_GPUS} and {gpu.network_gb_s:.0f} "
        f"GB/s beyond, {100 * gpu.hidden:.0f} % of that hidden, "
        f"${gpu.price_per_hour:.2f} per GPU-hour. The paper names no epochs: our choice.",
    ]


def _input(capacity: Capacity) -> list[str]:
    rate = capacity.rate
    if rate is None:
        return []
    lines = [
        "",
        f"Input pipeline, measured in CPU time of one core of this machine: "
        f"{rate.samples_per_s:.1f} samples/s over {rate.samples} samples, "
        f"{rate.slowest_per_s:.1f} in the slowest batch, drawn from {rate.clips} (reading shards, "
        "decoding, augmentation, spectrogram). So that a GPU never waits, the tables have "
        f"{100 * (HEADROOM - 1):.0f} % more cores than the mean asks for.",
    ]
    if capacity.machine.busy:
        lines += [
            "",
            "**Other work ran beside it.** It shares caches and memory with the pipeline, which a "
            "quiet machine runs faster: fewer cores may do.",
        ]
    return lines
