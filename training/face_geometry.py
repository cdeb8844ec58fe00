"""From traits to shapes, and from the head's own coordinates to pixels.

Head coordinates: the origin lies between the eyes, x to the picture's right, y down, in units of
the distance between the eyes. The middles of eyes, nose tip and mouth stay where they are for
everybody, because faces are aligned by them: traits change sizes, never these places.
"""

import math
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.people import FaceTraits
from training.scenes import Pose

Points = NDArray[np.float64]
"""(n, 2) points in head coordinates, or in pixels where said."""

SKULL_TOP_Y = -1.2
CHEEK_Y = 0.15
NOSE_TIP_Y = 0.55
MOUTH_Y = 1.0
HEAD_DEPTH = 0.7
SUBPIXEL_BITS = 4

_HALF_TURN = np.array([np.cos(np.linspace(np.pi, 0, 32)), np.sin(np.linspace(np.pi, 0, 32))])
_ANGLES = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_TURN = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def squash(trait: float) -> float:
    """Nearly the trait itself near 0, bounded at +-2.5: extreme people stay drawable."""
    return 2.5 * math.tanh(trait / 2.5)


@dataclass(frozen=True, slots=True)
class FaceShape:
    """Sizes in eye distances; `age_lines` in [0, 1]."""

    half_width: float
    jaw_power: float
    chin_y: float
    brow_y: float
    brow_thickness: float
    lip_fullness: float
    long_hair: bool
    hair_volume: float
    hairline_y: float
    age_lines: float
    eye_half_width: float
    eye_half_height: float
    iris_radius: float
    nose_half_width: float


def shape_of(face: FaceTraits) -> FaceShape:
    """The shape that shows `face`; every size is monotone in exactly one trait."""
    age, size, tempo = squash(face.age), squash(face.size), squash(face.tempo)
    return FaceShape(
        half_width=1.16 + 0.125 * size,
        jaw_power=3.0 if face.male else 1.75,
        chin_y=1.72 if face.male else 1.66,
        brow_y=-0.29 if face.male else -0.42,
        brow_thickness=0.118 + 0.046 * squash(face.larynx),
        lip_fullness=0.07 if face.male else 0.13,
        long_hair=not face.male,
        hair_volume=0.26 + 0.09 * squash(face.breath),
        hairline_y=-0.84 - 0.11 * age,
        age_lines=float(np.clip(0.5 + 0.24 * age, 0, 1)),
        eye_half_width=0.225 + 0.025 * tempo,
        eye_half_height=0.125 * math.exp(0.26 * tempo),
        iris_radius=0.115 * math.exp(0.16 * tempo),
        nose_half_width=0.25 * math.exp(0.27 * squash(face.melody)),
    )


def arch(half_width: float, base_y: float, end_y: float, power: float) -> Points:
    """Half a superellipse from the left over (0, end_y) to the right; its ends lie at base_y."""
    x = half_width * np.sign(_HALF_TURN[0]) * np.abs(_HALF_TURN[0]) ** (2 / power)
    y = base_y + (end_y - base_y) * np.abs(_HALF_TURN[1]) ** (2 / power)
    return np.stack([x, y], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    points: Points = np.array([x, y]) + np.array([rx, ry]) * _TURN
    return points


def face_outline(shape: FaceShape, jaw_drop: float) -> Points:
    upper = arch(shape.half_width, CHEEK_Y, SKULL_TOP_Y, 2.2)
    lower = arch(shape.half_width, CHEEK_Y, shape.chin_y + jaw_drop, shape.jaw_power)
    return np.concatenate([upper, lower[::-1]])


def hair_cap(shape: FaceShape) -> Points:
    """Hair over the skull, open where the face is."""
    volume = shape.hair_volume
    outer = arch(shape.half_width + volume, CHEEK_Y, SKULL_TOP_Y - 0.8 * volume, 2.3)
    inner = arch(0.94 * shape.half_width, CHEEK_Y + 0.15, shape.hairline_y, 3.2)
    return np.concatenate([outer, inner[::-1]])


def hair_fall(shape: FaceShape) -> Points:
    """Long hair behind the face, down to the shoulders."""
    width = shape.half_width + shape.hair_volume
    upper = arch(width, CHEEK_Y, SKULL_TOP_Y - 0.8 * shape.hair_volume, 2.3)
    return np.concatenate([upper, arch(width, CHEEK_Y, 2.0, 5.0)[::-1]])


class View:
    """Projects head coordinates under one pose to fixed-point pixels of a canvas.

    `unit_px`: pixels to one eye distance; `origin`: the canvas pixel of the resting origin.
    """

    def __init__(
        self, pose: Pose, half_width: float, unit_px: float, origin: tuple[float, float]
    ) -> None:
        self._yaw, self._pitch = math.radians(pose.yaw), math.radians(pose.pitch)
        roll = math.radians(pose.roll)
        self.turn = np.array([[math.cos(roll), math.sin(roll)], [-math.sin(roll), math.cos(roll)]])
        self._half_width = half_width
        self.unit_px = unit_px
        self.origin = np.array(origin) + unit_px * np.array([pose.dx, pose.dy])

    def scaled(self, by: float) -> "View":
        """The same view on a canvas `by` times as large."""
        view = copy(self)
        view.unit_px = by * self.unit_px
        view.origin = (self.origin + 0.5) * by - 0.5
        return view

    def pixels(self, points: Points, lift: float | NDArray[np.float64] = 0.0) -> Points:
        """(n, 2) canvas pixels. `lift`: how far the points stand out of the head, as the nose does,
        for all of them or (n,)."""
        x, y = points[:, 0], points[:, 1]
        inside = 1 - (x / self._half_width) ** 2 - ((y - 0.2) / 1.6) ** 2
        z = HEAD_DEPTH * np.sqrt(np.maximum(inside, 0)) + lift
        turned = np.empty_like(points)
        turned[:, 0] = x * math.cos(self._yaw) + z * math.sin(self._yaw)
        turned[:, 1] = y * math.cos(self._pitch) + z * math.sin(self._pitch)
        pixels: Points = self.origin + self.unit_px * (turned @ self.turn)
        return pixels

    def fixed(self, points: Points, lift: float | NDArray[np.float64] = 0.0) -> NDArray[np.int32]:
        """As `pixels`, in the fixed-point numbers that cv2 draws with shift=SUBPIXEL_BITS."""
        scaled = self.pixels(points, lift) * (1 << SUBPIXEL_BITS)
        return np.round(scaled).astype(np.int32)
