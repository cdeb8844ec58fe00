"""Callers as a table of scores, which a decision is fitted to.

Of every person both takes as they are; the voice of the first with the face of the second, as when
a camera is moved in a call; the other way round, as when another microphone is taken; and the voice
of the first with the faces of two others (swaps). Column `jump`: by how much more one of voice and
face differs from the rest of its take than the other does (`vfd.own`); of a swap, from the person's
own.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.callers import LOOKS, WINDOWS, Callers
from training.score_files import ScoreTable

Vectors = NDArray[np.floating[Any]]

JUMP: Final = "jump"
SWAPS: Final = 2
LOOK_OF_WINDOW: Final = np.arange(WINDOWS) * LOOKS // WINDOWS  # a new face every two seconds


def score_table(callers: Callers) -> ScoreTable:
    """WINDOWS rows a stream."""
    seeds = callers.seed.astype(str)
    everybody = np.arange(len(callers))
    strangers = [np.roll(everybody, shift) for shift in range(1, SWAPS + 1)]
    parts = [
        _stream(callers, everybody, everybody, 0, 0),
        _stream(callers, everybody, everybody, 1, 1),
        _stream(callers, everybody, everybody, 0, 1),
        _stream(callers, everybody, everybody, 1, 0),
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
    rest = take if take == scene else 0
    own_said, own_seen = callers.voice[voice, rest], callers.face[voice, rest]
    voice_moved, face_moved = np.zeros(said.shape[:2]), np.zeros(said.shape[:2])
    for window, look in enumerate(LOOK_OF_WINDOW.tolist()):
        voice_moved[:, window] = _distance(said[:, window], _others(own_said, window))
        face_moved[:, window] = _distance(seen[:, window], _others(own_seen, look))
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
