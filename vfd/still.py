"""A face that has not moved is not looked for again: its place is known from the picture before."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vfd.types import Box, Face, FaceDetector, Rgb

MEMORY: Final = 64  # pictures: as many participants, 1 kB each
THUMBNAIL_PX: Final = (32, 18)
PATCH_PX: Final = (48, 48)
MAX_CHANGE: Final = 10.0
"""Grey levels of the most changed spot. VP8 at 500 kbit/s leaves 4 in a still picture; a head that
moves by 2 of 300 pixels, lips that open, or another face change some spot by more than 25."""

Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    shape: tuple[int, ...]
    thumbnail: Grey
    patches: tuple[Grey, ...]
    faces: tuple[Face, ...]


class StillDetector:
    """A FaceDetector that asks `detector` only about pictures unlike those it was asked about.

    Compared are the pictures themselves, whole and around every face, so nothing needs to be known
    of whose they are; a crop is always cut from the new picture. Pictures without a face are always
    asked about. For one thread at a time, as detectors are.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._seen: OrderedDict[int, _Seen] = OrderedDict()
        self._count = 0

    def detect(self, rgb: Rgb) -> Sequence[Face]:
        """As FaceDetector has it."""
        if min(rgb.shape[:2]) < PATCH_PX[1]:
            return self._detector.detect(rgb)
        thumbnail = _grey(rgb, THUMBNAIL_PX)
        for number, seen in reversed(self._seen.items()):
            if _still(seen, rgb, thumbnail):
                self._seen.move_to_end(number)
                return list(seen.faces)
        faces = tuple(self._detector.detect(rgb))
        if faces:
            self._remember(
                _Seen(rgb.shape, thumbnail, tuple(_patch(rgb, f.box) for f in faces), faces)
            )
        return list(faces)

    def _remember(self, seen: _Seen) -> None:
        self._count += 1
        self._seen[self._count] = seen
        if len(self._seen) > MEMORY:
            self._seen.popitem(last=False)


def _still(seen: _Seen, rgb: Rgb, thumbnail: Grey) -> bool:
    if seen.shape != rgb.shape or _change(seen.thumbnail, thumbnail) > MAX_CHANGE:
        return False
    now = (_patch(rgb, face.box) for face in seen.faces)
    return all(
        _change(before, patch) <= MAX_CHANGE
        for before, patch in zip(seen.patches, now, strict=True)
    )


def _patch(rgb: Rgb, box: Box) -> Grey:
    """The box and a quarter of its size around, as far as they are in the picture."""
    height, width = rgb.shape[:2]
    left, top = max(0, int(box.x - box.width / 4)), max(0, int(box.y - box.height / 4))
    right = min(width, int(box.x + 1.25 * box.width))
    bottom = min(height, int(box.y + 1.25 * box.height))
    inside = rgb[min(top, height - 1) : max(bottom, top + 1), min(left, width - 1) : max(right, 1)]
    return _grey(inside, PATCH_PX)


def _grey(rgb: Rgb, size: tuple[int, int]) -> Grey:
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    grey: Grey = small.astype(np.float32).mean(axis=2)
    return grey


def _change(before: Grey, now: Grey) -> float:
    return float(np.abs(before - now).max())
