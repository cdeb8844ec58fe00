"""Fits a sequential decision to scores: evidence, and the thresholds that keep stated error rates.

The model of genuine scores is hierarchical. On the scale of the hyperbolic arctangent a person has
a mean (deviation *between* people; Student's t, so that few people claim little), a call shifts it
(room, camera, light), and within a call scores follow one another as they were measured: whole
turns are drawn from those in the table, with the autocorrelation of overlapping windows in them.
`PEOPLE` such people in `HOURS_OF_A_PERSON` one-hour calls each run through the detector itself:
160,000 hours, in which even the strictest rate is counted on ten alarms and more.

One thing no table has enough of: moved cameras and microphones that change what a person scores for
the rest of a call. A cumulative sum finds every lasting change in the end, so what a window is
granted is taken from the tail of whole streams (`vfd.tails`), at its upper bound over people.

Takes a minute; never done at start-up.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vfd.operating import HOURS_OF_A_PERSON, DecisionModel, OperatingPoint
from vfd.sequential import CAP, CLIP, Evidence
from vfd.tails import tail_bounds

Floats = NDArray[np.floating[Any]]

PEOPLE: Final = 20_000
TURN: Final = 5  # windows
SCORED_SHARE: Final = 0.5
"""Of a call's seconds. More than the quarter to third that one of a few people speaks for: rates
per hour are on the safe side."""
PER_HOURS: Final = (0.5, 1.0, 3.0, 10.0, 30.0)
PER_PEOPLE: Final = (1.0, 3.0, 10.0, 30.0, 100.0)
ALLOWED: Final = {"identity": 0.66, "slow": 0.04, "change": 0.3}
"""Of either rate, by statistic: their alarms add up to the whole at the most."""
ALLOWANCES: Final = (2.0, 2.5, 3.0, 3.2, 3.3, 3.4, 3.5, 3.6, 3.75, 4.0, 4.5)
"""Deviations of people and calls below their mean at which a window speaks neither way. Tried
beside them: none at all, which is best where people hardly differ."""
MOVES_PER_HOUR: Final = 3.0
"""Of camera, light, microphone, room, in a call."""
SWAPS: Final = 4_000
CAUGHT_WITHIN: Final = 60  # windows
SOON: Final = 10  # windows; an allowance is chosen for what is caught by then and in the end
SETTLED: Final = 60  # windows before a swap in the middle of a call
LEAST_CAUGHT: Final = 0.05
"""A signal that finds fewer swaps than this at its rate is not used: what it said would mostly be
false."""
LEAST_CHANGE: Final = 3 * CLIP
"""Of a change threshold: one bad look at a face lasts for two windows, and must not suffice."""
_ABOVE: Final = 0.01  # a threshold is reached where it alarms
_EDGE: Final = 0.999  # of a cosine, whose arctangent would be infinite


@dataclass(frozen=True, slots=True, eq=False)
class Genuine:
    """On the arctangent scale. `turns` (n, TURN): deviations from the level of their call; `jumps`
    (n, TURN) as in `vfd.own`; `changes` (streams,): mean evidence of a change, in nats, of a person
    (`change_person`, from 0) whose other streams are the baseline. `people` and `hours` that this
    rests on."""

    mean: float
    person_sd: float
    call_sd: float
    turns: Floats
    jumps: Floats
    changes: Floats
    change_person: NDArray[np.intp]
    people: int
    hours: float

    def levels(self, rng: np.random.Generator, count: int) -> Floats:
        """Means of new people, as uncertain as so few leave them."""
        spread = self.person_sd * np.sqrt(1 + 1 / self.people)
        drawn = rng.standard_t(max(self.people - 1, 1), count)
        return np.asarray(self.mean + spread * drawn)


@dataclass(frozen=True, slots=True, eq=False)
class Swaps:
    """On the same scale: `level` (m,) of pairs, `turns` (n, TURN) about it, `jumps` (k,) once a
    face or a voice has been exchanged in a call."""

    level: Floats
    turns: Floats
    jumps: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Allowances:
    """In nats, those that are tried: of identity, and of change for each of PER_HOURS."""

    identity: Floats
    change: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """The highest that each statistic reached in a call: `slow` (people, calls), the others
    (allowances, people, calls)."""

    identity: Floats
    slow: Floats
    change: Floats


def to_level(similarity: Floats) -> Floats:
    return np.asarray(np.arctanh(np.clip(similarity, -_EDGE, _EDGE)))


def fit_points(
    model: DecisionModel, genuine: Genuine, swaps: Swaps, seed: int = 1
) -> tuple[OperatingPoint, ...]:
    """Thresholds for every pair of rates; `model` brings the evidence, its points do not matter."""
    rng = np.random.default_rng(seed)
    spread = max(np.hypot(genuine.person_sd, genuine.call_sd), 1e-3)
    below = genuine.mean - np.array(ALLOWANCES) * spread
    allowances = Allowances(
        np.array([0.0, *(model.log_likelihood_ratio(float(s)) for s in np.tanh(below))]),
        change_allowances(genuine),
    )
    peaks = genuine_peaks(model, genuine, allowances, rng, PEOPLE)
    soon, start = _runs(model, swaps, None, allowances, rng)
    _, middle = _runs(model, swaps, genuine, allowances, rng)
    return tuple(
        _point(rates, allowances, peaks, soon, start, middle)
        for rates in itertools.product(PER_HOURS, PER_PEOPLE)
    )


def change_allowances(genuine: Genuine) -> Floats:
    """What the streams of moved cameras and microphones exceed so seldom that they raise their
    share of the alarms at most, in nats, for each of PER_HOURS."""
    seldom = ALLOWED["change"] * np.array(PER_HOURS) / 1_000 / MOVES_PER_HOUR
    return np.maximum(tail_bounds(genuine.changes, genuine.change_person, seldom), 0.0)


def genuine_peaks(
    model: DecisionModel,
    genuine: Genuine,
    allowances: Allowances,
    rng: np.random.Generator,
    people: int,
) -> Peaks:
    persons = genuine.levels(rng, people)
    calls = [
        _call(model, genuine, persons, allowances, part) for part in rng.spawn(HOURS_OF_A_PERSON)
    ]
    identity, slow, change = (np.stack([c[k] for c in calls], axis=-1) for k in range(3))
    return Peaks(identity, slow, change)


def _call(
    model: DecisionModel,
    genuine: Genuine,
    persons: Floats,
    allowances: Allowances,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats]:
    """Of everybody, in whose call something is moved now and then and stays so."""
    levels = persons + genuine.call_sd * rng.standard_normal(len(persons))
    turns = round(3_600 * SCORED_SHARE / TURN)
    evidence = _evidence(model, allowances, levels.shape)
    identity, change = np.zeros_like(evidence.identity), np.zeros_like(evidence.change)
    slow = np.full(levels.shape, -np.inf)
    for _ in range(turns):
        moved = np.flatnonzero(rng.random(len(persons)) < MOVES_PER_HOUR / turns)
        levels[moved] = persons[moved] + genuine.call_sd * rng.standard_normal(len(moved))
        chosen = rng.integers(len(genuine.turns), size=len(levels))
        for window in range(TURN):
            similarity = np.tanh(levels + genuine.turns[chosen, window])
            evidence.take(similarity, genuine.jumps[chosen, window])
            np.maximum(identity, evidence.identity, out=identity)
            np.maximum(slow, evidence.slow, out=slow)
            np.maximum(change, evidence.change, out=change)
    return identity, slow, change


def _evidence(model: DecisionModel, allowances: Allowances, shape: tuple[int, ...]) -> Evidence:
    return Evidence(model, allowances.identity[:, None], allowances.change[:, None], shape)


def _runs(
    model: DecisionModel,
    swaps: Swaps,
    before: Genuine | None,
    allowances: Allowances,
    rng: np.random.Generator,
) -> tuple[Peaks, Peaks]:
    """What the statistics of swapped pairs reach in SOON and in CAUGHT_WITHIN windows: from the
    start on, or after a genuine beginning."""
    evidence = _evidence(model, allowances, (SWAPS,))
    if before is not None:
        levels = before.levels(rng, SWAPS) + before.call_sd * rng.standard_normal(SWAPS)
        for _ in range(SETTLED // TURN):
            chosen = rng.integers(len(before.turns), size=SWAPS)
            for window in range(TURN):
                evidence.take(
                    np.tanh(levels + before.turns[chosen, window]), before.jumps[chosen, window]
                )
    levels = rng.choice(swaps.level, SWAPS)
    jumps = 0.0 if before is None else rng.choice(swaps.jumps, SWAPS)
    identity, change = np.zeros_like(evidence.identity), np.zeros_like(evidence.change)
    slow = np.full(SWAPS, -np.inf)
    for turn in range(CAUGHT_WITHIN // TURN):
        if turn == SOON // TURN:
            soon = Peaks(identity.copy(), slow.copy(), change.copy())
        chosen = rng.integers(len(swaps.turns), size=SWAPS)
        for window in range(TURN):
            evidence.take(np.tanh(levels + swaps.turns[chosen, window]), jumps)
            np.maximum(identity, evidence.identity, out=identity)
            np.maximum(slow, evidence.slow, out=slow)
            np.maximum(change, evidence.change, out=change)
    return soon, Peaks(identity, slow, change)


def _point(
    rates: tuple[float, float],
    allowances: Allowances,
    peaks: Peaks,
    soon: Peaks,
    start: Peaks,
    middle: Peaks,
) -> OperatingPoint:
    """The allowance that catches most and soonest, and the thresholds."""
    of_change = PER_HOURS.index(rates[0])
    change = max(threshold(peaks.change[of_change], rates, ALLOWED["change"]), LEAST_CHANGE)
    slow = threshold(peaks.slow, rates, ALLOWED["slow"])
    slow_hits = start.slow >= slow
    best = (0.0, 0.0, 0, np.inf)
    for number in range(len(allowances.identity)):
        least = threshold(peaks.identity[number], rates, ALLOWED["identity"])
        caught = float((slow_hits | (start.identity[number] >= least)).mean())
        caught_soon = float((soon.identity[number] >= least).mean())
        best = max(best, (caught + caught_soon, caught, number, least))
    _, caught, number, identity = best
    usable = caught >= LEAST_CAUGHT
    changed = middle.change[of_change] >= (change if change < CAP else np.inf)
    change_usable = float(changed.mean()) >= LEAST_CAUGHT
    if usable:
        changed = changed | (middle.identity[number] >= identity) | (middle.slow >= slow)
    return OperatingPoint(
        false_alarms_per_1000_hours=rates[0],
        false_alarms_per_1000_people=rates[1],
        caught=caught if usable else None,
        caught_change=float(changed.mean()) if usable or change_usable else None,
        allowance=float(allowances.identity[number]),
        change_allowance=float(allowances.change[of_change]),
        identity=identity if usable and identity < CAP else None,
        slow=slow if usable and np.isfinite(slow) else None,
        change=change if change_usable else None,
    )


def threshold(peaks: Floats, rates: tuple[float, float], share: float) -> float:
    """What at most `share` of the alarms allowed per 1,000 one-hour calls, and per 1,000 people,
    reach. `peaks` (people, calls)."""
    per_hour = _exceeded(peaks.reshape(-1), share * rates[0] / 1000)
    per_person = _exceeded(peaks.max(axis=1), share * rates[1] / 1000)
    return float(max(per_hour, per_person)) + _ABOVE


def _exceeded(values: Floats, share: float) -> float:
    allowed = int(share * len(values))
    return float(np.partition(values, len(values) - 1 - allowed)[len(values) - 1 - allowed])
