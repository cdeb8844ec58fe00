"""The seam between scoring and whatever runs the model."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Embeddings = NDArray[np.float32]
"""(rows, D) float32, every row of unit length."""


class EngineError(Exception):
    """An engine could not be loaded or did not run; the message says why and what to do."""


class Engine(Protocol):
    """Runs both towers of one checkpoint. Called from one thread at a time."""

    name: str
    """As in `engines.load.ENGINES`."""

    precision: str
    """Of the arithmetic: "f32", "bf16", "fp16" or "int8"."""

    best_batch: int
    """The batch at which throughput stops rising; callers split larger work."""

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> Embeddings:
        """(B, 1, height, width) float32 from the checkpoint's front end -> (B, D). Raises
        EngineError."""
        ...

    def embed_faces(self, crops: NDArray[np.uint8]) -> Embeddings:
        """(N, 224, 224, 3) uint8 RGB, aligned -> (N, D). Raises EngineError."""
        ...

    def close(self) -> None:
        """Frees what the engine holds; idempotent."""
        ...
