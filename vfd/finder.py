"""From a picture to the one face that it shows, fit for the model, or the reason why not."""

from collections.abc import Sequence
from typing import Final

from vfd.align import align
from vfd.quality import QualityLimits, eye_distance_px, judge
from vfd.types import Face, FaceDetector, FaceFrame, Reason, Rgb

_RIVAL_SIZE: Final = (
    0.5  # somebody half as large shares the call; smaller ones are in the background
)


class FaceFinder:
    """Owns no state but the detector: to be called from one thread at a time, any thread."""

    def __init__(
        self,
        detector: FaceDetector,
        limits: QualityLimits | None = None,
        moving: FaceDetector | None = None,
    ) -> None:
        """`moving`: asked instead of `detector` for pictures that follow each other closely, if
        that one remembers those it was asked about."""
        self._detector = detector
        self._limits = limits or QualityLimits()
        self._moving = moving or detector

    def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
        """The largest face of `rgb` (H, W, 3) uint8 of any size, cut from the full picture.

        A second face of similar size leaves open whose voice is heard: SEVERAL_FACES.
        """
        face = self.alone(rgb)
        return face if isinstance(face, Reason) else self.cut(rgb, face, time_s)

    def alone(self, rgb: Rgb) -> Face | Reason:
        """The face that `find` would cut, or why there is none to cut."""
        faces = sorted(self._detector.detect(rgb), key=_width, reverse=True)
        if not faces:
            return Reason.NO_FACE
        face = faces[0]
        if len(faces) > 1 and _width(faces[1]) >= _RIVAL_SIZE * _width(face):
            return Reason.SEVERAL_FACES
        return face

    def faces(self, rgb: Rgb) -> Sequence[Face]:
        """Everybody in the next picture `rgb` of a moving one, most certain first."""
        return self._moving.detect(rgb)

    def cut(self, rgb: Rgb, face: Face, time_s: float) -> FaceFrame | Reason:
        """One detected `face` of `rgb`, whoever else is in it."""
        if eye_distance_px(face) < self._limits.min_eye_distance_px:
            return Reason.FACE_SMALL  # before alignment, which needs points that are apart
        crop = align(rgb, face.points)
        quality = judge(rgb, face, crop, self._limits)
        if isinstance(quality, Reason):
            return quality
        return FaceFrame(time_s, crop, face.box, quality)


def _width(face: Face) -> float:
    return face.box.width
