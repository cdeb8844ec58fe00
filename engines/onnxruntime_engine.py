"""The exported ONNX files on onnxruntime's CPU provider: what others would use, to compare with."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.engine import Embeddings, EngineError

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is loaded; from 1.32 on it reports usage
import onnxruntime


class OnnxRuntimeEngine:
    """Implements `Engine` for the benchmark, in float32."""

    name = "onnxruntime"
    precision = "f32"
    best_batch = 8

    def __init__(self, voice: Path, face: Path, threads: int = 1) -> None:
        """Raises EngineError."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._voice, self._face = (
                onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                for path in (voice, face)
            )
        except Exception as error:  # its exceptions have no class of their own in common
            raise EngineError(f"onnxruntime does not load the model: {error}") from error

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> Embeddings:
        """See `Engine.embed_voice`."""
        return _run(self._voice, spectrograms)

    def embed_faces(self, crops: NDArray[np.uint8]) -> Embeddings:
        """See `Engine.embed_faces`."""
        return _run(self._face, crops)

    def close(self) -> None:
        """See `Engine.close`."""
        self._voice = self._face = None


def _run(session: onnxruntime.InferenceSession, rows: NDArray[Any]) -> Embeddings:
    try:
        found: Embeddings = session.run(None, {session.get_inputs()[0].name: rows})[0]
    except Exception as error:
        message = f"onnxruntime did not run a batch of shape {rows.shape}: {error}"
        raise EngineError(message) from error
    return found
