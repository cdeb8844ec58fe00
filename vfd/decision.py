"""From scores to a verdict: a smoothed similarity, two thresholds, minimum durations.

Pure: time is passed in, nothing is read from a clock. The rules, in order:

- The statistic is an exponentially weighted mean of the similarities. Its time is *scored* time: a
  second without a score leaves it where it is, so silence never moves anybody towards a match.
- No verdict before `min_windows` scores; all is forgotten after `forget_after_s` without one.
- Below `suspect_below`: suspect. Staying there for `mismatch_after_s` of scored time: mismatch,
  once nobody holds it back.
- Above `match_above`: match, at once from unknown or suspect. A mismatch is left only after
  `recover_after_s` of scored time up there.
- Between the two the state holds. Unknown holds too: it never becomes a match for want of evidence.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # numbers only: a decision needs no file reader
    from vfd.checkpoint import Calibration

MAX_STEP_S: Final = 2.0
"""What one score vouches for at most: its own hop and one that was skipped. After a pause a single
score would otherwise outweigh everything before it."""
FIRST_STEP_S: Final = 1.0
GENUINE_DEVIATIONS: Final = 2.5
"""Between-person and within-person deviations that a genuine speaker is allowed below the mean."""


class State(StrEnum):
    UNKNOWN = "unknown"
    MATCH = "match"
    SUSPECT = "suspect"
    MISMATCH = "mismatch"


class UnknownReason(StrEnum):
    """Why there is no verdict."""

    TOO_FEW_WINDOWS = "too_few_windows"
    NO_RECENT_WINDOWS = "no_recent_windows"
    WEAK_EVIDENCE = "weak_evidence"
    ENGINE_DOWN = "engine_down"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`statistic`: the smoothed similarity in [-1, 1], None without any score. `since_s`: when this
    state (and reason) began. `reason` is set exactly when `state` is unknown."""

    state: State
    statistic: float | None
    since_s: float
    reason: UnknownReason | None = None


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


class Decider:
    """The verdict about one participant. `start_s`: when it began to be watched."""

    def __init__(self, limits: DecisionLimits, start_s: float = 0.0) -> None:
        self._limits = limits
        self._mean: float | None = None
        self._weight = 0.0
        self._windows = 0
        self._last_score_s: float | None = None
        self._low_s: float | None = None  # scored time below suspect_below; None: not there
        self._high_s: float | None = None  # the same above match_above
        self.verdict = Verdict(State.UNKNOWN, None, start_s, UnknownReason.TOO_FEW_WINDOWS)

    @property
    def suspect_below(self) -> float:
        return self._limits.suspect_below

    def update(self, end_s: float, similarity: float | None, *, hold: bool = False) -> Verdict:
        """Takes the outcome of the window that ends at `end_s`: a similarity in [-1, 1], or None
        for an abstention. `hold`: a suspicion is not to become a mismatch yet."""
        self._forget(end_s)
        if similarity is not None:
            self._take(end_s, similarity, hold)
        return self.verdict

    def retract(self, end_s: float) -> None:
        """What was scored was not this person's voice: nothing is known any more."""
        self._clear()
        self._enter(end_s, State.UNKNOWN, UnknownReason.TOO_FEW_WINDOWS)

    def pause(self, seconds: float) -> None:
        """Nobody could look for `seconds`: what is known is no older for it."""
        if self._last_score_s is not None:
            self._last_score_s += seconds

    def _forget(self, end_s: float) -> None:
        if self._last_score_s is None or end_s - self._last_score_s <= self._limits.forget_after_s:
            return
        self._clear()
        self._enter(end_s, State.UNKNOWN, UnknownReason.NO_RECENT_WINDOWS)

    def _clear(self) -> None:
        self._mean, self._weight, self._windows = None, 0.0, 0
        self._last_score_s = self._low_s = self._high_s = None

    def _take(self, end_s: float, similarity: float, hold: bool) -> None:
        step_s = FIRST_STEP_S
        if self._last_score_s is not None:
            step_s = min(max(end_s - self._last_score_s, 0.0), MAX_STEP_S)
        self._last_score_s = end_s
        self._windows += 1
        mean = self._smooth(similarity, step_s)
        if self._windows < self._limits.min_windows:
            self._enter(end_s, State.UNKNOWN, UnknownReason.TOO_FEW_WINDOWS)
            return
        self._low_s = _stay(self._low_s, mean < self._limits.suspect_below, step_s)
        self._high_s = _stay(self._high_s, mean > self._limits.match_above, step_s)
        state = self._next_state(hold)
        self._enter(end_s, state, UnknownReason.WEAK_EVIDENCE if state is State.UNKNOWN else None)

    def _smooth(self, similarity: float, step_s: float) -> float:
        """The weights of the scores so far sum to `_weight`; dividing by it keeps the first few
        means unbiased instead of starting from an invented value."""
        decay = _decay(step_s, self._limits.smoothing_s)
        gain = 1.0 - decay
        self._weight = self._weight * decay + gain
        previous = similarity if self._mean is None else self._mean
        share = gain / self._weight if self._weight > 0 else 0.0
        self._mean = previous + share * (similarity - previous)
        return self._mean

    def _next_state(self, hold: bool) -> State:
        state = self.verdict.state
        if state is State.MISMATCH:
            recovered = self._high_s is not None and self._high_s >= self._limits.recover_after_s
            return State.MATCH if recovered else State.MISMATCH
        if self._high_s is not None:
            return State.MATCH
        if self._low_s is None:
            return state
        ripe = self._low_s >= self._limits.mismatch_after_s and not hold
        return State.MISMATCH if ripe else State.SUSPECT

    def _enter(self, end_s: float, state: State, reason: UnknownReason | None) -> None:
        old = self.verdict
        since_s = old.since_s if (old.state, old.reason) == (state, reason) else end_s
        self.verdict = Verdict(state, self._mean, since_s, reason)


def _stay(stayed_s: float | None, inside: bool, step_s: float) -> float | None:
    """Time spent inside a region: 0 at the score that enters it, None outside."""
    if not inside:
        return None
    return 0.0 if stayed_s is None else stayed_s + step_s


def limits_from_calibration(
    calibration: "Calibration",
    *,
    smoothing_s: float = 3.0,
    suspect_below: float | None = None,
    match_above: float | None = None,
    mismatch_after_s: float = 2.0,
    recover_after_s: float = 5.0,
    min_windows: int = 3,
    forget_after_s: float = 15.0,
) -> DecisionLimits:
    """Limits for one checkpoint; a threshold that is given wins over the derived one.

    `suspect_below` has to serve two sides. A genuine person whose voice is atypical for the face
    (`GENUINE_DEVIATIONS` of the deviation between persons below the mean) must not cross it by the
    noise that smoothing leaves; so it wants to be low. A swapped pair must stay below it: one that
    scores one deviation above the mean of the fakes still does. And it never exceeds lambda. Where
    the model cannot serve both, the second wins: a monitor that cannot alert is none.

    `match_above` is lambda, or higher where lambda is within the smoothed noise of `suspect_below`,
    so that no participant flickers between the states.

    Raises ValueError naming the field.
    """
    noise = _smoothed_noise(smoothing_s, calibration.autocorrelation)
    genuine = calibration.real_mean - GENUINE_DEVIATIONS * (
        calibration.real_std_between + noise * calibration.real_std_within
    )
    fake = calibration.fake_mean + math.hypot(
        calibration.fake_std_between, noise * calibration.fake_std_within
    )
    if suspect_below is None:
        suspect_below = min(calibration.threshold, max(genuine, fake))
    if match_above is None:
        margin = noise * calibration.real_std_within
        match_above = min(max(calibration.threshold, suspect_below + margin), 1.0)
    return DecisionLimits(
        suspect_below=suspect_below,
        match_above=match_above,
        smoothing_s=smoothing_s,
        mismatch_after_s=mismatch_after_s,
        recover_after_s=recover_after_s,
        min_windows=min_windows,
        forget_after_s=forget_after_s,
    )


def _smoothed_noise(smoothing_s: float, autocorrelation: float) -> float:
    """Deviation of the smoothed mean over that of single scores, one a second, for first-order
    autoregressive scores."""
    decay = _decay(FIRST_STEP_S, smoothing_s)
    carried = decay * autocorrelation
    return math.sqrt((1 - decay) / (1 + decay) * (1 + carried) / (1 - carried))


def _decay(step_s: float, smoothing_s: float) -> float:
    """What is left of a weight after `step_s`; nothing where there is no smoothing."""
    return math.exp(-step_s / smoothing_s) if smoothing_s > 0 else 0.0
