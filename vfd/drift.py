"""Whether live scores of apparently genuine people still fall where the calibration has them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vfd.operating import DecisionModel

LEAST_PEOPLE: Final = 5
"""Fewer are atypical too easily."""
MARGIN: Final = 3.0
"""Deviations of the mean of so many people: one look in 400 is wrong by chance."""
_EDGE: Final = 0.999


@dataclass(frozen=True, slots=True)
class Drift:
    """`shift`: how far the mean of `people` lies from the calibrated one, in deviations between
    people; None for too few of them. `outside`: further than chance explains, so that the stated
    error rates no longer hold."""

    people: int
    shift: float | None
    outside: bool


def drift(usual: Iterable[float], model: DecisionModel) -> Drift:
    """`usual`: the own baseline of everybody who matches, in [-1, 1]."""
    levels = [math.atanh(min(max(score, -_EDGE), _EDGE)) for score in usual]
    if len(levels) < LEAST_PEOPLE or model.person_sd <= 0:
        return Drift(len(levels), None, outside=False)
    shift = (sum(levels) / len(levels) - model.person_mean) / model.person_sd
    chance = math.sqrt(1 / len(levels) + 1 / max(model.people, 1))
    return Drift(len(levels), shift, abs(shift) > MARGIN * chance)
