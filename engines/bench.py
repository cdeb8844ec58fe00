"""Measures engines on the same inputs, interleaved with what the processor can do at all.

CPU engines run on one thread and are timed by process CPU time, GPU engines by the clock; the best
of the rounds counts, since everything else on a machine only ever adds to it.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from engines.engine import Engine, EngineError
from engines.floor import Floor, cpu_seconds, floor_precisions
from engines.load import load_engine
from engines.manifest import read_manifest
from engines.race import ON_GPU, Racer, compare, inputs_of, race
from engines.random_weights import random_checkpoint
from engines.samples import FULL_SCALE, Samples, load_samples, packaged_samples
from engines.startup import Startup, measure_startup
from vfd.checkpoint import Checkpoint, load_checkpoint
from vfd.cost import flops
from vfd.front_ends import FRONT_ENDS
from vfd.model_config import PRESETS, ModelConfig

BENCH_ENGINES: Final = ("openvino", "onnxruntime", "torch", "cuda")
DEFAULT_ENGINES: Final = BENCH_ENGINES[:3]
DEFAULT_PRESETS: Final = ("nano", "tiny", "small", "base")


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure. `checkpoint`: its model in place of random weights of `presets`.
    `folder`: what `vfd-engine build` wrote for that checkpoint, measured beside `engines`.
    `seconds`: how long the rounds of one preset go on."""

    presets: Sequence[str] = DEFAULT_PRESETS
    engines: Sequence[str] = DEFAULT_ENGINES
    checkpoint: Path | None = None
    folder: Path | None = None
    precision: str = "auto"
    batch: int = 1
    seconds: float = 12.0
    startup: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A window is one voice and one face. `floor_fraction`: the model's FLOP per second over those
    of the floor in the same precision, both of this process; None on a GPU. `max_cosine_error`
    against torch in float32."""

    engine: str
    preset: str
    precision: str
    batch: int
    ms_per_window: float
    windows_per_s: float
    floor_fraction: float | None
    max_cosine_error: float


@dataclass(slots=True)
class Measured:
    """What a benchmark found. `floors`: GFLOP per second by precision and library, the best seen.
    `spectrogram_ms`: one window, by front end, the best of the run. `skipped`: what could not be
    measured, and why."""

    rows: list[Row] = field(default_factory=list)
    floors: dict[str, dict[str, float]] = field(default_factory=dict)
    startups: list[Startup] = field(default_factory=list)
    spectrogram_ms: dict[str, float] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def bench(order: Order, folder: Path) -> Measured:
    """Measures everything that `order` names; `folder` takes temporary files. Raises EngineError
    and CheckpointError where a single engine cannot be blamed."""
    measured = Measured()
    samples = load_samples(packaged_samples())
    floors = {precision: Floor(precision) for precision in floor_precisions()}
    for path, checkpoint in _checkpoints(order, folder):
        _bench_front_ends(samples, measured)
        _bench_model(order, path, checkpoint, samples, floors, measured)
    _bench_front_ends(samples, measured)
    for precision, floor in floors.items():
        rates = {name: round(rate / 1e9, 1) for name, rate in floor.rates().items()}
        measured.floors[precision] = rates
    return measured


def _checkpoints(order: Order, folder: Path) -> Iterator[tuple[Path, Checkpoint]]:
    if order.checkpoint is not None:
        yield order.checkpoint, load_checkpoint(order.checkpoint)
        return
    for preset in order.presets:
        path = folder / f"{preset}.safetensors"
        yield path, random_checkpoint(path, PRESETS[preset])


def _bench_model(
    order: Order,
    path: Path,
    checkpoint: Checkpoint,
    samples: Samples,
    floors: dict[str, Floor],
    measured: Measured,
) -> None:
    config = checkpoint.info.config
    with ExitStack() as stack:
        racers = []
        for name, folder in _contestants(order):
            try:
                racers.append(Racer(_engine(name, folder, order, path, checkpoint), folder))
            except EngineError as problem:
                measured.skipped.append(f"{name}, {config.preset}: {problem}")
            else:
                stack.callback(racers[-1].engine.close)
        race(racers, inputs_of(samples, config, order.batch), floors.values(), order.seconds)
        compare(racers, checkpoint, samples)
    for racer in racers:
        if racer.problem is not None:
            measured.skipped.append(f"{racer.engine.name}, {config.preset}: {racer.problem}")
            continue
        measured.rows.append(_row(racer, config, order.batch, floors))
        if order.startup and racer.engine.name != "onnxruntime":
            _bench_startup(racer, order, path, config, measured)


def _contestants(order: Order) -> Iterator[tuple[str, Path | None]]:
    for name in order.engines:
        yield name, None
    if order.folder is not None:
        yield read_manifest(order.folder).engine, order.folder


def _engine(
    name: str, folder: Path | None, order: Order, path: Path, checkpoint: Checkpoint
) -> Engine:
    if name != "onnxruntime":
        precision = _precision(name, folder, order)
        return load_engine(name, checkpoint, folder=folder, precision=precision)
    try:
        from engines.onnx_export import export_onnx
        from engines.onnxruntime_engine import OnnxRuntimeEngine
    except ImportError as error:
        raise EngineError(f"{error}: install vfd-monitor[bench]") from error
    exported = path.with_suffix(".onnx")
    exported.mkdir(exist_ok=True)
    return OnnxRuntimeEngine(*export_onnx(checkpoint, exported))


def _precision(name: str, folder: Path | None, order: Order) -> str:
    """A folder has its own, and the reference only one."""
    return "auto" if folder is not None or name == "torch" else order.precision


def _bench_startup(
    racer: Racer, order: Order, path: Path, config: ModelConfig, measured: Measured
) -> None:
    name = racer.engine.name
    precision = _precision(name, racer.folder, order)
    try:
        measured.startups += measure_startup(name, config.preset, path, precision, racer.folder)
    except EngineError as problem:
        measured.skipped.append(f"start-up of {name}, {config.preset}: {problem}")


def _row(racer: Racer, config: ModelConfig, batch: int, floors: dict[str, Floor]) -> Row:
    engine, seconds = racer.engine, racer.best_s
    floor = floors.get(engine.precision) if engine.name not in ON_GPU else None
    rate = flops(config).total * batch / seconds
    return Row(
        engine=engine.name,
        preset=config.preset,
        precision=engine.precision,
        batch=batch,
        ms_per_window=round(1e3 * seconds / batch, 2),
        windows_per_s=round(batch / seconds, 2),
        floor_fraction=None if floor is None else round(rate / floor.rate, 3),
        max_cosine_error=float(f"{racer.error:.2e}"),
    )


def _bench_front_ends(samples: Samples, measured: Measured, rounds: int = 200) -> None:
    """Between the models, because a neighbour on the same core makes it half as fast for seconds
    on end: as everywhere here, the best counts."""
    sound = samples.windows[0].astype(np.float32) / np.float32(FULL_SCALE)
    for name, front_end in FRONT_ENDS.items():
        call = partial(front_end.compute, sound, np.empty((1, *front_end.shape), np.float32))
        best = round(1e3 * min(cpu_seconds(call) for _ in range(rounds)), 3)
        measured.spectrogram_ms[name] = min(best, measured.spectrogram_ms.get(name, best))
