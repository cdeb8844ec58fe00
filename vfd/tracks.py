"""From the faces of successive pictures to tracks, one for each person on screen.

A track would rather end than go on with somebody else: who is cut begins a new one a moment later,
but one picture of another person in a track would be judged with the wrong voice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vfd.align import TEMPLATE, similarity_transform
from vfd.types import Box, Face, Rgb

MAX_TRACKS: Final = 16  # faces that the detector still finds when they share a picture
MAX_GAP_S: Final = 2.0
MAX_STEP: Final = 0.5
"""Of a face's size, from one picture to the next. Drawn heads that talk move by at most 0.11 at 10
pictures a second; more leaves room for those who walk, and faces side by side are 1 apart."""
DRIFT_PER_S: Final = 0.25  # what is added while a face is not seen
MAX_RESIZE: Final = 1.5
MAX_CHANGE: Final = 9.0
"""Grey levels, mean over the aligned face. Two pictures of one drawn person differ by more in 15 of
10,000 when they are 0.1 s apart and in 26 when 2 s, those of five real ones never; two drawn people
by less in 17 of 1000, by 30 in the middle."""
MAX_DOUBT_S: Final = 0.5  # points that flicker and most turns of a head are over by then

_LOOK_PX: Final = 4
_WARP_PX: Final = 48
_TARGET: Final = np.asarray(
    (TEMPLATE - (112, 120)) * (20 / 58) + (_WARP_PX - 1) / 2, np.float32
)  # eyes 20 px apart: the inner face and some hair

Look = NDArray[np.float32]


@dataclass(slots=True, eq=False)
class _Track:
    """Where and how somebody was last seen for certain, and since when somebody else seems to be
    in their place."""

    box: Box
    look: Look
    seen_s: float
    doubt_s: float | None = None


class FaceTracker:
    """The tracks of one stream. Numbers count up from 1 and are never given twice. For one thread
    at a time."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._begun = 0
        self._time_s = -np.inf

    @property
    def tracks(self) -> frozenset[int]:
        """Those that may go on: seen in the last MAX_GAP_S and not cut."""
        return frozenset(self._tracks)

    def update(self, faces: Sequence[Face], rgb: Rgb, time_s: float) -> dict[int, Face]:
        """The faces of the next picture `rgb` by track. Left out are faces whose person is in
        doubt: too close to one another, or not alike who was there before.

        Raises ValueError when `time_s` falls.
        """
        if time_s < self._time_s:
            raise ValueError(f"pictures go back in time, from {self._time_s} s to {time_s} s")
        faces = sorted(faces, key=lambda face: -face.box.width)[:MAX_TRACKS]
        self._end({n for n, t in self._tracks.items() if time_s - t.seen_s > MAX_GAP_S})
        near = [self._near(face.box, time_s) for face in faces]
        if self._is_cut(near):
            self._end(set(self._tracks))
        self._time_s = time_s
        found: dict[int, Face] = {}
        for members, tracks in _groups(near):
            if len(members) == 1 and not tracks:
                number = self._begin(members[0], faces, rgb)
            elif len(members) == len(tracks) == 1:
                number = self._follow(tracks.pop(), faces[members[0]], rgb)
            else:  # people cross: from here on nobody can say who is who
                self._end(tracks)
                continue
            if number is not None:
                found[number] = faces[members[0]]
        return found

    def _near(self, box: Box, time_s: float) -> set[int]:
        """Tracks that a face in `box` may belong to."""
        return {
            number
            for number, track in self._tracks.items()
            if _is_near(track.box, box, MAX_STEP + DRIFT_PER_S * (time_s - track.seen_s))
        }

    def _is_cut(self, near: list[set[int]]) -> bool:
        """Whether there are faces, and none where one was in the picture before."""
        seen = any(track.seen_s == self._time_s for track in self._tracks.values())
        return seen and bool(near) and not any(near)

    def _begin(self, index: int, faces: Sequence[Face], rgb: Rgb) -> int | None:
        face = faces[index]
        others = (other.box for k, other in enumerate(faces) if k != index)
        if len(self._tracks) >= MAX_TRACKS or any(_is_near(face.box, b, MAX_STEP) for b in others):
            return None
        self._begun += 1
        self._tracks[self._begun] = _Track(face.box, _look(rgb, face), self._time_s)
        return self._begun

    def _follow(self, number: int, face: Face, rgb: Rgb) -> int | None:
        """The track's number if the face is alike. If it stays unlike, the track ends."""
        track, look = self._tracks[number], _look(rgb, face)
        if np.abs(look - track.look).mean() <= MAX_CHANGE:
            self._tracks[number] = _Track(face.box, look, self._time_s)
            return number
        if track.doubt_s is None:
            track.doubt_s = self._time_s
        elif self._time_s - track.doubt_s >= MAX_DOUBT_S:
            self._end({number})
        return None

    def _end(self, tracks: set[int]) -> None:
        for number in tracks:
            del self._tracks[number]


def _groups(near: list[set[int]]) -> list[tuple[list[int], set[int]]]:
    """Faces, by index, that compete for the same tracks, and these tracks."""
    groups: list[tuple[list[int], set[int]]] = []
    for index, tracks in enumerate(near):
        rivals = [group for group in groups if group[1] & tracks]
        groups = [group for group in groups if not group[1] & tracks]
        members = [index, *(member for group in rivals for member in group[0])]
        groups.append((members, tracks.union(*(group[1] for group in rivals))))
    return groups


def _is_near(a: Box, b: Box, step: float) -> bool:
    """Whether one face can have moved from `a` to `b`: by `step` of its size, and not resized."""
    size_a, size_b = np.sqrt(max(a.width * a.height, 1.0)), np.sqrt(max(b.width * b.height, 1.0))
    x = a.x + a.width / 2 - b.x - b.width / 2
    y = a.y + a.height / 2 - b.y - b.height / 2
    alike = max(size_a, size_b) <= MAX_RESIZE * min(size_a, size_b)
    return bool(alike and np.hypot(x, y) <= step * (size_a + size_b) / 2)


def _look(rgb: Rgb, face: Face) -> Look:
    """The aligned face as (4, 4, 3) colours: who, not which expression."""
    matrix = similarity_transform(face.points, _TARGET)
    patch = cv2.warpAffine(
        rgb, matrix, (_WARP_PX, _WARP_PX), flags=cv2.INTER_LINEAR, borderValue=(128, 128, 128)
    )
    small = cv2.resize(patch, (_LOOK_PX, _LOOK_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)
