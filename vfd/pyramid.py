"""A picture at many sizes, laid out on one canvas, for a detector with a fixed field of view."""

from typing import Final, NamedTuple

import cv2
import numpy as np

from vfd.types import Rgb

MAX_SIDE_PX: Final = 640  # larger pictures cost more and find nothing that a call needs
MIN_FACE_PX: Final = 40  # in the scaled picture: eyes about 16 px apart, the smallest usable
CELL_PX: Final = 12  # PNet's field of view
STRIDE_PX: Final = 2  # of PNet's output in its input
_PYRAMID_STEP: Final = 0.709  # half the area a level


class Level(NamedTuple):
    """Where one level of the pyramid lies on the canvas, and picture pixels per level pixel."""

    x: int
    y: int
    width: int
    height: int
    scale_x: float
    scale_y: float


def _pyramid(picture: Rgb) -> list[Rgb]:
    """Levels in which a face of MIN_FACE_PX, then ever larger ones, fill PNet's cell.

    Each is made from the one before: from the whole picture they cost more than the networks.
    """
    height, width = picture.shape[:2]
    scale, levels = CELL_PX / MIN_FACE_PX, list[Rgb]()
    while min(height, width) * scale >= CELL_PX:
        size = (round(width * scale), round(height * scale))
        levels.append(_resized(levels[-1] if levels else picture, size))
        scale *= _PYRAMID_STEP
    return levels


def pack(picture: Rgb) -> tuple[Rgb, list[Level]]:
    """All levels on one canvas, in rows: one run of PNet instead of seven, each of which would
    pay for a change of shape."""
    pictures = _pyramid(picture)
    if not pictures:
        return np.empty((0, 0, 3), np.uint8), []
    even = [tuple(side + side % STRIDE_PX for side in level.shape[:2]) for level in pictures]
    levels, x, y, row_height = list[Level](), 0, 0, 0
    for level, (height, width) in zip(pictures, even, strict=True):
        if x + width > even[0][1]:
            x, y, row_height = 0, y + row_height, 0
        scale_y, scale_x = np.divide(picture.shape[:2], level.shape[:2])
        levels.append(Level(x, y, level.shape[1], level.shape[0], scale_x, scale_y))
        x, row_height = x + width, max(row_height, height)
    canvas = np.zeros((y + row_height, even[0][1], 3), np.uint8)
    for level, place in zip(pictures, levels, strict=True):
        canvas[place.y : place.y + place.height, place.x : place.x + place.width] = level
    return canvas, levels


def fit(rgb: Rgb) -> tuple[Rgb, float]:
    """`rgb` with its longer side at most MAX_SIDE_PX, and how many source pixels one is."""
    height, width = rgb.shape[:2]
    scale = max(height, width) / MAX_SIDE_PX
    if scale <= 1:
        return np.ascontiguousarray(rgb), 1.0
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    return _resized(np.ascontiguousarray(rgb), size), scale


def _resized(picture: Rgb, size: tuple[int, int]) -> Rgb:
    """Area averages, as the networks were trained on; `size` is width, height."""
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
