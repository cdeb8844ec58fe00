import numpy as np
import pytest

from vfd.pyramid import CELL_PX, MAX_SIDE_PX, MIN_FACE_PX, STRIDE_PX, fit, pack


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (288, 360), (41, 639), (480, 481)])
def test_levels_lie_apart_on_the_canvas_and_on_its_stride(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 200, np.uint8)
    canvas, levels = pack(picture)
    taken = np.zeros(canvas.shape[:2], int)
    for level in levels:
        assert level.x % STRIDE_PX == level.y % STRIDE_PX == 0
        taken[level.y : level.y + level.height, level.x : level.x + level.width] += 1
    assert taken.max() == 1
    assert ((canvas[:, :, 0] > 0) == (taken == 1)).all()


def test_the_first_level_shows_the_smallest_face_in_one_cell() -> None:
    _, levels = pack(np.zeros((360, 640, 3), np.uint8))
    assert levels[0].scale_x == pytest.approx(MIN_FACE_PX / CELL_PX, rel=0.01)
    assert levels[-1].height >= CELL_PX
    assert len(levels) == 7


def test_a_picture_smaller_than_the_smallest_face_has_no_levels() -> None:
    assert pack(np.zeros((39, 640, 3), np.uint8))[1] == []


def test_large_pictures_are_fitted_and_small_ones_left_alone() -> None:
    large, scale = fit(np.zeros((2160, 3840, 3), np.uint8))
    assert large.shape == (360, MAX_SIDE_PX, 3)
    assert scale == 6
    small = np.zeros((180, 320, 3), np.uint8)
    assert fit(small) == (small, 1.0)
