"""Parts of a drawn face: the relief of the skin, and the features painted on it."""

from dataclasses import dataclass

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
    t = np.linspace(0, 1, 9)[:, None]
    points: Points = (
        (1 - t) ** 2 * np.array(start) + 2 * t * (1 - t) * np.array(bend) + t * t * np.array(end)
    )
    return points


def mirrored(points: Points, side: float) -> Points:
    return points * np.array([side, 1.0])


def relief(view: View, shape: FaceShape, scene: Scene, size: tuple[int, int]) -> Grey:
    """The light on the skin, (height, width) for `size`, around NEUTRAL."""
    soft = np.full(size, 128, np.uint8)
    _draw_soft(soft, view, shape)
    _blur(soft, 0.055 * view.unit_px)
    lines = np.zeros(size, np.uint8)
    _draw_lines(lines, view, shape)
    _blur(lines, 0.02 * view.unit_px)
    light = _light(view, shape, scene, size)
    shaded = cv2.addWeighted(soft, 1.0, lines, -1.0, NEUTRAL - 128 - 96, dtype=cv2.CV_16S)
    total: Grey = cv2.add(shaded, light, dtype=cv2.CV_8U)
    return total


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
    light: Grey = cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return light


def _draw_soft(soft: Grey, view: View, shape: FaceShape) -> None:
    nose = shape.nose_half_width
    for side in SIDES:
        socket = ellipse(side * 0.48, -0.06, 0.34, 0.24)
        fill(soft, view, socket, 98)
        fill(soft, view, ellipse(side * 0.62, 0.52, 0.2, 0.16), 140)
        bridge = curve((0.13, -0.2), (0.13, 0.25), (nose * 0.95, NOSE_TIP_Y))
        stroke(soft, view, mirrored(bridge, side), 96, 0.11, NOSE_LIFT / 2)
    under_nose = np.array([[-nose, 0.62], [nose, 0.62], [0.1, 0.78], [-0.1, 0.78]])
    fill(soft, view, under_nose, 82)
    fill(soft, view, ellipse(0, NOSE_TIP_Y - 0.02, nose * 0.8, 0.12), 138, NOSE_LIFT)
    ridge = np.array([[0, -0.15], [0, NOSE_TIP_Y - 0.1]])
    stroke(soft, view, ridge, 176, 0.1, NOSE_LIFT)
    fill(soft, view, ellipse(0, NOSE_TIP_Y - 0.05, 0.085, 0.075), 190, NOSE_LIFT)
    fill(soft, view, ellipse(0, 1.3, 0.26, 0.06), 100)
    fill(soft, view, ellipse(0, 1.48, 0.18, 0.09), 142)


def _draw_lines(lines: Grey, view: View, shape: FaceShape) -> None:
    """Age lines as strong as the age, and the wings of the nose."""
    strength = round(95 * shape.age_lines)
    for y in (-0.58, -0.71, -0.84):
        forehead = curve((-0.5, y + 0.02), (0, y - 0.05), (0.5, y + 0.02))
        stroke(lines, view, forehead, strength, 0.035)
    corner = 0.5 + shape.eye_half_width
    wing = shape.nose_half_width
    for side in SIDES:
        fold = curve((0.36, 0.68), (0.58, 0.82), (0.56, 1.1))
        stroke(lines, view, mirrored(fold, side), strength, 0.05)
        bag = curve((0.3, 0.24), (0.5, 0.36), (0.72, 0.22))
        stroke(lines, view, mirrored(bag, side), round(0.7 * strength), 0.035)
        for rise in (-0.09, 0.02, 0.13):
            foot = np.array([[corner + 0.04, rise * 0.3], [corner + 0.18, rise]])
            stroke(lines, view, mirrored(foot, side), strength, 0.03)
        ala = curve((wing * 0.8, 0.42), (wing * 1.3, 0.55), (wing * 0.85, 0.68))
        stroke(lines, view, mirrored(ala, side), 90, 0.05, NOSE_LIFT / 2)


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
        stroke(image, view, lower_line, tuple(0.6 * c for c in palette.skin), 0.015)
    stroke(image, view, upper_line, palette.dark, 0.045)
    crease = curve(
        (centre - shape.eye_half_width, -0.07),
        (centre, -1.5 * shape.eye_half_height - 0.1),
        (centre + shape.eye_half_width, -0.07),
    )
    stroke(image, view, crease, tuple(0.62 * c for c in palette.skin), 0.015)


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
    stroke(image, view, inner, tuple(0.45 * c for c in palette.lips), 0.03)
