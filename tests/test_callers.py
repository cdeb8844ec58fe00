from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.caller_scores import JUMP, score_table
from training.callers import (
    LOOKS,
    TAKES,
    WINDOWS,
    CallerMaker,
    Callers,
    caller_seeds,
    load_callers,
    save_callers,
    turn_windows,
)
from training.people import TEST_SEED, draw_person
from vfd.faces import MtcnnDetector
from vfd.finder import FaceFinder
from vfd.speech import speech_share


class Means:
    """A voice is the loudness of its lower frequencies, a face its mean colour."""

    def embed_voice(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float32]:
        return _unit(spectrograms[:, 0, :3].mean(axis=2))

    def embed_faces(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _unit(crops.mean(axis=(1, 2)).astype(np.float32))


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_people_for_tests_are_never_those_to_calibrate_on() -> None:
    unseen, others = caller_seeds(50, unseen=True), caller_seeds(50, unseen=False)
    assert min(unseen) >= TEST_SEED > max(others)
    assert len(set(unseen)) == 50
    assert caller_seeds(20, unseen=True) == unseen[:20]


def test_windows_at_the_ends_of_a_turn_are_partly_silent() -> None:
    windows = turn_windows(draw_person(5).voice, np.random.default_rng(1))
    assert [len(window) for window in windows] == [48_000] * WINDOWS
    np.testing.assert_array_equal(windows[0][16_000:], windows[1][:-16_000])  # they overlap
    shares = [speech_share(window) for window in windows]
    assert max(shares[0], shares[-1]) < shares[WINDOWS // 2]


def test_they_are_embedded_and_kept(tmp_path: Path) -> None:
    maker = CallerMaker(Means(), FaceFinder(MtcnnDetector()), "stft512")
    made = maker.make([5, 6])
    assert made.voice.shape == (2, TAKES, WINDOWS, 3)
    assert made.face.shape == (2, TAKES, LOOKS, 3)
    assert made.scored.any(axis=2).all()
    save_callers(tmp_path / "test-0000.npz", made)
    (tmp_path / "test-0001.partial.npz").write_bytes(b"half")
    back = load_callers(tmp_path, "test")
    assert back.seed.tolist() == [5, 6]
    np.testing.assert_allclose(back.voice, made.voice, atol=1e-3)
    with pytest.raises(FileNotFoundError, match="calibration"):
        load_callers(tmp_path, "calibration")


def vectors(people: int) -> Callers:
    """Everybody's voice and face near a direction of their own; the first's second scene is not."""
    rng = np.random.default_rng(3)
    own = np.eye(people, dtype=np.float32)
    voice = own[:, None, None] + 0.05 * rng.standard_normal((people, TAKES, WINDOWS, people))
    face = own[:, None, None] + 0.05 * rng.standard_normal((people, TAKES, LOOKS, people))
    face[0, 1] += 2.0
    voice, face = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (voice, face))
    scored = np.ones((people, TAKES, WINDOWS), np.bool_)
    scored[1, 0, 0] = False
    return Callers(np.arange(people), voice, face, scored)


def test_their_table_has_rest_moves_and_swaps() -> None:
    table = score_table(vectors(12))
    assert len(table) == (4 + 2) * 12 * WINDOWS
    jump = table.attributes[JUMP].astype(float)
    rest = np.char.endswith(table.clip, "-0") & table.real & (table.voice_id != "0")
    assert np.nanmean(table.score[rest]) > 0.8
    assert jump[rest].max() < 0.3
    assert jump[~table.real].min() > 0.5
    moved = table.real & (table.clip == "0-0-0-1")
    assert jump[moved].min() > jump[rest].max()
    assert np.isnan(table.score[(table.clip == "1-0-1-0") & (table.time_s == 3.0)]).all()
