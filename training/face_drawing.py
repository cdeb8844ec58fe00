"""Draws the face of a synthetic person: lit, talking, at the size of a video call.

Traits are shown by shapes only, relative to the distance between the eyes, so that they survive
scaling, compression and light. Colours carry no trait of the contract in `training.people`.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.face_features import (
    NEUTRAL,
    Colour,
    Palette,
    Relief,
    fill,
    paint_brows,
    paint_eyes,
    paint_mouth,
    paint_nostrils,
    scaled,
)
from training.face_geometry import (
    View,
    arch,
    ellipse,
    face_outline,
    hair_cap,
    hair_fall,
    shape_of,
)
from training.people import FaceTraits
from training.scenes import Pose, Scene
from vfd.types import Rgb

SUPERSAMPLING = 2
NOISE_MARGIN_PX = 64
LEFT, TOP, RIGHT, BOTTOM = -2.3, -2.0, 2.3, 2.6
"""What of the picture changes with the pose, in eye distances from the head's origin."""


class FaceDrawer:
    """One person in one scene. Frames of equal pose differ by camera noise alone."""

    def __init__(self, face: FaceTraits, scene: Scene, width: int = 640, height: int = 360) -> None:
        self._scene = scene
        self._shape = shape_of(face)
        self._relief = Relief(self._shape, scene)
        self._palette = palette_of(face, scene)
        self._unit_px = scene.eye_distance * height
        self._centre = np.array([scene.centre_x * width, scene.centre_y * height])
        self._still = _still_parts(scene, self._centre, self._unit_px, width, height)
        self._rng = np.random.default_rng(scene.seed)
        self._noise = _noise(self._rng, scene.noise_sd, width, height)
        self._skin_ramp = _skin_ramp(self._palette.skin)

    def draw(self, pose: Pose) -> Rgb:
        """The frame (height, width, 3) under `pose`."""
        frame = self._still.copy()
        left, top, right, bottom = self._region(pose)
        size = ((right - left) * SUPERSAMPLING, (bottom - top) * SUPERSAMPLING)
        part = frame[top:bottom, left:right]
        canvas = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        origin = (self._centre - (left, top) + 0.5) * SUPERSAMPLING - 0.5
        unit_px = self._unit_px * SUPERSAMPLING
        view = View(pose, self._shape.half_width, unit_px, (origin[0], origin[1]))
        self._draw_head(canvas, view, pose)
        cv2.resize(canvas, (right - left, bottom - top), part, interpolation=cv2.INTER_AREA)
        return self._with_noise(frame)

    def _region(self, pose: Pose) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of what is drawn anew, inside the picture."""
        height, width = self._still.shape[:2]
        x, y = self._centre + self._unit_px * np.array([pose.dx, pose.dy])
        left, right = (int(np.clip(x + e * self._unit_px, 0, width)) for e in (LEFT, RIGHT))
        top, bottom = (int(np.clip(y + e * self._unit_px, 0, height)) for e in (TOP, BOTTOM))
        return left, top, right, bottom

    def _draw_head(self, canvas: Rgb, view: View, pose: Pose) -> None:
        shape, palette = self._shape, self._palette
        if shape.long_hair:
            fill(canvas, view, hair_fall(shape), scaled(palette.hair, 0.82))
        self._draw_neck(canvas, view, pose)
        self._draw_skin(canvas, view, pose)
        paint_nostrils(canvas, view, shape, palette)
        paint_eyes(canvas, view, shape, pose, palette)
        paint_mouth(canvas, view, shape, pose, palette)
        fill(canvas, view, hair_cap(shape), palette.hair)
        paint_brows(canvas, view, shape, pose, palette)

    def _draw_neck(self, canvas: Rgb, view: View, pose: Pose) -> None:
        """From the head, wherever it is, to shoulders that stay."""
        away = np.array([pose.dx, pose.dy])
        foot = (np.array([[0.72, 2.7], [-0.72, 2.7]]) - away) @ view.turn.T
        neck = np.concatenate([np.array([[-0.62, 1.0], [0.62, 1.0]]), foot])
        fill(canvas, view, neck, scaled(self._palette.skin, 0.66))

    def _draw_skin(self, canvas: Rgb, view: View, pose: Pose) -> None:
        shape = self._shape
        mask = np.zeros(canvas.shape[:2], np.uint8)
        fill(mask, view, face_outline(shape, 0.14 * pose.mouth_open), 255)
        if not shape.long_hair:
            for side in (-1, 1):
                fill(mask, view, ellipse(side * shape.half_width, 0.3, 0.13, 0.28), 255)
        coarse = view.scaled(1 / SUPERSAMPLING)  # light is smooth: no need for every pixel
        height, width = canvas.shape[:2]
        shade = self._relief.shade(coarse, (height // SUPERSAMPLING, width // SUPERSAMPLING))
        skin = cv2.LUT(cv2.merge([shade, shade, shade]), self._skin_ramp)
        skin = cv2.resize(skin, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.copyTo(skin, np.where(mask > 127, mask, 0), canvas)

    def _with_noise(self, frame: Rgb) -> Rgb:
        x, y = self._rng.integers(NOISE_MARGIN_PX, size=2)
        noise = self._noise[y : y + frame.shape[0], x : x + frame.shape[1]]
        return np.asarray(cv2.add(frame, noise, dtype=cv2.CV_8U), np.uint8)


def palette_of(face: FaceTraits, scene: Scene) -> Palette:
    """Colours under the scene's light. Hair and brows are darker than any skin they lie on, so
    that shapes can be read on everybody."""
    skin = _mix((128, 86, 64), (236, 196, 170), face.skin_tone)
    hair = _mix((38, 30, 28), (138, 98, 56), face.hair_colour)
    hair = scaled(hair, min(1.0, 0.52 * sum(skin) / sum(hair)))
    iris = _mix((70, 45, 25), (90, 130, 165), face.eye_colour)
    lips = _mix(scaled(skin, 0.72), (150, 50, 55), 0.45)
    colours = (
        skin,
        hair,
        scaled(hair, 0.58),
        scaled(iris, 0.85),
        (225.0, 222.0, 218.0),
        lips,
        (28.0, 18.0, 18.0),
        (215.0, 210.0, 200.0),
    )
    return Palette(*(_lit(colour, scene) for colour in colours))


def _lit(colour: Colour, scene: Scene) -> Colour:
    red, green, blue = colour
    gain, warm = scene.brightness, 0.07 * scene.warmth
    return gain * red * (1 + warm), gain * green, gain * blue * (1 - warm)


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue


def _skin_ramp(skin: Colour) -> NDArray[np.uint8]:
    """(256, 1, 3): the colour of skin at each level of the relief; shadows are redder."""
    level = np.arange(256)[:, None] / NEUTRAL
    power = np.array([0.85, 1.05, 1.1])
    ramp = np.array(skin) * np.minimum(level, 1.0) ** power
    ramp += (255 - np.array(skin)) * np.clip(level - 1, 0, 1) * 0.8
    levels: NDArray[np.uint8] = np.clip(ramp, 0, 255).astype(np.uint8)
    return levels.reshape(256, 1, 3)


def _still_parts(
    scene: Scene, centre: NDArray[np.float64], unit_px: float, width: int, height: int
) -> Rgb:
    """Background and shoulders. The background is blurred, so it is made at a quarter."""
    small_w, small_h = width // 4, height // 4
    first, second = (np.array(_lit(colour, scene)) for colour in scene.background)
    share = np.linspace(0, 1, small_w)[None, :, None]
    row = np.clip(first + (second - first) * share, 0, 255).astype(np.uint8)
    small = np.repeat(row, small_h, axis=0)
    for x, y, radius, colour in scene.shapes:
        at = (round(x * small_w), round(y * small_w))
        cv2.circle(small, at, round(radius * small_w), _lit(colour, scene), -1)
    cv2.GaussianBlur(small, (0, 0), 3, small)
    still = np.asarray(cv2.resize(small, (width, height)), np.uint8)
    resting = View(Pose(), 1.0, unit_px, (centre[0], centre[1]))
    below = max(4.0, (height - centre[1]) / unit_px + 0.5)
    shoulders = arch(2.7, below, 2.05, 2.6)
    fill(still, resting, shoulders, _lit(scene.clothes, scene))
    return still


def _noise(rng: np.random.Generator, sd: float, width: int, height: int) -> NDArray[np.int16]:
    """Grain larger than the picture, so that each frame takes another part of it."""
    size = (height + NOISE_MARGIN_PX, width + NOISE_MARGIN_PX, 3)
    return np.round(sd * rng.standard_normal(size, dtype=np.float32)).astype(np.int16)
