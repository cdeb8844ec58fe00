"""Where a score comes from, by hiding parts of the face and of the voice and looking again.

Hiding asks the engine and nothing else, so it works on every engine, at every precision, without
gradients. The paper draws heat maps in its Fig. 6 and 7 without saying how they are made; random
hiding (RISE, Petsiuk et al. 2018) is our reading. Many blocks are hidden at a time because a face
tells the same thing in several places: hiding one place at a time finds none of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine

FACE_GRID: Final = (14, 14)  # cells of 16 x 16 pixels
VOICE_GRID: Final = (16, 15)  # for stft512: cells of 500 Hz by 200 ms
BLOCK_CELLS: Final = 3  # what is hidden is made of squares of this many cells
HIDDEN_SHARE: Final = 0.5
MASKS: Final = 320
"""Each cell is hidden in half of them: what the others do averages out."""

Map = NDArray[np.float32]
"""(rows, columns): how much lower the similarity is when this part is hidden than when it is seen,
in the mean over random hidings of half of the picture. Positive where the part speaks for the
match, negative where it speaks against it; in units of cosine."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """`similarity`: cosine of the untouched pair. `face`: FACE_GRID, rows from the top. `voice`:
    VOICE_GRID, rows from the lowest frequency, columns from the earliest moment."""

    similarity: float
    face: Map
    voice: Map


def explain(
    engine: Engine, spectrogram: NDArray[np.float32], crop: NDArray[np.uint8]
) -> Explanation:
    """`spectrogram` (1, bins, frames) from the checkpoint's front end, `crop` (224, 224, 3).

    Runs each tower MASKS times; the same pair has the same explanation. Raises EngineError.
    """
    (voice,), (face,) = engine.embed_voice(spectrogram[None]), engine.embed_faces(crop[None])
    face_map = _face_map(engine, voice, crop)
    voice_map = _map(
        VOICE_GRID,
        lambda cells: hide_voice(spectrogram, cells),
        lambda pictures: engine.embed_voice(pictures) @ face,
        engine.best_batch,
    )
    return Explanation(float(voice @ face), face_map, voice_map)


def explain_face(engine: Engine, spectrogram: NDArray[np.float32], crop: NDArray[np.uint8]) -> Map:
    """The part of `explain` about the face, which costs a fifth of it. Raises EngineError."""
    (voice,) = engine.embed_voice(spectrogram[None])
    return _face_map(engine, voice, crop)


def _face_map(engine: Engine, voice: NDArray[np.float32], crop: NDArray[np.uint8]) -> Map:
    return _map(
        FACE_GRID,
        lambda cells: hide_face(crop, cells),
        lambda crops: engine.embed_faces(crops) @ voice,
        engine.best_batch,
    )


def hide_face(crop: NDArray[np.uint8], cells: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """`crop` where `cells`, a grid over it, are False; its mean colour where they are True."""
    mask = _stretched(cells, crop.shape[:2])
    hidden = crop.copy()
    hidden[mask] = crop.mean(axis=(0, 1)).round().astype(np.uint8)
    return hidden


def hide_voice(spectrogram: NDArray[np.float32], cells: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`spectrogram` (1, bins, frames) with the mean of each bin over time where `cells` are True:
    nothing is said there, by a voice of the same colour."""
    mask = _stretched(cells, spectrogram.shape[1:])
    means = np.broadcast_to(spectrogram.mean(axis=2, keepdims=True), spectrogram.shape)
    return np.where(mask, means, spectrogram)


def _stretched(cells: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The grid at the size of the picture; cells that do not divide it differ in size by 1."""
    rows, columns = (
        np.arange(size) * count // size for size, count in zip(shape, cells.shape, strict=True)
    )
    stretched: NDArray[np.bool_] = cells[np.ix_(rows, columns)]
    return stretched


def _mask(grid: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Blocks at random places, which may reach over the edge, so that every cell is hidden as often
    as any other."""
    cells = np.zeros(grid, bool)
    while cells.mean() < HIDDEN_SHARE:
        row, column = (int(rng.integers(1 - BLOCK_CELLS, size)) for size in grid)
        cells[max(row, 0) : row + BLOCK_CELLS, max(column, 0) : column + BLOCK_CELLS] = True
    return cells


def _map(
    grid: tuple[int, int],
    hide: Callable[[NDArray[np.bool_]], NDArray[Any]],
    similarities: Callable[[NDArray[Any]], NDArray[np.float32]],
    batch: int,
) -> Map:
    """Of every cell: the mean similarity of masks that leave it less that of masks that hide it."""
    rng = np.random.default_rng(0)
    hidden = np.array([_mask(grid, rng) for _ in range(MASKS)])
    parts = (hidden[start : start + batch] for start in range(0, MASKS, batch))
    scores = np.concatenate([similarities(np.stack([hide(c) for c in part])) for part in parts])
    scores = scores - scores.mean()
    without = np.tensordot(scores, hidden, 1) / hidden.sum(axis=0)
    with_it = np.tensordot(scores, ~hidden, 1) / (~hidden).sum(axis=0)
    heat: Map = (with_it - without).astype(np.float32)
    return heat
