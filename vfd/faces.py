"""The face detector: MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment Using
Multi-task Cascaded Convolutional Networks") on OpenVINO.

Three small networks in cascade: PNet proposes boxes on an image pyramid, RNet refuses most of
them, ONet refuses more and finds five points; ours looks at the largest face several times. Weights
are those of the `mtcnn` wheel, read by path: importing that package would load TensorFlow.

Shape legend: N boxes, H x W a picture; networks take uint8 pictures (N, H, W, 3).
"""

import hashlib
import importlib.util
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import joblib
import numpy as np
import openvino as ov
import openvino.opset13 as ops
from numpy.typing import NDArray

from vfd.boxes import Floats, areas, regress, suppress, to_squares
from vfd.openvino_core import openvino_core
from vfd.pyramid import CELL_PX, STRIDE_PX, Level, fit, pack
from vfd.types import Box, Face, Rgb

# The files are pickles, which can run code when loaded: nothing is loaded but these very bytes.
_WEIGHTS_SHA256: Final = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}

_PNET_SCORE: Final = 0.6
_RNET_SCORE: Final = 0.7
_RNET_BATCH_STEP: Final = 8  # few different batch sizes: a change costs more than a few rows
_MAX_PROPOSALS: Final = 64  # a crowd or noise must not make one picture cost a second
_ONET_BATCH_STEP: Final = 5  # the five looks below; hardly ever more candidates
_LOOKS: Final = 0.06 * np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], np.float32)
"""Shifts in parts of a square's side. ONet's points depend on where its square happens to lie: from
one picture to the next they flip by 1 px and the face turns by 2 degrees. Looked at five times
around its own box, a face keeps its points to 0.23 px through VP8, instead of 0.43."""

Weights = Iterator[NDArray[np.float32]]


class DetectorError(Exception):
    """The detector's weights are missing or not the expected ones; the message says which."""


class MtcnnDetector:
    """Finds faces of MIN_FACE_PX and more once the longer side of the picture is at most
    MAX_SIDE_PX. Not for two threads at the same time.

    A face scores at least `min_score`, in [0, 1]. At 0.8 no drawn face in 240 was missed after VP8
    at 500 kbps, at 0.9 one in twenty; neither saw a face where there was none.

    Raises DetectorError when the weight files cannot be used.
    """

    def __init__(self, threads: int = 1, min_score: float = 0.8) -> None:
        core = openvino_core()
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        builders = {"pnet": _build_pnet, "rnet": _build_rnet, "onet": _build_onet}
        requests = {
            name: core.compile_model(build(_load_weights(name)), "CPU", options)
            for name, build in builders.items()
        }
        self._pnet, self._rnet, self._onet = (
            requests[name].create_infer_request() for name in ("pnet", "rnet", "onet")
        )
        self._min_score = min_score

    def detect(self, rgb: Rgb) -> list[Face]:
        """Faces in `rgb` (any size, also empty), most certain first, in the pixels of `rgb`."""
        if min(rgb.shape[:2]) < CELL_PX:
            return []
        small, scale = fit(rgb)
        boxes = self._propose(small)
        if len(boxes):
            boxes = self._refine(small, boxes)
        if not len(boxes):
            return []
        return self._conclude(small, boxes, scale)

    def _propose(self, picture: Rgb) -> Floats:
        """PNet over the pyramid -> (N, 4) squares, N at most _MAX_PROPOSALS."""
        canvas, levels = pack(picture)
        if not levels:
            return np.empty((0, 4), np.float32)
        offsets, faceness = _run(self._pnet, canvas[None])
        all_boxes, all_scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
        for level in levels:
            boxes, scores = _level_boxes(level, offsets[0], faceness[0, 1])
            kept = suppress(boxes, scores, max_overlap=0.5)
            all_boxes.append(boxes[kept])
            all_scores.append(scores[kept])
        boxes, scores = np.concatenate(all_boxes), np.concatenate(all_scores)
        kept = suppress(boxes, scores, max_overlap=0.7)[:_MAX_PROPOSALS]
        return to_squares(boxes[kept])

    def _refine(self, picture: Rgb, boxes: Floats) -> Floats:
        """RNet on (N, 4) squares -> those that may be faces, (M, 4) squares."""
        offsets, faceness = _run(self._rnet, _cut(picture, boxes, 24, _RNET_BATCH_STEP))
        likely = np.flatnonzero(faceness[: len(boxes), 1] > _RNET_SCORE)
        boxes = regress(boxes[likely], offsets[likely])
        kept = suppress(boxes, faceness[likely, 1], max_overlap=0.7)
        return to_squares(boxes[kept])

    def _conclude(self, picture: Rgb, boxes: Floats, scale: float) -> list[Face]:
        """ONet on (N, 4) squares -> faces in pixels of the source, `scale` times the picture's."""
        offsets, landmarks, faceness = _run(self._onet, _cut(picture, boxes, 48, _ONET_BATCH_STEP))
        sure = np.flatnonzero(faceness[: len(boxes), 1] >= self._min_score)
        squares, scores = boxes[sure], faceness[sure, 1]
        points, found = _points(squares, landmarks[sure]), regress(squares, offsets[sure])
        kept = suppress(found, scores, max_overlap=0.7, relative_to="smaller")
        if len(kept):
            largest = kept[np.argmax(areas(found[kept]))]  # the one that is going to be aligned
            points[largest] = self._settle(picture, found[largest])
        return [_face(found[i] * scale, points[i] * scale, scores[i]) for i in kept]

    def _settle(self, picture: Rgb, box: Floats) -> Floats:
        """The points (5, 2) of the face in `box` (4,): the mean of several looks at it."""
        square = to_squares(box[None])
        squares = square + np.tile(_LOOKS, 2) * (square[:, 2:3] - square[:, :1])
        _, landmarks, _ = _run(self._onet, _cut(picture, squares, 48))
        return np.asarray(_points(squares, landmarks).mean(axis=0), np.float32)


def _points(squares: Floats, landmarks: Floats) -> Floats:
    """ONet's landmarks (N, 10), in parts of `squares` (N, 4), -> (N, 5, 2) in pixels."""
    xy = landmarks.reshape(-1, 2, 5).transpose(0, 2, 1)  # five x, then five y
    sides = (squares[:, 2:] - squares[:, :2])[:, None]
    return np.asarray(squares[:, None, :2] + xy * sides, np.float32)


def _face(corners: Floats, points: Floats, score: np.float32) -> Face:
    x1, y1, x2, y2 = (float(v) for v in corners)
    return Face(Box(x1, y1, x2 - x1, y2 - y1), points, float(score))


def _level_boxes(level: Level, offsets: Floats, faceness: Floats) -> tuple[Floats, Floats]:
    """PNet's boxes (N, 4) on one level, in pixels of the picture, and their scores (N,).

    `offsets` (4, h, w) and `faceness` (h, w) are of the whole canvas; cells that reach over the
    level's edge are left out.
    """
    top, left = level.y // STRIDE_PX, level.x // STRIDE_PX
    bottom = top + (level.height - CELL_PX) // STRIDE_PX + 1
    right = left + (level.width - CELL_PX) // STRIDE_PX + 1
    inside = faceness[top:bottom, left:right]
    rows, columns = np.nonzero(inside > _PNET_SCORE)
    corner = np.stack([columns, rows, columns, rows], axis=1) * STRIDE_PX
    cells = (corner + np.array([0, 0, CELL_PX, CELL_PX])).astype(np.float32)
    boxes = regress(cells, offsets[:, top:bottom, left:right][:, rows, columns].T)
    scale = np.array([level.scale_x, level.scale_y] * 2, np.float32)
    return boxes * scale, inside[rows, columns]


def _cut(picture: Rgb, boxes: Floats, side: int, batch_step: int = 1) -> NDArray[np.uint8]:
    """The squares (N, 4), scaled to (N, side, side, 3); grey where they leave the picture.

    N is rounded up to a multiple of `batch_step` with black pictures.
    """
    rows = math.ceil(len(boxes) / batch_step) * batch_step
    patches = np.zeros((rows, side, side, 3), np.uint8)
    for patch, (x1, y1, x2, _) in zip(patches, boxes, strict=False):
        step = max(float(x2 - x1), 1.0) / side
        matrix = np.array([[step, 0, x1 + step / 2 - 0.5], [0, step, y1 + step / 2 - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(
            picture, matrix, (side, side), dst=patch, flags=flags, borderValue=(128, 128, 128)
        )
    return patches


def _run(request: ov.InferRequest, pictures: NDArray[np.uint8]) -> list[Floats]:
    """The outputs in the graph's order; copied, since the request reuses its memory."""
    request.infer([pictures], share_inputs=True)
    return [np.array(tensor.data) for tensor in request.output_tensors]


def _load_weights(name: str) -> Weights:
    spec = importlib.util.find_spec("mtcnn")
    if spec is None or not spec.submodule_search_locations:
        raise DetectorError("package mtcnn is not installed: pip install mtcnn==1.0.0 --no-deps")
    path = Path(spec.submodule_search_locations[0], "assets", "weights", f"{name}.lz4")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DetectorError(f"{path}: {error.strerror}; reinstall mtcnn==1.0.0") from error
    if hashlib.sha256(content).hexdigest() != _WEIGHTS_SHA256[name]:
        raise DetectorError(f"{path}: not the file of mtcnn 1.0.0 (sha256 differs)")
    return iter(joblib.load(io.BytesIO(content)))


def _build_pnet(weights: Weights) -> ov.Model:
    pictures = ops.parameter([1, -1, -1, 3], np.uint8)
    x = _conv(_normalised(pictures), weights)
    x = _pool(x, 2, "same_upper")
    x = _conv(_conv(x, weights), weights)
    offsets = _conv(x, weights, activate=False)
    faceness = ops.softmax(_conv(x, weights, activate=False), 1)
    return ov.Model([offsets, faceness], [pictures], "pnet")


def _build_rnet(weights: Weights) -> ov.Model:
    pictures = ops.parameter([-1, 24, 24, 3], np.uint8)
    x = _pool(_conv(_normalised(pictures), weights), 3, "same_upper")
    x = _pool(_conv(x, weights), 3, "valid")
    x = _dense(_flat(_conv(x, weights)), weights, activate=True)
    offsets = _dense(x, weights)
    faceness = ops.softmax(_dense(x, weights), 1)
    return ov.Model([offsets, faceness], [pictures], "rnet")


def _build_onet(weights: Weights) -> ov.Model:
    pictures = ops.parameter([-1, 48, 48, 3], np.uint8)
    x = _pool(_conv(_normalised(pictures), weights), 3, "same_upper")
    x = _pool(_conv(x, weights), 3, "valid")
    x = _pool(_conv(x, weights), 2, "same_upper")
    x = _dense(_flat(_conv(x, weights)), weights, activate=True)
    offsets, landmarks = _dense(x, weights), _dense(x, weights)
    faceness = ops.softmax(_dense(x, weights), 1)
    return ov.Model([offsets, landmarks, faceness], [pictures], "onet")


def _normalised(pictures: ov.Node) -> ov.Node:
    """uint8 (N, H, W, 3) -> float32 (N, 3, H, W) in [-1, 1], as in training."""
    x = ops.multiply(
        ops.subtract(ops.convert(pictures, "f32"), np.float32(127.5)), np.float32(1 / 128)
    )
    return ops.transpose(x, [0, 3, 1, 2])


def _conv(x: ov.Node, weights: Weights, activate: bool = True) -> ov.Node:
    """Convolution without padding, then PReLU; kernels are stored (kh, kw, in, out)."""
    kernel = np.ascontiguousarray(next(weights).transpose(3, 2, 0, 1))
    x = ops.convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    x = ops.add(x, next(weights).reshape(1, -1, 1, 1))
    return ops.prelu(x, next(weights).reshape(-1)) if activate else x


def _pool(x: ov.Node, side: int, padding: str) -> ov.Node:
    pooled = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [side, side], auto_pad=padding)
    return pooled.output(0)


def _flat(x: ov.Node) -> ov.Node:
    """(N, C, H, W) -> (N, W * H * C): the dense weights expect columns first."""
    return ops.reshape(ops.transpose(x, [0, 3, 2, 1]), [0, -1], special_zero=True)


def _dense(x: ov.Node, weights: Weights, activate: bool = False) -> ov.Node:
    """Fully connected; weights are stored (in, out)."""
    x = ops.add(ops.matmul(x, next(weights), False, False), next(weights))
    return ops.prelu(x, next(weights)) if activate else x
