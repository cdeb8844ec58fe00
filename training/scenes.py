"""What a drawn clip looks like apart from the person: scene, pose and motion.

All of it is nuisance: drawn anew for every clip, telling nothing about identity.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_YAW_DEG = 12.0
MAX_PITCH_DEG = 9.0
MAX_ROLL_DEG = 8.0
BLINK_S = 0.22


@dataclass(frozen=True, slots=True)
class Scene:
    """Surroundings, light and camera of one clip.

    `centre_x`, `centre_y`: the point between the eyes at rest, as shares of width and height.
    `eye_distance`: as a share of the picture's height. `light_x` in [-1, 1] (light from the
    picture's right is positive), `light_y` in [-1, 1] (from below is positive), `brightness`
    a gain, `warmth` in [-1, 1] (blue to orange). `background`, `shapes` and `clothes` are RGB in
    [0, 255]; a shape is (x, y, radius) as shares of the width and its colour. `noise_sd` in grey
    levels; `seed` repeats the camera noise.
    """

    centre_x: float
    centre_y: float
    eye_distance: float
    light_x: float
    light_y: float
    brightness: float
    warmth: float
    background: tuple[tuple[float, float, float], tuple[float, float, float]]
    shapes: tuple[tuple[float, float, float, tuple[float, float, float]], ...]
    clothes: tuple[float, float, float]
    noise_sd: float
    seed: int


@dataclass(frozen=True, slots=True)
class Pose:
    """Head and expression in one frame.

    Angles in degrees: `yaw` positive towards the picture's right, `pitch` positive downwards,
    `roll` positive clockwise. `dx`, `dy` move the head, in eye distances. `mouth_open`, `blink`
    and `brow_raise` in [0, 1]; `mouth_wide` in [-1, 1].
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    dx: float = 0.0
    dy: float = 0.0
    mouth_open: float = 0.0
    mouth_wide: float = 0.0
    blink: float = 0.0
    brow_raise: float = 0.0


def draw_scene(rng: np.random.Generator) -> Scene:
    """A random scene with a moderate background: hair must stand out against it."""
    base = _colour(rng, 130, 205, spread=22)
    return Scene(
        centre_x=rng.uniform(0.38, 0.62),
        centre_y=rng.uniform(0.36, 0.46),
        eye_distance=rng.uniform(28, 45) / 360,
        light_x=rng.uniform(-1, 1),
        light_y=rng.uniform(-1, 0.4),
        brightness=rng.uniform(0.85, 1.08),
        warmth=rng.uniform(-1, 1),
        background=(base, _shifted(base, rng.uniform(-25, 25))),
        shapes=tuple(_shape(rng, base) for _ in range(rng.integers(2, 7))),
        clothes=_colour(rng, 60, 190, spread=40),
        noise_sd=rng.uniform(0.5, 4.0),
        seed=int(rng.integers(2**31)),
    )


def draw_pose(rng: np.random.Generator) -> Pose:
    """A random still: mostly frontal, mouth often open, eyes open."""
    return Pose(
        yaw=_normal(rng, 4.5, MAX_YAW_DEG),
        pitch=_normal(rng, 3.0, MAX_PITCH_DEG),
        roll=_normal(rng, 3.0, MAX_ROLL_DEG),
        dx=rng.uniform(-0.3, 0.3),
        dy=rng.uniform(-0.2, 0.2),
        mouth_open=float(rng.beta(0.8, 1.6)),
        mouth_wide=rng.uniform(-1, 1),
        blink=rng.uniform(0, 0.15),
        brow_raise=rng.uniform(0, 1) ** 2,
    )


def pose_track(
    rng: np.random.Generator, mouth_open: NDArray[np.floating], fps: float
) -> list[Pose]:
    """Smooth random motion with blinks, one pose for each entry of `mouth_open` (n,) in [0, 1].

    Raises ValueError when `fps` is not positive or `mouth_open` is empty.
    """
    n = len(mouth_open)
    if n == 0 or fps <= 0:
        raise ValueError(f"a track needs frames and a frame rate, not {n} at {fps} fps")
    rest = draw_pose(rng)

    def around(centre: float, sd: float, limit: float) -> NDArray[np.float64]:
        return np.clip(centre + sd * _smooth_noise(rng, n, fps), -limit, limit)

    columns = (
        around(rest.yaw, 2.5, MAX_YAW_DEG),
        around(rest.pitch, 2.0, MAX_PITCH_DEG),
        around(rest.roll, 1.5, MAX_ROLL_DEG),
        around(rest.dx, 0.06, 0.4),
        around(rest.dy, 0.04, 0.3),
        np.clip(mouth_open, 0, 1),
        around(0.0, 0.5, 1.0),
        _blinks(rng, n, fps),
        np.clip(around(0.2, 0.25, 1.0), 0, 1),
    )
    return [Pose(*(float(v) for v in row)) for row in zip(*columns, strict=True)]


def _smooth_noise(rng: np.random.Generator, n: int, fps: float) -> NDArray[np.float64]:
    """(n,) of unit variance and about half a second of memory."""
    sigma = 0.4 * fps
    reach = max(1, int(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= np.sqrt((kernel**2).sum())
    return np.convolve(rng.standard_normal(n + 2 * reach), kernel, mode="valid")


def _blinks(rng: np.random.Generator, n: int, fps: float) -> NDArray[np.float64]:
    times = np.arange(n) / fps
    closed = np.zeros(n)
    for at in _blink_times(rng, n / fps):
        closed = np.maximum(closed, 1 - np.abs(times - at) / (BLINK_S / 2))
    return np.clip(1.4 * closed, 0, 1)


def _blink_times(rng: np.random.Generator, duration_s: float) -> Iterator[float]:
    at = rng.uniform(0, 4)
    while at < duration_s:
        yield at
        at += rng.uniform(1.5, 6)


def _normal(rng: np.random.Generator, sd: float, limit: float) -> float:
    return float(np.clip(rng.normal(0, sd), -limit, limit))


def _colour(
    rng: np.random.Generator, low: float, high: float, spread: float
) -> tuple[float, float, float]:
    grey = rng.uniform(low, high)
    red, green, blue = np.clip(grey + rng.uniform(-spread, spread, 3), 0, 255)
    return float(red), float(green), float(blue)


def _shifted(colour: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    red, green, blue = (min(255.0, max(0.0, c + by)) for c in colour)
    return red, green, blue


def _shape(
    rng: np.random.Generator, base: tuple[float, float, float]
) -> tuple[float, float, float, tuple[float, float, float]]:
    x, y, radius = rng.uniform(0, 1), rng.uniform(0, 0.56), rng.uniform(0.04, 0.14)
    return x, y, radius, _shifted(base, rng.uniform(-40, 30))
