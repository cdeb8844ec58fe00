"""Every row comes back in its place, whatever fits into the device."""

import numpy as np
import pytest

from engines.buckets import BUCKETS, BucketedTower, DeviceOutOfMemoryError, next_bucket
from engines.engine import Embeddings, EngineError


class Doubling(BucketedTower):
    """Doubles every row; has memory for `room` rows and keeps the buckets that it was asked for."""

    def __init__(self, room: int = 256, largest: int = BUCKETS[-1]) -> None:
        super().__init__(3, largest)
        self.room = room
        self.asked: list[int] = []

    def run(self, rows: np.ndarray, bucket: int) -> Embeddings:
        self.asked.append(bucket)
        assert 0 < len(rows) <= bucket
        if bucket > self.room:
            raise DeviceOutOfMemoryError(f"{self.room} MiB of 100 MiB are free")
        return (2 * rows).astype(np.float32)


def rows(count: int) -> np.ndarray:
    return np.arange(3 * count).reshape(count, 3)


@pytest.mark.parametrize(
    ("count", "largest", "buckets"),
    [
        (0, 256, []),
        (1, 256, [1]),
        (3, 256, [4]),
        (5, 256, [8]),
        (9, 256, [8, 1]),
        (12, 256, [16]),
        (64, 256, [64]),
        (65, 256, [64, 1]),
        (96, 256, [128]),
        (95, 256, [64, 32]),
        (256, 256, [256]),
        (300, 256, [256, 32, 16]),
        (40, 8, [8] * 5),
        (3, 2, [2, 1]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_work_is_cut_and_padded(count: int, largest: int, buckets: list[int]) -> None:
    tower = Doubling(largest=largest)
    embeddings = tower.embed(rows(count))
    assert tower.asked == buckets
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, 2 * rows(count))


@pytest.mark.parametrize("largest", BUCKETS)
def test_padding_is_bounded(largest: int) -> None:
    for count in range(1, 600):
        bucket = next_bucket(count, largest)
        assert bucket <= largest
        assert bucket <= 8 or count >= 0.75 * bucket


def test_a_device_that_is_full_gets_smaller_batches_and_keeps_them() -> None:
    tower = Doubling(room=10)
    np.testing.assert_array_equal(tower.embed(rows(60)), 2 * rows(60))
    assert tower.asked[:4] == [64, 32, 16, 8]
    assert set(tower.asked[4:]) == {8, 4}
    assert tower.largest == 8
    tower.asked.clear()
    tower.embed(rows(60))
    assert max(tower.asked) == 8


def test_a_small_last_batch_shrinks_from_its_own_size() -> None:
    tower = Doubling(room=2)
    np.testing.assert_array_equal(tower.embed(rows(3)), 2 * rows(3))
    assert tower.asked == [4, 2, 1]


def test_a_device_without_room_for_one_row_is_an_error_with_the_numbers() -> None:
    tower = Doubling(room=0)
    with pytest.raises(EngineError, match=r"out of memory at a batch of 1: 0 MiB of 100 MiB"):
        tower.embed(rows(7))


def test_other_errors_pass() -> None:
    class Broken(BucketedTower):
        def run(self, rows: np.ndarray, bucket: int) -> Embeddings:
            raise EngineError("broken")

    with pytest.raises(EngineError, match="broken"):
        Broken(3).embed(rows(1))
