"""How well scores tell matched from unmatched pairs, and how sure that number is.

Scores are cosines or any other number of which higher means "matches". "Positive" are pairs of
one person's voice and face, "negative" pairs of two people. All functions raise ValueError for
empty input and for NaN.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """Error rates of the rule "a pair matches if its score is at least the threshold".

    Three arrays of one length: `thresholds` falling from +inf to the lowest score, the shares of
    negatives (`fpr`) and of positives (`tpr`) accepted there, both rising from 0 to 1.
    """

    thresholds: Floats
    fpr: Floats
    tpr: Floats


def auc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Area under the ROC curve: how often a positive outscores a negative, ties counting half
    (Mann-Whitney), in [0, 1]."""
    positives, negatives = _checked(positive), _checked(negative)
    ranks = rankdata(np.concatenate([positives, negatives]))
    smallest = len(positives) * (len(positives) + 1) / 2
    return float((ranks[: len(positives)].sum() - smallest) / len(positives) / len(negatives))


def roc(positive: ArrayLike, negative: ArrayLike) -> Roc:
    """The ROC curve, one point for every distinct score."""
    positives, negatives = np.sort(_checked(positive)), np.sort(_checked(negative))
    scores = np.unique(np.concatenate([positives, negatives]))[::-1]
    return Roc(
        thresholds=np.concatenate([[np.inf], scores]),
        fpr=np.concatenate([[0.0], 1 - np.searchsorted(negatives, scores) / len(negatives)]),
        tpr=np.concatenate([[0.0], 1 - np.searchsorted(positives, scores) / len(positives)]),
    )


def eer_of(curve: Roc) -> float:
    """The equal error rate of a curve: where as many negatives are accepted as positives are
    refused, in [0, 1]; interpolated linearly between the two points around it."""
    excess = curve.fpr - (1 - curve.tpr)  # rises from -1 to 1
    after = int(np.argmax(excess >= 0))
    before = after - 1
    share = -excess[before] / (excess[after] - excess[before])
    return float(curve.fpr[before] + share * (curve.fpr[after] - curve.fpr[before]))


def average_precision_of(curve: Roc, positives: float, negatives: float) -> float:
    """Mean precision over the positives, in (0, 1], of a curve over so many pairs, or of such
    weight, of each kind: the sum over thresholds of the precision times the recall gained.
    Worthless scores reach the share of positives, so name it beside."""
    true, false = curve.tpr[1:] * positives, curve.fpr[1:] * negatives
    return float(np.diff(curve.tpr) @ (true / np.maximum(true + false, 1e-300)))


def best_threshold(positive: ArrayLike, negative: ArrayLike) -> float:
    """The lambda of paper eq. 10: it makes the fewest errors when both kinds are equally frequent,
    and lies midway between two scores seen. To be chosen on validation data, never on test data."""
    curve = roc(positive, negative)
    best = int(np.argmin(curve.fpr + 1 - curve.tpr))
    if best == 0:  # refusing everything is as good as anything: just above the highest score
        return float(np.nextafter(curve.thresholds[1], np.inf))
    return float(curve.thresholds[best : best + 2].mean())


def auc_difference_interval(
    scores: ArrayLike,
    others: ArrayLike,
    matched: ArrayLike,
    voice_ids: ArrayLike,
    face_ids: ArrayLike,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """AUC of `scores` less AUC of `others`, two scores of the same pairs, with a percentile
    bootstrap over identities (see `drawn_weights`). Five arrays of one length, a row for every
    pair: both scores, whether voice and face are one person's, and whose they are. The same
    identities are drawn for both: what makes a pair hard for both cancels out, and the interval is
    far narrower than that of either."""
    is_match = np.asarray(matched, dtype=bool)
    weights = drawn_weights(voice_ids, face_ids, resamples, seed)
    first, second = SortedScores(_checked(scores)), SortedScores(_checked(others))
    once = np.ones(len(is_match))
    value = first.auc(once, is_match) - second.auc(once, is_match)
    drawn = [first.auc(w, is_match) - second.auc(w, is_match) for w in weights]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def drawn_weights(
    voice_ids: ArrayLike, face_ids: ArrayLike, resamples: int, seed: int
) -> Iterator[Floats]:
    """For every resample, how often each pair counts.

    Pairs of one person are not independent of each other, so whole identities are drawn with
    replacement: a pair counts as often as its voice's identity was drawn times how often its
    face's was; a pair of a single identity (every matched one, and a fake that borrows from nobody
    known) counts once for each time.
    """
    names, rows = np.unique(np.concatenate([voice_ids, face_ids]), return_inverse=True)
    voices, faces = rows.reshape(2, -1)
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        counts = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        weights = counts[voices] * np.where(voices == faces, 1.0, counts[faces])
        yield np.asarray(weights, dtype=np.float64)


class SortedScores:
    """Scores sorted once, for curves under many weights. `scores` (n,) without NaN; a weight and
    whether it is matched belong to each."""

    def __init__(self, scores: Floats) -> None:
        self._order = np.argsort(scores)
        ranked = scores[self._order]
        self._starts = np.flatnonzero(np.diff(ranked, prepend=-np.inf))  # of runs of ties
        self._thresholds = np.concatenate([[np.inf], ranked[self._starts][::-1]])

    def auc(self, weights: Floats, matched: NDArray[np.bool_]) -> float:
        """NaN when a small resample holds no pair of one kind."""
        positive, negative = self._runs(weights, matched)
        pairs = positive.sum() * negative.sum()
        if pairs == 0:
            return float("nan")
        below = np.cumsum(negative) - negative / 2
        return float(positive @ below / pairs)

    def roc(self, weights: Floats, matched: NDArray[np.bool_]) -> Roc | None:
        """The curve; None when a small resample holds no pair of one kind."""
        positive, negative = (runs[::-1] for runs in self._runs(weights, matched))
        if not positive.any() or not negative.any():
            return None
        true, false = np.cumsum(positive), np.cumsum(negative)
        return Roc(
            self._thresholds,
            fpr=np.concatenate([[0.0], false / false[-1]]),
            tpr=np.concatenate([[0.0], true / true[-1]]),
        )

    def _runs(self, weights: Floats, matched: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Weight of positives and of negatives at each distinct score, the lowest first."""
        weights, matched = weights[self._order], matched[self._order]
        return (
            np.add.reduceat(weights * matched, self._starts),
            np.add.reduceat(weights * ~matched, self._starts),
        )


def _checked(scores: ArrayLike) -> Floats:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"scores must be a non-empty row of numbers, not of shape {array.shape}")
    if np.isnan(array).any():
        raise ValueError("scores hold NaN")
    return array
