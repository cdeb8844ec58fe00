"""Parts of a drawn face: the relief of the skin, and the features painted on it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.face_geometry import (
    MOUTH_Y,
    NOSE_TIP_Y,
    SUBPIXEL_BITS,
    FaceShape,
    Points,
    View,
    ellipse,
)
from training.scenes import Pose, Scene
from vfd.types import Rgb

Grey = NDArray[np.uint8]
Colour = tuple[float, float, float]

NEUTRAL = 150
"""The grey level of the relief at which skin has its own colour; less is shadow."""
NOSE_LIFT = 0.28
SIDES = (-1.0, 1.0)
_T = np.linspace(0, 1, 9)
_BEZIER = np.stack([(1 - _T) ** 2, 2 * _T * (1 - _T), _T**2], axis=1)


@dataclass(frozen=True, slots=True)
class Palette:
    """RGB in [0, 255] under the scene's light."""

    skin: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    sclera: Colour
    lips: Colour
    dark: Colour
    teeth: Colour


def fill(
    image: NDArray[np.uint8], view: View, points: Points, colour: Colour | int, lift: float = 0.0
) -> None:
    cv2.fillPoly(image, [view.fixed(points, lift)], colour, cv2.LINE_AA, SUBPIXEL_BITS)


def stroke(
    image: NDArray[np.uint8],
    view: View,
    points: Points,
    colour: Colour | int,
    width: float,
    lift: float = 0.0,
) -> None:
    """An open line, `width` eye distances thick."""
    thickness = max(1, round(width * view.unit_px))
    fixed = [view.fixed(points, lift)]
    cv2.polylines(image, fixed, False, colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def curve(
    start: tuple[float, float], bend: tuple[float, float], end: tuple[float, float]
) -> Points:
    """A quadratic Bezier curve, (9, 2)."""
    points: Points = _BEZIER @ np.array([start, bend, end])
    return points


def scaled(colour: Colour, gain: float) -> Colour:
    return colour[0] * gain, colour[1] * gain, colour[2] * gain


def mirrored(points: Points, side: float) -> Points:
    """The other side's shape where `side` is -1, the same where it is 1."""
    return np.multiply(points, (side, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A patch of light or shadow on the skin: filled, or a line `width` eye distances thick."""

    points: Points
    level: int
    width: float = 0.0
    lift: float = 0.0


class Relief:
    """The light on one person's skin. What does not change with the pose is prepared once."""

    def __init__(self, shape: FaceShape, scene: Scene) -> None:
        self._shape, self._scene = shape, scene
        self._soft = _soft_marks(shape)
        self._lines = _line_marks(shape)

    def shade(self, view: View, size: tuple[int, int]) -> Grey:
        """Grey levels (height, width) for `size`; NEUTRAL shows the skin's own colour."""
        soft = np.full(size, 128, np.uint8)
        _draw_marks(soft, view, self._soft)
        _blur(soft, 0.055 * view.unit_px)
        lines = np.zeros(size, np.uint8)
        _draw_marks(lines, view, self._lines)
        _blur(lines, 0.02 * view.unit_px)
        total = _light(view, self._shape, self._scene, size).astype(np.int16) + soft - lines
        shade: Grey = np.clip(total + (NEUTRAL - 128 - 96), 0, 255).astype(np.uint8)
        return shade


def _draw_marks(image: Grey, view: View, marks: list[Mark]) -> None:
    """Projects all points at once: one by one costs more than drawing them."""
    lengths = [len(mark.points) for mark in marks]
    lift = np.repeat([mark.lift for mark in marks], lengths)
    fixed = view.fixed(np.concatenate([mark.points for mark in marks]), lift)
    for mark, points in zip(marks, np.split(fixed, np.cumsum(lengths)[:-1]), strict=True):
        if mark.width:
            thickness = max(1, round(mark.width * view.unit_px))
            cv2.polylines(image, [points], False, mark.level, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
        else:
            cv2.fillPoly(image, [points], mark.level, cv2.LINE_AA, SUBPIXEL_BITS)


def _blur(image: Grey, sigma: float) -> None:
    cv2.GaussianBlur(image, (0, 0), max(sigma, 0.6), dst=image)


def _light(view: View, shape: FaceShape, scene: Scene, size: tuple[int, int]) -> Grey:
    """Cheeks that turn away are darker, and one side is lit; 96 is neither. Smooth, so it is
    computed on every eighth pixel."""
    step = 8
    ys, xs = np.mgrid[0 : size[0] : step, 0 : size[1] : step] + (step - 1) / 2
    pixels = np.stack([xs, ys], axis=-1) - view.origin
    head = pixels @ view.turn.T / view.unit_px
    x, y = head[..., 0] / shape.half_width, (head[..., 1] - 0.2) / 1.6
    round_off = -46 * np.clip(x * x + 0.6 * y * y, 0, 1.5) ** 1.5
    lit = 26 * scene.light_x * x + 16 * scene.light_y * y
    small = np.clip(96 + 8 + round_off + lit, 0, 255).astype(np.uint8)
    light: Grey = np.asarray(cv2.resize(small, (size[1], size[0])), np.uint8)
    return light


def _soft_marks(shape: FaceShape) -> list[Mark]:
    """Sockets, cheeks, nose, lip and chin, around a level of 128."""
    nose = shape.nose_half_width
    marks = []
    for side in SIDES:
        marks.append(Mark(ellipse(side * 0.48, -0.06, 0.34, 0.24), 98))
        marks.append(Mark(ellipse(side * 0.62, 0.52, 0.2, 0.16), 140))
        bridge = curve((0.13, -0.2), (0.13, 0.25), (nose * 0.95, NOSE_TIP_Y))
        marks.append(Mark(mirrored(bridge, side), 96, 0.11, NOSE_LIFT / 2))
    under_nose = np.array([[-nose, 0.62], [nose, 0.62], [0.1, 0.78], [-0.1, 0.78]])
    ridge = np.array([[0, -0.15], [0, NOSE_TIP_Y - 0.1]])
    return [
        *marks,
        Mark(under_nose, 82),
        Mark(ellipse(0, NOSE_TIP_Y - 0.02, nose * 0.8, 0.12), 138, lift=NOSE_LIFT),
        Mark(ridge, 176, 0.1, NOSE_LIFT),
        Mark(ellipse(0, NOSE_TIP_Y - 0.05, 0.085, 0.075), 190, lift=NOSE_LIFT),
        Mark(ellipse(0, 1.3, 0.26, 0.06), 100),
        Mark(ellipse(0, 1.48, 0.18, 0.09), 142),
    ]


def _line_marks(shape: FaceShape) -> list[Mark]:
    """Age lines as strong as the age, and the wings of the nose: levels of shadow from 0."""
    strength = round(95 * shape.age_lines)
    corner = 0.5 + shape.eye_half_width
    wing = shape.nose_half_width
    right = [
        Mark(curve((0.36, 0.68), (0.58, 0.82), (0.56, 1.1)), strength, 0.05),
        Mark(curve((0.3, 0.24), (0.5, 0.36), (0.72, 0.22)), round(0.7 * strength), 0.035),
        *(
            Mark(np.array([[corner + 0.04, 0.3 * y], [corner + 0.18, y]]), strength, 0.03)
            for y in (-0.09, 0.02, 0.13)
        ),
        Mark(
            curve((wing * 0.8, 0.42), (wing * 1.3, 0.55), (wing * 0.85, 0.68)),
            90,
            0.05,
            NOSE_LIFT / 2,
        ),
    ]
    left = [replace(mark, points=mirrored(mark.points, -1)) for mark in right]
    forehead = [
        Mark(curve((-0.5, y + 0.02), (0, y - 0.05), (0.5, y + 0.02)), strength, 0.035)
        for y in (-0.58, -0.71, -0.84)
    ]
    return forehead + right + left


def paint_nostrils(image: Rgb, view: View, shape: FaceShape, palette: Palette) -> None:
    rx = 0.3 * shape.nose_half_width
    for side in SIDES:
        nostril = ellipse(side * 0.55 * shape.nose_half_width, 0.645, rx, 0.045)
        fill(image, view, nostril, palette.dark, NOSE_LIFT / 2)


def paint_eyes(image: Rgb, view: View, shape: FaceShape, pose: Pose, palette: Palette) -> None:
    for centre in (-0.5, 0.5):
        _paint_eye(image, view, shape, pose, palette, centre)


def _paint_eye(
    image: Rgb, view: View, shape: FaceShape, pose: Pose, palette: Palette, centre: float
) -> None:
    t = np.linspace(-1, 1, 13)
    x = centre + shape.eye_half_width * t
    lid = np.sqrt(1 - t * t)
    upper = -shape.eye_half_height * (1 - 1.3 * pose.blink) * lid
    lower = shape.eye_half_height * (0.85 - 0.3 * pose.blink) * lid
    upper_line = np.stack([x, upper], axis=1)
    if pose.blink < 0.9:
        lower_line = np.stack([x, lower], axis=1)
        fill(image, view, np.concatenate([upper_line, lower_line[::-1]]), palette.sclera)
        for radius, colour in ((1.0, palette.iris), (0.45, palette.dark)):
            disc = ellipse(centre, 0.0, shape.iris_radius * radius, shape.iris_radius * radius)
            disc[:, 1] = np.clip(
                disc[:, 1], np.interp(disc[:, 0], x, upper), np.interp(disc[:, 0], x, lower)
            )
            fill(image, view, disc, colour)
        stroke(image, view, lower_line, scaled(palette.skin, 0.6), 0.015)
    stroke(image, view, upper_line, palette.dark, 0.045)
    crease = curve(
        (centre - shape.eye_half_width, -0.07),
        (centre, -1.5 * shape.eye_half_height - 0.1),
        (centre + shape.eye_half_width, -0.07),
    )
    stroke(image, view, crease, scaled(palette.skin, 0.62), 0.015)


def paint_brows(image: Rgb, view: View, shape: FaceShape, pose: Pose, palette: Palette) -> None:
    y = shape.brow_y - 0.06 * pose.brow_raise
    half = shape.brow_thickness / 2
    for side in SIDES:
        top = curve((0.2, y + 0.03 - half), (0.5, y - 0.11 - half), (0.84, y + 0.08))
        bottom = curve((0.2, y + 0.03 + half), (0.5, y - 0.11 + half), (0.84, y + 0.08))
        brow = np.concatenate([top, bottom[::-1]])
        fill(image, view, mirrored(brow, side), palette.brow)


def paint_mouth(image: Rgb, view: View, shape: FaceShape, pose: Pose, palette: Palette) -> None:
    t = np.linspace(-1, 1, 17)
    x = 0.4 * (1 + 0.12 * pose.mouth_wide - 0.1 * pose.mouth_open) * t
    bow = (1 - t * t) ** 0.7
    inner_up = MOUTH_Y - 0.05 * pose.mouth_open * bow
    inner_down = MOUTH_Y + 0.26 * pose.mouth_open * bow
    dip = 1 - 0.35 * np.exp(-((t / 0.15) ** 2))
    outer_up = inner_up - shape.lip_fullness * bow * dip
    outer_down = inner_down + 1.25 * shape.lip_fullness * bow

    def between(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> Points:
        edges = (np.stack([x, top], axis=1), np.stack([x, bottom], axis=1)[::-1])
        return np.concatenate(edges)

    fill(image, view, between(outer_up, outer_down), palette.lips)
    if pose.mouth_open > 0.05:
        fill(image, view, between(inner_up, inner_down), palette.dark)
        teeth_y = np.minimum(inner_down, inner_up + 0.07 * bow)
        fill(image, view, between(inner_up, teeth_y), palette.teeth)
    inner = np.stack([x, inner_up], axis=1)
    stroke(image, view, inner, scaled(palette.lips, 0.45), 0.03)
