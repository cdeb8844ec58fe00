"""A neutralised trait cannot tell the kept faces apart; the others still can."""

import numpy as np
import pytest

from training.neutral import NEAR, best_possible, neutralised
from training.people import TRAITS, draw_person
from training.score_files import ScoreTable

PEOPLE = 60


@pytest.fixture(scope="module")
def everybody() -> ScoreTable:
    """Every voice with every face, scored by nobody yet."""
    voices, faces = (ids.ravel().astype(str) for ids in np.indices((PEOPLE, PEOPLE)))
    nothing = np.zeros(PEOPLE * PEOPLE)
    male = np.array([draw_person(k).face.male for k in range(PEOPLE)])
    sexes = np.where(male, "male", "female")
    return ScoreTable(
        clip=np.char.add(voices, faces),
        voice_id=voices,
        face_id=faces,
        real=voices == faces,
        score=nothing,
        time_s=nothing,
        attributes={
            "voice_sex": sexes[voices.astype(int)],
            "face_sex": sexes[faces.astype(int)],
        },
    )


def reading(table: ScoreTable, trait: str) -> ScoreTable:
    """The scores of a model that knows a single trait."""
    drawn = [draw_person(k) for k in range(PEOPLE)]
    heard = np.array([getattr(person.voice, trait) for person in drawn])
    seen = np.array([getattr(person.face, trait) for person in drawn])
    distance = heard[table.voice_id.astype(int)] - seen[table.face_id.astype(int)]
    return table.with_scores(-np.abs(distance))


def test_a_model_of_one_cue_is_lost_without_it(everybody: ScoreTable) -> None:
    best = best_possible(everybody)
    found = {n.trait: n for n in neutralised(reading(everybody, "tempo"), best, resamples=5)}
    assert set(found) == {"sex", *TRAITS}
    aucs = {trait: n.model.measured["auc"].value for trait, n in found.items()}
    assert aucs.pop("tempo") < 0.65
    assert min(aucs.values()) > 0.8
    assert all(n.best.measured["auc"].value > 0.97 for n in found.values())


def test_only_faces_alike_are_kept(everybody: ScoreTable) -> None:
    found = {n.trait: n for n in neutralised(everybody, everybody, resamples=2)}
    faces = np.array([draw_person(k).face.size for k in range(PEOPLE)])
    alike = np.abs(faces[:, None] - faces) < NEAR
    assert found["size"].model.n_fake == alike.sum() - PEOPLE
    assert found["size"].model.n_real == PEOPLE


def test_different_sexes_are_impossible_and_still_numbers(everybody: ScoreTable) -> None:
    best = best_possible(everybody)
    apart = everybody.attributes["voice_sex"] != everybody.attributes["face_sex"]
    assert np.isfinite(best.score).all()
    assert best.score[apart].max() < best.score[~apart].min()
