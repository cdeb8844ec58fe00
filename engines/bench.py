"""Measures engines on the same inputs, interleaved with what the processor can do at all.

CPU engines run on one thread and are timed by process CPU time, GPU engines by the clock; the best
of the rounds counts, since everything else on a machine only ever adds to it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, EngineError
from engines.floor import Floor, cpu_seconds, floor_precisions
from engines.load import load_engine
from engines.random_weights import random_checkpoint
from engines.samples import FULL_SCALE, Samples, load_samples, packaged_samples
from engines.startup import Startup, measure_startup
from engines.verify import cosine_differences
from vfd.checkpoint import Checkpoint, load_checkpoint
from vfd.cost import flops
from vfd.front_ends import FRONT_ENDS
from vfd.model_config import PRESETS, ModelConfig

BENCH_ENGINES: Final = ("openvino", "onnxruntime", "torch", "cuda")
DEFAULT_ENGINES: Final = BENCH_ENGINES[:3]
DEFAULT_PRESETS: Final = ("nano", "tiny", "small", "base")
MIN_ROUNDS: Final = 3
ERROR_SAMPLES: Final = 2  # voices and faces: the reference takes seconds for each of `base`


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure. `checkpoint`: its model in place of random weights of `presets`.
    `seconds`: how long the rounds of one preset go on, at least MIN_ROUNDS of them."""

    presets: Sequence[str] = DEFAULT_PRESETS
    engines: Sequence[str] = DEFAULT_ENGINES
    checkpoint: Path | None = None
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
    `spectrogram_ms`: one window, by front end. `skipped`: what could not be measured, and why."""

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
    measured.spectrogram_ms = _spectrogram_ms(samples)
    floors = {precision: Floor(precision) for precision in floor_precisions()}
    for path, checkpoint in _checkpoints(order, folder):
        _bench_model(order, path, checkpoint, samples, floors, measured)
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
        engines = []
        for name in order.engines:
            try:
                engines.append(_engine(name, order, path, checkpoint))
            except EngineError as problem:
                measured.skipped.append(f"{name}, {config.preset}: {problem}")
            else:
                stack.callback(engines[-1].close)
        best_s = _race(engines, _inputs(samples, config, order.batch), floors, order.seconds)
        errors = _errors(engines, checkpoint, samples)
    for engine, seconds, error in zip(engines, best_s, errors, strict=True):
        measured.rows.append(_row(engine, config, order.batch, seconds, error, floors))
    for engine in engines if order.startup else ():
        if engine.name == "onnxruntime":
            continue
        precision = _precision(engine.name, order)
        try:
            measured.startups += measure_startup(engine.name, config.preset, path, precision)
        except EngineError as problem:
            measured.skipped.append(f"start-up of {engine.name}, {config.preset}: {problem}")


def _engine(name: str, order: Order, path: Path, checkpoint: Checkpoint) -> Engine:
    if name != "onnxruntime":
        return load_engine(name, checkpoint, precision=_precision(name, order))
    try:
        from engines.onnx_export import export_onnx
        from engines.onnxruntime_engine import OnnxRuntimeEngine
    except ImportError as error:
        raise EngineError(f"{error}: install vfd-monitor[bench]") from error
    folder = path.with_suffix(".onnx")
    folder.mkdir(exist_ok=True)
    return OnnxRuntimeEngine(*export_onnx(checkpoint, folder))


def _precision(name: str, order: Order) -> str:
    return order.precision if name != "torch" else "auto"


Inputs = tuple[NDArray[np.float32], NDArray[np.uint8]]


def _inputs(samples: Samples, config: ModelConfig, batch: int) -> Inputs:
    spectrograms = samples.spectrograms(config)
    rows = np.arange(batch)
    return spectrograms[rows % len(spectrograms)], samples.crops[rows % len(samples.crops)]


def _race(
    engines: Sequence[Engine], inputs: Inputs, floors: dict[str, Floor], seconds: float
) -> list[float]:
    """The best time of every engine for one batch, seconds."""
    spectrograms, crops = inputs

    def call(engine: Engine) -> Callable[[], object]:
        return lambda: (engine.embed_voice(spectrograms), engine.embed_faces(crops))

    calls = [call(engine) for engine in engines]
    for first in calls:
        first()  # compiles
    best = [float("inf")] * len(engines)
    until = time.monotonic() + seconds
    rounds = 0
    while rounds < MIN_ROUNDS or time.monotonic() < until:
        for floor in floors.values():
            floor.measure()
        for i, engine in enumerate(engines):
            timed = _wall_seconds if engine.name == "cuda" else cpu_seconds
            best[i] = min(best[i], timed(calls[i]))
        rounds += 1
    return best


def _wall_seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _errors(engines: Sequence[Engine], checkpoint: Checkpoint, samples: Samples) -> list[float]:
    """The greatest cosine difference of every engine from the reference."""
    spectrograms, crops = _inputs(samples, checkpoint.info.config, ERROR_SAMPLES)
    with closing(load_engine("torch", checkpoint)) as reference:
        expected = reference.embed_voice(spectrograms), reference.embed_faces(crops)
    return [
        max(
            float(cosine_differences(engine.embed_voice(spectrograms), expected[0]).max()),
            float(cosine_differences(engine.embed_faces(crops), expected[1]).max()),
        )
        for engine in engines
    ]


def _row(
    engine: Engine,
    config: ModelConfig,
    batch: int,
    seconds: float,
    error: float,
    floors: dict[str, Floor],
) -> Row:
    floor = floors.get(engine.precision) if engine.name != "cuda" else None
    rate = flops(config).total * batch / seconds
    return Row(
        engine=engine.name,
        preset=config.preset,
        precision=engine.precision,
        batch=batch,
        ms_per_window=round(1e3 * seconds / batch, 2),
        windows_per_s=round(batch / seconds, 2),
        floor_fraction=None if floor is None else round(rate / floor.rate, 3),
        max_cosine_error=float(f"{error:.2e}"),
    )


def _spectrogram_ms(samples: Samples, rounds: int = 50) -> dict[str, float]:
    sound = samples.windows[0].astype(np.float32) / np.float32(FULL_SCALE)
    found = {}
    for name, front_end in FRONT_ENDS.items():
        call = partial(front_end.compute, sound)
        found[name] = round(1e3 * min(cpu_seconds(call) for _ in range(rounds)), 3)
    return found
