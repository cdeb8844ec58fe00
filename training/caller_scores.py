"""Callers as a table of scores, which a decision is fitted to.

Of every person both takes as they are; of one in five the voice of the first with the face of the
second, as when a camera is moved in a call; and the voice of the first with the faces of two others
(swaps). Column `jump`: by how much more one of voice and face differs from the rest of its take
than the other does (`vfd.own`); of a swap, from the person's own.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.callers import LOOKS, WINDOWS, Callers
from training.score_files import ScoreTable

Vectors = NDArray[np.floating[Any]]

JUMP: Final = "jump"
MOVED: Final = 5  # one in so many people
SWAPS: Final = 2
LOOK_OF_WINDOW: Final = np.arange(WINDOWS) * LOOKS // WINDOWS  # a new face every two seconds


def score_table(callers: Callers) -> ScoreTable:
    """WINDOWS rows a stream."""
    seeds = callers.seed.astype(str)
    everybody = np.arange(len(callers))
    moved = everybody[::MOVED]
    strangers = [np.roll(everybody, shift) for shift in range(1, SWAPS + 1)]
    parts = [
        _stream(callers, everybody, everybody, 0, 0),
        _stream(callers, everybody, everybody, 1, 1),
        _stream(callers, moved, moved, 0, 1),
        *(_stream(callers, everybody, others, 0, 0) for others in strangers),
    ]
    voice, face, clip, score, jump, time_s = (
        np.concatenate([part[k] for part in parts]) for k in range(6)
    )
    return ScoreTable(
        clip,
        seeds[voice],
        seeds[face],
        voice == face,
        score,
        time_s,
        {JUMP: np.char.mod("%.4f", jump)},
    )


def _stream(
    callers: Callers, voice: NDArray[np.intp], face: NDArray[np.intp], take: int, scene: int
) -> tuple[NDArray[Any], ...]:
    """Rows of each of `voice` with each of `face`, person after person."""
    said = callers.voice[voice, take]
    seen = callers.face[face, scene][:, LOOK_OF_WINDOW]
    own = callers.face[voice, take]
    if scene == take and np.array_equal(voice, face):
        looks = enumerate(LOOK_OF_WINDOW.tolist())
        alone = [_distance(seen[:, window], _others(own, look)) for window, look in looks]
        face_moved = np.stack(alone, axis=1)
    else:
        face_moved = _distance(seen, own.mean(1)[:, None])
    voice_moved = np.stack(
        [_distance(said[:, w], _others(said, w)) for w in range(WINDOWS)], axis=1
    )
    names = [
        f"{callers.seed[v]}-{take}-{callers.seed[f]}-{scene}"
        for v, f in zip(voice, face, strict=True)
    ]
    score = np.where(callers.scored[voice, take], (said * seen).sum(-1), np.nan)
    return (
        np.repeat(voice, WINDOWS),
        np.repeat(face, WINDOWS),
        np.repeat(names, WINDOWS),
        score.astype(np.float64).reshape(-1),
        np.abs(voice_moved - face_moved).reshape(-1),
        np.tile(np.arange(WINDOWS, dtype=np.float64) + 3.0, len(voice)),
    )


def _others(vectors: Vectors, left_out: int) -> Vectors:
    """Mean over axis 1 without one."""
    return np.asarray(np.delete(vectors, left_out, axis=1).mean(axis=1))


def _distance(vector: Vectors, mean: Vectors) -> Vectors:
    norm = np.linalg.norm(vector, axis=-1) * np.linalg.norm(mean, axis=-1)
    return np.asarray(1.0 - (vector * mean).sum(-1) / norm)
