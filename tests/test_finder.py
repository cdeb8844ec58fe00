import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import drawn, pictures

from vfd.align import TEMPLATE
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.quality import QualityLimits
from vfd.types import Box, Face, FaceFrame, Reason, Rgb


class ScriptedDetector:
    """Sees in every picture what it is told to."""

    def __init__(self, *faces: Face) -> None:
        self._faces = list(faces)

    def detect(self, rgb: Rgb) -> list[Face]:
        return self._faces


def face(x: float, y: float, width: float) -> Face:
    scale = width / 120
    points = (TEMPLATE - 112) * scale + np.float32([x, y])
    box = Box(x - width / 2, y - 0.65 * width, width, 1.3 * width)
    return Face(box, points.astype(np.float32), 0.99)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(MtcnnDetector())


def test_a_drawn_face_becomes_a_crop_with_its_place_and_time(finder: FaceFinder) -> None:
    found = finder.find(drawn(3), 12.5)
    assert isinstance(found, FaceFrame)
    assert found.time_s == 12.5
    assert found.rgb.shape == (224, 224, 3)
    assert found.rgb.dtype == np.uint8
    assert 0 < found.quality <= 1
    assert 0 < found.box.x < 640


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (16, 16), (9, 2000), (360, 640), (2160, 3840)])
def test_pictures_of_nobody_have_no_face(finder: FaceFinder, shape: tuple[int, int]) -> None:
    assert finder.find(np.full((*shape, 3), 120, np.uint8), 0.0) == Reason.NO_FACE


def test_two_people_are_named_and_somebody_in_the_background_is_not() -> None:
    picture = drawn(3)
    rival = FaceFinder(ScriptedDetector(face(200, 180, 60), face(450, 180, 100)))
    assert rival.find(picture, 0.0) == Reason.SEVERAL_FACES
    background = FaceFinder(ScriptedDetector(face(200, 180, 45), face(450, 180, 100)))
    assert background.find(picture, 0.0) != Reason.SEVERAL_FACES


def test_two_drawn_people_are_several_faces(finder: FaceFinder) -> None:
    both = np.concatenate([drawn(3)[:, 120:520], drawn(4)[:, 120:520]], axis=1)
    assert finder.find(both, 0.0) == Reason.SEVERAL_FACES


def test_each_of_two_people_can_be_cut(finder: FaceFinder) -> None:
    """What is cut is the face that was asked for."""
    both = np.concatenate([drawn(3)[:, 120:520], drawn(4)[:, 120:520]], axis=1)
    left, right = sorted(MtcnnDetector().detect(both), key=lambda found: found.box.x)
    crops = [finder.cut(both, one, 2.5) for one in (left, right)]
    for crop, one, alone in zip(crops, (left, right), (drawn(3), drawn(4)), strict=True):
        reference = finder.find(alone, 2.5)
        assert isinstance(crop, FaceFrame)
        assert isinstance(reference, FaceFrame)
        assert (crop.time_s, crop.box) == (2.5, one.box)
        assert np.abs(crop.rgb.astype(float) - reference.rgb).mean() < 12


def test_points_in_one_place_are_a_small_face() -> None:
    collapsed = Face(Box(10, 10, 40, 50), np.full((5, 2), 30, np.float32), 0.99)
    assert FaceFinder(ScriptedDetector(collapsed)).find(drawn(3), 0.0) == Reason.FACE_SMALL


def test_limits_are_those_given(finder: FaceFinder) -> None:
    strict = FaceFinder(MtcnnDetector(), QualityLimits(min_eye_distance_px=100))
    assert strict.find(drawn(3), 0.0) == Reason.FACE_SMALL


def test_a_4k_picture_is_cut_at_full_size_in_time(finder: FaceFinder) -> None:
    small = drawn(3)
    large = cv2.resize(small, (3840, 2160), interpolation=cv2.INTER_CUBIC)
    found, reference = finder.find(large, 0.0), finder.find(small, 0.0)
    assert isinstance(found, FaceFrame)
    assert isinstance(reference, FaceFrame)
    assert found.box.width == pytest.approx(6 * reference.box.width, rel=0.05)
    spent = []
    for _ in range(5):
        start = time.process_time()
        finder.find(large, 0.0)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.060


def test_one_worker_thread_finds_what_this_one_finds(finder: FaceFinder) -> None:
    with ThreadPoolExecutor(1) as worker:
        there = worker.submit(finder.find, drawn(3), 0.0).result()
    here = finder.find(drawn(3), 0.0)
    assert isinstance(there, FaceFrame)
    assert isinstance(here, FaceFrame)
    assert (there.rgb == here.rgb).all()


def test_every_real_clip_gives_crops(finder: FaceFinder, media: list[Path]) -> None:
    for clip in media:
        found = [finder.find(picture, 0.0) for picture in pictures(clip, every=15)]
        assert all(isinstance(f, FaceFrame) for f in found)
