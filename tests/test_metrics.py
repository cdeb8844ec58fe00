"""Accuracy metrics against slow definitions and known answers."""

import numpy as np
import pytest

from vfd.intervals import PairSet, measure
from vfd.metrics import (
    Interval,
    auc,
    auc_difference_interval,
    average_precision_of,
    best_threshold,
    drawn_weights,
    eer_of,
    roc,
)


def test_auc_equals_counting_every_pair() -> None:
    rng = np.random.default_rng(1)
    positive, negative = rng.integers(0, 12, 70), rng.integers(0, 9, 50)  # many ties
    wins = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    assert auc(positive, negative) == pytest.approx(wins)


def test_separated_scores_are_perfect_and_equal_ones_worthless() -> None:
    assert auc([2, 3], [0, 1]) == 1
    assert eer_of(roc([2, 3], [0, 1])) == 0
    assert auc([1, 1], [1, 1]) == 0.5
    assert eer_of(roc([1, 1], [1, 1])) == 0.5


def test_reversed_scores_are_worse_than_chance() -> None:
    assert auc([0, 1], [2, 3]) == 0
    assert eer_of(roc([0, 1], [2, 3])) == 1


def test_eer_of_two_normals_is_known() -> None:
    rng = np.random.default_rng(2)
    positive, negative = rng.normal(2, 1, 40_000), rng.normal(0, 1, 40_000)
    assert eer_of(roc(positive, negative)) == pytest.approx(0.1587, abs=0.005)  # Phi(-1)


def test_roc_runs_from_corner_to_corner() -> None:
    curve = roc([0.2, 0.9, 0.9], [0.1, 0.2])
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.2, 0.1]
    assert curve.fpr.tolist() == [0, 0, 0.5, 1]
    assert curve.tpr == pytest.approx([0, 2 / 3, 1, 1])


@pytest.mark.parametrize("bad", [[], [np.nan], [[1.0]]])
def test_unusable_scores_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="scores"):
        auc(bad, [1.0])
    with pytest.raises(ValueError, match="scores"):
        auc([1.0], bad)


def auc_interval(
    scores: np.ndarray,
    matched: np.ndarray,
    voices: np.ndarray,
    faces: np.ndarray,
    resamples: int,
) -> Interval:
    return measure(PairSet(scores, matched, voices, faces), resamples=resamples)["auc"]


def _pairs(identities: int, spread: float) -> tuple[np.ndarray, ...]:
    """Every voice against every face; each voice has a level of its own with deviation `spread`."""
    rng = np.random.default_rng(3)
    voices, faces = (ids.ravel() for ids in np.indices((identities, identities)))
    matched = voices == faces
    level = rng.normal(0, spread, identities)
    scores = rng.normal(0, 1, len(voices)) + 2.0 * matched + level[voices]
    return scores, matched, voices, faces


def test_interval_holds_the_value_and_is_repeatable() -> None:
    scores, matched, voices, faces = _pairs(60, 0.5)
    interval = auc_interval(scores, matched, voices, faces, resamples=200)
    assert interval.value == pytest.approx(auc(scores[matched], scores[~matched]))
    assert interval.low < interval.value < interval.high
    assert interval == auc_interval(scores, matched, voices, faces, resamples=200)


def test_interval_takes_names_and_ties() -> None:
    names = np.array(["ann", "bob", "cy", "di"])
    voices, faces = (names[ids.ravel()] for ids in np.indices((4, 4)))
    matched = voices == faces
    interval = auc_interval(matched.astype(int), matched, voices, faces, resamples=50)
    assert (interval.value, interval.low, interval.high) == (1, 1, 1)


def test_interval_is_as_wide_as_the_spread_over_populations() -> None:
    """Its width is that of AUCs over fresh identities, where counting pairs would be far off."""
    aucs, widths = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        voices, faces = (ids.ravel() for ids in np.indices((40, 40)))
        matched = voices == faces
        scores = rng.normal(0, 0.3, 1600) + 2 * matched + rng.normal(0, 1, 40)[voices]
        interval = auc_interval(scores, matched, voices, faces, resamples=100)
        aucs.append(interval.value)
        widths.append(interval.high - interval.low)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(aucs), rel=0.5)


def test_the_difference_of_two_scores_is_surer_than_either() -> None:
    scores, matched, voices, faces = _pairs(60, 0.5)
    others = scores + np.random.default_rng(5).normal(0, 0.1, len(scores))
    loss = auc_difference_interval(scores, others, matched, voices, faces, resamples=200)
    alone = auc_interval(scores, matched, voices, faces, resamples=200)
    assert loss.value == pytest.approx(alone.value - auc(others[matched], others[~matched]))
    assert loss.low <= loss.value <= loss.high
    assert loss.high - loss.low < (alone.high - alone.low) / 3
    none = auc_difference_interval(scores, 2 * scores + 1, matched, voices, faces, resamples=50)
    assert (none.value, none.low, none.high) == (0, 0, 0)


def test_average_precision_by_hand() -> None:
    # from the top: match, other, match -> precision 1 at recall 1/2, 2/3 at recall 1
    curve = roc([0.9, 0.5], [0.7, 0.1])
    assert average_precision_of(curve, 2, 2) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    equal = roc([1, 1], [1, 1, 1])
    assert average_precision_of(equal, 2, 3) == pytest.approx(0.4)  # the share of positives


def test_the_best_threshold_lies_midway_between_two_scores() -> None:
    assert best_threshold([0.4, 0.6], [-0.5, 0.0]) == pytest.approx(0.2)
    positive, negative = [0.1, 0.5, 0.6, 0.7], [0.0, 0.2, 0.3]  # one matched pair is given up
    assert best_threshold(positive, negative) == pytest.approx(0.4)


def test_a_threshold_that_refuses_all_is_above_all() -> None:
    assert best_threshold([0.0], [1.0]) > 1.0


def test_a_fake_of_one_identity_counts_once_for_each_time_it_is_drawn() -> None:
    ids = np.array(["ann", "bob", "ann"])
    for weights in drawn_weights(ids, ids, resamples=20, seed=0):
        assert weights[0] == weights[2]
        assert weights[0] + weights[1] == 2  # two names drawn from two
