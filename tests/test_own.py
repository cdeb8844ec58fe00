import numpy as np
import pytest

from tests.fakes import ALICE, BOB
from vfd.own import BOUNDED_AFTER, FORGET_S, PRUNE_EVERY, OwnMemory, OwnVectors

EAST, NORTH = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def test_a_swapped_face_jumps_and_goes_on_standing_out() -> None:
    own = OwnVectors()
    assert own.jump(EAST, EAST) == 0.0  # nothing to compare with
    for _ in range(30):
        assert own.jump(EAST, EAST) == pytest.approx(0.0)
    assert own.jump(EAST, NORTH) == pytest.approx(1.0)
    for _ in range(60):
        later = own.jump(EAST, NORTH)
    assert 0.9 < later < 1.0


def test_a_swap_early_in_a_call_is_not_taken_for_what_was() -> None:
    own = OwnVectors()
    for _ in range(BOUNDED_AFTER):
        own.jump(EAST, EAST)
    jumps = [float(own.jump(EAST, NORTH)) for _ in range(10)]
    assert jumps == sorted(jumps, reverse=True)
    assert 0.9 < jumps[-1] < 1.0


def test_a_moved_camera_is_known_again_in_the_end() -> None:
    own, moved = OwnVectors(), np.array([0.8, 0.6])
    for _ in range(60):
        own.jump(EAST, EAST)
    first = float(own.jump(EAST, moved))
    for _ in range(600):
        last = float(own.jump(EAST, moved))
    assert first == pytest.approx(0.2)
    assert last < 0.02


def test_somebody_who_takes_the_seat_changes_both() -> None:
    own = OwnVectors()
    for _ in range(10):
        own.jump(EAST, NORTH)
    assert own.jump(NORTH, EAST) == pytest.approx(0.0)


def test_many_at_once_are_what_each_is_alone() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((12, 2, 4, 3))
    many, alone = OwnVectors(), [OwnVectors() for _ in range(4)]
    for voice, face in vectors:
        expected = [one.jump(v, f) for one, v, f in zip(alone, voice, face, strict=True)]
        np.testing.assert_allclose(many.jump(voice, face), expected)


def test_participants_are_kept_apart_and_forgotten() -> None:
    memory = OwnMemory()
    memory.jump(BOB, 0.0, EAST, EAST)
    assert memory.jump(ALICE, 0.0, NORTH, NORTH) == 0.0
    assert memory.jump(BOB, 1.0, EAST, NORTH) == pytest.approx(1.0)
    for n in range(PRUNE_EVERY):
        memory.jump(ALICE, 2.0 + n * FORGET_S / PRUNE_EVERY * 1.01, NORTH, NORTH)
    assert len(memory) == 1
