import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vfd.align import TEMPLATE, align, similarity_transform


def moved(angle_deg: float, scale: float, shift: tuple[float, float]) -> NDArray[np.float32]:
    a = np.deg2rad(angle_deg)
    turn = scale * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return ((TEMPLATE - 112) @ turn + shift).astype(np.float32)


def apply(matrix: NDArray[np.float64], points: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


@pytest.mark.parametrize("angle", [0, 35, -90, 180])
@pytest.mark.parametrize("scale", [0.2, 1, 7])
def test_turned_scaled_and_shifted_points_come_back(angle: float, scale: float) -> None:
    points = moved(angle, scale, (300, 200))
    assert apply(similarity_transform(points), points) == pytest.approx(TEMPLATE, abs=1e-3)


def test_mirrored_points_are_not_mirrored_back() -> None:
    mirrored = TEMPLATE * np.float32([-1, 1])
    matrix = similarity_transform(mirrored)
    assert np.linalg.det(matrix[:, :2]) > 0
    assert np.abs(apply(matrix, mirrored) - TEMPLATE).max() > 10


def test_no_other_similarity_is_closer_to_the_template() -> None:
    rng = np.random.default_rng(1)
    points = moved(20, 2, (300, 200)) + rng.normal(0, 4, (5, 2)).astype(np.float32)
    best = similarity_transform(points)

    def error(matrix: NDArray[np.float64]) -> float:
        return float(((apply(matrix, points) - TEMPLATE) ** 2).sum())

    for _ in range(100):
        a, b, x, y = rng.normal(0, [0.01, 0.01, 1, 1])
        other = best + np.array([[a, -b, x], [b, a, y]])
        assert error(other) > error(best)


@pytest.mark.parametrize("scale", [0.3, 1, 2.5, 6])
def test_marks_at_the_points_lie_on_the_template_within_a_pixel(scale: float) -> None:
    points = moved(15, scale, (1000, 1000))
    for point, target in zip(points, TEMPLATE, strict=True):
        picture = np.zeros((2000, 2000, 3), np.uint8)
        at = [round(float(v) * 16) for v in point]  # cv2 takes sixteenths of a pixel
        cv2.circle(picture, at, round(max(1.5, 2 * scale) * 16), (255, 255, 255), -1, shift=4)
        weight = align(picture, points)[:, :, 0].astype(float)
        rows, columns = np.indices(weight.shape)
        centre = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
        assert centre == pytest.approx(tuple(target), abs=1)


def test_large_faces_are_averaged() -> None:
    y, x = np.mgrid[:1400, :1400]
    chequered = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    crop = align(chequered, moved(0, 6, (700, 700)))
    assert np.ptp(crop.astype(int)) < 80


def test_beyond_the_picture_is_grey_and_points_in_one_place_do_not_fail() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    assert (align(picture, moved(0, 1, (1000, 1000))) == 128).all()
    assert align(picture, np.full((5, 2), 50, np.float32)).shape == (224, 224, 3)
