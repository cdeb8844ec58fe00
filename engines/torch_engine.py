"""The model on torch: the reference that other engines are compared with."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.batch import checked_crops, checked_spectrograms
from engines.engine import Embeddings, EngineError
from vfd.checkpoint import Checkpoint
from vfd.model import VfdModel

BEST_BATCH: Final = 8
"""As in the OpenVINO engine: a CPU gains little from more."""


class TorchEngine:
    """Implements `Engine` on the CPU in float32, on as many threads as torch is set to."""

    name = "torch"
    precision = "f32"
    best_batch = BEST_BATCH

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._config = checkpoint.info.config
        self._model: VfdModel | None = VfdModel.of_checkpoint(checkpoint)

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> Embeddings:
        """See `Engine.embed_voice`."""
        x_BCHW = torch.tensor(checked_spectrograms(spectrograms, self._config))
        return _run(self._loaded().embed_voice, x_BCHW)

    def embed_faces(self, crops: NDArray[np.uint8]) -> Embeddings:
        """See `Engine.embed_faces`."""
        crops_BHWC = torch.tensor(checked_crops(crops))
        return _run(self._loaded().embed_faces, crops_BHWC)

    def close(self) -> None:
        """See `Engine.close`."""
        self._model = None

    def _loaded(self) -> VfdModel:
        if self._model is None:
            raise EngineError("the torch engine is closed")
        return self._model


def _run(method: Callable[[Tensor], Tensor], batch: Tensor) -> Embeddings:
    try:
        with torch.inference_mode():
            return method(batch).numpy()
    except RuntimeError as error:
        raise EngineError(f"torch did not run a batch of {len(batch)} rows: {error}") from error
