"""Results by hand on six pairs; slices hold what they say."""

import numpy as np
import pytest

from training.measures import as_dict, difference, pooled, result_of, same_sex
from training.score_files import ScoreTable
from training.slices import numbers, slices


def table(**attributes: list[str]) -> ScoreTable:
    """Two real pairs (0.9, 0.4), three fakes (0.6, 0.3, 0.1), one fake without a score."""
    return ScoreTable(
        clip=np.array(["a", "b", "c", "d", "e", "e"]),
        voice_id=np.array(["ann", "bob", "ann", "bob", "cy", "cy"]),
        face_id=np.array(["ann", "bob", "bob", "cy", "ann", "ann"]),
        real=np.array([True, True, False, False, False, False]),
        score=np.array([0.9, 0.4, 0.6, 0.3, 0.1, np.nan]),
        time_s=np.array([3.0, 3, 3, 3, 3, 4]),
        attributes={name: np.array(column) for name, column in attributes.items()},
    )


SEXES = {
    "voice_sex": ["female", "male", "female", "male", "male", "male"],
    "face_sex": ["female", "male", "male", "male", "female", "female"],
}


def test_six_pairs_by_hand() -> None:
    values = as_dict(result_of(table(**SEXES), threshold=0.5, resamples=50))
    assert values["auc"] == pytest.approx(5 / 6)
    assert values["auc_low"] <= values["auc"] <= values["auc_high"]
    assert values["auc_same_sex"] == 1  # the one such fake, 0.3, lies below both
    assert values["accuracy"] == pytest.approx(3 / 5)
    assert values["balanced_accuracy"] == pytest.approx(7 / 12)
    assert values["lambda"] == 0.5
    assert (values["n_pairs"], values["n_identities"]) == (5, 3)
    assert values["coverage"] == pytest.approx(5 / 6)
    assert values["tpr_at_fpr"] == {"0.05": None, "0.01": None, "0.001": None}  # three fakes


def test_rates_need_as_many_pairs_as_they_count_in() -> None:
    rng = np.random.default_rng(0)
    count = 150
    real = np.arange(2 * count) < count
    ids = np.arange(2 * count).astype(str)
    many = ScoreTable(
        ids, ids, np.where(real, ids, np.roll(ids, 1)), real, rng.normal(real, 0.3), 0.0 * real, {}
    )
    values = as_dict(result_of(many, None, resamples=20))
    assert values["tpr_at_fpr"]["0.001"] is None
    assert 0.5 < values["tpr_at_fpr"]["0.01"] <= values["tpr_at_fpr"]["0.05"] <= 1
    assert values["detected_at_false_alarms_low"]["0.05"] <= 1
    assert values["accuracy"] is None
    assert values["auc_same_sex"] is None


def test_one_kind_alone_is_counted_and_not_measured() -> None:
    whole = table()
    values = as_dict(result_of(whole.rows(whole.real), 0.5, resamples=10))
    assert (values["auc"], values["n_pairs"], values["coverage"]) == (None, 2, 1)


def test_patience_is_the_mean_of_what_there_is() -> None:
    clips = pooled(table(), by=("clip",))
    assert len(clips) == 5
    assert clips.score[clips.clip == "e"] == pytest.approx(0.1)
    nobody = pooled(table().rows(np.array([5])), by=("clip",))
    assert np.isnan(nobody.score).all()


def test_two_scorers_of_the_same_rows_are_compared_in_pairs() -> None:
    first = table().rows(np.arange(5))
    gain = difference(first, first.with_scores(-first.score), resamples=50)
    assert gain["auc"].value == pytest.approx(5 / 6 - 1 / 6)


def test_sexes_unknown_are_not_the_same_sex() -> None:
    assert same_sex(table()) is None
    unknown = table(voice_sex=["", "", "male", "", "", ""], face_sex=["", "", "male", "", "", ""])
    rows = same_sex(unknown)
    assert rows is not None
    assert rows.tolist() == [False, False, True, False, False, False]


def test_slices_hold_what_they_say() -> None:
    whole = table(
        manipulation=["", "", "swap", "swap", "attribute edit", "attribute edit"],
        forged=["", "", "voice alone", "both", "both", ""],
        race=["A", "B", "A", "B", "", ""],
        line=["call"] * 6,
        speech=["0.2", "0.95", "0.3", "", "0.7", "0.7"],
        brightness=["0.2", "0.5", "0.2", "0.5", "0.5", "0.5"],
        yaw=["0.3", "-0.3", "0", "0", "0", "0"],
        **SEXES,
    )
    found = {(s.attribute, s.condition): np.flatnonzero(s.rows).tolist() for s in slices(whole)}
    assert found == {
        ("negatives", "of the same sex"): [0, 1, 3],
        ("manipulation", "swap"): [0, 1, 2, 3],
        ("manipulation", "attribute edit"): [0, 1, 4, 5],
        ("forged", "voice alone"): [0, 1, 2],
        ("forged", "both"): [0, 1, 3, 4],
        ("race", "A"): [0, 2],
        ("race", "B"): [1, 3],
        ("speech", "below 0.3"): [0],
        ("speech", "0.3 to 0.6"): [2],
        ("speech", "0.6 to 0.9"): [4, 5],
        ("speech", "0.9 and more"): [1],
        ("failure case", "dark: brightness below 0.25"): [0, 2],
        ("failure case", "turned: yaw beyond 0.25"): [0, 1],
        ("failure case", "attributes edited"): [0, 1, 4, 5],
    }


def test_words_among_numbers_are_unknown() -> None:
    assert np.isnan(numbers(np.array(["1", "", "x"]))).tolist() == [False, True, True]
