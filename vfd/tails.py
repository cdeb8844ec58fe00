"""What is exceeded so seldom that no table holds enough of it."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

TAIL: Final = 0.05
"""Of the values, from which the tail beyond is told."""
CONFIDENCE: Final = 0.95
RESAMPLES: Final = 200


def tail_bounds(values: Floats, person: NDArray[np.intp], seldom: Floats) -> Floats:
    """What shares `seldom` (m,) of new people's values exceed: upper bounds (CONFIDENCE), (m,).
    `values` (n,) are those of `person` (n,), counted from 0.

    Beyond its upper twentieth the tail is continued as an exponential. How far it reaches hangs on
    a few people who hold most of it, so people are drawn anew, each with all of their values
    (bootstrap by identity): a rate that somebody states should hold, not be met on average.
    """
    order = np.argsort(person, kind="stable")
    counts = np.bincount(person)
    starts = np.cumsum(counts) - counts
    rng = np.random.default_rng(1)
    found = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(len(counts), size=len(counts))
        rows = np.concatenate([order[starts[p] : starts[p] + counts[p]] for p in drawn])
        found.append(_continued(values[rows], seldom))
    return np.asarray(np.quantile(found, CONFIDENCE, axis=0))


def _continued(values: Floats, seldom: Floats) -> Floats:
    start = float(np.quantile(values, 1 - TAIL))
    beyond = values[values > start] - start
    mean = float(beyond.mean()) if len(beyond) else 0.0
    return np.asarray(start + mean * np.log(TAIL / seldom))
