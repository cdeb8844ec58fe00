"""Writes both towers as ONNX, for runtimes that are none of ours (Triton, trtexec, onnxruntime).

voice.onnx: `spectrograms` (batch, 1, 512, 300) float32 -> `embeddings` (batch, V) of unit length.
face.onnx: `crops` (batch, 224, 224, 3) uint8 RGB -> the same. Weights are float32. Each file is run
in OpenVINO on noise before it counts as written.
"""

import importlib
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from engines.engine import EngineError
from engines.tower_export import export_open_batch
from vfd.checkpoint import Checkpoint
from vfd.model import VfdModel

OPSET: Final = 20
MAX_BATCH: Final = 4096
"""Only what the exporter may assume; the files name no limit."""
TOLERANCE: Final = 1e-5
"""Of a coordinate of a unit vector, against torch."""
CHECKED_BATCHES: Final = (1, 3)


def export_onnx(checkpoint: Checkpoint, folder: Path) -> tuple[Path, Path]:
    """Writes voice.onnx and face.onnx into `folder`. Raises EngineError, and leaves no file that
    does not say the same as torch."""
    _need("onnx", "onnxscript")
    folder.mkdir(parents=True, exist_ok=True)
    voice, face = (_write(part, folder) for part in _parts(checkpoint))
    return voice, face


def _need(*libraries: str) -> None:
    try:
        for name in libraries:
            importlib.import_module(name)
    except ImportError as error:
        raise EngineError(f"ONNX cannot be written ({error}): install vfd-monitor[onnx]") from error


@dataclass(frozen=True, slots=True)
class _Part:
    """One tower with everything around it; `example` is two rows of what it reads."""

    name: str
    input: str
    program: nn.Module
    example: Tensor


class _Embed(nn.Module):
    """A method of a model as a module of its own, which is what exporters take. The tower that the
    method does not use is left out: its weights would be written along."""

    def __init__(self, checkpoint: Checkpoint, method: str, unused: str) -> None:
        super().__init__()
        self.model = VfdModel.of_checkpoint(checkpoint)
        delattr(self.model, unused)
        self._method = method

    def forward(self, batch: Tensor) -> Tensor:
        embeddings: Tensor = getattr(self.model, self._method)(batch)
        return embeddings


def _parts(checkpoint: Checkpoint) -> tuple[_Part, _Part]:
    voice, face = checkpoint.info.config.voice, checkpoint.info.config.face
    noise = torch.Generator().manual_seed(0)
    spectrograms = torch.randn(2, voice.channels, *voice.image, generator=noise)
    crop_shape = (2, *face.image, face.channels)
    crops = torch.randint(0, 256, crop_shape, dtype=torch.uint8, generator=noise)
    embed_voice = _Embed(checkpoint, "embed_voice", unused="face")
    embed_faces = _Embed(checkpoint, "embed_faces", unused="voice")
    return (
        _Part("voice", "spectrograms", embed_voice, spectrograms),
        _Part("face", "crops", embed_faces, crops),
    )


def _write(part: _Part, folder: Path) -> Path:
    path = folder / f"{part.name}.onnx"
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        partial = Path(temporary) / path.name
        _export(part, partial)
        _check(part, partial)
        os.replace(partial, path)
    return path


def _export(part: _Part, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, about its own parts
            exported = torch.onnx.export(
                export_open_batch(part.program, part.example, MAX_BATCH),
                opset_version=OPSET,
                dynamo=True,
                input_names=[part.input],
                output_names=["embeddings"],
                verbose=False,
            )
            assert exported is not None  # the exporter that torch.export feeds returns a program
            exported.save(path)
    except ImportError as error:
        raise EngineError(f"ONNX cannot be written ({error}): install vfd-monitor[onnx]") from error
    except Exception as error:
        raise EngineError(f"torch did not export the {part.name} tower: {error}") from error


def _check(part: _Part, path: Path) -> None:
    """Raises EngineError unless OpenVINO says the same as torch, at more than one batch size."""
    from vfd.openvino_core import openvino_core

    try:
        compiled = openvino_core().compile_model(
            str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        for rows in CHECKED_BATCHES:
            batch = part.example[torch.arange(rows) % 2]
            with torch.inference_mode():
                expected = part.program(batch).numpy()
            _compare(part, expected, compiled([batch.numpy()])[0])
    except RuntimeError as error:
        raise EngineError(f"OpenVINO does not run {part.name}.onnx: {error}") from error


def _compare(part: _Part, expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> None:
    difference = float(np.abs(expected - found).max())
    if not difference <= TOLERANCE:
        raise EngineError(
            f"{part.name}.onnx differs from torch by {difference:.1e}, more than {TOLERANCE:.0e}; "
            "it was not kept"
        )
