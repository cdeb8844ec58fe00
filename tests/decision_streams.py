"""Hours of genuine and of swapped participants, recombined from embedded callers, and the detectors
that are compared on them. Everything runs over many people at once; a step is a scored window."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.callers import LOOKS, WINDOWS, Callers
from training.people import draw_person, oracle_similarity
from vfd.operating import DecisionModel, OperatingPoint
from vfd.operating_fit import TURN, Genuine
from vfd.own import OwnVectors
from vfd.sequential import Evidence

Floats = NDArray[np.floating[Any]]
Index = NDArray[np.intp]

WINDOWS_PER_HOUR = 900
"""Somebody who speaks for a quarter of the time, in turns of seven seconds."""
MOVES_PER_HOUR = 2.0
"""How often a camera is moved or a light switched; a microphone half as often."""


@dataclass(frozen=True, eq=False)
class Step:
    """Of one window of everybody: (people,)."""

    similarity: Floats
    jump: Floats


Blend = Callable[[Floats, int], Floats]
"""What becomes of the voices (people, D) of a turn."""


def genuine_hour(
    callers: Callers, call: int, rng: np.random.Generator, blend: Blend | None = None
) -> Iterator[Step]:
    """One call of everybody: turns of the call's take, whose camera and microphone now and then
    become the other take's and stay so."""
    people = np.arange(len(callers))
    take, scene = np.full(len(callers), call % 2), np.full(len(callers), call % 2)
    own = OwnVectors()
    turns = WINDOWS_PER_HOUR // WINDOWS
    for turn in range(turns):
        moved = rng.random((2, len(callers)))
        scene = np.where(moved[0] < MOVES_PER_HOUR / turns, 1 - scene, scene)
        take = np.where(moved[1] < MOVES_PER_HOUR / 2 / turns, 1 - take, take)
        look = rng.integers(LOOKS, size=len(callers))
        for window in range(WINDOWS):
            voice = callers.voice[people, take, window]
            if blend is not None:
                voice = blend(voice, turn)
            face = callers.face[people, scene, (look + window // 2) % LOOKS]
            yield Step((voice * face).sum(-1), own.jump(voice, face))


def swapped(
    callers: Callers, voice_of: Index, face_of: Index, settled: int, turns: int
) -> Iterator[Step]:
    """`settled` genuine turns, then `turns` with the face of somebody else: the same camera, the
    same words going on."""
    own = OwnVectors()
    for turn in range(settled + turns):
        faces = callers.face[voice_of if turn < settled else face_of, 0]
        for window in range(WINDOWS):
            voice = callers.voice[voice_of, 0, window]
            face = faces[:, (turn + window // 2) % LOOKS]
            yield Step((voice * face).sum(-1), own.jump(voice, face))


def pairs(callers: Callers, count: int, rng: np.random.Generator) -> dict[str, tuple[Index, Index]]:
    """Voices and faces of two people each. Hard: of one sex, and among the quarter of those whose
    true traits are the most alike; median: the others of one sex; easy: of two sexes."""
    people = [draw_person(int(seed)) for seed in callers.seed]
    voice, face = rng.integers(len(people), size=(2, 16 * count))
    different = voice != face
    voice, face = voice[different], face[different]
    alike = np.array(
        [
            oracle_similarity(people[v].voice, people[f].face)
            for v, f in zip(voice, face, strict=True)
        ]
    )
    border = np.quantile(alike[np.isfinite(alike)], 0.75)
    kinds = {
        "hard": alike >= border,
        "median": np.isfinite(alike) & (alike < border),
        "easy": ~np.isfinite(alike),
    }
    return {
        kind: (voice[rows][:count], face[rows][:count])
        for kind, rows in ((k, np.flatnonzero(m)) for k, m in kinds.items())
    }


class Mean:
    """A single score, the mean of some, or an exponentially weighted one: (people,). `value` is
    higher for worse."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._last: deque[Floats] = deque(maxlen=10)
        self._mean: Floats | None = None

    def take(self, step: Step) -> None:
        self._last.append(step.similarity)
        before = step.similarity if self._mean is None else self._mean
        self._mean = before + 0.15 * (step.similarity - before)

    @property
    def value(self) -> Floats:
        assert self._mean is not None
        match self.name:
            case "plain threshold":
                return -self._last[-1]
            case "moving average of 10":
                full = len(self._last) == 10
                return -np.mean(self._last, axis=0) if full else np.full_like(self._mean, -np.inf)
            case _:
                return -self._mean


MEANS = ("plain threshold", "moving average of 10", "EWMA 0.15")


def mean_peaks(genuine: Genuine, people: int, calls: int, windows: int, seed: int) -> list[Floats]:
    """(people, calls) of each of MEANS, on the people that the sequential thresholds are simulated
    on."""
    rng = np.random.default_rng(seed)
    persons, found = genuine.levels(rng, people), []
    for _ in range(calls):
        level = persons + genuine.call_sd * rng.standard_normal(people)
        means = [Mean(name) for name in MEANS]
        peaks = [np.full(people, -np.inf) for _ in MEANS]
        for _ in range(windows // TURN):
            chosen = rng.integers(len(genuine.turns), size=people)
            for window in range(TURN):
                step = Step(np.tanh(level + genuine.turns[chosen, window]), np.zeros(people))
                for mean, peak in zip(means, peaks, strict=True):
                    mean.take(step)
                    np.maximum(peak, mean.value, out=peak)
        found.append(peaks)
    return [np.stack([call[k] for call in found], axis=1) for k in range(len(MEANS))]


class Detector:
    """One of MEANS at a threshold, or the sequential one at an operating point."""

    def __init__(
        self,
        people: int,
        mean: tuple[str, float] | None,
        model: DecisionModel,
        point: OperatingPoint,
    ) -> None:
        self._mean = mean
        self._point = point
        self._value = Mean(mean[0]) if mean is not None else None
        self._evidence = Evidence(model, point.allowance, point.change_allowance, (people,))

    def take(self, step: Step) -> None:
        if self._value is not None:
            self._value.take(step)
        else:
            self._evidence.take(step.similarity, step.jump)

    @property
    def alarms(self) -> NDArray[np.bool_]:
        if self._value is not None and self._mean is not None:
            return self._value.value >= self._mean[1]
        evidence, point = self._evidence, self._point
        parts = (
            (evidence.identity, point.identity),
            (evidence.slow, point.slow),
            (evidence.change, point.change),
        )
        found = [value >= limit for value, limit in parts if limit is not None]
        return np.any(found, axis=0) if found else np.zeros(evidence.change.shape, np.bool_)
