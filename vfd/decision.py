"""From scores to a verdict about one participant, by one of two rules.

Pure: time is passed in, nothing is read from a clock. The statistic is an exponentially weighted
mean of the similarities. Its time is *scored* time: a second without a score leaves it where it is,
so silence never moves anybody towards a match. No verdict before `min_windows` scores, and none
after `forget_after_s` without one.

**sequential**: evidence is summed (`vfd.sequential`) and compared with the thresholds of an
operating point. Any at its threshold: mismatch. Half of one: suspect. Else match above
`match_above`, held until below `suspect_below`; weak evidence elsewhere. A mismatch is left only
after `recover_after_s` of scored time above `match_above`, with less than half of every threshold.
The evidence outlasts silences: who speaks in short turns is judged by all of them.

**paper**: below `suspect_below`: suspect. Staying there for `mismatch_after_s` of scored time:
mismatch. Above `match_above`: match, at once from unknown or suspect, after `recover_after_s` from
mismatch. Between the two the state holds; unknown does too.

By both rules a suspicion that is held back does not become a mismatch before it is let go.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vfd.limits import DecisionLimits as DecisionLimits
from vfd.operating import OperatingPoint as OperatingPoint
from vfd.sequential import Evidence

MAX_STEP_S: Final = 2.0
"""What one score vouches for at most: its own hop and one that was skipped. After a pause a single
score would otherwise outweigh everything before it."""
FIRST_STEP_S: Final = 1.0
SUSPICIOUS: Final = 0.5
"""Of a threshold: from here on a closer look is worth its price."""
WORSE: Final = 2.0


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


class Signal(StrEnum):
    """What speaks against somebody."""

    IDENTITY = "identity"
    """The voice does not fit the face, by what is known of people in general."""
    CHANGE = "change"
    """Voice and face fit less than they did before in this call, or one of the two has changed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`statistic`: the smoothed similarity in [-1, 1], None without any score. `since_s`: when this
    state (and reason) began. `reason` is set exactly when `state` is unknown.

    `log_likelihood_ratio` of the statistic, in nats: positive where swapped pairs score so more
    often. `change`: evidence of a swap in this call, in units of its own alarm threshold: from 1 on
    it alarms. `signal`: the stronger of those that alarm. `level`: 0 no alarm, 1 one at the
    operating point, 2 evidence of twice the threshold, or both signals.
    """

    state: State
    statistic: float | None
    since_s: float
    reason: UnknownReason | None = None
    log_likelihood_ratio: float | None = None
    change: float | None = None
    signal: Signal | None = None
    level: int = 0


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
        self._ratios: dict[Signal, float] = {}
        self._evidence: Evidence | None = None
        point = limits.operating_point
        if limits.model is not None and point is not None:
            self._evidence = Evidence(limits.model, point.allowance, point.change_allowance)
        self.verdict = Verdict(State.UNKNOWN, None, start_s, UnknownReason.TOO_FEW_WINDOWS)

    @property
    def baseline(self) -> float | None:
        """The participant's own usual similarity; None before it is known, or by the paper's
        rule."""
        return None if self._evidence is None else self._evidence.usual

    @property
    def suspect_below(self) -> float:
        return self._limits.suspect_below

    @property
    def match_above(self) -> float:
        return self._limits.match_above

    def update(
        self, end_s: float, similarity: float | None, jump: float = 0.0, *, hold: bool = False
    ) -> Verdict:
        """Takes the outcome of the window that ends at `end_s`: a similarity in [-1, 1], or None
        for an abstention; `jump` as in `vfd.own`. `hold`: a suspicion is not to become a mismatch
        yet. Raises ValueError for numbers that are not finite."""
        if not all(math.isfinite(v) for v in (end_s, jump, similarity or 0.0)):
            raise ValueError(f"not finite: end_s {end_s}, similarity {similarity}, jump {jump}")
        self._forget(end_s)
        if similarity is not None:
            self._take(end_s, similarity, jump, hold)
        return self.verdict

    def retract(self, end_s: float) -> None:
        """What was scored was not this person's voice: nothing is held against them any more."""
        self._clear()
        self._ratios = {}
        if self._evidence is not None:
            self._evidence.acquit()
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

    def _take(self, end_s: float, similarity: float, jump: float, hold: bool) -> None:
        step_s = FIRST_STEP_S
        if self._last_score_s is not None:
            step_s = min(max(end_s - self._last_score_s, 0.0), MAX_STEP_S)
        self._last_score_s = end_s
        self._windows += 1
        if self._evidence is not None and self._limits.operating_point is not None:
            self._evidence.take(similarity, jump, min(step_s, 1.0))
            self._ratios = _ratios(self._evidence, self._limits.operating_point)
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
        recovered = self._high_s is not None and self._high_s >= self._limits.recover_after_s
        if self._evidence is not None:
            return self._by_evidence(state, recovered, hold)
        if state is State.MISMATCH:
            return State.MATCH if recovered else State.MISMATCH
        if self._high_s is not None:
            return State.MATCH
        if self._low_s is None:
            return state
        ripe = self._low_s >= self._limits.mismatch_after_s and not hold
        return State.MISMATCH if ripe else State.SUSPECT

    def _by_evidence(self, state: State, recovered: bool, hold: bool) -> State:
        strength = max(self._ratios.values(), default=0.0)
        if strength >= 1.0 and not hold:
            return State.MISMATCH
        if state is State.MISMATCH and not (recovered and strength < SUSPICIOUS):
            return State.MISMATCH
        if strength >= SUSPICIOUS:
            return State.SUSPECT
        if Signal.IDENTITY not in self._ratios:  # what cannot tell a mismatch cannot tell a match
            return State.UNKNOWN
        held = state is State.MATCH and self._low_s is None
        return State.MATCH if held or self._high_s is not None else State.UNKNOWN

    def _enter(self, end_s: float, state: State, reason: UnknownReason | None) -> None:
        old, model = self.verdict, self._limits.model
        ratio = None
        if model is not None and self._mean is not None:
            ratio = model.log_likelihood_ratio(self._mean)
        self.verdict = Verdict(
            state,
            self._mean,
            old.since_s if (old.state, old.reason) == (state, reason) else end_s,
            reason,
            log_likelihood_ratio=ratio,
            change=self._ratios.get(Signal.CHANGE),
            signal=self._signal(state),
            level=self._level(state),
        )

    def _signal(self, state: State) -> Signal | None:
        """Stays what it was while a mismatch outlasts its evidence."""
        if state is not State.MISMATCH:
            return None
        alarming = {signal: r for signal, r in self._ratios.items() if r >= 1.0}
        if not alarming:
            return self.verdict.signal or Signal.IDENTITY
        return max(alarming, key=lambda signal: alarming[signal])

    def _level(self, state: State) -> int:
        if state is not State.MISMATCH:
            return 0
        ratios = self._ratios.values()
        return 2 if max(ratios, default=0.0) >= WORSE or sum(r >= 1.0 for r in ratios) > 1 else 1


def _ratios(evidence: Evidence, point: OperatingPoint) -> dict[Signal, float]:
    """Of each signal that can reach the operating point, in units of its threshold."""
    ratios: dict[Signal, float] = {}
    if point.identity is not None:
        ratios[Signal.IDENTITY] = float(evidence.identity) / point.identity
    if point.slow is not None:
        slow = max(float(evidence.slow), 0.0) / point.slow
        ratios[Signal.IDENTITY] = max(ratios.get(Signal.IDENTITY, 0.0), slow)
    if point.change is not None:
        ratios[Signal.CHANGE] = float(evidence.change) / point.change
    return ratios


def _stay(stayed_s: float | None, inside: bool, step_s: float) -> float | None:
    """Time spent inside a region: 0 at the score that enters it, None outside."""
    if not inside:
        return None
    return 0.0 if stayed_s is None else stayed_s + step_s


def _decay(step_s: float, smoothing_s: float) -> float:
    """What is left of a weight after `step_s`; nothing where there is no smoothing."""
    return math.exp(-step_s / smoothing_s) if smoothing_s > 0 else 0.0
