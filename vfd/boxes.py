"""Boxes as rows of numbers: what a cascade of detectors does between its networks.

Shape legend: N boxes, rows `x1, y1, x2, y2` in pixels, float32; `scores` (N,) in [0, 1].
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def areas(boxes: Floats) -> Floats:
    """(N, 4) -> (N,) areas in square pixels; an inverted box has none."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0), np.float32)


def overlaps(box: Floats, boxes: Floats, relative_to: Literal["union", "smaller"]) -> Floats:
    """How much `box` (4,) shares with each of `boxes` (N, 4), in [0, 1]."""
    shared = np.concatenate(
        [np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])], axis=1
    )
    intersection = areas(shared)
    own, others = areas(box[None])[0], areas(boxes)
    whole = own + others - intersection if relative_to == "union" else np.minimum(own, others)
    return np.asarray(intersection / np.maximum(whole, 1e-6), np.float32)


def suppress(
    boxes: Floats,
    scores: Floats,
    max_overlap: float,
    relative_to: Literal["union", "smaller"] = "union",
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: the rows to keep, best score first."""
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while waiting.size:
        best, waiting = int(waiting[0]), waiting[1:]
        kept.append(best)
        waiting = waiting[overlaps(boxes[best], boxes[waiting], relative_to) <= max_overlap]
    return np.array(kept, np.int64)


def regress(boxes: Floats, offsets: Floats) -> Floats:
    """Moves each side of `boxes` (N, 4) by `offsets` (N, 4), in parts of the box's own sides."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return boxes + offsets * np.stack([width, height, width, height], axis=1)


def to_squares(boxes: Floats) -> Floats:
    """The smallest squares around `boxes` (N, 4) with the same centres."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True, initial=0) / 2
    return np.concatenate([centres - half, centres + half], axis=1)
