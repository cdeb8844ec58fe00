"""Composed streams say what is true of them, and the speaker is found in them."""

import numpy as np
import pytest

from tests.bench_speaker import hold
from training.gallery import NOBODY, TILE_PX, Gallery, compose
from training.people import TEST_SEED, draw_person
from vfd.faces import MtcnnDetector
from vfd.types import SAMPLE_RATE_HZ

PEOPLE = [draw_person(TEST_SEED + 400_000 + k) for k in range(5)]


def test_turns_are_heard_when_the_truth_says_so() -> None:
    gallery = compose(PEOPLE[:2], 1, 10, fps=2, off_screen=PEOPLE[4].voice)
    assert set(gallery.speaker) == {NOBODY, *gallery.speaker[gallery.speaker != NOBODY]}
    assert len(set(gallery.speaker)) > 2
    assert gallery.heard(0, 10).sum() == pytest.approx((gallery.speaker != NOBODY).sum() / 100)
    loud = np.abs(gallery.audio).reshape(-1, SAMPLE_RATE_HZ // 100).mean(axis=1)
    pause = loud[gallery.speaker == NOBODY]
    assert np.median(pause) < 0.3 * np.median(loud[gallery.speaker != NOBODY])


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2)])
def test_everybody_is_where_the_truth_says(count: int, columns: int, rows: int) -> None:
    gallery = compose(PEOPLE[:count], 2, 1, fps=2)
    shown = list(gallery.pictures())
    assert [time_s for time_s, _ in shown] == [0.0, 0.5]
    assert shown[0][1].shape == (rows * TILE_PX[1], columns * TILE_PX[0], 3)
    faces = MtcnnDetector().detect(shown[1][1])
    assert len(faces) == count
    eyes = np.array([face.points[:2].mean(axis=0) for face in faces])
    distances = np.hypot(*(gallery.centres[:, None] - eyes[None]).T)
    assert distances.min(axis=0).max() < 40


def test_a_swap_changes_the_voice_and_not_who_is_seen_where() -> None:
    true = compose(PEOPLE[:1], 3, 2, fps=2)
    again = compose(PEOPLE[:1], 3, 2, fps=2)
    swapped = compose(PEOPLE[:1], 3, 2, fps=2, voices=[PEOPLE[4].voice])
    assert np.array_equal(true.audio, again.audio)
    assert true.chunks == again.chunks
    assert not np.array_equal(true.audio, swapped.audio)
    assert np.array_equal(true.centres, swapped.centres)


@pytest.mark.parametrize("count", [0, 5])
def test_too_many_or_too_few_people_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 4 people, not {count}"):
        compose(PEOPLE[:count], 1, 1)


def test_the_speaker_of_two_is_found() -> None:
    gallery: Gallery = compose(PEOPLE[:2], 5, 11, fps=10)
    outcome = hold(gallery, MtcnnDetector())
    assert outcome.strangers == 0
    assert outcome.windows["right"] == outcome.windows["scored"]
    assert outcome.share("alone, scored", "alone") >= 0.6


def test_somebody_off_screen_is_nobody_of_those_shown() -> None:
    gallery = compose(PEOPLE[:1], 6, 6, fps=10)
    absent = Gallery(
        compose(PEOPLE[1:2], 7, 6, fps=10, restless_share=0.3).chunks,
        10,
        gallery.audio,
        np.where(gallery.speaker == 0, 1, NOBODY).astype(np.int8),
        gallery.centres,
    )
    outcome = hold(absent, MtcnnDetector())
    assert outcome.windows["off screen"] >= 3
    assert outcome.windows["scored"] == 0
