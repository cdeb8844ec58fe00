"""Whether one cue dominates: accuracy with each shared trait of synthetic people made useless.

A trait is neutralised by keeping only those swapped faces that show (nearly) the same of it as the
right face does: it cannot tell the two apart then. Neutralising the sex leaves faces of one sex.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.measures import Result, result_of, same_sex
from training.people import TRAITS, draw_person, oracle_similarity
from training.score_files import Bools, Floats, ScoreTable

NEAR: Final = 0.25  # standard deviations of the population
IMPOSSIBLE: Final = -1e9  # stands for minus infinity, which no resampling can add up


@dataclass(frozen=True, slots=True)
class Neutral:
    """What is left without one trait: of the model, and of the best possible."""

    trait: str
    model: Result
    best: Result


def neutralised(table: ScoreTable, best: ScoreTable, resamples: int) -> list[Neutral]:
    """`table` and `best` hold the same rows of synthetic people, whose identities are seeds."""
    kept = {"sex": same_sex(table)} | {trait: _alike(table, trait) for trait in TRAITS}
    return [
        Neutral(
            trait,
            result_of(table.rows(table.real | rows), None, resamples),
            result_of(best.rows(table.real | rows), None, resamples),
        )
        for trait, rows in kept.items()
        if rows is not None
    ]


def best_possible(table: ScoreTable) -> ScoreTable:
    """The scores of one who sees the true traits: see `training.people.oracle_similarity`."""
    drawn = {i: draw_person(int(i)) for i in {*table.voice_id.tolist(), *table.face_id.tolist()}}
    scores = [
        oracle_similarity(drawn[voice].voice, drawn[face].face)
        for voice, face in zip(table.voice_id.tolist(), table.face_id.tolist(), strict=True)
    ]
    return table.with_scores(np.maximum(scores, IMPOSSIBLE))


def _alike(table: ScoreTable, trait: str) -> Bools:
    """Rows whose face shows as much of the trait as the face of the voice's owner."""
    right, shown = (_faces(ids.tolist(), trait) for ids in (table.voice_id, table.face_id))
    return np.asarray(np.abs(right - shown) < NEAR)


def _faces(identities: list[str], trait: str) -> Floats:
    values = {i: float(getattr(draw_person(int(i)).face, trait)) for i in set(identities)}
    return np.array([values[i] for i in identities])
