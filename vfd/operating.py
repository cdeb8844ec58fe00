"""What a sequential decision needs to know of a model, and the error rates it was fitted for.

Found by simulation when a model is calibrated (`vfd.operating_fit`) and kept with it; whoever
decides only reads. All evidence is in nats: logarithms of how much likelier a swapped pair is.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

HOURS_OF_A_PERSON: Final = 8
"""One-hour calls that "per 1,000 people" counts over: a working day."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What is asked for, what it takes, and what it costs.

    `false_alarms_per_1000_hours` of genuine participants in one-hour calls;
    `false_alarms_per_1000_people`: genuine people who raise one in HOURS_OF_A_PERSON such calls.
    `caught`: share of swapped pairs found within a minute of scored time, from the start on;
    `caught_change`: of swaps in the middle of a call. None: not known, or out of reach.

    Thresholds: `identity` and `change` of the cumulative sums, `slow` of the long mean; None where
    the signal cannot reach the rates with any use. `allowance`: nats that an atypical person is
    granted in every window, `change_allowance` somebody whose camera or microphone is moved.
    """

    false_alarms_per_1000_hours: float
    false_alarms_per_1000_people: float
    caught: float | None = None
    caught_change: float | None = None
    allowance: float = 0.0
    change_allowance: float = 0.0
    identity: float | None = None
    slow: float | None = None
    change: float | None = None


@dataclass(frozen=True, slots=True)
class DecisionModel:
    """Evidence of one window: `slope * (centre - similarity)`. Of a change: `fall_weight` times the
    fall against the own baseline, plus `jump_weight` times the jump of the own embeddings, less
    `change_bias`; `swap_jump` is the median jump of swaps. `person_mean` and `person_sd` of genuine
    people's mean similarities (as the hyperbolic arctangent, in which they fall about normally),
    which drift is judged by. `people` and `hours` of genuine calls that it rests on. `points`: the
    rates to choose from.
    """

    centre: float
    slope: float
    fall_weight: float
    jump_weight: float
    change_bias: float
    swap_jump: float
    person_mean: float
    person_sd: float
    people: int
    hours: float
    points: tuple[OperatingPoint, ...]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(DecisionModel)[:-1]:
            if not math.isfinite(getattr(self, field.name)):
                raise ValueError(f"{field.name} must be a finite number")
        if not self.slope > 0:
            raise ValueError(f"slope must be positive, not {self.slope}")
        if not self.points:
            raise ValueError("points: there is none")

    def log_likelihood_ratio(self, similarity: float) -> float:
        """Of a pair that scores `similarity` in the mean, in nats."""
        return self.slope * (self.centre - similarity)

    def point(self, per_1000_hours: float, per_1000_people: float) -> OperatingPoint:
        """The least strict of those that keep both rates.

        Raises ValueError naming the field and the range when none does, or when a rate lies above
        all that were fitted.
        """
        for name, asked in (
            ("false_alarms_per_1000_hours", per_1000_hours),
            ("false_alarms_per_1000_people", per_1000_people),
        ):
            fitted = sorted(getattr(point, name) for point in self.points)
            if not fitted[0] <= asked <= fitted[-1]:
                raise ValueError(
                    f"{name} = {asked:g}: this calibration holds {fitted[0]:g} to {fitted[-1]:g}"
                )
        kept = [
            p
            for p in self.points
            if p.false_alarms_per_1000_hours <= per_1000_hours
            and p.false_alarms_per_1000_people <= per_1000_people
        ]
        return max(
            kept, key=lambda p: (p.false_alarms_per_1000_hours, p.false_alarms_per_1000_people)
        )


def from_values(values: object) -> DecisionModel:
    """Of decoded JSON. Raises ValueError naming the field."""
    table = _table(values, DecisionModel, "decision")
    points = table["points"]
    if not isinstance(points, list):
        raise ValueError("points: expected a list")  # noqa: TRY004 - of a file, not of a caller
    parts = [
        OperatingPoint(**_numbers(_table(p, OperatingPoint, f"points[{k}]"), f"points[{k}]"))
        for k, p in enumerate(points)
    ]
    rest = _numbers({k: v for k, v in table.items() if k != "points"}, "decision")
    return DecisionModel(**rest, points=tuple(parts))


def _table(values: object, kind: type, where: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError(f"{where}: expected a table")  # noqa: TRY004 - as above
    names = {field.name for field in dataclasses.fields(kind)}
    for name in sorted(names ^ values.keys()):
        raise ValueError(f"{where}: field {name!r} is {'missing' if name in names else 'unknown'}")
    return values


def _numbers(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Thresholds and shares may be None."""
    optional = {f.name for f in dataclasses.fields(OperatingPoint) if f.default is None}
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value)) and not (value is None and name in optional):
            raise ValueError(f"{where}: field {name!r} is {value!r}")
    return dict(values)
