"""Recordings of a call, and what a monitor with a scripted engine sees in them."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from monitor.alerts import Alerter
from monitor.config import ScoringConfig
from monitor.read_ahead import ReadAhead
from monitor.replay import Replay
from monitor.scorer import Scorer
from monitor.timeline import Hop
from monitor.watch import Watched, watch
from tests.fakes import LIMITS, FakeEngine, checkpoint, face, voice
from tests.media_files import OPUS, SoundForm, encode, grey
from vfd.finder import FaceFinder
from vfd.types import Audio, FaceFrame, Reason, Rgb

OWN, OTHERS = 160, 60
"""Grey levels of a face: FakeEngine gives them similarities of +0.6 and -0.4."""


class GreyFinder(FaceFinder):
    """The whole picture is the face, of its own grey; a black picture shows nobody."""

    def __init__(self) -> None:
        """There is no detector."""

    def find(self, rgb: Rgb, time_s: float) -> FaceFrame | Reason:
        level = round(float(rgb.mean()))
        return face(time_s, level) if level > 30 else Reason.NO_FACE


def replay_of(
    engine: FakeEngine, scoring: ScoringConfig | None = None, finder: FaceFinder | None = None
) -> Replay:
    return Replay(
        "call.mp4",
        finder or GreyFinder(),
        Scorer(engine, 1),
        Alerter(checkpoint(), LIMITS, ()),
        LIMITS,
        scoring or ScoringConfig(),
    )


def watched(path: Path, engine: FakeEngine | None = None, loop_s: float | None = None) -> Watched:
    with closing(ReadAhead(str(path), 0.5, loop_s)) as media:
        media.open()
        return watch(media, replay_of(engine or FakeEngine()), lambda hop, media_s: None)


def reasons(hops: list[Hop]) -> list[str | None]:
    return [hop.as_json()["reason"] for hop in hops]  # type: ignore[misc]


def call(
    path: Path,
    duration_s: float,
    picture: Callable[[float], Rgb] | None = lambda _: grey(OWN),
    sound: Audio | None = None,
    form: SoundForm = OPUS,
) -> Path:
    said = voice(duration_s) if sound is None else sound
    return encode(path, picture=picture, picture_s=duration_s, sound=said, form=form)
