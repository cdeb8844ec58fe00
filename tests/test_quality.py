from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import drawn, pictures

from monitor.config import FaceConfig
from training.scenes import Pose
from vfd.align import align
from vfd.faces import MtcnnDetector
from vfd.quality import QualityLimits, head_turn, judge, sharpness
from vfd.types import Box, Face, Reason, Rgb

LIMITS = QualityLimits()
FRONTAL = np.array([[100, 100], [160, 100], [130, 133], [105, 169], [155, 169]], np.float32)


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


@pytest.fixture(scope="module")
def judged(detector: MtcnnDetector) -> Callable[[Rgb], float | Reason]:
    def judge_picture(rgb: Rgb) -> float | Reason:
        faces = detector.detect(rgb)
        if not faces:
            return Reason.NO_FACE
        return judge(rgb, faces[0], align(rgb, faces[0].points), LIMITS)

    return judge_picture


Judged = Callable[[Rgb], float | Reason]


def test_the_configuration_has_the_same_limits() -> None:
    config = asdict(FaceConfig())
    assert asdict(LIMITS).items() <= config.items()


def face(points: np.ndarray) -> Face:
    return Face(Box(80, 60, 100, 130), points.astype(np.float32), 0.99)


def covered(rgb: Rgb, seen: Face, area: tuple[float, float, float, float], colour: int) -> Rgb:
    """`rgb` with a box over `area`: left, top, right, bottom in eye distances from the middle of
    the eyes."""
    middle = seen.points[:2].mean(axis=0)
    unit = np.hypot(*(seen.points[1] - seen.points[0]))
    corners = np.round(middle + unit * np.array(area).reshape(2, 2)).astype(int)
    (left, top), (right, bottom) = np.maximum(corners, 0)
    result = rgb.copy()
    result[top:bottom, left:right] = colour
    return cv2.GaussianBlur(result, (0, 0), 0.7)


COVERINGS = {
    "dark box over one eye": ((-1, -0.4, 0, 0.35), 20),
    "grey box over one eye": ((-1, -0.4, 0, 0.35), 150),
    "dark bar over both eyes": ((-1.2, -0.3, 1.2, 0.3), 15),
    "dark box over the lower half": ((-1.2, 0.7, 1.2, 2.2), 20),
    "white box over the lower half": ((-1.2, 0.7, 1.2, 2.2), 225),
}


def test_drawn_faces_pass(judged: Judged) -> None:
    results = [judged(drawn(index)) for index in range(20)]
    assert sum(isinstance(r, float) for r in results) >= 19
    assert all(0 < r <= 1 for r in results if isinstance(r, float))


def test_a_blink_and_an_open_mouth_are_no_covering(judged: Judged) -> None:
    for index in range(3):
        for pose in (Pose(blink=1), Pose(mouth_open=1), Pose(yaw=12, pitch=8, roll=10)):
            assert isinstance(judged(drawn(index, pose)), float)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: (p * 0.1).astype(np.uint8), Reason.FACE_DARK),
        (lambda p: cv2.GaussianBlur(p, (0, 0), 4), Reason.FACE_BLURRED),
        (lambda p: cv2.addWeighted(p, 0.06, p, 0, 238), Reason.FACE_BRIGHT),
    ],
)
def test_spoilt_pictures_are_refused_by_name(
    detector: MtcnnDetector, change: Callable[[Rgb], Rgb], reason: Reason
) -> None:
    picture = drawn(3)
    (seen,) = detector.detect(picture)
    spoilt = change(picture)
    assert judge(spoilt, seen, align(spoilt, seen.points), LIMITS) == reason


def test_a_small_face_is_refused(detector: MtcnnDetector) -> None:
    picture = cv2.resize(drawn(3), (160, 90), interpolation=cv2.INTER_AREA)
    points = detector.detect(drawn(3))[0].points / 4
    assert judge(picture, face(points), align(picture, points), LIMITS) == Reason.FACE_SMALL


def test_a_turned_head_is_refused(detector: MtcnnDetector) -> None:
    picture = drawn(3)
    (seen,) = detector.detect(picture)
    for shift in ((20, 0), (-20, 0), (0, 20), (0, -20)):
        points = seen.points.copy()
        points[2] += np.float32(shift)
        turned = Face(seen.box, points, seen.score)
        assert judge(picture, turned, align(picture, points), LIMITS) == Reason.FACE_TURNED


@pytest.mark.parametrize("roll", [0, 40, -90])
def test_head_turn_does_not_depend_on_roll(roll: float) -> None:
    a = np.deg2rad(roll)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    assert head_turn(face(FRONTAL @ turn)) == pytest.approx((0, 0), abs=0.03)
    right = FRONTAL.copy()
    right[2] += (15, 0)
    assert head_turn(face(right @ turn))[0] == pytest.approx(0.5, abs=0.03)
    down = FRONTAL.copy()
    down[2] += (0, 10)
    assert head_turn(face(down @ turn))[1] == pytest.approx(2 * 10 / 69, abs=0.03)


def test_turning_a_drawn_head_moves_yaw_the_same_way(detector: MtcnnDetector) -> None:
    left, right = (detector.detect(drawn(3, Pose(yaw=yaw)))[0] for yaw in (-25, 25))
    assert head_turn(left)[0] < -0.1
    assert head_turn(right)[0] > 0.1


def test_a_face_cut_by_the_edge_of_the_picture_is_occluded(detector: MtcnnDetector) -> None:
    picture = drawn(3)
    (seen,) = detector.detect(picture)
    cut = round(float(seen.points[0, 0])) + 4
    points = seen.points - np.float32([cut, 0])
    rest = picture[:, cut:]
    assert judge(rest, face(points), align(rest, points), LIMITS) == Reason.FACE_OCCLUDED


@pytest.mark.parametrize("name", COVERINGS)
def test_covered_drawn_faces_are_refused(
    detector: MtcnnDetector, judged: Judged, name: str
) -> None:
    area, colour = COVERINGS[name]
    for index in range(5):
        picture = drawn(index)
        (seen,) = detector.detect(picture)
        assert isinstance(judged(covered(picture, seen, area, colour)), Reason)


@pytest.mark.parametrize("name", COVERINGS)
def test_covered_real_faces_are_refused(
    detector: MtcnnDetector, judged: Judged, media: list[Path], name: str
) -> None:
    area, colour = COVERINGS[name]
    for clip in media:
        for picture in pictures(clip, every=40):
            (seen,) = detector.detect(picture)
            assert isinstance(judged(covered(picture, seen, area, colour)), Reason)


def test_real_faces_are_hardly_ever_refused(judged: Judged, media: list[Path]) -> None:
    results = [judged(p) for clip in media for p in pictures(clip, every=6)]
    assert np.mean([isinstance(r, float) for r in results]) >= 0.98


def test_blurred_real_faces_are_refused(judged: Judged, media: list[Path]) -> None:
    for clip in media:
        (picture,) = pictures(clip, every=1000)
        assert judged(cv2.GaussianBlur(picture, (0, 0), 3)) == Reason.FACE_BLURRED


def test_sharpness_ignores_light_and_falls_with_blur(detector: MtcnnDetector) -> None:
    picture = drawn(3)
    (seen,) = detector.detect(picture)

    def sharp(rgb: Rgb) -> float:
        return sharpness(align(rgb, seen.points), 30)

    assert sharp((picture * 0.5).astype(np.uint8)) == pytest.approx(sharp(picture), rel=0.1)
    blurred = [sharp(cv2.GaussianBlur(picture, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4)]
    assert blurred == sorted(blurred, reverse=True)
