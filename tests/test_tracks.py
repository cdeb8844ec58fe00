"""Tracks of people who stand, walk, cross, vanish and are cut away: never two people in one."""

import itertools

import cv2
import numpy as np
import pytest

from tests.test_finder import face
from vfd.tracks import MAX_CHANGE, MAX_DOUBT_S, MAX_GAP_S, MAX_TRACKS, FaceTracker
from vfd.types import Face, Rgb

STEP_S = 1 / 12
FACE_PX = 60.0
Place = tuple[float, float]


class Stage:
    """People of different colours on a screen, and whose face is in which track."""

    def __init__(self) -> None:
        self.tracker = FaceTracker()
        self.time_s = 0.0
        self.owner: dict[int, int] = {}

    def show(self, people: dict[int, Place], width: float = FACE_PX) -> dict[int, int]:
        """The next picture, with each of `people` in their place: their tracks."""
        faces = {person: face(x, y, width) for person, (x, y) in people.items()}
        found = self.tracker.update(list(faces.values()), painted(faces), self.time_s)
        self.time_s += STEP_S
        names = {id(f): person for person, f in faces.items()}
        for track, seen in found.items():
            person = names[id(seen)]
            assert self.owner.setdefault(track, person) == person, "somebody else's track"
        return {names[id(seen)]: track for track, seen in found.items()}


def painted(faces: dict[int, Face]) -> Rgb:
    rgb = np.full((360, 900, 3), 128, np.uint8)
    for person, seen in faces.items():
        x, y = (round(v) for v in seen.points.mean(axis=0))
        colour = ((person * 67 + 40) % 256, (person * 131 + 90) % 256, (person * 29) % 256)
        cv2.circle(rgb, (x, y), round(FACE_PX), colour, -1)
    return rgb


def test_who_moves_a_little_keeps_their_number() -> None:
    stage = Stage()
    for k in range(50):
        assert stage.show({0: (200 + k, 180), 1: (500, 180 - k), 2: (700 - k, 180)}) == {
            0: 1,
            1: 2,
            2: 3,
        }


@pytest.mark.parametrize(
    ("away_s", "survives"), [(MAX_GAP_S - 0.2, True), (MAX_GAP_S + 0.2, False)]
)
def test_a_gap_is_survived_up_to_two_seconds(away_s: float, survives: bool) -> None:
    stage = Stage()
    before = stage.show({0: (200, 180), 1: (600, 180)})
    for _ in range(round(away_s / STEP_S)):
        stage.show({1: (600, 180)})
    after = stage.show({0: (215, 180), 1: (600, 180)})
    assert after[1] == before[1]
    assert (after[0] == before[0]) == survives


@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("turn_back", [True, False])
def test_people_who_cross_are_both_cut(hidden: bool, turn_back: bool) -> None:
    """Whether or not one hides the other, and whether they pass or turn back."""
    stage = Stage()
    for k in range(41):
        x = 300 + 5 * k
        if turn_back and k > 20:
            x = 300 + 5 * (40 - k)
        people = {0: (float(x), 180.0), 1: (800.0 - x, 180.0)}
        if hidden and abs(2 * x - 800) < 0.6 * FACE_PX:
            del people[1]
        last = stage.show(people)
        if k == 0:
            first = last
    assert set(last) == {0, 1}
    assert not set(first.values()) & set(last.values())


def test_nobody_has_a_track_while_two_are_one_before_the_other() -> None:
    stage = Stage()
    stage.show({0: (300, 180), 1: (400, 180)})
    for _ in range(5):
        assert stage.show({0: (340, 180), 1: (360, 180)}) == {}
    assert stage.tracker.tracks == frozenset()


def test_people_shoulder_to_shoulder_are_kept_apart() -> None:
    stage = Stage()
    found = [stage.show({0: (300, 180), 1: (300 + 1.5 * FACE_PX, 180)}) for _ in range(20)]
    assert all(tracks == {0: 1, 1: 2} for tracks in found)


def test_a_cut_ends_every_track_for_good() -> None:
    stage = Stage()
    before = stage.show({0: (150, 180), 1: (450, 180)})
    stage.show({2: (300, 150), 3: (640, 150)})
    assert not stage.tracker.tracks & set(before.values())
    after = stage.show({0: (150, 180), 1: (450, 180)})
    assert not set(after.values()) & set(before.values())


def test_a_cut_to_somebody_in_the_same_place_is_seen_by_their_looks() -> None:
    stage = Stage()
    before = stage.show({0: (300, 180)})
    found = [stage.show({1: (300, 180)}) for _ in range(round(MAX_DOUBT_S / STEP_S) + 3)]
    assert found[0] == {}
    assert found[-1][1] != before[0]


def test_one_picture_in_which_somebody_looks_different_is_left_out() -> None:
    stage = Stage()
    before = stage.show({0: (300, 180)})
    seen = face(300, 180, FACE_PX)
    darker = np.asarray(painted({0: seen}) * 0.5, np.uint8)
    assert np.abs(darker.astype(float) - painted({0: seen})).mean() > MAX_CHANGE
    assert stage.tracker.update([seen], darker, stage.time_s) == {}
    assert stage.show({0: (300, 180)}) == before


def test_a_face_that_grows_at_once_is_another_shot() -> None:
    stage = Stage()
    before = stage.show({0: (300, 180)})
    assert stage.show({0: (300, 180)}, width=2 * FACE_PX)[0] != before[0]


@pytest.mark.parametrize("seed", range(8))
def test_whoever_walks_wherever_nobody_gets_into_the_track_of_another(seed: int) -> None:
    """Five people about at random, each missed in every fifth picture."""
    rng = np.random.default_rng(seed)
    stage, at, speed = Stage(), rng.uniform((100, 80), (800, 280), (5, 2)), np.zeros((5, 2))
    followed = 0
    for _ in range(400):
        speed = 0.9 * speed + rng.normal(0, 2.5, (5, 2))
        at = np.clip(at + speed, (60, 60), (840, 300))
        seen = {k: (float(x), float(y)) for k, (x, y) in enumerate(at) if rng.random() < 0.8}
        followed += len(stage.show(seen))
    assert followed > 500
    assert len(stage.owner) > 10


def test_a_crowd_and_a_long_stream_are_bounded() -> None:
    stage = Stage()
    crowd = [(60.0 + 90 * x, 60.0 + 100 * y) for x, y in itertools.product(range(9), range(3))]
    for k in range(30):
        people = dict(enumerate(crowd[k % 3 :]))
        assert len(stage.show(people)) <= MAX_TRACKS
    assert len(stage.tracker.tracks) <= MAX_TRACKS


def test_pictures_without_faces_and_empty_pictures_are_taken() -> None:
    tracker = FaceTracker()
    assert tracker.update([], np.empty((0, 0, 3), np.uint8), 0.0) == {}
    together = Face(face(60, 60, 40).box, np.full((5, 2), 60, np.float32), 0.9)
    assert tracker.update([together], np.zeros((120, 120, 3), np.uint8), 0.1) == {1: together}


def test_time_that_falls_is_refused() -> None:
    tracker = FaceTracker()
    tracker.update([], np.empty((0, 0, 3), np.uint8), 2.0)
    with pytest.raises(ValueError, match=r"from 2\.0 s to 1\.0 s"):
        tracker.update([], np.empty((0, 0, 3), np.uint8), 1.0)
