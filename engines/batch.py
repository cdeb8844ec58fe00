"""The door of every engine: what does not fit is refused by name, before a runtime misreads it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import EngineError
from vfd.model_config import ModelConfig
from vfd.types import FACE_SIZE_PX


def checked_spectrograms(batch: NDArray[Any], config: ModelConfig) -> NDArray[np.float32]:
    """The batch, contiguous. Raises EngineError unless it is (B, 1, height, width) float32 in the
    size of the model's front end: (B, 1, 512, 300) for `stft512`."""
    return _checked(batch, (config.voice.channels, *config.voice.image), np.float32, "spectrograms")


def checked_crops(batch: NDArray[Any]) -> NDArray[np.uint8]:
    """The batch, contiguous. Raises EngineError unless it is (N, 224, 224, 3) uint8."""
    return _checked(batch, (FACE_SIZE_PX, FACE_SIZE_PX, 3), np.uint8, "crops")


def _checked(batch: NDArray[Any], row: tuple[int, ...], kind: type, name: str) -> NDArray[Any]:
    if batch.shape[1:] != row or batch.ndim != len(row) + 1 or batch.dtype != kind:
        raise EngineError(
            f"{name} are {batch.shape} {batch.dtype}, not (rows, {', '.join(map(str, row))}) "
            f"{np.dtype(kind)}"
        )
    return np.ascontiguousarray(batch)
