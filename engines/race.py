"""Engines timed against each other on the same inputs, round by round, beside the floor."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.engine import Embeddings, Engine, EngineError
from engines.floor import Floor, cpu_seconds
from engines.load import load_engine
from engines.samples import Samples
from engines.verify import cosine_differences
from vfd.checkpoint import Checkpoint
from vfd.model_config import ModelConfig

ON_GPU: Final = ("cuda", "tensorrt")
"""Engines timed by the clock: the processor's time says nothing of theirs."""
MIN_ROUNDS: Final = 3
ERROR_SAMPLES: Final = 2  # voices and faces: the reference takes seconds for each of `base`

Inputs = tuple[NDArray[np.float32], NDArray[np.uint8]]


@dataclass(slots=True)
class Racer:
    """`folder`: what it was loaded from, if it was built. `best_s`: its best time for one batch,
    seconds. `error`: its greatest cosine difference from the reference. `problem`: why it could not
    go on; the others do."""

    engine: Engine
    folder: Path | None = None
    best_s: float = float("inf")
    error: float = float("nan")
    problem: str | None = None

    def embed(self, inputs: Inputs) -> tuple[Embeddings, Embeddings] | None:
        """Embeddings of voices and faces; None once it has a problem."""
        if self.problem is not None:
            return None
        try:
            return self.engine.embed_voice(inputs[0]), self.engine.embed_faces(inputs[1])
        except EngineError as error:
            self.problem = str(error)
            return None


def race(racers: Sequence[Racer], inputs: Inputs, floors: Iterable[Floor], seconds: float) -> None:
    """Rounds for `seconds`, at least MIN_ROUNDS, after one that is not timed. Sets `best_s`."""
    for racer in racers:
        racer.embed(inputs)  # compiles
    until = time.monotonic() + seconds
    rounds = 0
    while rounds < MIN_ROUNDS or time.monotonic() < until:
        for floor in floors:
            floor.measure()
        for racer in racers:
            timed = _wall_seconds if racer.engine.name in ON_GPU else cpu_seconds
            racer.best_s = min(racer.best_s, timed(partial(racer.embed, inputs)))
        rounds += 1


def compare(racers: Sequence[Racer], checkpoint: Checkpoint, samples: Samples) -> None:
    """Sets `error` of every racer, against torch in float32. Raises EngineError without it."""
    inputs = inputs_of(samples, checkpoint.info.config, ERROR_SAMPLES)
    with closing(load_engine("torch", checkpoint)) as reference:
        expected = reference.embed_voice(inputs[0]), reference.embed_faces(inputs[1])
    for racer in racers:
        found = racer.embed(inputs)
        if found is not None:
            voice, face = map(cosine_differences, found, expected)
            racer.error = float(max(voice.max(), face.max()))


def inputs_of(samples: Samples, config: ModelConfig, batch: int) -> Inputs:
    """`batch` voices and faces, repeated where the samples have fewer."""
    spectrograms = samples.spectrograms(config)
    rows = np.arange(batch)
    return spectrograms[rows % len(spectrograms)], samples.crops[rows % len(samples.crops)]


def _wall_seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
