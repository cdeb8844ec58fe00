"""How often a window is told to be the loudspeaker of others, by how loud that is, and what the
scores of the rest are worth, into `training/reports/cross-talk.md`.

make bench-cross-talk

Every call has two synthetic people whom no training and no limit has seen. One speaks without a
pause; the microphone of the other hears it from a loudspeaker in a room. Both go through Opus, the
echo twice. The other's windows are judged, and scored against their own face and against that of
somebody else, with the weights that ship.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine
from monitor.assembly import configured_checkpoint, configured_engine, decision_limits
from monitor.config import Config
from tests.bench_demo import header, machine
from training.call import CLEARLY_SOMEBODY_ELSE
from training.codecs import decode_opus, decode_vp8, encode_opus, encode_vp8
from training.echo import loudspeaker, with_echo
from training.face_drawing import FaceDrawer
from training.people import TEST_SEED, Person, draw_person, oracle_similarity
from training.scenes import draw_pose, draw_scene
from training.voice_synthesis import record, speak
from vfd.cross_talk import MIN_SHARE, Sound, echo_share, sound_of
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.front_ends import FRONT_ENDS
from vfd.types import SAMPLE_RATE_HZ, WINDOW_SAMPLES, Audio, FaceFrame

REPORT: Final = Path(__file__).parents[1] / "training" / "reports" / "cross-talk.md"
CALLS: Final = 24
SECONDS: Final = 12.0
STARTS_S: Final = (1, 4, 7)  # of the windows
DELAY_S: Final = (0.06, 0.5)
TURN_S: Final = 1.5
LIBRARIES: Final = ("numpy", "scipy", "av", "openvino", "opencv-python-headless")

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Level:
    """`echo_db`: beside one's own voice; None: there is none. `turns`: nobody speaks while the
    other does. `own`: whether the one before the microphone speaks at all."""

    name: str
    echo_db: float | None
    turns: bool = False
    own: bool = True


LEVELS: Final = (
    Level("both at once, no echo", None),
    *(Level(f"both at once, echo at {db:+d} dB", db) for db in (-20, -15, -10, -6, -3, 0, 3)),
    Level("in turns of 1.5 s, no echo", None, turns=True),
    *(Level(f"in turns of 1.5 s, echo at {db:+d} dB", db, turns=True) for db in (-12, -6, 0)),
    Level("the loudspeaker alone", 0, own=False),
)


@dataclass(slots=True)
class Outcome:
    """One entry a window: the echo's share, and the cosines with the own face and another."""

    shares: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)


class Bench:
    def __init__(self) -> None:
        config = Config()
        checkpoint = configured_checkpoint(config)
        self.engine: Engine = configured_engine(config, checkpoint)
        self.suspect_below = decision_limits(config, checkpoint).suspect_below
        self._front_end = FRONT_ENDS[checkpoint.info.config.front_end]
        self._finder = FaceFinder(MtcnnDetector())
        self.cpu_s = {"a window": 0.0, "a pair": 0.0}
        self.pairs = 0

    def face(self, person: Person) -> Floats:
        """The mean direction of some pictures of `person`."""
        rng = np.random.default_rng((person.seed, 7))
        drawer = FaceDrawer(person.face, draw_scene(rng))
        crops = []
        while len(crops) < 2:
            rgb = decode_vp8(encode_vp8([drawer.draw(draw_pose(rng))] * 2))[-1]
            if isinstance(found := self._finder.find(rgb, 0.0), FaceFrame):
                crops.append(found.rgb)
        mean = self.engine.embed_faces(np.stack(crops)).mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def voice(self, audio: Audio) -> Floats:
        picture = np.empty((1, 1, *self._front_end.shape), np.float32)
        self._front_end.compute(audio, picture[0])
        return self.engine.embed_voice(picture)[0]

    def share(self, heard: Audio, other: Audio) -> float:
        begun_s = time.process_time()
        sounds: list[Sound] = [sound_of(heard), sound_of(other)]
        between_s = time.process_time()
        share = echo_share(*sounds)
        self.cpu_s["a window"] += (between_s - begun_s) / 2
        self.cpu_s["a pair"] += time.process_time() - between_s
        self.pairs += 1
        return share


def coded(audio: Audio) -> Audio:
    return decode_opus(encode_opus(audio))[: len(audio)]


def windows(audio: Audio) -> Iterator[Audio]:
    for start_s in STARTS_S:
        start = start_s * SAMPLE_RATE_HZ
        yield audio[start : start + WINDOW_SAMPLES]


def hold(bench: Bench, number: int, outcomes: dict[str, Outcome]) -> None:
    """One call, at every level."""
    rng = np.random.default_rng((number, 8))
    first = TEST_SEED + 500_000 + 100 * number
    person, other = draw_person(first), draw_person(first + 1)
    donor = next(
        donor
        for donor in map(draw_person, range(first + 2, first + 100))
        if oracle_similarity(person.voice, donor.face) <= CLEARLY_SOMEBODY_ELSE
    )
    face, other_face = bench.face(person), bench.face(donor)
    spoken, played = (speak(p.voice, SECONDS, rng).audio for p in (person, other))
    mine = np.arange(len(spoken)) // round(TURN_S * SAMPLE_RATE_HZ) % 2 == 0
    delay_s = rng.uniform(*DELAY_S)
    for level in LEVELS:
        heard_of_other = coded(record(np.where(mine & level.turns, 0, played), rng))
        own = np.where(mine | (not level.turns), spoken, 0) if level.own else np.zeros_like(spoken)
        echo = loudspeaker(heard_of_other, delay_s, rng)
        if not level.own:
            own = echo
        elif level.echo_db is not None:
            own = with_echo(own, echo, level.echo_db)
        sent = coded(record(own, rng))
        outcome = outcomes.setdefault(level.name, Outcome())
        for window, beside in zip(windows(sent), windows(heard_of_other), strict=True):
            voice = bench.voice(window)
            outcome.shares.append(bench.share(window, beside))
            outcome.own.append(float(voice @ face))
            outcome.other.append(float(voice @ other_face))


def row(name: str, outcome: Outcome, suspect_below: float) -> str:
    shares = np.array(outcome.shares)
    told = shares >= MIN_SHARE
    low = np.array(outcome.own) < suspect_below
    caught = np.array(outcome.other) < suspect_below
    cells = (
        name,
        " / ".join(f"{q:.2f}" for q in np.quantile(shares, (0.05, 0.5, 0.95))),
        f"{told.mean():.2f}",
        f"{low.mean():.2f}",
        f"{(low & ~told).mean():.2f}",
        f"{(caught & ~told).mean():.2f}",
    )
    return "| " + " | ".join(cells) + " |"


def report(bench: Bench, outcomes: dict[str, Outcome]) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cost = ", ".join(f"{1e3 * s / bench.pairs:.2f} ms {what}" for what, s in bench.cpu_s.items())
    count = len(next(iter(outcomes.values())).shares)
    return "\n".join(
        (
            "# The loudspeaker of others",
            "",
            f"Written by `make bench-cross-talk` on {machine()}, {versions}, load"
            f" {os.getloadavg()[0]:.1f} at the end. {CALLS} calls of two synthetic people whom no"
            f" limit has seen, {count} windows a row; echo {DELAY_S[0]:g} to {DELAY_S[1]:g} s late,"
            " through a loudspeaker, a room and Opus twice; levels beside one's own voice where"
            f" both are loud. A share of {MIN_SHARE} or more is `cross_talk`. *Low*: a cosine below"
            f" {bench.suspect_below:.2f}, where suspicion begins. CPU: {cost}.",
            "",
            header(
                *("who speaks", "share of the echo: 5 / 50 / 95 %", "`cross_talk`"),
                *("own face: low", "own face: scored and low", "another's face: scored and low"),
            ),
            *(row(name, outcome, bench.suspect_below) for name, outcome in outcomes.items()),
            "",
            "*Wrong* is a window of one's own voice that is called `cross_talk` (first, ninth row),"
            " or one with one's own face that is scored and low; *missed* is one with another's"
            " face that is not. A suspicion needs low scores for longer than a window, and waits"
            " for the lips.",
            "",
        )
    )


def main() -> None:
    bench, outcomes = Bench(), dict[str, Outcome]()
    for number in range(CALLS):
        hold(bench, number, outcomes)
        print(f"{number + 1} of {CALLS}", flush=True)
    text = report(bench, outcomes)
    REPORT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
