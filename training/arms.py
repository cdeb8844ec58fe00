"""Compares what several sweeps found, seed by seed: what an ablation costs, and how sure it is.

Intervals are Student's over the seeds, 95 %: they say how much another training of the same kind
would differ, not how much other test people would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from training.sweep_file import read_sweep
from vfd.metrics import Interval

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train. `found`: what was measured, by seed."""

    name: str
    found: dict[int, float]


def read_arms(paths: Sequence[Path], column: str) -> list[Arm]:
    """One arm for every value of every sweep. Raises ValueError naming the file."""
    arms = []
    for path in paths:
        sweep = read_sweep(path)
        varied = next(iter(sweep))
        for name in ("seed", column):
            if name not in sweep:
                raise ValueError(f"{path}: there is no column {name!r}, only {', '.join(sweep)}")
        for value in dict.fromkeys(sweep[varied]):
            rows = zip(sweep[varied], sweep["seed"], sweep[column], strict=True)
            found = {int(seed): result for at, seed, result in rows if at == value}
            arms.append(Arm(f"{path.parent.name}, {varied} {value:g}", found))
    return arms


def table(arms: Sequence[Arm]) -> str:
    """Markdown; differences are from the first arm, over the seeds that both have."""
    base = arms[0]
    lines = ["| | seeds | mean | difference from the first |", "|-|-|-|-|"]
    for arm in arms:
        both = [seed for seed in arm.found if seed in base.found]
        difference = np.array([arm.found[seed] - base.found[seed] for seed in both])
        apart = "-" if arm is base else _shown(mean_interval(difference), signed=True)
        mean = _shown(mean_interval(np.array(list(arm.found.values()))), signed=False)
        lines.append(f"| {arm.name} | {len(arm.found)} | {mean} | {apart} |")
    return "\n".join(lines)


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """The mean and its interval; without bounds (NaN) for fewer than two values."""
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, float("nan"), float("nan"))
    reach = student.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return Interval(mean, mean - float(reach), mean + float(reach))


def _shown(interval: Interval, signed: bool) -> str:
    form = "{:+.4f}" if signed else "{:.4f}"
    if np.isnan(interval.value):
        return "no seed in common"
    if np.isnan(interval.low):
        return form.format(interval.value) + " (one seed)"
    low, high = form.format(interval.low), form.format(interval.high)
    return f"{form.format(interval.value)} ({low} to {high})"
