"""The measure of skew itself: what is shifted is found to be shifted."""

import numpy as np

from tests.marked import CYCLE_S, FPS, TONES_HZ, Marks, picture, place_of, tone


def test_a_picture_tells_when_it_was_taken() -> None:
    for second in range(CYCLE_S):
        for tenth in range(FPS):
            assert place_of(picture(second, tenth)) == second + tenth / FPS


def test_what_is_late_is_found_to_be_late() -> None:
    for late_s in (0.0, 0.25, -1.5):
        marks = Marks()
        for second in range(20):
            marks.hear(100.0 + second, tone(float(TONES_HZ[second % CYCLE_S])))
            marks.see(100.3 + second + late_s, picture(second % CYCLE_S, 3))
        skews_s = marks.skews_s()
        assert len(skews_s) == 20
        np.testing.assert_allclose(skews_s, late_s, atol=0.015)
