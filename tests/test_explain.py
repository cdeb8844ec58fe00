"""Hiding finds what a score depends on: where it is known, and on the weights that ship."""

from contextlib import closing

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.explain import (
    FACE_GRID,
    MASKS,
    VOICE_GRID,
    explain,
    hide_face,
    hide_voice,
)
from engines.load import load_engine
from tests.fakes import FakeEngine, engine_error
from tests.unseen import unseen_person
from vfd.checkpoint import load_checkpoint, shipped_checkpoint_path
from vfd.spectrogram import stft512

Cells = NDArray[np.bool_]

EYE, SOUND = (slice(64, 96), slice(80, 112)), (slice(160, 224), slice(100, 140))
"""What the engine below looks at and listens to: cells 4-5 by 5-6, and 5-6 by 5-6."""


class KnownEngine(FakeEngine):
    """The face is the angle that the brightness of EYE makes, the voice that of SOUND, so that
    nothing else matters."""

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        self._enter()
        self.voice_batches.append(len(spectrograms))
        return _at(1.0 - spectrograms[:, 0, *SOUND].mean(axis=(1, 2)))

    def embed_faces(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._enter()
        self.face_batches.append(len(crops))
        return _at(1.0 - crops[:, *EYE].mean(axis=(1, 2, 3)) / 255)


def _at(angle: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def pair() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Both bright exactly where the engine looks."""
    spectrogram = np.zeros((1, 512, 300), np.float32)
    spectrogram[0, *SOUND] = 1.0
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[EYE] = 255
    return spectrogram, crop


def cells_of(grid: tuple[int, int], rows: slice, columns: slice) -> Cells:
    cells = np.zeros(grid, bool)
    cells[rows, columns] = True
    return cells


def test_the_known_parts_are_found() -> None:
    explanation = explain(KnownEngine(best_batch=7), *pair())
    assert explanation.similarity == pytest.approx(1.0, abs=1e-6)
    for heat, grid, rows, columns in (
        (explanation.face, FACE_GRID, slice(4, 6), slice(5, 7)),
        (explanation.voice, VOICE_GRID, slice(5, 7), slice(5, 7)),
    ):
        inside = cells_of(grid, rows, columns)
        assert heat.shape == grid
        assert heat.dtype == np.float32
        assert heat[inside].min() > heat[~inside].max()
        far = cells_of(grid, slice(10, None), slice(None))
        assert abs(heat[far]).max() < 0.3 * heat[inside].mean()


def test_what_speaks_against_a_match_is_negative() -> None:
    spectrogram, crop = pair()
    explanation = explain(KnownEngine(), 1 - spectrogram, crop)
    assert explanation.similarity < 0.6
    assert explanation.face[4:6, 5:7].max() < 0


def test_the_same_pair_has_the_same_explanation() -> None:
    first, second = (explain(KnownEngine(best_batch=batch), *pair()) for batch in (64, 80))
    np.testing.assert_array_equal(first.face, second.face)
    np.testing.assert_array_equal(first.voice, second.voice)


def test_the_engine_is_asked_in_its_batches() -> None:
    engine = KnownEngine(best_batch=7)
    explain(engine, *pair())
    assert engine.face_batches == engine.voice_batches == [1, *[7] * (MASKS // 7), MASKS % 7]


def test_an_engine_that_fails_is_heard() -> None:
    engine = KnownEngine()
    engine.error = engine_error()
    with pytest.raises(type(engine.error), match="fell off"):
        explain(engine, *pair())


def test_hiding_covers_the_cells_with_what_says_nothing() -> None:
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    hidden = hide_face(crop, cells_of(FACE_GRID, slice(2, 4), slice(0, 1)))
    np.testing.assert_array_equal(hidden[32:64, :16], np.broadcast_to(hidden[32, 0], (32, 16, 3)))
    np.testing.assert_allclose(hidden[32, 0], crop.mean(axis=(0, 1)), atol=0.5)
    np.testing.assert_array_equal(hidden[:, 16:], crop[:, 16:])
    for shape in ((1, 512, 300), (1, 128, 256)):
        picture = rng.random(shape).astype(np.float32)
        silent = hide_voice(picture, cells_of(VOICE_GRID, slice(0, 8), slice(14, 15)))
        changed = np.argwhere(silent != picture)[:, 1:]
        assert changed.min(axis=0).tolist() == [0, -(-shape[2] * 14 // 15)]
        assert changed.max(axis=0).tolist() == [shape[1] // 2 - 1, shape[2] - 1]
        np.testing.assert_allclose(silent[0, 0, -1], picture[0, 0].mean(), rtol=1e-5)
        everything = hide_voice(picture, np.ones(VOICE_GRID, bool))
        np.testing.assert_allclose(everything.mean(axis=2), picture.mean(axis=2), rtol=1e-5)


# Faithfulness on trained weights

PEOPLE = 8
SHARE = 0.2
DRAWS = 8


def top(values: NDArray[np.floating]) -> Cells:
    """The highest fifth of a grid."""
    order = np.argsort(values, axis=None)[::-1][: round(SHARE * values.size)]
    cells = np.zeros(values.size, bool)
    cells[order] = True
    return cells.reshape(values.shape)


def centred(grid: tuple[int, int]) -> NDArray[np.floating]:
    """Higher towards the middle."""
    rows, columns = np.indices(grid)
    down, across = (grid[0] - 1) / 2, (grid[1] - 1) / 2
    return -np.hypot((rows - down) / grid[0], (columns - across) / grid[1])


def masks(heat: NDArray[np.float32], rng: np.random.Generator) -> list[Cells]:
    """A fifth of the grid each: what ranks highest, the centre, and DRAWS random ones."""
    grid = heat.shape[0], heat.shape[1]
    return [top(heat), top(centred(grid)), *(top(rng.random(grid)) for _ in range(DRAWS))]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_ranks_highest_matters_most() -> None:
    """How far the score falls when the top fifth of a map is hidden, against a random fifth (mean
    of several draws) and the fifth around the centre."""
    rng = np.random.default_rng(0)
    falls: dict[str, list[NDArray[np.float32]]] = {"face": [], "voice": []}
    with closing(load_engine("openvino", load_checkpoint(shipped_checkpoint_path()))) as engine:
        for number in range(PEOPLE):
            audio, crop = unseen_person(number)
            spectrogram = stft512(audio)
            (voice,) = engine.embed_voice(spectrogram[None])
            (face,) = engine.embed_faces(crop[None])
            told = explain(engine, spectrogram, crop)
            crops = np.stack([hide_face(crop, cells) for cells in masks(told.face, rng)])
            falls["face"].append(told.similarity - engine.embed_faces(crops) @ voice)
            hidden = [hide_voice(spectrogram, cells) for cells in masks(told.voice, rng)]
            falls["voice"].append(told.similarity - engine.embed_voice(np.stack(hidden)) @ face)
    for name, rows in falls.items():
        table = np.array(rows)
        highest, centre, random = table[:, 0], abs(table[:, 1]), abs(table[:, 2:]).mean(axis=1)
        print(
            f"{name}: {highest.mean():.3f}; {centre.mean():.3f} centre, {random.mean():.3f} random"
        )
        assert highest.mean() > 1.5 * max(centre.mean(), random.mean())
        assert (highest > np.maximum(centre, random)).sum() >= PEOPLE - 1
