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


def test_pictures_beside_a_skip_are_not_judged_and_all_others_are() -> None:
    marks, skip_s = Marks(), 1.3
    for second in range(20):
        later_s = 0.0 if second < 10 else -skip_s
        sound, placed_s = tone(float(TONES_HZ[second % CYCLE_S])), 100.0 + second + later_s
        if second == 10:  # its first part would lie over what was heard
            continue
        if second == 11:
            sound, placed_s = sound[int((skip_s - 1) * 16_000) :], placed_s + skip_s - 1
        marks.hear(placed_s, sound)
        marks.see(100.9 + second + later_s, picture(second % CYCLE_S, 9))
    told_s = marks.skews_s()
    assert np.flatnonzero(np.isnan(told_s)).tolist() == [9, 10]  # those of seconds 9 and 11
    np.testing.assert_allclose(told_s[~np.isnan(told_s)], 0.0, atol=0.015)
