"""The model on OpenVINO: the default on a CPU, without torch.

The graph is built from the checkpoint's numpy tensors with OpenVINO's own operations, so that the
safetensors file stays the only artefact. It must say the same as `vfd.model`; a parity test holds
the two together.

Shapes: B batch, C channels, H height, W width, T tokens, D width, E heads, K width of a head (D /
E), V embedding. `x_BTD` is a node of shape (B, T, D); B is dynamic.
"""

from typing import Any, Final

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from engines.batch import checked_crops, checked_spectrograms
from engines.engine import Embeddings, EngineError
from vfd.checkpoint import Checkpoint, Tensors
from vfd.model_config import COSINE_EPS, LAYER_NORM_EPS, TowerConfig

BEST_BATCH: Final = 8
"""Batching gains nothing on a CPU (within a tenth from 1 to 32); 8 keeps a call below 0.1 s."""


class OpenVinoEngine:
    """Implements `Engine`. Runs on `threads` threads; every precision is float32."""

    best_batch = BEST_BATCH

    def __init__(self, checkpoint: Checkpoint, threads: int = 1) -> None:
        """Builds and compiles both towers. Raises EngineError."""
        config = checkpoint.info.config
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # pinned to one core, towers and detector would queue
        }
        try:
            core = ov.Core()
            models = (
                _voice_graph(config.voice, _Weights(checkpoint.tensors, "voice.")),
                _face_graph(config.face, _Weights(checkpoint.tensors, "face.")),
            )
            requests = [
                core.compile_model(m, "CPU", settings).create_infer_request() for m in models
            ]
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO {ov.__version__} cannot compile the {config.preset!r} model: {error}; "
                "check the number of threads and the processor, or use the torch engine"
            ) from error
        self._voice: ov.InferRequest | None = requests[0]
        self._faces: ov.InferRequest | None = requests[1]

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> Embeddings:
        """See `Engine.embed_voice`."""
        return _infer(self._voice, checked_spectrograms(spectrograms))

    def embed_faces(self, crops: NDArray[np.uint8]) -> Embeddings:
        """See `Engine.embed_faces`."""
        return _infer(self._faces, checked_crops(crops))

    def close(self) -> None:
        """See `Engine.close`."""
        self._voice = self._faces = None


def _infer(request: ov.InferRequest | None, batch: NDArray[Any]) -> Embeddings:
    if request is None:
        raise EngineError("the OpenVINO engine is closed")
    try:
        return np.array(request.infer([batch])[0])
    except RuntimeError as error:
        raise EngineError(
            f"OpenVINO did not run a batch of shape {batch.shape}: {error}"
        ) from error


class _Weights:
    """The tensors below one prefix, as float32 constants."""

    def __init__(self, tensors: Tensors, prefix: str) -> None:
        self._tensors = tensors
        self._prefix = prefix

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._tensors[self._prefix + name].astype(np.float32)

    def below(self, prefix: str) -> "_Weights":
        return _Weights(self._tensors, self._prefix + prefix)


def _voice_graph(config: TowerConfig, weights: _Weights) -> ov.Model:
    """(B, 1, 512, 300) float32 -> (B, V) of unit length."""
    x_BCHW = ops.parameter([-1, config.channels, *config.image], np.float32, "spectrograms")
    return ov.Model([_tower(x_BCHW, config, weights)], [x_BCHW], "voice")


def _face_graph(config: TowerConfig, weights: _Weights) -> ov.Model:
    """(B, 224, 224, 3) uint8 -> (B, V) of unit length."""
    crops_BHWC = ops.parameter([-1, *config.image, config.channels], np.uint8, "crops")
    half, one = (ops.constant(value, np.float32) for value in (127.5, 1.0))
    x_BHWC = ops.convert(crops_BHWC, np.float32) / half - one
    x_BCHW = ops.transpose(x_BHWC, [0, 3, 1, 2])
    return ov.Model([_tower(x_BCHW, config, weights)], [crops_BHWC], "face")


def _tower(x_BCHW: ov.Node, config: TowerConfig, weights: _Weights) -> ov.Node:
    x_BTD = _tokens(x_BCHW, config, weights)
    for block in range(config.blocks):
        last = block == config.blocks - 1
        x_BTD = _block(x_BTD, config, weights.below(f"blocks.{block}."), class_only=last)
    x_BD = ops.squeeze(_layer_norm(x_BTD, weights, "norm"), [1])
    y_BV = ops.matmul(x_BD, weights["projection.weight"], False, True)
    return ops.normalize_l2(y_BV, [1], COSINE_EPS**2, "max")  # eps stands under the root here


def _tokens(x_BCHW: ov.Node, config: TowerConfig, weights: _Weights) -> ov.Node:
    """Patches, the class vector before them, positions added (paper eq. 2 and 3)."""
    down, right = (p - i for p, i in zip(config.padded, config.image, strict=True))
    filters, strides = weights["patch.weight"], list(config.patch)
    x_BDHW = ops.convolution(x_BCHW, filters, strides, [0, 0], [down, right], [1, 1])
    x_BDT = ops.reshape(x_BDHW, [0, 0, -1], special_zero=True)
    x_BTD = ops.transpose(x_BDT, [0, 2, 1]) + weights["patch.bias"]
    # A row of zeros that receives the class vector with its position: it needs no batch size.
    offsets_TD = weights["positions"]
    offsets_TD[0] += weights["class_vector"]
    return ops.pad(x_BTD, [0, 1, 0], [0, 0, 0], "constant") + offsets_TD


def _block(x_BTD: ov.Node, config: TowerConfig, weights: _Weights, class_only: bool) -> ov.Node:
    """One pre-norm block; `class_only` returns the row of the class vector alone, (B, 1, D)."""
    normed_BTD = _layer_norm(x_BTD, weights, "norm1")
    rows_BTD = normed_BTD
    if class_only:  # nothing else is read after the last block
        x_BTD, rows_BTD = (_first_row(node) for node in (x_BTD, normed_BTD))
    x_BTD = x_BTD + _attention(rows_BTD, normed_BTD, config, weights.below("attention."))
    hidden = _linear(_layer_norm(x_BTD, weights, "norm2"), weights, "mlp.expand")
    return x_BTD + _linear(ops.gelu(hidden, "erf"), weights, "mlp.contract")


def _attention(
    rows_BTD: ov.Node, x_BTD: ov.Node, config: TowerConfig, weights: _Weights
) -> ov.Node:
    """What `rows_BTD` gather from `x_BTD` (paper eq. 4 and 5)."""
    q_DD, k_DD, v_DD = np.split(weights["qkv.weight"], 3)
    q_D, k_D, v_D = np.split(weights["qkv.bias"], 3)
    heads = [0, 0, config.heads, config.width // config.heads]

    def project(node: ov.Node, matrix: NDArray[np.float32], bias: NDArray[np.float32]) -> ov.Node:
        y_BTEK = ops.reshape(ops.matmul(node, matrix, False, True) + bias, heads, True)
        return ops.transpose(y_BTEK, [0, 2, 1, 3])

    q_BETK = project(rows_BTD, q_DD, q_D)
    k_BETK = project(x_BTD, k_DD, k_D)
    v_BETK = project(x_BTD, v_DD, v_D)
    y_BETK = ops.scaled_dot_product_attention(q_BETK, k_BETK, v_BETK)
    y_BTEK = ops.transpose(y_BETK, [0, 2, 1, 3])
    return _linear(ops.reshape(y_BTEK, [0, 0, config.width], True), weights, "out")


def _first_row(x_BTD: ov.Node) -> ov.Node:
    return ops.slice(x_BTD, [0], [1], [1], [1])


def _linear(x: ov.Node, weights: _Weights, name: str) -> ov.Node:
    return ops.matmul(x, weights[f"{name}.weight"], False, True) + weights[f"{name}.bias"]


def _layer_norm(x: ov.Node, weights: _Weights, name: str) -> ov.Node:
    normed = ops.mvn(x, ops.constant([-1], np.int64), True, LAYER_NORM_EPS, "inside_sqrt")
    return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]
