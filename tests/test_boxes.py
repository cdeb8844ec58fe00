import numpy as np
import pytest

from vfd.boxes import areas, overlaps, regress, suppress, to_squares


def rows(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4)


def test_an_inverted_box_has_no_area() -> None:
    assert areas(rows((0, 0, 4, 5), (4, 0, 0, 5))).tolist() == [20, 0]


def test_overlap_with_union_and_with_the_smaller() -> None:
    outer, inner = rows((0, 0, 10, 10)), rows((0, 0, 5, 10))
    assert overlaps(outer[0], inner, "union")[0] == pytest.approx(0.5)
    assert overlaps(outer[0], inner, "smaller")[0] == pytest.approx(1.0)


def test_the_better_of_two_overlapping_boxes_stays() -> None:
    boxes = rows((0, 0, 10, 10), (1, 1, 11, 11), (50, 50, 60, 60))
    scores = np.array([0.7, 0.9, 0.8], np.float32)
    assert suppress(boxes, scores, max_overlap=0.5).tolist() == [1, 2]


def test_no_boxes_give_no_boxes() -> None:
    nothing = rows()
    assert suppress(nothing, np.empty(0, np.float32), 0.5).shape == (0,)
    assert to_squares(nothing).shape == (0, 4)


def test_regression_moves_sides_by_parts_of_the_box() -> None:
    moved = regress(rows((10, 10, 30, 50)), rows((0.5, 0.25, -0.1, 0)))
    assert moved[0] == pytest.approx([20, 20, 28, 50])


def test_squares_keep_the_centre() -> None:
    assert to_squares(rows((10, 10, 30, 50)))[0].tolist() == [0, 10, 40, 50]
