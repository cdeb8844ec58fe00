"""How often the right one of several faces is taken for the speaker, into
`training/reports/speaker.md`.

make bench-speaker

Two to four synthetic people whom no training and no threshold has seen take turns in one stream
(`training.gallery`). Every picture goes through the detector and the tracks; once a second, the
last three are asked about.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from tests.bench_demo import header, machine
from training.gallery import Gallery, compose
from training.people import TEST_SEED, draw_person
from vfd.active_speaker import Speaker, SpeakerFinder
from vfd.faces import MtcnnDetector
from vfd.speech import speech_share
from vfd.tracks import FaceTracker
from vfd.types import SAMPLE_RATE_HZ, WINDOW_S, WINDOW_SAMPLES, Face, FaceDetector

REPORT: Final = Path(__file__).parents[1] / "training" / "reports" / "speaker.md"
SECONDS: Final = 40
GOAL_RIGHT: Final = 0.9
GOAL_SCORED: Final = 0.6
MIN_SPEECH: Final = 0.4  # as [scoring].min_speech: a window with less has no score anyway
PURE: Final = 0.95  # of the speech in a window that one person speaks alone
LIBRARIES: Final = ("numpy", "opencv-python-headless", "openvino", "av", "webrtcvad-wheels")


@dataclass(frozen=True, slots=True)
class Kind:
    people: int
    fps: int
    swapped: bool = False
    off_screen: bool = False


KINDS: Final = (
    Kind(2, 12),
    Kind(3, 15),
    Kind(4, 12),
    Kind(4, 10, swapped=True),
    Kind(3, 10, swapped=True),
    Kind(2, 10, off_screen=True),
    Kind(3, 12, off_screen=True),
    Kind(4, 12, off_screen=True),
)


@dataclass(slots=True)
class Outcome:
    """One stream, or several added up. Counts by name; `cpu_s` by part."""

    windows: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    cpu_s: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    tracks: int = 0
    strangers: int = 0
    """Faces in the track of somebody else."""

    def add(self, other: "Outcome") -> None:
        self.windows += other.windows
        self.cpu_s += other.cpu_s
        for truth, reasons in other.reasons.items():
            self.reasons.setdefault(truth, Counter()).update(reasons)
        self.pictures += other.pictures
        self.tracks += other.tracks
        self.strangers += other.strangers

    def share(self, part: str, whole: str) -> float:
        return self.windows[part] / max(1, self.windows[whole])

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        begun_s = time.process_time()  # the detector's own threads too
        yield
        self.cpu_s[part] += time.process_time() - begun_s


def composed(kind: Kind, seed: int) -> Gallery:
    """People whom no other seed has."""
    first = TEST_SEED + 300_000 + seed * 10
    *shown, stranger = (draw_person(first + k) for k in range(kind.people + 1))
    voices = [person.voice for person in shown]
    if kind.swapped:
        voices[-1] = stranger.voice
    off_screen = stranger.voice if kind.off_screen else None
    return compose(shown, seed, SECONDS, kind.fps, voices, off_screen)


def hold(gallery: Gallery, detector: FaceDetector) -> Outcome:
    """One stream, in order: pictures as they come, windows as they end."""
    outcome, tracker, finder = Outcome(), FaceTracker(), SpeakerFinder()
    owner: dict[int, int] = {}
    end_s = WINDOW_S
    for time_s, rgb in gallery.pictures():
        if time_s >= end_s:
            _judge(outcome, gallery, finder, owner, end_s)
            end_s += 1
        with outcome.timed("detector"):
            faces = detector.detect(rgb)
        with outcome.timed("tracks"):
            tracked = tracker.update(faces, rgb, time_s)
        with outcome.timed("mouths"):
            finder.see(tracked, rgb, time_s)
        for track, face in tracked.items():
            person = _person(gallery, face)
            outcome.strangers += owner.setdefault(track, person) != person
        outcome.pictures += 1
    _judge(outcome, gallery, finder, owner, end_s)
    outcome.tracks = len(owner)
    return outcome


def _person(gallery: Gallery, face: Face) -> int:
    """Whose place the face is in."""
    x, y = face.points.mean(axis=0)
    return int(np.argmin(np.hypot(*(gallery.centres - (x, y)).T)))


def _judge(
    outcome: Outcome, gallery: Gallery, finder: SpeakerFinder, owner: dict[int, int], end_s: float
) -> None:
    start_s = end_s - WINDOW_S
    begin = round(start_s * SAMPLE_RATE_HZ)
    audio = gallery.audio[begin : begin + WINDOW_SAMPLES]
    if speech_share(audio) < MIN_SPEECH:
        return
    with outcome.timed("choice"):
        found = finder.choose(audio, start_s)
    heard = gallery.heard(start_s, end_s)
    speaker, alone = int(heard.argmax()), heard.max() >= PURE * heard.sum()
    scored = isinstance(found, Speaker)
    outcome.windows.update({"all": 1, "scored": scored})
    if isinstance(found, Speaker):
        outcome.windows["right"] += owner[found.track] == speaker
        share = heard[owner[found.track]] / heard.sum()
        outcome.windows.update({"scored, voice of one": share >= PURE})
    if speaker < gallery.people:
        outcome.windows.update({"on screen": 1, "on screen, scored": scored})
        outcome.windows.update({"alone": alone, "alone, scored": alone and scored})
        truth = "one on screen, alone" if alone else "on screen, not alone"
    else:
        outcome.windows.update({"off screen": 1, "off screen, scored": scored})
        truth = "off screen, alone" if alone else "off screen, not alone"
    name = "scored" if isinstance(found, Speaker) else found.value
    outcome.reasons.setdefault(truth, Counter())[name] += 1


def _row(seed: int, kind: Kind, outcome: Outcome) -> str:
    what = [name for name in ("swapped", "off_screen") if getattr(kind, name)]
    cells = (
        seed,
        kind.people,
        kind.fps,
        " ".join(what).replace("_", " "),
        outcome.windows["on screen"],
        f"{outcome.share('on screen, scored', 'on screen'):.2f}",
        f"{outcome.share('alone, scored', 'alone'):.2f}",
        f"{outcome.share('right', 'scored'):.3f}",
        f"{outcome.windows['off screen, scored']} of {outcome.windows['off screen']}",
        outcome.tracks,
        outcome.strangers,
        *(f"{1e3 * outcome.cpu_s[p] / outcome.pictures:.2f}" for p in ("detector", "tracks")),
        f"{1e3 * outcome.cpu_s['mouths'] / outcome.pictures:.2f}",
        f"{1e3 * outcome.cpu_s['choice'] / max(1, outcome.windows['all']):.1f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def report(rows: list[str], total: Outcome) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    right, scored = total.share("right", "scored"), total.share("on screen, scored", "on screen")
    names = sorted({name for reasons in total.reasons.values() for name in reasons})
    return "\n".join(
        (
            "# Who speaks, of several faces in one stream",
            "",
            f"Written by `make bench-speaker` on {machine()}, {versions}, load"
            f" {os.getloadavg()[0]:.1f} at the end. {len(rows)} streams of {SECONDS} s with two to"
            " four synthetic people whom no threshold has seen; VP8 at 300 kbit/s a person, Opus;"
            " turns of 3.5 to 8 s with pauses of 0.2 to 0.8 s; the mouths of listeners move in 15 %"
            " of the time. One window of 3 s a second, as far as it holds speech.",
            "",
            header("what", "measured", "goal"),
            f"| right speaker, of {total.windows['scored']} scored windows | {right:.3f} |"
            f" at least {GOAL_RIGHT}{'' if right >= GOAL_RIGHT else ': **missed**'} |",
            f"| scored, of {total.windows['on screen']} windows with a speaker on screen |"
            f" {scored:.3f} | at least {GOAL_SCORED}"
            f"{'' if scored >= GOAL_SCORED else ': **missed**'} |",
            "| scored windows whose voice is that of the chosen alone |"
            f" {total.share('scored, voice of one', 'scored'):.3f} | |",
            f"| faces in the track of somebody else, of {total.pictures} pictures |"
            f" {total.strangers} | 0{'' if total.strangers == 0 else ': **missed**'} |",
            "",
            "The speaker of a window is who is heard longest in it, on screen or off; *alone*: for"
            f" {PURE:.0%} of its speech.",
            "",
            header("truth", *names),
            *(
                f"| {truth} | " + " | ".join(str(reasons[name]) for name in names) + " |"
                for truth, reasons in sorted(total.reasons.items())
            ),
            "",
            header(
                *("seed", "people", "pictures a second", "kind"),
                *("windows with a speaker on screen", "scored", "scored of those alone"),
                *("right of scored", "off screen but scored"),
                *("tracks begun", "faces in the track of another", "CPU a picture: detector, ms"),
                *("tracks, ms", "mouths, ms", "CPU a window: choice, ms"),
            ),
            *rows,
            "",
        )
    )


def main() -> None:
    detector, total, rows = MtcnnDetector(), Outcome(), list[str]()
    for seed, kind in enumerate(KINDS, start=1):
        outcome = hold(composed(kind, seed), detector)
        total.add(outcome)
        rows.append(_row(seed, kind, outcome))
        print(rows[-1], flush=True)
    text = report(rows, total)
    REPORT.write_text(text)
    print(text)
    right, scored = total.share("right", "scored"), total.share("on screen, scored", "on screen")
    sys.exit(right < GOAL_RIGHT or scored < GOAL_SCORED or total.strangers > 0)


if __name__ == "__main__":
    main()
