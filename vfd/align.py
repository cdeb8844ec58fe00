"""Turns a detected face upright and to one size, so that equal pixels show equal places."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vfd.types import FACE_SIZE_PX, Rgb

TEMPLATE: Final = np.array([[83, 95], [141, 95], [112, 128], [88, 162], [136, 162]], np.float32)
"""Where the five points (order of `vfd.types.Face.points`) come to lie in a crop, in pixels.

The proportions are the mean of real faces under this detector. Eyes 58 px apart leave room for
the whole head: hair, jaw and the width of the face tell more than eyes and mouth alone.
"""

_OUTSIDE: Final = (128, 128, 128)  # what lies beyond the picture is grey, neither hair nor skin
_MAX_SUPERSAMPLING: Final = 4  # more costs 20 ms on a face that fills a 4K picture, for little


def similarity_transform(
    points: NDArray[np.float32], target: NDArray[np.float32] = TEMPLATE
) -> NDArray[np.float64]:
    """The (2, 3) matrix that turns, scales and shifts `points` (N, 2) onto `target` (N, 2) with
    the least squared error (Umeyama 1991, without reflection).

    In two dimensions it has a closed form: with points as complex numbers, turning and scaling
    is one complex factor. Points that all coincide give a vanishing factor.
    """
    p, q = points.astype(np.float64) @ [1, 1j], target.astype(np.float64) @ [1, 1j]
    p0, q0 = p - p.mean(), q - q.mean()
    factor = np.vdot(p0, q0) / max(float(np.vdot(p0, p0).real), 1e-9)
    shift = q.mean() - factor * p.mean()
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )


def align(rgb: Rgb, points: NDArray[np.float32]) -> Rgb:
    """The face with these five points (5, 2), in pixels of `rgb`, as (224, 224, 3) uint8.

    Faces larger than the crop are averaged, not sampled: otherwise fine texture would alias.
    """
    matrix = similarity_transform(points)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    n = int(np.clip(round(1 / max(scale, 1e-3)), 1, _MAX_SUPERSAMPLING))
    matrix = matrix * n
    matrix[:, 2] += (n - 1) / 2  # pixel centres, not corners, are at whole numbers
    side = FACE_SIZE_PX * n
    crop = cv2.warpAffine(rgb, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=_OUTSIDE)
    if n > 1:
        crop = cv2.resize(crop, (FACE_SIZE_PX, FACE_SIZE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)
