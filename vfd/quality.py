"""Whether a face shows enough to be judged, and if not, by which of the named reasons.

The detector's score says nothing about this: it is as sure of a blurred or half-covered face as
of a good one. All limits were set on real clips and drawn faces after VP8 at 150 and 500 kbps.

What it cannot see: a covering that is as rich in contrast as a face and has the colour of the
skin, such as a hand before the mouth.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vfd.align import TEMPLATE
from vfd.types import Face, Reason, Rgb

# Areas of an aligned crop as (rows, columns): see the template.
_SKIN: Final = np.s_[75:175, 62:162]
_INNER_FACE: Final = np.s_[70:186, 54:170]
_FEATURES: Final = tuple(
    np.s_[y - dy : y + dy, x - dx : x + dx]
    for x, y, dx, dy in ((83, 95, 18, 10), (141, 95, 18, 10), (112, 162, 24, 14))
)
_UPPER_FACE: Final = np.s_[107:123, 82:142]
_LOWER_FACE: Final = np.s_[150:200, 82:142]

_TEMPLATE_EYE_DISTANCE_PX: Final = float(TEMPLATE[1, 0] - TEMPLATE[0, 0])
_FRONTAL_NOSE: Final = 0.48  # its height from eye line (0) to mouth line (1), mean of real faces
# Eyes and mouth stand out from the skin: the least seen are 0.12 (real), 0.19 (drawn); 0.05 was
# the most under a plain covering.
_MIN_FEATURE_CONTRAST: Final = 0.07
# One eye against the other, likewise: the least seen is 0.73, a covered one has at most 0.1.
_MIN_FEATURE_SYMMETRY: Final = 0.35
# Share of an eye's area that is darker than _DARK times the skin: at most 0.18 (real) and 0.44
# (drawn); 0.66 and more under a dark bar or glasses, whose edge may show contrast enough.
_DARK: Final = 0.4
_MAX_DARK_SHARE: Final = 0.55
# Colour of the chin against that of the nose, in grey levels: at most 10 without, 40 and more
# with a coloured or white covering.
_MAX_CHROMA_DISTANCE: Final = 25.0


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """`min_eye_distance_px` in pixels of the source. Brightness: mean luma of the face in [0, 1].
    `min_sharpness`: see `sharpness`. `max_yaw`, `max_pitch`: see `head_turn`."""

    min_eye_distance_px: float = 16.0
    min_brightness: float = 0.12
    max_brightness: float = 0.92
    min_sharpness: float = 12.0
    max_yaw: float = 0.45
    max_pitch: float = 0.45


def judge(rgb: Rgb, face: Face, crop: Rgb, limits: QualityLimits) -> float | Reason:
    """The quality in [0, 1] of `crop`, the aligned `face` of the picture `rgb`, or why it is of
    no use. Quality compares crops of one participant only."""
    eye_distance = eye_distance_px(face)
    if eye_distance < limits.min_eye_distance_px:
        return Reason.FACE_SMALL
    light = brightness(crop)
    if light < limits.min_brightness:
        return Reason.FACE_DARK
    if light > limits.max_brightness:
        return Reason.FACE_BRIGHT
    yaw, pitch = head_turn(face)
    if abs(yaw) > limits.max_yaw or abs(pitch) > limits.max_pitch:
        return Reason.FACE_TURNED
    sharp = sharpness(crop, eye_distance)
    if sharp < limits.min_sharpness:
        return Reason.FACE_BLURRED
    if _leaves_picture(face, rgb) or is_occluded(crop):
        return Reason.FACE_OCCLUDED
    size = min(1.0, eye_distance / _TEMPLATE_EYE_DISTANCE_PX)
    frontal = 1 - 0.5 * max(abs(yaw) / limits.max_yaw, abs(pitch) / limits.max_pitch)
    return size * frontal * sharp / (sharp + limits.min_sharpness)


def eye_distance_px(face: Face) -> float:
    return float(np.hypot(*(face.points[1] - face.points[0])))


def brightness(crop: Rgb) -> float:
    """Mean luma (BT.601) of the face in an aligned crop, in [0, 1]."""
    return float(_luma(crop)[_SKIN].mean()) / 255


def sharpness(crop: Rgb, eye_distance: float) -> float:
    """Variance of the Laplacian of the luma at the size that the face had in the picture, had its
    mean luma been 128.

    Real clips: 26 and more at 150 kbps; 15 to 23 with a Gaussian blur of 1 pixel, 6 to 12 of 2.
    Without the first correction small faces, blurred by enlarging, would count as blurred; without
    the second, dark ones.
    """
    inner = _luma(crop)[_INNER_FACE]
    scale = eye_distance / _TEMPLATE_EYE_DISTANCE_PX
    if scale < 1:
        side = max(3, round(inner.shape[0] * scale))
        inner = np.asarray(cv2.resize(inner, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    variance = float(cv2.Laplacian(inner, cv2.CV_32F).var())
    return variance * (128 / max(1.0, float(inner.mean()))) ** 2


def head_turn(face: Face) -> tuple[float, float]:
    """Yaw and pitch as places of the nose tip, 0 when frontal; the roll does not matter.

    Yaw: its distance from the line between the middles of eyes and mouth, in half eye distances,
    positive towards the picture's right; at 40 degrees 0.35 to 0.6. Pitch: its height between the
    eye and mouth lines against the frontal one, in half the distance of these lines, positive
    downwards; frontal people are within 0.25, and so are small angles.
    """
    points = face.points.astype(np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    down = mouth - eyes
    length = max(float(np.hypot(*down)), 1e-6)
    nose = points[2] - eyes
    sideways = (nose[0] * down[1] - nose[1] * down[0]) / length
    pitch = (float(nose @ down) / length**2 - _FRONTAL_NOSE) / 0.5
    return float(sideways / max(eye_distance_px(face) / 2, 1e-6)), pitch


def is_occluded(crop: Rgb) -> bool:
    """Whether an eye or the mouth of an aligned crop is hidden: by something plainer or much
    darker than they are, or of another colour than the face."""
    luma = _luma(crop)
    skin = max(1.0, float(np.median(luma[_SKIN])))
    contrasts = [float(luma[area].std()) / skin for area in _FEATURES]
    eyes = contrasts[:2]
    if min(contrasts) < _MIN_FEATURE_CONTRAST or min(eyes) < _MIN_FEATURE_SYMMETRY * max(eyes):
        return True
    dark_shares = [float((luma[area] < _DARK * skin).mean()) for area in _FEATURES[:2]]
    return max(dark_shares) > _MAX_DARK_SHARE or _chroma_distance(crop) > _MAX_CHROMA_DISTANCE


def _chroma_distance(crop: Rgb) -> float:
    """Between the lower and the upper face, in the Cr-Cb plane, grey levels."""
    chroma = cv2.cvtColor(crop, cv2.COLOR_RGB2YCrCb)[:, :, 1:]
    upper, lower = (chroma[area].mean(axis=(0, 1)) for area in (_UPPER_FACE, _LOWER_FACE))
    return float(np.hypot(*(upper - lower)))


def _leaves_picture(face: Face, rgb: Rgb) -> bool:
    height, width = rgb.shape[:2]
    return bool(((face.points < 0) | (face.points >= (width, height))).any())


def _luma(crop: Rgb) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)
