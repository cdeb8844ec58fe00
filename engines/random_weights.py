"""Weights by chance, for measuring speed: no engine is faster or slower for what a model knows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vfd.checkpoint import (
    FORMAT_VERSION,
    UNCALIBRATED,
    Checkpoint,
    CheckpointInfo,
    load_checkpoint,
    save_checkpoint,
)
from vfd.model_config import ModelConfig, tensor_shapes


def random_checkpoint(path: Path, config: ModelConfig, seed: int = 0) -> Checkpoint:
    """Writes and loads a model that knows nothing. Every layer keeps the size of its input, so that
    all of them take part in the result."""
    rng = np.random.default_rng(seed)
    tensors = {name: _tensor(name, s, rng) for name, s in tensor_shapes(config).items()}
    info = CheckpointInfo(
        format_version=FORMAT_VERSION,
        config=config,
        calibration=UNCALIBRATED,
        trained_on="synthetic noise: random weights",
        command="vfd-engine bench",
        commit="unknown",
    )
    save_checkpoint(path, info, tensors)
    return load_checkpoint(path)


def _tensor(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    values = rng.standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        is_gain = name.endswith("weight")  # of a LayerNorm
        return np.float32(is_gain) + np.float32(0.1) * values
    if name.endswith("positions"):
        return values
    gain = 2.0 if ".stages." in name else 1.0  # what ReLU takes away
    return values * np.float32(math.sqrt(gain / math.prod(shape[1:])))
