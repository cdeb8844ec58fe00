"""The sequential detector: evidence about one participant, or about thousands, summed over time.

Pure numbers, in scored time: a second without a score leaves everything where it is. Shapes: every
state is (...), a single number live and (people,) in simulations, so that what is simulated is what
runs.

Three statistics, each in nats:

- **identity**: a cumulative sum (CUSUM, Page 1954) of the log-likelihood ratio of each window
  above an allowance for atypical people, clipped, never below zero.
- **slow**: a long mean of the ratio, the backstop for weak fakes that hover at the allowance.
- **change**: a cumulative sum of the evidence that this is no longer who it was, above an allowance
  for cameras and microphones that are moved: a fall against the participant's own bounded baseline,
  and a jump of one of the two embeddings.

Clipping keeps a single window, however wild, from deciding alone.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vfd.operating import DecisionModel

Values = NDArray[np.floating[Any]]

CLIP: Final = 3.0
"""Nats of one window at most, either way: three windows of the clearest evidence for an alarm."""
SLOW_CLIP: Final = 8.0
SLOW_S: Final = 30.0
SLOW_AFTER: Final = 20  # windows before the long mean says anything
BASELINE_S: Final = 60.0
BASELINE_AFTER: Final = 8  # windows before a change can be told
BASELINE_STEP: Final = 0.1
"""What a window moves the baseline by at most, before the gain: a swap must not become it."""
CAP: Final = 60.0
"""Of the sums: evidence of hours would otherwise take hours to be taken back."""


class Evidence:
    """Allowances of identity and of change broadcast against (...): a simulation tries several at
    once."""

    def __init__(
        self,
        model: DecisionModel,
        allowance: float | Values,
        change_allowance: float | Values,
        shape: tuple[int, ...] = (),
    ) -> None:
        self._model = model
        self._allowance = np.asarray(allowance, np.float64)
        self._change_allowance = np.asarray(change_allowance, np.float64)
        self.identity: Values = np.zeros(np.broadcast_shapes(self._allowance.shape, shape))
        self.change: Values = np.zeros(np.broadcast_shapes(self._change_allowance.shape, shape))
        self.baseline: Values = np.zeros(shape)
        self._ratio: Values = np.zeros(shape)
        self._windows: Values = np.zeros(shape)

    @property
    def usual(self) -> float | None:
        """Of a single participant: the baseline, None until it is known."""
        return float(self.baseline) if self._windows >= BASELINE_AFTER else None

    @property
    def slow(self) -> Values:
        """The long mean; minus infinity until it can be told."""
        return np.where(self._windows >= SLOW_AFTER, self._ratio, -np.inf)

    def take(
        self, similarity: float | Values, jump: float | Values, step_s: float | Values = 1.0
    ) -> None:
        """One window of everybody whose `step_s` is above 0: what it vouches for, in [0, 1] s.
        `jump` as in `vfd.own`, in [0, 2]."""
        step = np.asarray(step_s, np.float64)
        ratio = self._model.slope * (self._model.centre - similarity)
        excess = np.clip(ratio - self._allowance, -CLIP, CLIP)
        self.identity = np.clip(self.identity + step * excess, 0.0, CAP)
        self._take_change(np.asarray(similarity), jump, step)
        self._windows = self._windows + (step > 0)
        counted = np.maximum(self._windows, 1.0)
        slow_gain = step * np.maximum(1.0 / counted, 1.0 / SLOW_S)
        bounded = np.clip(ratio, -SLOW_CLIP, SLOW_CLIP)
        self._ratio = self._ratio + slow_gain * (bounded - self._ratio)

    def acquit(self) -> None:
        """What was summed against a single participant was not theirs. Their baseline, which it
        can hardly have moved, stays; one that was still being learned begins anew."""
        self.identity = np.zeros_like(self.identity)
        self.change = np.zeros_like(self.change)
        self._ratio = np.zeros_like(self._ratio)
        if self.usual is None:
            self.baseline = np.zeros_like(self.baseline)
            self._windows = np.zeros_like(self._windows)

    def _take_change(self, similarity: Values, jump: float | Values, step: Values) -> None:
        model, told = self._model, self._windows >= BASELINE_AFTER
        fall = self.baseline - similarity
        ratio = model.fall_weight * fall + model.jump_weight * jump - model.change_bias
        bounded = np.where(told, np.clip(ratio - self._change_allowance, -CLIP, CLIP), 0.0)
        self.change = np.clip(self.change + step * bounded, 0.0, CAP)
        slowly = np.clip(-fall, -BASELINE_STEP, BASELINE_STEP) / BASELINE_S
        at_first = -fall / (self._windows + 1.0)
        self.baseline = self.baseline + step * np.where(told, slowly, at_first)
