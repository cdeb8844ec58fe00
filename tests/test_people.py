"""The contract of the synthetic people, held against what is drawn."""

import itertools
import math

import numpy as np

from training.people import RHO, TRAITS, draw_person, oracle_similarity
from vfd.metrics import auc

PEOPLE = [draw_person(seed) for seed in range(3_000)]


def column(part: str, trait: str) -> np.ndarray:
    return np.array([float(getattr(getattr(p, part), trait)) for p in PEOPLE])


def test_a_seed_repeats_its_person() -> None:
    assert draw_person(7) == draw_person(7)
    assert draw_person(7).face != draw_person(8).face


def test_every_trait_is_shared_as_stated_and_no_two_traits_are() -> None:
    for trait in TRAITS:
        assert abs(np.corrcoef(column("voice", trait), column("face", trait))[0, 1] - RHO) < 0.01
        for other in TRAITS:
            if other != trait:
                r = np.corrcoef(column("voice", trait), column("face", other))[0, 1]
                assert abs(r) < 0.07
    assert all(p.voice.male == p.face.male for p in PEOPLE)


def test_colours_tell_nothing_about_the_voice() -> None:
    for colour in ("skin_tone", "hair_colour", "eye_colour"):
        for trait in (*TRAITS, "male"):
            assert abs(np.corrcoef(column("face", colour), column("voice", trait))[0, 1]) < 0.07


def test_the_oracle_is_the_likelihood_ratio() -> None:
    """Held against densities computed another way: the ratio of multivariate normals."""
    person, other = PEOPLE[0], next(p for p in PEOPLE[1:] if p.face.male == PEOPLE[0].face.male)
    covariance = np.array([[1.0, RHO], [RHO, 1.0]])
    expected = math.log(2)
    for trait in TRAITS:
        x = np.array([getattr(person.voice, trait), getattr(other.face, trait)])
        joint = -0.5 * (x @ np.linalg.inv(covariance) @ x + math.log(np.linalg.det(covariance)))
        expected += joint + 0.5 * x @ x
    assert math.isclose(oracle_similarity(person.voice, other.face), expected, rel_tol=1e-9)


def test_the_oracle_never_matches_two_sexes_and_separates_nearly_all() -> None:
    matched = np.array([oracle_similarity(p.voice, p.face) for p in PEOPLE])
    pairs = list(itertools.pairwise(PEOPLE))
    swapped = np.array([oracle_similarity(a.voice, b.face) for a, b in pairs])
    other_sex = np.array([a.voice.male != b.face.male for a, b in pairs])
    assert np.all(np.isneginf(swapped) == other_sex)
    assert 0.998 < auc(matched, swapped) < 1.0
    assert 0.998 < auc(matched, swapped[~other_sex]) < 1.0
