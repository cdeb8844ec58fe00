"""A picture that several people share: who is seen in it, whose mouth moves with its voice."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from monitor.buffers import Withheld
from vfd.active_speaker import Speaker, SpeakerFinder
from vfd.finder import FaceFinder
from vfd.tracks import FaceTracker
from vfd.types import Audio, Face, FaceFrame, Reason, Rgb

DETECT_INTERVAL_S: Final = 0.22
"""The detector is what costs. Asked about every third of twelve pictures a second, with lips looked
at in every one, it does as well as asked about all (training/LOG.md)."""
HURRIED_INTERVAL_S: Final = 0.45
"""Where there is no time for all pictures: drawn people are told apart as well (training/LOG.md),
but those who move more might be lost."""
HURRY_S: Final = 5.0  # after the last picture that was left out
CUT_INTERVAL_S: Final = 0.5  # between two crops of everybody, as `scoring.face_interval_s`
MIN_SHOWN_S: Final = 1.0  # whoever is seen for less is nobody whom one could hear a window of


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the picture of `time_s` shows. `people`: tracks, by number, that go on and have been
    there for MIN_SHOWN_S; `faces`: crops of some of them, or why they are unfit."""

    time_s: float
    people: frozenset[int]
    faces: Mapping[int, FaceFrame | Reason]


class Screen:
    """Pictures are looked at in one thread at a time, questions may come from another."""

    def __init__(self) -> None:
        self._tracker = FaceTracker()
        self._found: dict[int, Face] = {}
        self._begun_s: dict[int, float] = {}
        self._time_s = self._detected_s = self._cut_s = self._missed_s = -np.inf
        self._lock = threading.Lock()  # for what follows
        self._mouths = SpeakerFinder()
        self._chosen: tuple[float, Speaker | Reason] | None = None

    def missed(self, time_s: float) -> None:
        """A picture was left out, at about that time. Callable from any thread."""
        self._missed_s = time_s

    def look(self, finder: FaceFinder, rgb: Rgb, time_s: float) -> Seen | None:
        """The next picture; None for one that is not newer than the last: a stream may skip."""
        if time_s <= self._time_s:
            return None
        self._time_s = time_s
        hurried = time_s - self._missed_s <= HURRY_S
        interval_s = HURRIED_INTERVAL_S if hurried else DETECT_INTERVAL_S
        if time_s - self._detected_s >= interval_s:
            self._detected_s = time_s
            self._found = self._tracker.update(finder.faces(rgb), rgb, time_s)
        with self._lock:
            self._mouths.see(self._found, rgb, time_s)
        tracks = self._tracker.tracks
        self._begun_s = {k: self._begun_s.get(k, time_s) for k in tracks}
        people = frozenset(k for k in tracks if time_s - self._begun_s[k] >= MIN_SHOWN_S)
        return Seen(time_s, people, self._cut(finder, people, rgb))

    def withheld(self, track: int) -> Withheld:
        """For the buffer of the participant whose track that is."""
        return partial(self._withheld, track)

    def _cut(
        self, finder: FaceFinder, people: frozenset[int], rgb: Rgb
    ) -> dict[int, FaceFrame | Reason]:
        """Only where faces were just looked for: where they were before is near enough for lips."""
        if self._detected_s < self._time_s or self._time_s - self._cut_s < CUT_INTERVAL_S:
            return {}
        self._cut_s = self._time_s
        return {
            track: finder.cut(rgb, face, self._time_s)
            for track, face in self._found.items()
            if track in people
        }

    def _withheld(self, track: int, audio: Audio, start_s: float) -> Reason | None:
        """Everybody has the same sound, so the question is answered once a window: to whoever has
        been there for the longest, and has heard all of it."""
        with self._lock:
            if self._chosen is None or self._chosen[0] != start_s:
                self._chosen = start_s, self._mouths.choose(audio, start_s)
            _, found = self._chosen
        if isinstance(found, Speaker):
            return None if found.track == track else Reason.NO_SPEECH
        return found
