"""How long a training takes on GPUs, what it costs, and how many CPU cores must feed each of them.

Computed from the model's FLOP and a handful of assumptions that stand in every report; nothing here
is measured on a GPU. The rate of the input pipeline is measured on one core of this machine.
"""

import dataclasses
import itertools
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vfd.cost import flops, parameters
from vfd.model_config import PRESETS

BACKWARD: Final = 2  # times the forward pass
BYTES: Final = 4  # of a gradient, float32
NVLINK_GPUS: Final = 8  # in one machine
HEADROOM: Final = 1.25  # of the input pipeline: no step waits for an unlucky batch
MEASURED_STEPS: Final = 16  # of 32 samples: some seconds


@dataclass(frozen=True, slots=True)
class Gpu:
    """What is assumed of a data-centre GPU, by default of the H100/H200 kind. `tflops` of dense
    bf16; `utilisation` of it that training of such transformers reaches; `fixed_s` of each step for
    launches and the optimiser; gigabytes a second between GPUs of a machine and between machines,
    for gradients, of which `hidden` overlaps with the backward pass."""

    tflops: float = 989.0
    utilisation: float = 0.40
    fixed_s: float = 0.015
    nvlink_gb_s: float = 350.0
    network_gb_s: float = 40.0
    hidden: float = 0.5
    price_per_hour: float = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A training: `batch` voices a step over all GPUs, each with `faces_each` faces."""

    preset: str = "base"
    clips: int = 1_100_000
    epochs: int = 20
    batch: int = 128
    faces_each: int = 1


@dataclass(frozen=True, slots=True)
class Projection:
    """Of one plan on `gpus`. `waiting`: share of a step in which no GPU computes."""

    gpus: int
    batch: int
    samples_per_s: float
    hours: float
    cost: float
    waiting: float
    cores_per_gpu: int | None


@dataclass(frozen=True, slots=True)
class InputRate:
    """Samples a second that one core reads, decodes, augments and transforms, over all and in the
    slowest batch. `clips`: what they were drawn from."""

    samples_per_s: float
    slowest_per_s: float
    samples: int
    clips: str


def grown(plan: Plan, gpus: int) -> Plan:
    """With the batch on every GPU: another training."""
    return dataclasses.replace(plan, batch=plan.batch * gpus)


def sample_tflop(plan: Plan) -> float:
    """Of one voice and its faces, forward and backward, in TFLOP."""
    cost = flops(PRESETS[plan.preset])
    return (1 + BACKWARD) * (cost.voice + plan.faces_each * cost.face) / 1e12


def project(plan: Plan, gpus: int, rate: InputRate | None, gpu: Gpu | None = None) -> Projection:
    """`rate` of the input pipeline, None where it was not measured.

    Raises ValueError when the batch does not divide among the GPUs.
    """
    gpu = gpu or Gpu()
    if gpus < 1 or plan.batch % gpus:
        raise ValueError(f"a batch of {plan.batch} does not divide among {gpus} GPUs")
    computing_s = plan.batch / gpus * sample_tflop(plan) / (gpu.tflops * gpu.utilisation)
    step_s = computing_s + gpu.fixed_s + _exchange_s(plan, gpus, gpu)
    per_s = plan.batch / step_s
    hours = plan.clips * plan.epochs / per_s / 3600
    cores = None
    if rate is not None:
        cores = math.ceil(HEADROOM * per_s / gpus / rate.samples_per_s)
    return Projection(
        gpus,
        plan.batch,
        per_s,
        hours,
        hours * gpus * gpu.price_per_hour,
        1 - computing_s / step_s,
        cores,
    )


def input_rate(folder: Path, preset: str) -> InputRate:
    """Measured: batches as training reads them, on one core, in CPU time."""
    from training.batches import Batches
    from training.clips import Split
    from training.recipe_file import load_recipe
    from training.shard_set import open_split

    clips = open_split(folder, Split.TRAIN)
    size = min(32, clips.identities)
    changes = {
        "model.preset": preset,
        "optimiser.batch": size,
        "data.faces_each": 1,
        "loss.trait_weight": 0.0,
        # what not every preset can be trained with, and the input pipeline does not feel
        "model.batch_norm": False,
        "model.initial": "paper",
        "model.keep_voice": 1.0,
        "model.keep_face": 1.0,
    }
    batches = Batches(clips, load_recipe("synthetic-nano", changes))
    batches[1]  # opens files
    ends_s = [time.process_time()]
    for step in range(2, 2 + MEASURED_STEPS):
        batches[step]
        ends_s.append(time.process_time())
    spent_s = [end - begin for begin, end in itertools.pairwise(ends_s)]
    about = f"{len(clips):,} clips of {clips.trained_on}"
    clips.close()
    samples = MEASURED_STEPS * size
    return InputRate(samples / sum(spent_s), size / max(spent_s), samples, about)


def _exchange_s(plan: Plan, gpus: int, gpu: Gpu) -> float:
    """What a ring all-reduce of the gradients adds to a step."""
    if gpus == 1:
        return 0.0
    rate = gpu.nvlink_gb_s if gpus <= NVLINK_GPUS else gpu.network_gb_s
    gigabytes = 2 * (gpus - 1) / gpus * parameters(PRESETS[plan.preset]).total * BYTES / 1e9
    return (1 - gpu.hidden) * gigabytes / rate
