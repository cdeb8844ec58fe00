"""Drawn faces: found by the detector, readable trait by trait, fast, and the same every time."""

import time
from dataclasses import asdict, replace

import numpy as np
import pytest

from training.face_drawing import FaceDrawer, palette_of
from training.face_geometry import SKULL_TOP_Y, FaceShape, View, shape_of, squash
from training.people import TEST_SEED, TRAITS, FaceTraits, draw_person
from training.scenes import (
    MAX_PITCH_DEG,
    MAX_ROLL_DEG,
    MAX_YAW_DEG,
    Pose,
    Scene,
    draw_pose,
    draw_scene,
    pose_track,
)
from vfd.faces import MtcnnDetector
from vfd.types import Rgb

AVERAGE = FaceTraits(
    male=False,
    age=0.0,
    size=0.0,
    larynx=0.0,
    breath=0.0,
    tempo=0.0,
    melody=0.0,
    skin_tone=0.6,
    hair_colour=0.4,
    eye_colour=0.5,
)
SHOWN_BY = {
    "age": ("age_lines", "hairline_y"),
    "size": ("half_width",),
    "larynx": ("brow_thickness",),
    "breath": ("hair_volume",),
    "tempo": ("eye_half_width", "eye_half_height", "iris_radius"),
    "melody": ("nose_half_width",),
}


def _scene(seed: int = 1) -> Scene:
    return draw_scene(np.random.default_rng(seed))


def _with(face: FaceTraits, **traits: float) -> FaceTraits:
    return FaceTraits(**{**asdict(face), **traits})


def _still(face: FaceTraits, scene: Scene) -> Rgb:
    return FaceDrawer(face, replace(scene, noise_sd=0.0)).draw(Pose())


@pytest.mark.parametrize("trait", TRAITS)
def test_a_trait_changes_its_own_sizes_and_no_others(trait: str) -> None:
    steps = [shape_of(_with(AVERAGE, **{trait: v})) for v in np.linspace(-2.5, 2.5, 11)]
    for field in FaceShape.__slots__:
        changes = np.diff([float(getattr(shape, field)) for shape in steps])
        if field in SHOWN_BY[trait]:
            assert np.all(changes >= 0) or np.all(changes <= 0)
            assert np.any(changes)
        else:
            assert not np.any(changes)


@pytest.mark.parametrize("trait", TRAITS)
@pytest.mark.parametrize("male", [False, True])
def test_a_trait_is_seen_in_the_picture(trait: str, male: bool) -> None:
    scene, face = _scene(), replace(AVERAGE, male=male)
    low, high = (_still(_with(face, **{trait: v}), scene) for v in (-1.0, 1.0))
    changed = np.abs(low.astype(int) - high).max(axis=2) > 20
    eye_area = (scene.eye_distance * 360) ** 2
    assert changed.sum() > 0.03 * eye_area


def test_sexes_differ_in_jaw_brow_lips_and_hair() -> None:
    woman, man = shape_of(AVERAGE), shape_of(replace(AVERAGE, male=True))
    assert woman.long_hair
    assert not man.long_hair
    assert man.jaw_power > woman.jaw_power
    assert man.brow_y > woman.brow_y
    assert man.lip_fullness < woman.lip_fullness


@pytest.mark.parametrize("extreme", [-8.0, 8.0])
def test_extreme_people_stay_drawable(extreme: float) -> None:
    shape = shape_of(_with(AVERAGE, **dict.fromkeys(TRAITS, extreme)))
    assert abs(squash(extreme)) <= 2.5
    assert shape.half_width > 0.5 + shape.eye_half_width
    assert min(shape.brow_thickness, shape.hair_volume, shape.eye_half_height) > 0
    assert SKULL_TOP_Y < shape.hairline_y < shape.brow_y


def test_hair_and_brows_are_darker_than_the_skin_whatever_the_colours() -> None:
    for skin_tone in (0.0, 0.5, 1.0):
        for hair_colour in (0.0, 1.0):
            face = replace(AVERAGE, skin_tone=skin_tone, hair_colour=hair_colour)
            palette = palette_of(face, _scene())
            assert sum(palette.brow) < sum(palette.hair) < 0.6 * sum(palette.skin)


def test_same_seeds_draw_the_same_frames_and_noise_moves() -> None:
    face = draw_person(TEST_SEED).face
    first, second = (FaceDrawer(face, _scene()) for _ in range(2))
    frame = first.draw(Pose())
    np.testing.assert_array_equal(frame, second.draw(Pose()))
    again = first.draw(Pose())
    assert not np.array_equal(frame, again)
    assert np.abs(frame.astype(int) - again).mean() < 8


@pytest.mark.parametrize(("width", "height"), [(640, 360), (320, 180), (1280, 720)])
def test_any_size_and_any_place_in_the_picture(width: int, height: int) -> None:
    scene = replace(_scene(), centre_x=0.02, centre_y=0.97)
    frame = FaceDrawer(AVERAGE, scene, width, height).draw(Pose(dx=-1.0, dy=0.5))
    assert frame.shape == (height, width, 3)
    assert frame.dtype == np.uint8


def test_only_the_head_moves() -> None:
    scene = replace(_scene(), noise_sd=0.0)
    drawer = FaceDrawer(AVERAGE, scene)
    rest, moved = drawer.draw(Pose()), drawer.draw(Pose(yaw=8, mouth_open=1, blink=1))
    changed = np.abs(rest.astype(int) - moved).max(axis=2) > 8
    xs = np.flatnonzero(changed.any(axis=0)) - scene.centre_x * 640
    assert changed.any()
    assert np.abs(xs).max() < 2.3 * scene.eye_distance * 360


@pytest.mark.parametrize(
    ("pose", "x_moves", "y_moves"),
    [(Pose(yaw=10), 1, 0), (Pose(pitch=8), 0, 1), (Pose(dx=0.2), 1, 0), (Pose(dy=0.2), 0, 1)],
)
def test_poses_move_the_nose_the_way_they_say(pose: Pose, x_moves: int, y_moves: int) -> None:
    nose = np.array([[0.0, 0.0]])
    view, rest = (View(p, 1.16, 40.0, (100.0, 100.0)) for p in (pose, Pose()))
    moved = (view.pixels(nose) - rest.pixels(nose))[0]
    assert (moved > 1.0).tolist() == [bool(x_moves), bool(y_moves)]


def test_roll_is_clockwise() -> None:
    right_eye = np.array([[0.5, 0.0]])
    pixels = View(Pose(roll=8), 1.16, 40.0, (100.0, 100.0)).pixels(right_eye)
    assert pixels[0, 1] > 102


def test_stills_and_tracks_keep_to_their_ranges() -> None:
    rng = np.random.default_rng(5)
    mouth = np.abs(np.sin(np.arange(300) / 4))
    track = pose_track(rng, mouth, fps=30)
    assert len(track) == 300
    for pose in [*track, *(draw_pose(rng) for _ in range(200))]:
        assert abs(pose.yaw) <= MAX_YAW_DEG
        assert abs(pose.pitch) <= MAX_PITCH_DEG
        assert abs(pose.roll) <= MAX_ROLL_DEG
        assert min(pose.mouth_open, pose.blink, pose.brow_raise) >= 0
        assert max(pose.mouth_open, pose.blink, pose.brow_raise) <= 1
        assert abs(pose.mouth_wide) <= 1
    np.testing.assert_allclose([pose.mouth_open for pose in track], mouth)


def test_a_track_is_smooth_and_blinks() -> None:
    track = pose_track(np.random.default_rng(6), np.zeros(300), fps=30)
    assert np.abs(np.diff([pose.yaw for pose in track])).max() < 1.5
    blink = np.array([pose.blink for pose in track])
    assert 1 <= np.count_nonzero(np.diff((blink > 0.5).astype(int)) == 1) <= 8


@pytest.mark.parametrize(("frames", "fps"), [(0, 30.0), (10, 0.0)])
def test_a_track_without_frames_or_rate_is_refused(frames: int, fps: float) -> None:
    with pytest.raises(ValueError, match="frames and a frame rate"):
        pose_track(np.random.default_rng(0), np.zeros(frames), fps)


def test_the_detector_finds_drawn_faces_where_they_are() -> None:
    detector, found, errors = MtcnnDetector(), 0, []
    for i in range(12):
        rng = np.random.default_rng((3, i))
        scene, pose = draw_scene(rng), draw_pose(rng)
        drawer = FaceDrawer(draw_person(TEST_SEED + i).face, scene)
        faces = detector.detect(drawer.draw(pose))
        if len(faces) == 1:
            found += 1
            unit_px = scene.eye_distance * 360
            view = View(pose, 1.16, unit_px, (scene.centre_x * 640, scene.centre_y * 360))
            eyes = view.pixels(np.array([[-0.5, 0.0], [0.5, 0.0]]))
            errors.append(np.abs(faces[0].points[:2] - eyes).max() / unit_px)
    assert found >= 11
    assert np.median(errors) < 0.12


def test_a_frame_is_cheap() -> None:
    drawer = FaceDrawer(AVERAGE, _scene())
    drawer.draw(Pose())
    start = time.process_time()
    for _ in range(20):
        drawer.draw(Pose())
    assert (time.process_time() - start) / 20 < 0.04  # 7 ms measured; machines are shared
