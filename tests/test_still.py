import numpy as np
import pytest
from clips import drawn

from tests.test_finder import face
from training.codecs import decode_vp8, encode_vp8
from vfd.faces import MtcnnDetector
from vfd.still import MEMORY, StillDetector
from vfd.types import Face, Rgb


class CountingDetector:
    """Sees the same face in every picture that is not all black."""

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, rgb: Rgb) -> list[Face]:
        self.asked += 1
        return [face(320, 180, 120)] if rgb.any() else []


@pytest.fixture
def detector() -> CountingDetector:
    return CountingDetector()


def test_a_picture_that_stands_still_is_looked_at_once(detector: CountingDetector) -> None:
    """The codec's own noise is no movement."""
    still = StillDetector(detector)
    pictures = decode_vp8(encode_vp8([drawn(3)] * 12))[4:]
    results = [still.detect(picture) for picture in pictures]
    assert detector.asked == 1
    assert all(result[0] is results[0][0] for result in results)


@pytest.mark.parametrize("by", [(0, 2), (2, 0), (-2, 2)])
def test_a_head_that_moves_is_looked_at_again(
    detector: CountingDetector, by: tuple[int, int]
) -> None:
    still = StillDetector(detector)
    still.detect(drawn(3))
    still.detect(np.roll(drawn(3), by, (0, 1)))
    assert detector.asked == 2


def test_another_face_in_the_same_place_is_looked_at(detector: CountingDetector) -> None:
    still = StillDetector(detector)
    for seed in range(6):
        still.detect(drawn(seed))
    assert detector.asked == 6


def test_a_change_outside_of_the_face_is_looked_at(detector: CountingDetector) -> None:
    """Somebody else may have come in."""
    picture = drawn(3)
    still = StillDetector(detector)
    still.detect(picture)
    picture = picture.copy()
    picture[20:140, 20:110] = 255 - picture[20:140, 20:110]
    still.detect(picture)
    assert detector.asked == 2


def test_every_participant_has_a_picture_of_their_own(detector: CountingDetector) -> None:
    still = StillDetector(detector)
    for _ in range(3):
        for seed in range(4):
            still.detect(drawn(seed))
    assert detector.asked == 4


def test_pictures_without_a_face_are_always_looked_at(detector: CountingDetector) -> None:
    still = StillDetector(detector)
    for _ in range(3):
        assert still.detect(np.zeros((360, 640, 3), np.uint8)) == []
    assert detector.asked == 3


@pytest.mark.parametrize("shape", [(0, 0, 3), (16, 16, 3), (47, 600, 3)])
def test_tiny_pictures_are_passed_on(
    shape: tuple[int, int, int], detector: CountingDetector
) -> None:
    still = StillDetector(detector)
    still.detect(np.zeros(shape, np.uint8))
    assert detector.asked == 1


def test_another_size_is_another_picture(detector: CountingDetector) -> None:
    still = StillDetector(detector)
    still.detect(drawn(3))
    still.detect(drawn(3)[:, :-16])
    assert detector.asked == 2


def test_memory_is_bounded(detector: CountingDetector) -> None:
    still = StillDetector(detector)
    rng = np.random.default_rng(0)
    for _ in range(MEMORY + 5):
        still.detect(rng.integers(1, 255, (90, 160, 3)).astype(np.uint8))
    assert len(still._seen) <= MEMORY


def test_what_is_remembered_is_what_the_detector_would_find() -> None:
    detector = MtcnnDetector()
    still = StillDetector(detector)
    pictures = decode_vp8(encode_vp8([drawn(3)] * 12))[4:]
    for picture in pictures:
        (found,) = still.detect(picture)
        (anew,) = detector.detect(picture)
        assert np.abs(found.points - anew.points).max() < 1.5
    assert len(still._seen) < len(pictures)
