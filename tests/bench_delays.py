"""How soon each detector notices a swap when all raise one false alarm in 24 hours, into
`monitor/reports/delays.md`.

make bench-delays

A made-up world in which theory can be checked: everybody has the same normal scores, a first-order
process, and nobody's camera is moved. What people differ by is in `tests.bench_decision`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tests.bench_demo import machine
from tests.decision_streams import MEANS, Floats, Mean, Step
from vfd.calibration import ScoredWindows
from vfd.operating import DecisionModel, OperatingPoint
from vfd.sequential import Evidence
from vfd.turns import fit_decision

REPORT: Final = Path(__file__).parents[1] / "monitor" / "reports" / "delays.md"
GENUINE, FAKE, WEAK, SD, CORRELATION = 0.35, -0.25, 0.0, 0.2, 0.6
FALL: Final = 0.1  # of a genuine mean that drifts
FALSE_ALARM_H: Final = 24.0
PEOPLE: Final = 4_000
HOURS: Final = 2
SETTLED: Final = 120  # windows before anything happens
WATCHED: Final = 1_200
FITTED_PEOPLE, FITTED_WINDOWS = 400, 100
SPREADS: Final = (0.0, 0.05, 0.1)
"""Deviations of the means of those whom ours is fitted to: what it then grants atypical people it
grants those who drift, too."""
RATES: Final = (30.0, 100.0)
"""The loosest that a decision is fitted for: from there all of its thresholds go by one factor."""


class Alarm(Protocol):
    """`value` (people,): what alarms at a threshold, higher for worse."""

    def take(self, step: Step) -> None: ...

    @property
    def value(self) -> Floats: ...


class Ours:
    """The monitor's own evidence: how far it is to its thresholds, of the three the furthest. Sums
    begin at 0, the long mean at what genuine windows say."""

    def __init__(self, people: int, model: DecisionModel, point: OperatingPoint) -> None:
        self._point = point
        self._genuine = model.log_likelihood_ratio(GENUINE)
        self._evidence = Evidence(model, point.allowance, point.change_allowance, (people,))

    def take(self, step: Step) -> None:
        self._evidence.take(step.similarity, step.jump)

    @property
    def value(self) -> Floats:
        evidence, point = self._evidence, self._point
        parts = (
            (evidence.identity, point.identity, 0.0),
            (evidence.slow, point.slow, self._genuine),
            (evidence.change, point.change, 0.0),
        )
        return np.max([(v - b) / (limit - b) for v, limit, b in parts if limit is not None], axis=0)


@dataclass(frozen=True)
class Row:
    name: str
    delays: Floats
    weak: Floats
    drift_h: float


def scores(mean: float, people: int, rng: np.random.Generator) -> Iterator[Floats]:
    noise = rng.standard_normal(people)
    while True:
        yield mean + SD * noise
        fresh = np.sqrt(1 - CORRELATION**2) * rng.standard_normal(people)
        noise = CORRELATION * noise + fresh


def main() -> None:
    makers: dict[str, Callable[[], Alarm]] = {
        name: lambda name=name: Mean(name)  # type: ignore[misc]
        for name in MEANS
    }
    for spread in SPREADS:
        model = fitted(spread, np.random.default_rng(7))
        point = model.point(*RATES)
        name = f"ours, fitted to people who differ by {spread:g}"
        makers[name] = lambda model=model, point=point: Ours(PEOPLE, model, point)  # type: ignore[misc]
    text = markdown([row(name, make) for name, make in makers.items()])
    REPORT.write_text(text, encoding="utf-8")
    print(text)


def fitted(spread: float, rng: np.random.Generator) -> DecisionModel:
    """As `vfd-train calibrate` fits a decision, to people whose means differ by `spread`."""
    parts = []
    for kind, mean in (("own", GENUINE), ("swapped", FAKE)):
        stream = scores(mean, FITTED_PEOPLE, rng)
        drawn = np.stack([next(stream) for _ in range(FITTED_WINDOWS)], axis=1)
        drawn += spread * rng.standard_normal((FITTED_PEOPLE, 1))
        parts.append((kind, np.clip(drawn, -1, 1).reshape(-1)))
    person = np.repeat(np.arange(FITTED_PEOPLE).astype(str), FITTED_WINDOWS)
    other = np.repeat(np.roll(np.arange(FITTED_PEOPLE), 1).astype(str), FITTED_WINDOWS)
    time_s = np.tile(np.arange(FITTED_WINDOWS, dtype=np.float64), FITTED_PEOPLE)
    return fit_decision(
        ScoredWindows(
            np.concatenate([values for _, values in parts]),
            np.repeat([True, False], len(person)),
            np.concatenate([person, person]),
            np.concatenate([person, other]),
            np.concatenate([np.char.add(kind, person) for kind, _ in parts]),
            np.concatenate([time_s, time_s]),
        )
    )


def row(name: str, make: Callable[[], Alarm]) -> Row:
    windows = HOURS * 3_600
    peaks = highest(make(), windows, GENUINE, np.random.default_rng(1))
    limit = float(np.quantile(peaks, np.exp(-HOURS / FALSE_ALARM_H)))
    drifted = highest(make(), windows, GENUINE - FALL, np.random.default_rng(2)) > limit
    quiet = max(1.0 - float(drifted.mean()), 0.5 / PEOPLE)
    return Row(
        name,
        delays(make(), FAKE, limit, np.random.default_rng(3)),
        delays(make(), WEAK, limit, np.random.default_rng(4)),
        np.inf if not drifted.any() else -HOURS / np.log(quiet),
    )


def highest(alarm: Alarm, windows: int, mean: float, rng: np.random.Generator) -> Floats:
    """(people,), after a beginning with the genuine mean that does not count."""
    settle(alarm, rng)
    peaks = np.full(PEOPLE, -np.inf)
    stream = scores(mean, PEOPLE, rng)
    for _ in range(windows):
        alarm.take(step(next(stream)))
        np.maximum(peaks, alarm.value, out=peaks)
    return peaks


def delays(alarm: Alarm, mean: float, limit: float, rng: np.random.Generator) -> Floats:
    """(people,) seconds from the swap to the alarm; infinite beyond WATCHED."""
    settle(alarm, rng)
    found = np.full(PEOPLE, np.inf)
    stream = scores(mean, PEOPLE, rng)
    for second in range(1, WATCHED + 1):
        alarm.take(step(next(stream)))
        found = np.where((alarm.value > limit) & np.isinf(found), second, found)
    return found


def settle(alarm: Alarm, rng: np.random.Generator) -> None:
    stream = scores(GENUINE, PEOPLE, rng)
    for _ in range(SETTLED):
        alarm.take(step(next(stream)))


def step(similarity: Floats) -> Step:
    return Step(np.clip(similarity, -1, 1), np.zeros(PEOPLE))


def markdown(rows: list[Row]) -> str:
    return "\n".join(
        [
            "# Delays",
            "",
            "`make bench-delays` wrote this. A made-up world: one score a second, genuine "
            f"N({GENUINE}, {SD}), fake N({FAKE}, {SD}), weak fake N({WEAK:g}, {SD}), correlation "
            f"{CORRELATION} from one to the next, all people alike. Every detector at the "
            f"threshold at which it raises one false alarm in {FALSE_ALARM_H:g} h, counted on "
            f"{PEOPLE * HOURS:,} h. Delays after two genuine minutes, in s; drift: hours to a "
            f"false alarm once a genuine speaker's mean has fallen by {FALL}. Ours is fitted as "
            f"any model's is, to {FITTED_PEOPLE} people, here without embeddings: to such as "
            "are all alike, and to such as differ, who then are granted more; people who "
            "differ and cameras that are moved are in [decision.md](decision.md).",
            "",
            "| detector | p50 | p95 | p99 | weak fake p50 | p95 | drift, h |",
            "|-|-|-|-|-|-|-|",
            *(line(row) for row in rows),
            "",
            f"{machine()}; numpy {version('numpy')}.",
            "",
        ]
    )


def line(row: Row) -> str:
    cells = [seconds(row.delays, q) for q in (0.5, 0.95, 0.99)]
    cells += [seconds(row.weak, q) for q in (0.5, 0.95)]
    return f"| {row.name} | {' | '.join(cells)} | {row.drift_h:.1f} |"


def seconds(found: NDArray[np.floating], share: float) -> str:
    value = np.quantile(found, share, method="higher")
    return f"{value:.0f}" if np.isfinite(value) else f"over {WATCHED}"


if __name__ == "__main__":
    main()
