"""The mouth's number moves with the lips, and hardly with head, distance or light."""

import cv2
import numpy as np
import pytest
from clips import drawn

from training.scenes import Pose
from vfd.faces import MtcnnDetector
from vfd.mouth import mouth_contrast
from vfd.types import Face, Rgb

PEOPLE = (3, 4, 5, 8)


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


def contrast(detector: MtcnnDetector, rgb: Rgb) -> float:
    (face,) = detector.detect(rgb)
    return mouth_contrast(rgb, face)


@pytest.mark.parametrize("person", PEOPLE)
def test_the_wider_a_mouth_is_open_the_more(detector: MtcnnDetector, person: int) -> None:
    shut, half, wide = (
        contrast(detector, drawn(person, Pose(mouth_open=o))) for o in (0.0, 0.4, 0.9)
    )
    assert shut < half < wide
    assert wide > 1.3 * shut


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize(
    "turned",
    [Pose(yaw=12), Pose(yaw=-12), Pose(pitch=8), Pose(pitch=-8), Pose(roll=8), Pose(dx=0.3)],
)
def test_a_head_that_turns_moves_it_less_than_speech(
    detector: MtcnnDetector, person: int, turned: Pose
) -> None:
    shut = contrast(detector, drawn(person, Pose()))
    opened = contrast(detector, drawn(person, Pose(mouth_open=0.7)))
    assert abs(contrast(detector, drawn(person, turned)) - shut) < 0.3 * (opened - shut)


@pytest.mark.parametrize("opened", [0.0, 0.7])
@pytest.mark.parametrize("scale", [0.7, 1.5, 2.5])
def test_size_hardly_matters(detector: MtcnnDetector, opened: float, scale: float) -> None:
    rgb = drawn(3, Pose(mouth_open=opened))
    scaled = np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale), np.uint8)
    assert contrast(detector, scaled) == pytest.approx(contrast(detector, rgb), rel=0.2)


@pytest.mark.parametrize("opened", [0.0, 0.7])
def test_light_hardly_matters(detector: MtcnnDetector, opened: float) -> None:
    rgb = drawn(3, Pose(mouth_open=opened))
    darker = np.asarray(rgb * 0.5, np.uint8)
    assert contrast(detector, darker) == pytest.approx(contrast(detector, rgb), rel=0.15)


def test_a_face_at_the_edge_or_without_extent_has_a_number_too(detector: MtcnnDetector) -> None:
    rgb = drawn(3, Pose())
    (face,) = detector.detect(rgb)
    outside = Face(face.box, face.points + np.float32([600, 300]), face.score)
    collapsed = Face(face.box, np.full((5, 2), 30, np.float32), face.score)
    assert np.isfinite([mouth_contrast(rgb, f) for f in (outside, collapsed)]).all()
