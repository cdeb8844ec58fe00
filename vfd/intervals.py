"""Every measure of accuracy at once, with intervals by a bootstrap over identities.

Measures, by name: `auc`, `eer`, `ap` (average precision), `tpr_at_fpr_F` for F in FPRS (share of
matched pairs accepted where at most F of the others are), `detected_at_F` (share of unmatched pairs
refused where at most F of the matched ones are: what a monitor catches for so many false alarms),
and at a threshold that was chosen elsewhere `accuracy` and `balanced_accuracy`.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vfd.metrics import (
    Floats,
    Interval,
    Roc,
    SortedScores,
    average_precision_of,
    drawn_weights,
    eer_of,
)

FPRS: Final = (0.05, 0.01, 0.001)
Measured = dict[str, Interval]


class PairSet:
    """Scored pairs and whose they are, four arrays of one length: the score, whether voice and
    face are one person's, and the identities of both.
    Raises ValueError for NaN or when one kind is missing."""

    def __init__(
        self, scores: ArrayLike, matched: ArrayLike, voice_ids: ArrayLike, face_ids: ArrayLike
    ) -> None:
        self._scores = np.asarray(scores, dtype=np.float64)
        self._matched = np.asarray(matched, dtype=bool)
        self._voice_ids, self._face_ids = np.asarray(voice_ids), np.asarray(face_ids)
        if np.isnan(self._scores).any():
            raise ValueError("scores hold NaN")
        if not self._matched.any() or self._matched.all():
            raise ValueError("scores need at least one matched and one unmatched pair")
        self._sorted = SortedScores(self._scores)

    def measures(self, weights: Floats, threshold: float | None) -> dict[str, float]:
        """All measures when each pair counts so often; empty when one kind counts nothing."""
        curve = self._sorted.roc(weights, self._matched)
        if curve is None:
            return {}
        positives, negatives = weights[self._matched].sum(), weights[~self._matched].sum()
        values = {
            "auc": float(np.trapezoid(curve.tpr, curve.fpr)),
            "eer": eer_of(curve),
            "ap": average_precision_of(curve, positives, negatives),
        }
        for fpr in FPRS:
            values[f"tpr_at_fpr_{fpr:g}"] = float(curve.tpr[curve.fpr <= fpr].max())
            values[f"detected_at_{fpr:g}"] = _detected(curve, fpr)
        return values | self._at(threshold, weights, positives, negatives)

    def _at(
        self, threshold: float | None, weights: Floats, positives: float, negatives: float
    ) -> dict[str, float]:
        if threshold is None:
            return {}
        right = weights * ((self._scores >= threshold) == self._matched)
        accepted, refused = right[self._matched].sum(), right[~self._matched].sum()
        return {
            "accuracy": float((accepted + refused) / (positives + negatives)),
            "balanced_accuracy": float((accepted / positives + refused / negatives) / 2),
        }

    def drawn(self, resamples: int, seed: int) -> Iterator[Floats]:
        """How often each pair counts in each resample."""
        return drawn_weights(self._voice_ids, self._face_ids, resamples, seed)

    def once(self) -> Floats:
        """Every pair counts once."""
        return np.ones(len(self._scores))


def measure(
    pairs: PairSet, threshold: float | None = None, resamples: int = 1000, seed: int = 0
) -> Measured:
    """All measures with 95 % percentile intervals; those at a threshold only where one is given."""
    value = pairs.measures(pairs.once(), threshold)
    drawn = [pairs.measures(w, threshold) for w in pairs.drawn(resamples, seed)]
    return _intervals(value, [d for d in drawn if d])


def measure_difference(
    first: PairSet,
    second: PairSet,
    thresholds: tuple[float | None, float | None] = (None, None),
    resamples: int = 1000,
    seed: int = 0,
) -> Measured:
    """`first` less `second`, two scores of the same pairs in the same order: the same identities
    are drawn for both, so what makes a pair hard for both cancels out."""
    value = _difference(first, second, first.once(), thresholds)
    drawn = [_difference(first, second, w, thresholds) for w in first.drawn(resamples, seed)]
    return _intervals(value, [d for d in drawn if d])


def _difference(
    first: PairSet,
    second: PairSet,
    weights: Floats,
    thresholds: tuple[float | None, float | None],
) -> dict[str, float]:
    ours, theirs = first.measures(weights, thresholds[0]), second.measures(weights, thresholds[1])
    return {name: ours[name] - theirs[name] for name in ours if name in theirs}


def _detected(curve: Roc, false_alarms: float) -> float:
    """Share of negatives below a threshold that at most `false_alarms` of the positives miss."""
    allowed = 1 - curve.tpr <= false_alarms + 1e-12  # 1 - 0.95 is a little more than 0.05
    return float(1 - curve.fpr[allowed].min())


def _intervals(value: dict[str, float], drawn: list[dict[str, float]]) -> Measured:
    """NaN ends when no resample held both kinds."""
    measured = {}
    for name, point in value.items():
        column: NDArray[np.float64] = np.array([d[name] for d in drawn])
        ends = np.percentile(column, [2.5, 97.5]) if len(column) else (np.nan, np.nan)
        measured[name] = Interval(point, float(ends[0]), float(ends[1]))
    return measured
