"""Where a score comes from, by hiding parts of the face and of the voice and looking again.

Hiding asks the engine and nothing else, so it works on every engine, at every precision, without
gradients. The paper draws heat maps of this kind in Fig. 6 and 7 without saying how they are made;
occlusion (Zeiler and Fergus 2014) is our reading.

A part is hidden under a patch wider than the step by which the patch moves, and a cell of a map is
the mean over all patches that cover it: finer than one patch, steadier than one small patch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine

FACE_GRID: Final = (14, 14)  # cells of 16 x 16 pixels
VOICE_GRID: Final = (16, 15)  # for stft512: cells of 500 Hz by 200 ms
PATCH_CELLS: Final = 3  # a patch is this many cells high and wide

Map = NDArray[np.float32]
"""(rows, columns): how much the similarity falls when this part is hidden. Positive where the part
speaks for the match, negative where it speaks against it; in units of cosine."""


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

    Runs each tower some two hundred times. Raises EngineError.
    """
    (voice,), (face,) = engine.embed_voice(spectrogram[None]), engine.embed_faces(crop[None])
    similarity = float(voice @ face)
    face_map = _map(
        FACE_GRID,
        lambda cells: hide_face(crop, cells),
        lambda crops: engine.embed_faces(crops) @ voice,
        similarity,
        engine.best_batch,
    )
    voice_map = _map(
        VOICE_GRID,
        lambda cells: hide_voice(spectrogram, cells),
        lambda pictures: engine.embed_voice(pictures) @ face,
        similarity,
        engine.best_batch,
    )
    return Explanation(similarity, face_map, voice_map)


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


def _patches(grid: tuple[int, int]) -> Iterator[NDArray[np.bool_]]:
    """One patch around every cell, cut off at the edges of the grid."""
    reach = PATCH_CELLS // 2
    for row in range(grid[0]):
        for column in range(grid[1]):
            cells = np.zeros(grid, bool)
            top, left = max(row - reach, 0), max(column - reach, 0)
            cells[top : row + reach + 1, left : column + reach + 1] = True
            yield cells


def _map(
    grid: tuple[int, int],
    hide: Callable[[NDArray[np.bool_]], NDArray[Any]],
    similarities: Callable[[NDArray[Any]], NDArray[np.float32]],
    whole: float,
    batch: int,
) -> Map:
    """The mean fall under the patches that cover a cell; a smaller patch counts for more."""
    total, weight = np.zeros(grid), np.zeros(grid)
    patches = _patches(grid)
    while part := list(islice(patches, batch)):
        falls = whole - similarities(np.stack([hide(cells) for cells in part]))
        for cells, fall in zip(part, falls, strict=True):
            total[cells] += fall / cells.sum()
            weight[cells] += 1 / cells.sum()
    return (total / weight).astype(np.float32)
