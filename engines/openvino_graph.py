"""The two towers as OpenVINO graphs, built from a checkpoint's numpy tensors.

No ONNX and no torch stand between: the safetensors file stays the only artefact. The graphs must
say the same as `vfd.model`; a parity test holds the two together.

Shapes: B batch, C channels, H height, W width, T tokens, D width, E heads, K width of a head (D /
E), V embedding. `x_BTD` is a node of shape (B, T, D); B is dynamic.
"""

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from vfd.checkpoint import Tensors
from vfd.model_config import (
    COSINE_EPS,
    FACE_NORMALISATIONS,
    LAYER_NORM_EPS,
    QUICK_GELU_FACTOR,
    ModelConfig,
    TowerConfig,
)


class _Weights:
    """The tensors below one prefix, as float32 constants."""

    def __init__(self, tensors: Tensors, prefix: str) -> None:
        self._tensors = tensors
        self._prefix = prefix

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._tensors[self._prefix + name].astype(np.float32)

    def below(self, prefix: str) -> "_Weights":
        return _Weights(self._tensors, self._prefix + prefix)


def tower_graphs(config: ModelConfig, tensors: Tensors) -> tuple[ov.Model, ov.Model]:
    """The voice tower, (B, C, H, W) float32 spectrograms -> (B, V), and the face tower,
    (B, 224, 224, 3) uint8 -> (B, V); both of unit length. Raises RuntimeError of OpenVINO."""
    return (
        _voice_graph(config.voice, _Weights(tensors, "voice.")),
        _face_graph(config, _Weights(tensors, "face.")),
    )


def _voice_graph(config: TowerConfig, weights: _Weights) -> ov.Model:
    x_BCHW = ops.parameter([-1, config.channels, *config.image], np.float32, "spectrograms")
    return ov.Model([_tower(x_BCHW, config, weights)], [x_BCHW], "voice")


def _face_graph(config: ModelConfig, weights: _Weights) -> ov.Model:
    face = config.face
    crops_BHWC = ops.parameter([-1, *face.image, face.channels], np.uint8, "crops")
    scale = FACE_NORMALISATIONS[config.face_normalisation]
    divisor, shift = _in_two_halves(scale.divisor), _in_two_halves(scale.shift)
    x_BHWC = ops.convert(crops_BHWC, np.float32) / divisor - shift
    x_BCHW = ops.transpose(x_BHWC, [0, 3, 1, 2])
    return ov.Model([_tower(x_BCHW, face, weights)], [crops_BHWC], "face")


def _in_two_halves(values: tuple[float, ...]) -> ov.Node:
    """The values as sums of two float16 numbers, exact to 22 bits: a saved graph keeps constants in
    half precision, which is exact for a checkpoint's weights but not for these."""
    exact = np.array(values)
    high = exact.astype(np.float16).astype(np.float32)
    low = (exact - high).astype(np.float16).astype(np.float32)
    return ops.constant(high) + ops.constant(low)


def _tower(x_BCHW: ov.Node, config: TowerConfig, weights: _Weights) -> ov.Node:
    if config.family == "vgg":
        x_BD = _vgg_features(x_BCHW, config, weights)
    else:
        x_BD = _transformer_features(x_BCHW, config, weights)
    y_BV = ops.matmul(x_BD, weights["projection.weight"], False, True)
    return ops.normalize_l2(y_BV, [1], COSINE_EPS**2, "max")  # eps stands under the root here


def _vgg_features(x_BCHW: ov.Node, config: TowerConfig, weights: _Weights) -> ov.Node:
    """Five stages of 3 x 3 convolutions, halved after each; the mean over what is left, (B, D)."""
    for s, stage in enumerate(config.vgg_stages):
        for c in range(len(stage)):
            layer = weights.below(f"stages.{s}.{c}.")
            x_BCHW = ops.convolution(x_BCHW, layer["weight"], [1, 1], [1, 1], [1, 1], [1, 1])
            x_BCHW = ops.relu(x_BCHW + layer["bias"][:, np.newaxis, np.newaxis])
        pooled = ops.max_pool(x_BCHW, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2], "floor")
        x_BCHW = pooled.output(0)
    return ops.reduce_mean(x_BCHW, [2, 3], False)


def _transformer_features(x_BCHW: ov.Node, config: TowerConfig, weights: _Weights) -> ov.Node:
    """The class vector after the last block, normalised, (B, D)."""
    x_BTD = _tokens(x_BCHW, config, weights)
    if config.ln_pre:
        x_BTD = _layer_norm(x_BTD, weights, "ln_pre")
    for block in range(config.blocks):
        last = block == config.blocks - 1
        x_BTD = _block(x_BTD, config, weights.below(f"blocks.{block}."), class_only=last)
    return ops.squeeze(_layer_norm(x_BTD, weights, "norm"), [1])


def _tokens(x_BCHW: ov.Node, config: TowerConfig, weights: _Weights) -> ov.Node:
    """Patches, the class vector before them, positions added (paper eq. 2 and 3)."""
    down, right = (p - i for p, i in zip(config.padded, config.image, strict=True))
    filters, strides = weights["patch.weight"], list(config.patch)
    x_BDHW = ops.convolution(x_BCHW, filters, strides, [0, 0], [down, right], [1, 1])
    if config.patch_bias:
        x_BDHW = x_BDHW + weights["patch.bias"][:, np.newaxis, np.newaxis]
    x_BDT = ops.reshape(x_BDHW, [0, 0, -1], special_zero=True)
    x_BTD = ops.pad(ops.transpose(x_BDT, [0, 2, 1]), [0, 1, 0], [0, 0, 0], "constant")
    # The row of zeros receives the class vector: so it needs no batch size.
    class_1D = ops.constant(weights["class_vector"][np.newaxis])
    class_TD = ops.pad(class_1D, [0, 0], [config.tokens - 1, 0], "constant")
    return x_BTD + (class_TD + weights["positions"])


def _block(x_BTD: ov.Node, config: TowerConfig, weights: _Weights, class_only: bool) -> ov.Node:
    """One pre-norm block; `class_only` returns the row of the class vector alone, (B, 1, D)."""
    normed_BTD = _layer_norm(x_BTD, weights, "norm1")
    rows_BTD = normed_BTD
    if class_only:  # nothing else is read after the last block
        x_BTD, rows_BTD = (_first_row(node) for node in (x_BTD, normed_BTD))
    x_BTD = x_BTD + _attention(rows_BTD, normed_BTD, config, weights.below("attention."))
    hidden = _linear(_layer_norm(x_BTD, weights, "norm2"), weights, "mlp.expand")
    return x_BTD + _linear(_activation(hidden, config), weights, "mlp.contract")


def _activation(x: ov.Node, config: TowerConfig) -> ov.Node:
    if config.activation == "quick_gelu":
        return ops.swish(x, np.float32(QUICK_GELU_FACTOR))
    return ops.gelu(x, "erf")


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
