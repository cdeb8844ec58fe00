"""The model in torch on an NVIDIA GPU: what serves there when TensorRT is absent.

Weights and arithmetic are bf16; scaling of crops and the unit length are float32. No compiler is
needed: kernels are those of torch, launched as CUDA graphs. `compiled=True` lets Inductor fuse the
small ones first, which costs its compilation at every start.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engines.batch import checked_crops, checked_spectrograms
from engines.buckets import BUCKETS
from engines.cuda_graphs import (
    Device,
    GraphedTower,
    Program,
    Rows,
    describe_memory,
    is_out_of_memory,
)
from engines.engine import Embeddings, EngineError
from vfd.checkpoint import Checkpoint
from vfd.model import VfdModel, scale_faces
from vfd.model_config import COSINE_EPS, FACE_NORMALISATIONS, ModelConfig

BEST_BATCH: Final = 64
"""From here on `base` fills a data-centre GPU; a call stays well below a hop."""
PRECISIONS: Final = {"bf16": torch.bfloat16, "fp16": torch.float16, "f32": torch.float32}
BEYOND_FP16: Final = ("mel128",)
"""Front ends without a logarithm: powers of loud speech pass 65504."""

COMPILED_FROM: Final = 16
"""Below, a GPU waits for memory and launches whatever Inductor does: not worth its compilation."""

TowerAt = Callable[[int], Callable[[Tensor], Tensor]]
"""For a batch size: (B, C, H, W) -> (B, V), both in the precision of the engine."""


Prepare = Callable[[Tensor], Tensor]
"""Rows as the host sent them -> the picture that a tower reads, (B, C, H, W) float32."""


class GraphEngine:
    """Implements `Engine` for towers on the GPU, whoever made them."""

    name = "cuda"
    best_batch = BEST_BATCH

    def __init__(
        self,
        config: ModelConfig,
        device: Device,
        precision: str,
        towers: tuple[TowerAt, TowerAt],
        largest: int = BUCKETS[-1],
    ) -> None:
        """`towers`: voice and face. `largest`: the greatest batch that they take.
        Raises EngineError when they do not run."""
        voice_at, face_at = towers
        dtype = dtype_of(precision, config)
        scale = partial(scale_faces, normalisation=FACE_NORMALISATIONS[config.face_normalisation])
        voice_rows = Rows((config.voice.channels, *config.voice.image), torch.float32)
        face_rows = Rows((*config.face.image, config.face.channels), torch.uint8)

        def graphed(tower_at: TowerAt, prepare: Prepare, rows: Rows) -> GraphedTower:
            return GraphedTower(
                lambda bucket: _program(tower_at(bucket), prepare, dtype),
                rows,
                config.embedding,
                device,
                largest,
            )

        self.precision = precision
        self.device = device
        self._config = config
        self.voice: GraphedTower | None = graphed(voice_at, lambda x: x, voice_rows)
        self.face: GraphedTower | None = graphed(face_at, scale, face_rows)
        # One row of each, so that an engine that does not run here says so when it is loaded.
        self.embed_voice(np.zeros((1, *voice_rows.shape), np.float32))
        self.embed_faces(np.zeros((1, *face_rows.shape), np.uint8))

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> Embeddings:
        """See `Engine.embed_voice`."""
        return _open(self.voice).embed(checked_spectrograms(spectrograms, self._config))

    def embed_faces(self, crops: NDArray[np.uint8]) -> Embeddings:
        """See `Engine.embed_faces`."""
        return _open(self.face).embed(checked_crops(crops))

    def close(self) -> None:
        """See `Engine.close`."""
        self.voice = self.face = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class CudaEngine(GraphEngine):
    """Implements `Engine` with torch's own kernels."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        precision: str = "bf16",
        device: str = "cuda",
        graphs: bool = True,
        compiled: bool = False,
    ) -> None:
        """`precision`: a name of PRECISIONS; `device` as torch names it. Raises EngineError."""
        config = checkpoint.info.config
        dtype = dtype_of(precision, config)
        placed = Device(device, graphs)
        model = model_on_device(checkpoint, placed.device, dtype)
        at = _compiled if compiled else _as_it_is
        towers = at(model.voice), at(model.face)
        super().__init__(config, placed, precision, towers)


def dtype_of(precision: str, config: ModelConfig) -> torch.dtype:
    """The type of weights and arithmetic. Raises EngineError where it does not suit the model."""
    if precision not in PRECISIONS:
        raise EngineError(
            f"there is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}"
        )
    if precision == "fp16" and config.front_end in BEYOND_FP16:
        raise EngineError(
            f"spectrograms of {config.front_end!r} exceed what fp16 holds: build {config.preset!r} "
            "in bf16"
        )
    return PRECISIONS[precision]


def _program(tower: Callable[[Tensor], Tensor], prepare: Prepare, dtype: torch.dtype) -> Program:
    def program(rows: Tensor) -> Tensor:
        return functional.normalize(tower(prepare(rows).to(dtype)).float(), dim=-1, eps=COSINE_EPS)

    return program


def model_on_device(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> VfdModel:
    model = VfdModel.of_checkpoint(checkpoint)
    try:
        return model.to(device=device, dtype=dtype)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise EngineError(f"{device} did not take the weights: {error}") from error
        raise EngineError(
            f"the GPU is out of memory for the weights of {checkpoint.info.config.preset!r}: "
            f"{describe_memory(device)}; end other programs on it, or take a smaller preset"
        ) from error


def _as_it_is(tower: nn.Module) -> TowerAt:
    return lambda bucket: tower


def _compiled(tower: nn.Module) -> TowerAt:
    """Inductor makes one program for each bucket; its own CUDA graphs stay off, ours are used."""
    # Both towers share the code that is compiled; beyond the limit torch would stop compiling.
    torch._dynamo.config.recompile_limit = max(
        torch._dynamo.config.recompile_limit, 2 * len(BUCKETS)
    )
    compiled: Any = torch.compile(tower, dynamic=False, fullgraph=True)
    return lambda bucket: compiled if bucket >= COMPILED_FROM else tower


def _open(tower: GraphedTower | None) -> GraphedTower:
    if tower is None:
        raise EngineError("the GPU engine is closed")
    return tower
