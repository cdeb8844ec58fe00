"""All measures at once: by hand on five pairs, and their intervals against repeated draws."""

import time

import numpy as np
import pytest

from vfd.intervals import PairSet, measure, measure_difference
from vfd.metrics import SortedScores, auc, drawn_weights

SCORES = [0.9, 0.4, 0.6, 0.3, 0.1]
MATCHED = [True, True, False, False, False]
VOICES = ["ann", "bob", "ann", "bob", "cy"]
FACES = ["ann", "bob", "bob", "cy", "ann"]


def people(identities: int, seed: int = 3) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    voices, faces = (ids.ravel() for ids in np.indices((identities, identities)))
    matched = voices == faces
    return rng.normal(0, 1, len(voices)) + 2.0 * matched, matched, voices, faces


def test_five_pairs_by_hand() -> None:
    values = PairSet(SCORES, MATCHED, VOICES, FACES).measures(np.ones(5), 0.5)
    assert values["auc"] == pytest.approx(5 / 6)  # one of six comparisons is lost
    assert values["ap"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert values["eer"] == pytest.approx(1 / 3)
    assert values["tpr_at_fpr_0.05"] == 0.5  # above every stranger: 0.9 alone
    assert values["detected_at_0.05"] == pytest.approx(2 / 3)  # below every match: 0.3 and 0.1
    assert values["accuracy"] == pytest.approx(3 / 5)
    assert values["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_weights_count_pairs_as_copies_would() -> None:
    weights = np.array([2.0, 1.0, 1.0, 3.0, 0.0])
    copies = np.repeat(np.arange(5), weights.astype(int))
    columns = [np.array(column)[copies] for column in (SCORES, MATCHED, VOICES, FACES)]
    values = PairSet(SCORES, MATCHED, VOICES, FACES).measures(weights, None)
    assert values == pytest.approx(PairSet(*columns).measures(np.ones(len(copies)), None))
    scores, matched = columns[:2]
    assert values["auc"] == pytest.approx(auc(scores[matched], scores[~matched]))
    assert "accuracy" not in values


def test_intervals_agree_with_those_of_the_auc_alone() -> None:
    scores, matched, voices, faces = people(40)
    together = measure(PairSet(scores, matched, voices, faces), 1.0, resamples=100)
    ranked = SortedScores(scores)
    drawn = [ranked.auc(weights, matched) for weights in drawn_weights(voices, faces, 100, 0)]
    ends = np.percentile(drawn, [2.5, 97.5])
    assert together["auc"].value == pytest.approx(auc(scores[matched], scores[~matched]))
    assert (together["auc"].low, together["auc"].high) == pytest.approx(tuple(ends))
    for interval in together.values():
        assert interval.low <= interval.value + 0.02
        assert interval.high >= interval.value - 0.02


def test_a_fixed_threshold_gives_the_accuracy_expected_of_two_normals() -> None:
    measured = measure(PairSet(*people(200)), threshold=1.0, resamples=20)
    assert measured["balanced_accuracy"].value == pytest.approx(0.8413, abs=0.03)  # Phi(1)


def test_a_better_scorer_wins_for_sure_and_a_copy_draws() -> None:
    scores, matched, voices, faces = people(60)
    worse = scores + np.random.default_rng(1).normal(0, 1, len(scores))
    first = PairSet(scores, matched, voices, faces)
    gain = measure_difference(first, PairSet(worse, matched, voices, faces), resamples=100)
    assert gain["auc"].low > 0
    assert gain["eer"].high < 0
    same = measure_difference(first, PairSet(2 * scores, matched, voices, faces), resamples=20)
    assert all((i.value, i.low, i.high) == (0, 0, 0) for i in same.values())


def test_one_kind_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="one matched and one unmatched"):
        PairSet([0.1, 0.2], [True, True], ["a", "b"], ["a", "b"])
    with pytest.raises(ValueError, match="NaN"):
        PairSet([0.1, np.nan], [True, False], ["a", "b"], ["a", "a"])


def test_a_thousand_resamples_of_a_test_set_take_seconds() -> None:
    rng = np.random.default_rng(4)
    voices, faces = rng.integers(0, 300, (2, 12_600))
    faces[:600] = voices[:600]
    matched = voices == faces
    began = time.process_time()
    measure(PairSet(rng.normal(matched, 1.0), matched, voices, faces), 0.5, resamples=100)
    assert time.process_time() - began < 2.0  # a tenth of the resamples, with room
