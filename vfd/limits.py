"""The numbers that verdicts are made by, from a calibration and what a user asks for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vfd.operating import DecisionModel, OperatingPoint

if TYPE_CHECKING:  # numbers only: a decision needs no file reader
    from vfd.checkpoint import Calibration


@dataclass(frozen=True, slots=True)
class DecisionLimits:
    """Thresholds in units of cosine, durations in seconds. Raises ValueError naming the field."""

    suspect_below: float
    match_above: float
    smoothing_s: float = 3.0
    mismatch_after_s: float = 2.0
    recover_after_s: float = 5.0
    min_windows: int = 3
    forget_after_s: float = 15.0
    model: DecisionModel | None = None
    operating_point: OperatingPoint | None = None
    """Both of the sequential rule; None for the paper's."""

    def __post_init__(self) -> None:
        for name in ("suspect_below", "match_above"):
            if not -1.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be in [-1, 1], not {getattr(self, name)}")
        if self.match_above < self.suspect_below:
            raise ValueError(
                f"match_above {self.match_above} lies below suspect_below {self.suspect_below}"
            )
        if not self.forget_after_s > 0:
            raise ValueError(f"forget_after_s must be positive, not {self.forget_after_s}")
        for name in ("smoothing_s", "mismatch_after_s", "recover_after_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.min_windows < 1:
            raise ValueError(f"min_windows must be at least 1, not {self.min_windows}")
        if (self.model is None) != (self.operating_point is None):
            raise ValueError("model and operating_point come together")


def paper_limits(
    calibration: "Calibration | None",
    suspect_below: float | None = None,
    match_above: float | None = None,
) -> DecisionLimits:
    """The paper's plain rule: both thresholds at lambda (eq. 10), where none is given. Without a
    calibration everything stays unknown, but for what is given. Raises ValueError naming the
    field."""
    low, high = (-1.0, 1.0) if calibration is None else (calibration.threshold,) * 2
    return DecisionLimits(
        suspect_below=low if suspect_below is None else suspect_below,
        match_above=high if match_above is None else match_above,
    )


def sequential_limits(
    model: DecisionModel, per_1000_hours: float, per_1000_people: float
) -> DecisionLimits:
    """The thresholds that `model` has for these rates. Plain numbers beside them: a participant
    matches above the similarity at which the likelihoods are equal; `suspect_below` is where
    windows begin to count against the identity, -1 where they cannot.

    Raises ValueError naming the field.
    """
    point = model.point(per_1000_hours, per_1000_people)
    centre = min(max(model.centre, -1.0), 1.0)
    below = -1.0
    if point.identity is not None:
        below = min(max(centre - point.allowance / model.slope, -1.0), centre)
    return DecisionLimits(
        suspect_below=below, match_above=centre, model=model, operating_point=point
    )
