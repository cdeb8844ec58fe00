"""What is known of a clip before and after it was prepared. Every data set is read into these."""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

RECORDED: Final = "recorded"
"""The line of variant 0: the media as the data set has them."""


class Split(StrEnum):
    """Which people: the model learns from `train`, its threshold is set on `validation`, and what
    is reported is measured on `test`. No identity is in two."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip as its data set describes it.

    `clip` is unique in `dataset`. `identity` is whom it shows: the class in pre-training and the
    unit of splits and intervals. `source` is the clip, video or session that it was cut or made
    from, empty if unknown; `donors` are other identities whose face or voice went into a fake.
    `face_fake` and `voice_fake` are None where that is not labelled. `manipulation` is empty for
    real clips, `sex` ("male", "female") and `race` where not labelled.
    """

    dataset: str
    clip: str
    identity: str
    fake: bool = False
    source: str = ""
    donors: tuple[str, ...] = ()
    face_fake: bool | None = None
    voice_fake: bool | None = None
    manipulation: str = ""
    sex: str = ""
    race: str = ""

    def __post_init__(self) -> None:
        for name in ("dataset", "clip", "identity"):
            if not getattr(self, name):
                raise ValueError(f"{self.dataset}: clip {self.clip!r} has no {name}")


@dataclass(frozen=True, slots=True)
class FaceInfo:
    """A crop: seen at `time_s` of the clip, `quality` and `brightness` in [0, 1], `yaw` and
    `pitch` as `vfd.quality.head_turn` has them, `eye_distance_px` in the picture it was cut from,
    which was `height_px` high."""

    time_s: float
    quality: float
    brightness: float
    yaw: float
    pitch: float
    eye_distance_px: float
    height_px: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One rendering of a clip: `line` names what it went through, `settings` says how exactly.
    `samples` at 16 kHz, `speech` the share of 30 ms frames with speech."""

    line: str
    settings: dict[str, float | str]
    samples: int
    speech: float
    faces: tuple[FaceInfo, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A prepared clip. Variant 0 is RECORDED; every variant has at least one face."""

    clip: Clip
    split: Split
    variants: tuple[Variant, ...]

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Record":
        """The inverse of `as_json`. Raises KeyError or TypeError for anything else."""
        clip = value["clip"] | {"donors": tuple(value["clip"]["donors"])}
        variants = tuple(
            Variant(**(v | {"faces": tuple(FaceInfo(**face) for face in v["faces"])}))
            for v in value["variants"]
        )
        return cls(Clip(**clip), Split(value["split"]), variants)
