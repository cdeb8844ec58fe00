"""Batches of any size on a device that runs a few sizes only.

A CUDA graph has one batch size, so work is cut and padded to buckets. Pure: the device is a
method to be written, and its memory running out is an exception.
"""

from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engines.engine import Embeddings, EngineError

BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Powers of two: at most nine graphs a tower, and padding is bounded by SMALL_BUCKET and
MIN_FILL below."""
SMALL_BUCKET: Final = 8
"""Up to here a GPU is so far from full that padding costs less than a second call."""
MIN_FILL: Final = 0.75
"""Larger buckets are padded only from here on; below, a full smaller bucket runs first."""


class DeviceOutOfMemoryError(Exception):
    """The device has no room for a batch of this size; the message says what it has."""


def next_bucket(rows: int, largest: int) -> int:
    """The bucket in which the next of `rows` waiting rows run, never above `largest`.

    It may be larger than `rows` (padding) or smaller (the rest follows). 65 rows are 64 and 1, not
    128: latency stays bounded by the work while large batches fill their buckets.
    """
    fitting = [bucket for bucket in BUCKETS if bucket <= largest]
    for bucket in fitting:
        if rows <= bucket:
            if bucket <= SMALL_BUCKET or rows >= MIN_FILL * bucket:
                return bucket
            return bucket // 2
    return fitting[-1]


class BucketedTower(ABC):
    """Runs batches of any size through `run`.

    A bucket that once did not fit is not tried again, nor is a larger one: the memory belongs to
    somebody else.
    """

    def __init__(self, embedding: int, largest: int = BUCKETS[-1]) -> None:
        self.embedding = embedding
        self.largest = largest

    @abstractmethod
    def run(self, rows: NDArray[Any], bucket: int) -> Embeddings:
        """At most `bucket` rows -> one embedding for each. Raises DeviceOutOfMemoryError where
        `bucket` is too much."""

    def embed(self, batch: NDArray[Any]) -> Embeddings:
        """(rows, ...) -> (rows, embedding). Raises EngineError when not even one row fits."""
        embeddings = np.empty((len(batch), self.embedding), np.float32)
        done = 0
        while done < len(batch):
            bucket = next_bucket(len(batch) - done, self.largest)
            rows = batch[done : done + bucket]
            try:
                embeddings[done : done + len(rows)] = self.run(rows, bucket)
            except DeviceOutOfMemoryError as error:
                self._shrink(bucket, error)
            else:
                done += len(rows)
        return embeddings

    def _shrink(self, failed: int, error: DeviceOutOfMemoryError) -> None:
        if failed == BUCKETS[0]:
            raise EngineError(
                f"the GPU is out of memory at a batch of {failed}: {error}; "
                "end other programs on it, or take a smaller preset"
            ) from error
        self.largest = BUCKETS[BUCKETS.index(failed) - 1]
