"""The contract of the synthetic people, held against what is drawn."""

import itertools
import math

import numpy as np
import pytest

from training.face_drawing import FaceDrawer
from training.people import RHO, TRAITS, VERSION, draw_person, oracle_similarity
from training.scenes import draw_scene, pose_track
from training.voice_synthesis import speak
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


def test_what_a_seed_draws_belongs_to_the_version() -> None:
    """Who changes the generator changes VERSION, and then these numbers."""
    person = draw_person(7)
    sound = speak(person.voice, 2.0, np.random.default_rng(5)).audio
    spectrum = np.abs(np.fft.rfft(sound))
    centre_hz = np.average(np.fft.rfftfreq(len(sound), 1 / 16_000), weights=spectrum)
    rng = np.random.default_rng(6)
    drawer = FaceDrawer(person.face, draw_scene(rng))
    picture = drawer.draw(next(iter(pose_track(rng, np.array([0.3]), 15))))
    assert VERSION == 1
    assert centre_hz == pytest.approx(1742.68, abs=0.05)
    colour = picture.reshape(-1, 3).mean(axis=0)
    assert colour == pytest.approx([130.656, 135.031, 142.378], abs=0.02)
    assert picture.std() == pytest.approx(29.829, abs=0.02)
