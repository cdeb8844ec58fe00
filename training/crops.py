"""Looks at moments of a clip until it has enough aligned crops of the one face that it shows."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from training.clips import FaceInfo
from training.drops import Drop, DropError
from training.lines import Line, Settings, send_pictures
from training.media import Media
from training.stopwatch import Stopwatch
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.quality import QualityLimits, brightness, eye_distance_px, head_turn
from vfd.types import Face, Reason, Rgb

TRIES: Final = 3  # moments looked at for one crop before there is one crop less
_MAX_SEVERAL: Final = 0.5  # of the moments; more, and nobody knows whose voice it is

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Rendering:
    """What is seen of a clip through one line (None: as recorded); crop k of every rendering is
    of the same moment. `settings` are those of the line."""

    line: Line | None
    settings: Settings
    crops: list[Rgb] = field(default_factory=list)
    faces: list[FaceInfo] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    crop: Rgb
    info: FaceInfo


class CropTaker:
    """Holds the detector; for one thread. Refuses what the monitor would refuse."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._detector = _Remembering()
        self._finder = FaceFinder(self._detector, QualityLimits())
        self._stopwatch = stopwatch

    def take(
        self, media: Media, duration_s: float, wanted: int, renderings: Sequence[Rendering]
    ) -> None:
        """Fills `renderings`: at most `wanted` crops each, spread over the clip. A moment counts
        when its face is found in every rendering. Raises DropError when there is no crop, or most
        moments show several people."""
        spacing_s = duration_s / (wanted * TRIES)
        times_s = [(k + 0.5) * spacing_s for k in range(wanted * TRIES)]
        longest = max((r.line.pictures for r in renderings if r.line), default=1)
        looks = media.looks(times_s, longest)
        taken, refused = 0, Counter[Reason]()
        while taken < wanted and (look := self._timed("decode", lambda: next(looks, None))):
            if taken > look.time_s / duration_s * wanted:
                continue  # this part of the clip has its crop
            found = self._found(look.time_s, self._timed("decode", look.run), renderings)
            if isinstance(found, Reason):
                refused[found] += 1
                continue
            taken += 1
            for rendering, seen in zip(renderings, found, strict=True):
                rendering.crops.append(seen.crop)
                rendering.faces.append(seen.info)
        _check(taken, refused)

    def _found(
        self, time_s: float, run: Sequence[Rgb], renderings: Sequence[Rendering]
    ) -> list[_Seen] | Reason:
        found = []
        for rendering in renderings:
            picture = run[-1]
            if rendering.line is not None:
                part, settings = run[-rendering.line.pictures :], rendering.settings
                with self._stopwatch.stage("degrade"):
                    picture = send_pictures(part, settings)
            with self._stopwatch.stage("detect"):
                seen = self._see(picture, time_s)
            if isinstance(seen, Reason):
                return seen
            found.append(seen)
        return found

    def _see(self, picture: Rgb, time_s: float) -> _Seen | Reason:
        frame = self._finder.find(picture, time_s)
        if isinstance(frame, Reason):
            return frame
        face = next(f for f in self._detector.faces if f.box == frame.box)
        yaw, pitch = head_turn(face)
        info = FaceInfo(
            time_s=round(time_s, 3),
            quality=round(frame.quality, 4),
            brightness=round(brightness(frame.rgb), 4),
            yaw=round(yaw, 4),
            pitch=round(pitch, 4),
            eye_distance_px=round(eye_distance_px(face), 2),
            height_px=picture.shape[0],
        )
        return _Seen(frame.rgb, info)

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        with self._stopwatch.stage(stage):
            return work()


class _Remembering:
    """The detector, and the faces of the picture that it saw last."""

    def __init__(self) -> None:
        self.faces: list[Face] = []
        self._detector = MtcnnDetector()

    def detect(self, rgb: Rgb) -> list[Face]:
        self.faces = self._detector.detect(rgb)
        return self.faces


def _check(taken: int, refused: Counter[Reason]) -> None:
    several, looked = refused[Reason.SEVERAL_FACES], taken + refused.total()
    if several > _MAX_SEVERAL * looked:
        raise DropError(Drop.SEVERAL_PEOPLE, f"in {several} of {looked} pictures")
    if not taken:
        why = ", ".join(f"{reason} {count}" for reason, count in refused.most_common())
        raise DropError(Drop.NO_FACE, why or "no picture")
