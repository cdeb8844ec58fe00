"""False alarms and swaps caught, ours against simpler detectors, into monitor/reports/decision.md.

    make bench-decision CALLERS=FOLDER

FOLDER is filled with embedded callers first where they are missing (some 25 minutes of CPU for
2,000 people). Nothing that is counted here was seen when weights or thresholds were made.
"""

import argparse
import importlib.metadata
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.assembly import decision_limits
from monitor.config import Config
from tests.bench_demo import machine
from tests.decision_streams import (
    MEANS,
    WINDOWS_PER_HOUR,
    Blend,
    Detector,
    Floats,
    Step,
    genuine_hour,
    mean_peaks,
    pairs,
    swapped,
)
from training.calibrate import scored_windows_of
from training.caller_scores import score_table
from training.callers import WINDOWS, Callers, load_callers
from vfd.checkpoint import load_checkpoint, shipped_checkpoint_path
from vfd.decision import Decider, State
from vfd.limits import DecisionLimits
from vfd.operating import HOURS_OF_A_PERSON
from vfd.operating_fit import PEOPLE, SCORED_SHARE, threshold
from vfd.rates import poisson_upper
from vfd.turns import fit_decision, genuine_of, windows_of

REPORT = Path(__file__).parents[1] / "monitor" / "reports" / "decision.md"
HOURS = 3_000  # at least
PEOPLE_WANTED = 2_000
OURS = len(MEANS)  # its row, after those of the simpler ones
SWAPS = 1_000
SETTLED = 24  # turns of five windows: two minutes of speech
WATCHED = 60  # turns: five minutes of speech
RESAMPLES = 2_000
DECIDED_PEOPLE = 60  # of whom every second is decided by the monitor's own code

Maker = Callable[[int], Detector]
"""A detector of so many people."""


@dataclass
class Row:
    name: str
    make: Maker
    alarms: NDArray[np.int64]  # (people, calls)
    unknown: float = float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("callers", type=Path, help="folder of tests.embed_callers")
    folder = parser.parse_args().callers
    began_s = time.monotonic()
    checkpoint = load_checkpoint(shipped_checkpoint_path())
    limits = decision_limits(Config(), checkpoint)
    callers, fitted_on = load_callers(folder, "test"), load_callers(folder, "calibration")
    makers = detectors(limits, fitted_on)
    rng = np.random.default_rng(11)
    calls = max(HOURS_OF_A_PERSON, -(-HOURS // len(callers)))  # the rate per person is over so many
    counted = genuine_alarms(callers, makers, calls, rng)
    unknown = unknown_shares(callers, limits, rng)
    rows = [
        Row(name, make, counted[name], unknown[name.startswith("ours")])
        for name, make in makers.items()
    ]
    text = report(callers, fitted_on, limits, rows, calls, rng)
    text += f"\n{machine()}; numpy {importlib.metadata.version('numpy')}; weights sha256 "
    text += f"{checkpoint.sha256[:12]}; {time.monotonic() - began_s:.0f} s beside other work.\n"
    REPORT.write_text(text)
    print(text)


def detectors(limits: DecisionLimits, fitted_on: Callers) -> dict[str, Maker]:
    """All at the same two rates, thresholds from the same simulated people."""
    model, point = limits.model, limits.operating_point
    assert model is not None
    assert point is not None
    windows, jumps = scored_windows_of(score_table(fitted_on))
    rates = point.false_alarms_per_1000_hours, point.false_alarms_per_1000_people
    peaks = mean_peaks(
        genuine_of(windows_of(windows, jumps, real=True), model),
        PEOPLE,
        HOURS_OF_A_PERSON,
        round(3_600 * SCORED_SHARE),
        seed=1,
    )
    makers: dict[str, Maker] = {}
    for name, peak in zip(MEANS, peaks, strict=True):
        mean = name, threshold(peak, rates, 1.0)
        makers[name] = lambda people, mean=mean: Detector(people, mean, model, point)  # type: ignore[misc]
    makers["ours"] = lambda people: Detector(people, None, model, point)
    fall = fit_decision(windows)
    fall_point = fall.point(*rates)
    makers["ours, without embeddings"] = lambda people: Detector(people, None, fall, fall_point)
    alone = replace(point, change=None)
    fast = replace(point, slow=None)
    makers["ours, without the slow mean"] = lambda people: Detector(people, None, model, fast)
    makers["ours, identity alone"] = lambda people: Detector(people, None, model, alone)
    return makers


def genuine_alarms(
    callers: Callers,
    makers: dict[str, Maker],
    calls: int,
    rng: np.random.Generator,
    blend: Blend | None = None,
) -> dict[str, NDArray[np.int64]]:
    """(people, calls) of each: 1 where it alarmed in that call."""
    found = {name: np.zeros((len(callers), calls), np.int64) for name in makers}
    for call in range(calls):
        running = {name: make(len(callers)) for name, make in makers.items()}
        for step in genuine_hour(callers, call, rng, blend):
            for name, detector in running.items():
                detector.take(step)
                found[name][:, call] |= detector.alarms
    return found


def unknown_shares(
    callers: Callers, limits: DecisionLimits, rng: np.random.Generator
) -> dict[bool, float]:
    """Share of an hour without a verdict by the monitor's own decider (True), and without a score
    in the last `forget_after_s` (False), which no detector can help."""
    some = Callers(*(getattr(callers, n)[:DECIDED_PEOPLE] for n in callers.__slots__))
    steps = list(genuine_hour(some, 0, rng))
    states = {True: 0, False: 0}
    seconds = 0
    for person in range(len(some)):
        decider, end_s, scored_s = Decider(limits), 0.0, -np.inf
        for number, step in enumerate(steps):
            pause = 0
            if number % WINDOWS == 0 and rng.random() < 0.6:
                pause = int(rng.exponential(25.0))  # somebody else's turns
            for silent in range(pause + 1):
                score = float(step.similarity[person]) if silent == pause else None
                verdict = decider.update(end_s, score, float(step.jump[person]))
                scored_s = end_s if score is not None else scored_s
                states[True] += verdict.state is State.UNKNOWN
                states[False] += end_s - scored_s > limits.forget_after_s
                end_s += 1.0
                seconds += 1
    return {ours: count / seconds for ours, count in states.items()}


def rate(alarms: NDArray[np.int64], rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Per 1,000 hours and its 95 % upper bound, per 1,000 people and its bound. Bootstrap by
    identity, and never below what the number of hours and of people allows (3 / N)."""
    people, calls = alarms.shape
    by_person = alarms.sum(axis=1)
    drawn = rng.integers(people, size=(RESAMPLES, people))
    hourly = 1_000 * by_person[drawn].mean(axis=1) / calls
    accused = 1_000 * (by_person[drawn] > 0).mean(axis=1)
    least = poisson_upper(int(by_person.sum())), poisson_upper(int((by_person > 0).sum()))
    return (
        1_000 * float(by_person.mean()) / calls,
        max(float(np.quantile(hourly, 0.95)), 1_000 * least[0] / (people * calls)),
        1_000 * float((by_person > 0).mean()),
        max(float(np.quantile(accused, 0.95)), 1_000 * least[1] / people),
    )


def delays(
    make: Maker, steps: Iterable[Step], people: int, skip: int
) -> tuple[NDArray[np.float64], float]:
    """Seconds of speech from the swap to the alarm, infinite for never; and the share that alarmed
    before there was a swap, who are left out."""
    detector, found, early = make(people), np.full(people, np.inf), np.zeros(people, np.bool_)
    for number, step in enumerate(steps):
        detector.take(step)
        alarms = detector.alarms
        if number < skip:
            early |= alarms
        else:
            found = np.where(alarms & np.isinf(found), number - skip + 1, found)
    return found[~early], float(early.mean())


def report(
    callers: Callers,
    fitted_on: Callers,
    limits: DecisionLimits,
    rows: list[Row],
    calls: int,
    rng: np.random.Generator,
) -> str:
    point = limits.operating_point
    assert point is not None
    asked = point.false_alarms_per_1000_hours
    kinds = pairs(callers, SWAPS, rng)
    hours = len(callers) * calls
    lines = [
        "# Decisions",
        "",
        "`make bench-decision` wrote this. **Synthetic people**: it says nothing of real ones.",
        "",
        f"{len(callers)} people that neither training nor calibration has seen, {hours:,} genuine "
        f"participant-hours: one-hour calls, {WINDOWS_PER_HOUR} scored windows in each, turns of "
        "five windows after Opus at 32 kbit/s and VP8, twice an hour another camera and scene, "
        "once another microphone and room. All detectors at the same rates, "
        f"{asked:g} false alarm in 1,000 h and "
        f"{point.false_alarms_per_1000_people:g} in 1,000 people over {HOURS_OF_A_PERSON} such "
        f"calls, by the same simulation of {PEOPLE:,} people after {len(fitted_on)} others.",
        "",
        "## False alarms",
        "",
        "Upper bounds of 95 %, bootstrap by identity and not below 3/N. A person counts once over "
        f"their {calls} calls.",
        "",
        "| | alarms | in 1,000 h | at most | in 1,000 people | at most | time unknown |",
        "|-|-|-|-|-|-|-|",
    ]
    found = {row.name: rate(row.alarms, rng) for row in rows}
    for row in rows:
        cells = " | ".join(f"{value:.2f}" for value in found[row.name])
        lines.append(f"| {row.name} | {row.alarms.sum()} | {cells} | {row.unknown:.1%} |")
    lines += ["", *claims(rows[OURS].alarms, found["ours"][1], asked)]
    if len(callers) < PEOPLE_WANTED:
        lines += ["", f"**Fewer people than the {PEOPLE_WANTED:,} that this should rest on.**"]
    lines += ["", "## Swaps caught", "", *swap_table(callers, rows, kinds)]
    lines += ["", "## What is no swap", "", *disturbances(callers, rows[OURS].make, rng)]
    return "\n".join(lines) + "\n"


def claims(alarms: NDArray[np.int64], bound: float, asked: float) -> list[str]:
    """Nothing tighter than the bound."""
    people, calls = alarms.shape
    accused, hours = int(alarms.any(axis=1).sum()), people * calls
    if bound <= asked:
        return [f"So the {asked:g} in 1,000 h is kept, with 95 % confidence."]
    return [
        f"What can be claimed with 95 % confidence is at most {bound:.2f} in 1,000 h, not the "
        f"{asked:g} that is aimed at: {accused} of {people:,} people alarmed, in "
        f"{int(alarms.sum())} of {hours:,} hours, and few people say little of others."
    ]


def swap_table(
    callers: Callers,
    rows: list[Row],
    kinds: dict[str, tuple[NDArray[np.intp], NDArray[np.intp]]],
) -> list[str]:
    lines = [
        f"{SWAPS} pairs each. Caught within five minutes of speech (from the start) and of the "
        "swap (mid-call, after two minutes); median and 95th percentile of the time to detect, in "
        "seconds of speech, of those caught. Hard: of one sex, in the quarter with the most alike "
        "traits; median: others of one sex; easy: of two sexes.",
        "",
        "| | " + " | ".join(f"{kind}, {when}" for when in WHEN for kind in kinds) + " |",
        "|-|" + "-|" * (len(WHEN) * len(kinds)),
    ]
    for row in rows:
        cells = []
        for settled in WHEN.values():
            for voice, face in kinds.values():
                steps = swapped(callers, voice, face, settled, WATCHED)
                found, _ = delays(row.make, steps, len(voice), settled * WINDOWS)
                caught = found[np.isfinite(found)]
                times = (
                    ""
                    if not len(caught)
                    else (f" ({np.median(caught):.0f}, {np.quantile(caught, 0.95):.0f} s)")
                )
                cells.append(f"{len(caught) / max(len(found), 1):.1%}{times}")
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return lines


WHEN: dict[str, int] = {"from the start": 0, "mid-call": SETTLED}


def disturbances(callers: Callers, make: Maker, rng: np.random.Generator) -> list[str]:
    """Of genuine people, one call each."""
    others = np.roll(callers.voice, 1, axis=0)

    def echo(share: float) -> Blend:
        def blend(voice: Floats, turn: int) -> Floats:
            if turn % 5:
                return voice
            mixed = (1 - share) * voice + share * others[:, 0, turn % WINDOWS]
            return np.asarray(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True))

        return blend

    cases = {
        "echo: another voice at a tenth of the embedding, every fifth turn": echo(0.1),
        "echo: another voice at a third, every fifth turn": echo(1 / 3),
        "somebody off screen speaks in every fifth turn": echo(1.0),
    }
    lines = ["| | calls with an alarm |", "|-|-|"]
    for name, blend in cases.items():
        found = genuine_alarms(callers, {"ours": make}, 1, rng, blend)["ours"]
        lines.append(f"| {name} | {found.mean():.1%} |")
    return [
        *lines,
        "| two faces in the picture | none: `several_faces`, the window is not scored |",
        "",
        "Echo is mixed in the space of embeddings, a stand-in for the sound. A voice from off "
        "screen does not belong to the face, so it alarms here; live, the lips of a suspect are "
        "looked at first and such windows are left out (`speaker_off_screen`), as are those of the "
        "loudspeaker of others (`cross_talk`): see `tests/test_troubles.py`.",
    ]


if __name__ == "__main__":
    main()
